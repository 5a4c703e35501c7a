package bot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
)

func TestABurstOfTheAgentGoesOutWithinTheWindows(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf("message %d", i))
			e.answers(session, want[i])
		}
		e.passes(10 * time.Second)
		var got []string
		for _, text := range e.teams.tried("chat", "message ") {
			got = append(got, strings.Split(text, "\n\n")...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Teams shows (-want +got):\n%s", diff)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 100 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want 100 ticks", ok, failed)
		}
	})
}

func TestMessagesThatNeedNotWaitStayApart(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.post(session, snow.Event{Items: []snow.Item{
			{Kind: snow.KindText, Text: "one", FromAgent: true}, {Kind: snow.KindText, Text: "two", FromAgent: true}, {Kind: snow.KindText, Text: "three", FromAgent: true},
		}})
		e.passes(time.Second)
		for _, text := range []string{"one", "two", "three"} {
			if got := e.teams.tried("chat", text); !slices.Equal(got, []string{text}) {
				t.Errorf("%q shows as %q", text, got)
			}
		}
	})
}

func TestMergedWordsThatFailAreSentOneByOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error // of the merged one
		bad    string
		failed int
	}{
		{"refused together", &adapter.Error{Op: "send", StatusCode: 413, Code: "MessageSizeTooBig", Written: true}, "", 0},
		{"one of them is refused", &adapter.Error{Op: "send", StatusCode: 400, Written: true}, "message 12", 1},
		{"nobody knows", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, "", 0},
		{"nobody knows, twice", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, "message 12", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
				session := e.connect("chat")
				failed := false
				e.teams.failing(func(_, text string) error {
					if strings.Contains(text, "\n\n") && !failed {
						failed = true
						return tt.err
					}
					if tt.bad != "" && slices.Contains(strings.Split(text, "\n\n"), tt.bad) {
						return tt.err
					}
					return nil
				})
				for i := range 20 {
					e.answers(session, fmt.Sprintf("message %d", i))
				}
				e.passes(2 * time.Minute)
				if !failed {
					t.Fatal("nothing was merged")
				}
				if ok, bad, _ := e.snow.ticks(); ok != 20-tt.failed || bad != tt.failed {
					t.Errorf("%d ticks and %d failures, want %d and %d", ok, bad, 20-tt.failed, tt.failed)
				}
				for i := range 20 {
					shown := 0
					for _, text := range e.teams.tried("chat", "message ") {
						if slices.Contains(strings.Split(text, "\n\n"), fmt.Sprintf("message %d", i)) {
							shown++
						}
					}
					if shown < 1 || shown > 2 {
						t.Errorf("message %d was sent %d times", i, shown)
					}
				}
			})
		})
	}
}

func TestWhatIsSentAgainWithoutAHeadThatWasGivenUpIsCounted(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.teams.failing(func(_, text string) error { // Teams shows it each time, and does not say so
			if slices.Contains(strings.Split(text, "\n\n"), "message 0") {
				return &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}
			}
			return nil
		})
		for i := range 20 { // those behind the first one are merged with its one repeat
			e.answers(session, fmt.Sprintf("message %d", i))
		}
		e.passes(2 * time.Minute)
		tried := e.teams.tried("chat", "message ")
		sends, merged := map[string]int{}, false
		for _, text := range tried {
			parts := strings.Split(text, "\n\n")
			merged = merged || parts[0] == "message 0" && len(parts) > 1
			for _, part := range parts {
				sends[part]++
			}
		}
		if !merged {
			t.Fatalf("the first message was not repeated together with others: %q", tried)
		}
		repeated := 0
		for _, n := range sends {
			repeated += n - 1
		}
		if n := e.metric("snowbot_possible_repeats_total", "unclear outcome"); n < float64(repeated) {
			t.Errorf("counted %v possible repeats, and %d messages were sent once more", n, repeated)
		}
	})
}

func TestAStopWhileLanesWaitLosesNothing(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		for i := range 50 {
			e.answers(session, fmt.Sprintf("message %d", i))
		}
		synctest.Wait()
		e.stop()
		e.start()
		e.passes(20 * time.Second)
		var got []string
		for _, text := range e.teams.tried("chat", "message ") {
			got = append(got, strings.Split(text, "\n\n")...)
		}
		if len(got) != 50 || got[0] != "message 0" || got[49] != "message 49" {
			t.Errorf("Teams shows %d messages: %q", len(got), got)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 50 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want 50 ticks", ok, failed)
		}
	})
}

func TestAStopTakesNoLongerThanTheSendsInHand(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		const chats = 15 // more than there are workers, and too few to open the breaker
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		sessions := make([]string, chats)
		for i := range chats {
			sessions[i] = e.connect(name(i))
		}
		e.teams.hanging(true)
		for i := range chats {
			e.answers(sessions[i], "before the stop")
		}
		e.passes(time.Second)
		began := time.Now()
		e.stop()
		if took := time.Since(began); took > 8*time.Second || took < 6*time.Second {
			t.Errorf("the stop took %v, want the rest of a send's 8 s", took)
		}
		e.teams.hanging(false)
		e.start()
		e.passes(20 * time.Second)
		for i := range chats {
			if n := len(e.teams.tried(name(i), "before the stop")); n != 1 {
				t.Errorf("%s shows its message %d times", name(i), n)
			}
		}
	})
}

func TestSendTimesSurviveARestart(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.passes(30 * time.Second)
		for i := range 6 {
			e.answers(session, fmt.Sprint("before ", i))
		}
		synctest.Wait()
		e.stop()
		e.start()
		e.answers(session, "after")
		e.passes(10 * time.Second)
		e.teams.mu.Lock()
		defer e.teams.mu.Unlock()
		log := e.teams.log[len(e.teams.log)-7:]
		if took := log[6].at.Sub(log[0].at); log[6].text != "after" || took < time.Second {
			t.Errorf("the seventh send came %v after the first", took)
		}
	})
}
