package bot_test

import (
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/store"
)

func TestTimersSurviveARestart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(e *engine)
		limit time.Duration
		ended string
	}{
		{"no callback", func(e *engine) { e.says("chat", "agent please"); e.passes(time.Second) }, 90 * time.Second, "did not answer"},
		{"nobody came", func(e *engine) {
			e.says("chat", "agent please")
			e.passes(time.Second)
			e.waits("chat")
		}, 30 * time.Minute, "No live agent is free"},
		{"the longest session", func(e *engine) { e.connect("chat") }, 8 * time.Hour, "longest time"},
		{"a session that was never asked for", func(e *engine) {
			e.snow.failing(unavailable)
			e.says("chat", "agent please")
		}, 5 * time.Minute, "Because of a technical problem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bot.Rules{}, func(e *engine) {
				began := time.Now()
				tt.setUp(e)
				e.stop()
				<-time.After(tt.limit/2 - time.Since(began))
				e.start()
				e.passes(tt.limit/2 - 15*time.Second)
				if n := len(e.teams.tried("chat", tt.ended)); n != 0 {
					t.Fatalf("it has ended %v before its limit", 15*time.Second)
				}
				e.stop()
				<-time.After(20 * time.Second) // the limit passes meanwhile
				e.start()
				e.passes(55 * time.Second)
				if n := len(e.teams.tried("chat", tt.ended)); n != 1 {
					t.Errorf("told %d times of the end, want once; Teams shows %q", n, e.teams.tried("chat", ""))
				}
			})
		})
	}
}

func TestLimitsThatWereLoweredEndSessionsThatBeganBefore(t *testing.T) {
	bubble(t, bot.Rules{IdleWarning: -1}, func(e *engine) {
		e.connect("chat")
		e.stop()
		e.rules.MaxSession = time.Hour
		e.start()
		e.passes(59 * time.Minute)
		if n := len(e.teams.tried("chat", "longest time")); n != 0 {
			t.Fatal("it has ended before its limit")
		}
		e.passes(time.Minute)
		if n := len(e.teams.tried("chat", "longest time")); n != 1 {
			t.Errorf("told %d times of the end, want once", n)
		}
	})
}

func TestASessionWithoutATimerIsSwept(t *testing.T) {
	bubble(t, bot.Rules{IdleWarning: -1}, func(e *engine) {
		e.connect("chat")
		if err := e.store.Apply(e.t.Context(), "tenant/chat", nil, func(turn *store.Turn) error {
			turn.Record.Due = time.Time{}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		e.passes(8*time.Hour + time.Minute)
		if n := len(e.teams.tried("chat", "longest time")); n != 1 {
			t.Errorf("told %d times of the end, want once", n)
		}
		if n := e.metric("snowbot_conversation_events_total", "orphans"); n != 1 {
			t.Errorf("%v orphans were counted, want 1", n)
		}
	})
}
