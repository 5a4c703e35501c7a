package bot_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
)

func TestAnOutageIsToldOnceAndNobodyIsPromisedAnAgent(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 25
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		for i := range chats {
			e.connect(name(i))
		}
		e.says("silent", "agent please")
		e.passes(time.Second)
		e.snow.failing(unavailable)
		for i := range chats {
			e.says(name(i), "are you there?")
		}
		e.passes(10 * time.Second)
		for i := range chats {
			if n := len(e.teams.tried(name(i), "can't be reached")); n != 1 {
				t.Errorf("%s was told %d times of the outage, want once", name(i), n)
			}
		}
		if n := len(e.teams.tried("silent", "can't be reached")); n != 1 {
			t.Errorf("who waits for an agent was told %d times of the outage, want once", n)
		}
		before := len(e.snow.done())
		e.passes(time.Minute)
		if n := len(e.snow.done()) - before; n < 10 || n > 13 {
			t.Errorf("%d calls in a minute of the outage, want a probe each 5 s", n)
		}
		e.says("late", "I want to talk to a person")
		e.passes(time.Second)
		if n := len(e.teams.tried("late", "can't connect you to a person")); n != 1 || len(e.teams.tried("late", "Shall I create a ticket")) != 1 {
			t.Errorf("an escalation during the outage shows %q", e.teams.tried("late", ""))
		}
		e.snow.failing(nil)
		e.passes(10 * time.Second)
		for _, who := range []string{name(0), name(chats - 1), "silent"} {
			if n := len(e.teams.tried(who, "can be reached again")); n != 1 {
				t.Errorf("%s was told %d times that the outage is over, want once", who, n)
			}
		}
		heard := 0
		for _, c := range e.snow.done()[before:] {
			if c == "message are you there?" {
				heard++
			}
		}
		if heard < chats {
			t.Errorf("after the outage %d words were sent, want those of all %d chats", heard, chats)
		}
		e.says("late", "I want to talk to a person")
		e.passes(time.Second)
		if e.snow.sessionOf("late") == "" {
			t.Error("after the outage nobody is asked for an agent")
		}
	})
}

func TestTheEndOfAnOutageIsToldAfterARestart(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("talks")
		e.connect("listens")
		e.snow.failing(unavailable)
		for range 30 {
			e.says("talks", "hello?")
		}
		for i := range 25 { // the host fails for many
			e.says(fmt.Sprintf("other%d", i), "agent please")
		}
		e.passes(15 * time.Second)
		if n := len(e.teams.tried("listens", "can't be reached")); n != 1 {
			t.Fatalf("told %d times of the outage, want once", n)
		}
		e.stop()
		e.snow.failing(nil)
		e.start()
		e.passes(15 * time.Second)
		for _, who := range []string{"talks", "listens"} {
			if n := len(e.teams.tried(who, "can be reached again")); n != 1 {
				t.Errorf("%s was told %d times that it is over, want once", who, n)
			}
		}
	})
}

func TestALaneIsBlockedForABoundedTime(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		session := e.connect("chat")
		e.snow.failing(func(op string) error {
			if op == "message" {
				return &snow.Error{Op: op, StatusCode: 503, Written: true}
			}
			return nil
		})
		e.says("chat", "lost one")
		e.says("chat", "lost two")
		e.passes(4 * time.Minute)
		if n := len(e.teams.tried("chat", "could not be delivered")); n != 0 {
			t.Errorf("told after 4 minutes already: %d", n)
		}
		e.passes(90 * time.Second)
		for _, words := range []string{"lost one", "lost two"} {
			if n := len(e.teams.tried("chat", words)); n != 1 {
				t.Errorf("%q is offered %d times to be sent again, want once", words, n)
			}
		}
		e.snow.failing(nil)
		e.says("chat", "found")
		e.passes(10 * time.Second)
		if calls := e.snow.done(); !slices.Contains(calls, "message found") {
			t.Errorf("the lane is still blocked: %q", calls[len(calls)-1])
		}
		before := len(e.snow.done())
		e.presses("chat", "again")
		e.passes(time.Second)
		if got := e.snow.done()[before:]; !slices.Equal(got, []string{"message lost two"}) {
			t.Errorf("the button sends %q, want the words again", got)
		}
		e.answers(session, "hello")
		e.passes(time.Second)
		if len(e.teams.tried("chat", "hello")) != 1 {
			t.Error("the other direction stands still")
		}
	})
}

func TestTheEndOfAnOutageIsToldToWhoHasNothingOnTheWay(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat") // a single one opens no breaker
		e.snow.failing(unavailable)
		e.says("chat", "lost")
		e.passes(10 * time.Minute)
		if told, lost := len(e.teams.tried("chat", "can't be reached")), len(e.teams.tried("chat", "could not be delivered")); told != 1 || lost != 1 {
			t.Fatalf("told %d times of the outage and %d times of lost words, want once each", told, lost)
		}
		if n := len(e.teams.tried("chat", "can be reached again")); n != 0 {
			t.Fatalf("told %d times that it is over, and it is not", n)
		}
		e.snow.failing(nil)
		e.passes(10 * time.Second)
		if n := len(e.teams.tried("chat", "can be reached again")); n != 1 {
			t.Errorf("told %d times that it is over, want once", n)
		}
		before := len(e.snow.done())
		e.passes(10 * time.Minute)
		if n := len(e.snow.done()) - before; n != 0 {
			t.Errorf("%d calls of ServiceNow after the end, want none", n)
		}
	})
}

func TestWordsOfOneThatFailAreNoOutageOfAll(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("stuck")
		e.connect("well")
		e.snow.mu.Lock()
		e.snow.poison = "poison"
		e.snow.mu.Unlock()
		e.says("stuck", "poison")
		for i := range 60 {
			e.says("well", fmt.Sprint("word ", i))
			e.passes(3 * time.Second)
		}
		if told, over := len(e.teams.tried("stuck", "can't be reached")), len(e.teams.tried("stuck", "can be reached again")); told != 1 || over != 0 {
			t.Errorf("told %d times of an outage and %d times of its end, want once and not yet", told, over)
		}
		if n := len(e.teams.tried("well", "can't be reached")); n != 0 {
			t.Errorf("the other one was told %d times", n)
		}
		e.passes(5 * time.Minute) // the words are given up, and others pass
		if n := len(e.teams.tried("stuck", "can be reached again")); n != 1 {
			t.Errorf("told %d times of the end, want once", n)
		}
	})
}

func TestALongWaitIsToldAtOnce(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat")
		e.snow.failing(func(op string) error {
			return &snow.Error{Op: op, StatusCode: 429, RetryAfter: time.Minute, Written: true}
		})
		e.says("chat", "are you there?")
		e.passes(time.Second)
		if n := len(e.teams.tried("chat", "can't be reached")); n != 1 {
			t.Errorf("told %d times that it takes a minute, want once", n)
		}
		e.snow.failing(nil)
		e.passes(90 * time.Second)
		if n := len(e.teams.tried("chat", "can be reached again")); n != 1 {
			t.Errorf("told %d times of the end, want once", n)
		}
	})
}

func TestAnEndThatFailsDoesNotHoldUpTheNextWishForLong(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		first := e.connect("chat")
		e.snow.failing(func(op string) error {
			if op == "end" {
				return &snow.Error{Op: op, StatusCode: 500, Written: true}
			}
			return nil
		})
		e.says("chat", "end chat")
		e.says("chat", "agent please")
		e.passes(6 * time.Minute)
		if e.snow.sessionOf("chat") == first {
			t.Error("six minutes later nobody has been asked for an agent")
		}
	})
}

func TestALaneToTeamsIsBlockedForABoundedTime(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		e.teams.failing(func(_, text string) error {
			if text == "stuck" {
				return &adapter.Error{Op: "send", StatusCode: 503, Written: true}
			}
			return nil
		})
		e.answers(session, "stuck")
		e.answers(session, "behind")
		e.says("chat", "hello?")
		e.passes(4 * time.Minute)
		if len(e.teams.tried("chat", "behind")) != 0 {
			t.Fatal("overtaken")
		}
		e.passes(90 * time.Second)
		if len(e.teams.tried("chat", "behind")) != 1 {
			t.Error("the lane is still blocked")
		}
		if ok, failed, _ := e.snow.ticks(); ok != 1 || failed != 1 {
			t.Errorf("%d ticks and %d failures, want one of each", ok, failed)
		}
		if !slices.Contains(e.snow.done(), "message A message of yours could not be delivered to the employee in time: Teams could not be reached.") &&
			!slices.Contains(e.snow.done(), "message Teams did not say whether a message of yours reached the employee.") {
			t.Errorf("the agent is not told why: %q", e.snow.done())
		}
	})
}

func TestWordsThatWaitForAHostAreNotSentToAChatThatHasEndedMeanwhile(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 25
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		sessions := make([]string, chats)
		for i := range chats {
			sessions[i] = e.connect(name(i))
		}
		e.snow.failing(unavailable)
		for i := range chats {
			e.says(name(i), "are you there?")
		}
		e.passes(12*time.Second + 300*time.Millisecond) // every lane waits, somewhere between two probes
		for _, session := range sessions {
			e.post(session, snow.Event{Completed: true})
		}
		before := len(e.snow.done())
		e.snow.failing(nil)
		e.passes(time.Minute)
		for _, call := range e.snow.done()[before:] {
			if call == "message are you there?" {
				t.Error("words were sent to a chat that ServiceNow had ended")
			}
		}
	})
}

// TestOnlyServiceNowIsSaidToBeOutOfReach holds up requests for an agent by what is none of ServiceNow's doing.
func TestOnlyServiceNowIsSaidToBeOutOfReach(t *testing.T) {
	const untrue = "The service desk can't be reached"
	t.Run("the roster of Teams", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			e.teams.rosterOut(true)
			e.says("chat", "agent please")
			e.passes(time.Minute)
			if n := len(e.teams.tried("chat", untrue)); n != 0 {
				t.Errorf("told %d times that ServiceNow is out of reach, and nobody has called it", n)
			}
			e.teams.rosterOut(false)
			e.passes(15 * time.Second)
			if e.snow.sessionOf("chat") == "" {
				t.Error("nobody was asked for an agent")
			}
		})
	})
	t.Run("the rate of the tenant", func(t *testing.T) {
		bubble(t, bot.Rules{Pacing: true, TenantRate: 1}, func(e *engine) {
			const chats = 20
			name := func(i int) string { return fmt.Sprintf("chat%d", i) }
			for i := range chats {
				e.says(name(i), "agent please")
			}
			e.passes(2 * time.Minute)
			for i := range chats {
				if n := len(e.teams.tried(name(i), untrue)); n != 0 {
					t.Errorf("%s was told %d times that ServiceNow is out of reach, and it answers", name(i), n)
				}
				if e.snow.sessionOf(name(i)) == "" {
					t.Errorf("nobody was asked for an agent for %s", name(i))
				}
			}
		})
	})
}
