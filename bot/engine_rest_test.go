package bot_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
)

// A limit of the instance is one for all chats: whoever runs into it finds out for the others.
func TestWhenServiceNowLimitsUsOneCallFindsOut(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 40
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		for i := range chats {
			e.connect(name(i))
		}
		calls := func() int { return len(e.snow.done()) }
		e.limits()
		e.says(name(0), "first")
		e.passes(time.Second)
		before := calls()
		for i := range chats {
			e.says(name(i), "hello")
		}
		e.does(name(1), &adapter.Activity{Type: adapter.TypeTyping})
		e.passes(50 * time.Second)
		if n := calls() - before; n != 0 {
			t.Errorf("%d calls while ServiceNow wished to be left alone", n)
		}
		for i := range chats {
			if n := len(e.teams.tried(name(i), "can't be reached")); n != 1 {
				t.Errorf("%s was told %d times that it takes a while, want once", name(i), n)
			}
		}
		e.passes(40 * time.Second)
		if n := calls() - before; n != 1 {
			t.Errorf("%d calls to find out that it still does, want one", n)
		}
		e.snow.failing(nil)
		e.passes(80 * time.Second)
		heard := map[string]int{}
		for _, c := range e.snow.done()[before:] {
			heard[c]++
		}
		if heard["message hello"] < chats {
			t.Errorf("%d words of %d arrived afterwards", heard["message hello"], chats)
		}
	})
}

// Tickets are made by another interface, with limits of its own.
func TestALimitOfTicketsIsNoneOfWords(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("talks")
		e.snow.failing(func(op string) error {
			if op == "incident" {
				return limited(op)
			}
			return nil
		})
		e.says("chat", "agent please")
		e.passes(time.Second)
		e.post(e.snow.sessionOf("chat"), snow.Event{Completed: true})
		e.passes(time.Second)
		e.presses("chat", "ticket")
		e.passes(time.Second)
		e.says("talks", "hello")
		e.passes(time.Second)
		if got := e.snow.done(); got[len(got)-1] != "message hello" {
			t.Errorf("the instance was sent %q, want the words last", got)
		}
	})
}

// Nor is a limit of words one of tickets, whose success does not tell that words are taken again.
func TestALimitOfWordsIsNoneOfTickets(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 5
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		for i := range chats {
			e.connect(name(i))
		}
		e.says("ticket", "agent please")
		e.passes(time.Second)
		e.post(e.snow.sessionOf("ticket"), snow.Event{Completed: true})
		e.passes(time.Second)
		e.limits()
		e.says(name(0), "first")
		e.passes(time.Second)
		e.presses("ticket", "ticket")
		e.passes(time.Second)
		if n := len(e.teams.tried("ticket", "INC1")); n != 1 {
			t.Errorf("told %d times of a ticket while words had to wait, want once", n)
		}
		before := len(e.snow.done())
		for i := range chats {
			e.says(name(i), "hello")
		}
		e.passes(time.Minute)
		if calls := e.snow.done()[before:]; len(calls) != 1 {
			t.Errorf("%d calls ran into the limit to find out that it still holds, want one: %q", len(calls), calls)
		}
	})
}

// A call that gets no answer has found nothing out.
func TestACallWithoutAnAnswerDoesNotEndALimit(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 5
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		for i := range chats {
			e.connect(name(i))
		}
		e.limits()
		e.says(name(0), "first")
		e.passes(time.Second)
		before := len(e.snow.done())
		for i := range chats {
			e.says(name(i), "hello")
		}
		lost := false
		e.snow.failing(func(op string) error {
			if !lost {
				lost = true
				return &snow.Error{Op: op, Err: syscall.ECONNREFUSED}
			}
			return limited(op)
		})
		e.passes(time.Minute)
		if calls := e.snow.done()[before:]; len(calls) != 2 {
			t.Errorf("%d calls, want the one that was lost and one that ran into the limit: %q", len(calls), calls)
		}
	})
}

// Who was told that the service desk is out of reach is not told that it can be reached while it takes nothing.
func TestALimitIsNotTheEndOfAnOutage(t *testing.T) {
	// told expects that everyone was told of the outage once, and so often of its end.
	told := func(e *engine, over int, names ...string) {
		e.t.Helper()
		for _, name := range names {
			if n := len(e.teams.tried(name, "can't be reached")); n != 1 {
				e.t.Errorf("%s was told %d times of the outage, want once", name, n)
			}
			if n := len(e.teams.tried(name, "can be reached again")); n != over {
				e.t.Errorf("%s was told %d times that it is over, want %d", name, n, over)
			}
		}
	}
	t.Run("a probe finds it", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			e.connect("chat")
			e.snow.failing(unavailable)
			e.says("chat", "lost")
			e.passes(10 * time.Minute) // the words are given up
			before := len(e.snow.done())
			e.limits()
			e.passes(5 * time.Minute)
			told(e, 0, "chat")
			if n := len(e.snow.done()) - before; n > 5 {
				t.Errorf("%d calls in five minutes, want one a minute", n)
			}
			e.snow.failing(nil)
			e.passes(70 * time.Second)
			told(e, 1, "chat")
		})
	})
	t.Run("words find it", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			const chats = 25
			name := func(i int) string { return fmt.Sprintf("chat%d", i) }
			for i := range chats {
				e.connect(name(i))
			}
			e.connect("silent")
			e.snow.failing(unavailable)
			for i := range chats {
				e.says(name(i), "are you there?")
			}
			e.passes(time.Minute)
			e.limits()
			e.passes(2 * time.Minute)
			told(e, 0, name(0), name(chats-1), "silent")
			e.snow.failing(nil)
			e.passes(80 * time.Second)
			told(e, 1, name(0), name(chats-1), "silent")
		})
	})
}

// limited is the answer to a call that is one too many.
func limited(op string) error {
	return &snow.Error{Op: op, StatusCode: 429, RetryAfter: time.Minute, Written: true}
}

// limits has ServiceNow take no call of a chat, for a minute at a time.
func (e *engine) limits() {
	e.snow.failing(func(op string) error {
		if op == "incident" {
			return nil
		}
		return limited(op)
	})
}
