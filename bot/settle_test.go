package bot_test

import (
	"context"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/store"
)

// A slowDisk takes its time for each settle.
type slowDisk struct {
	store.Store
	takes time.Duration
}

func (s slowDisk) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	select {
	case <-time.After(s.takes):
		return s.Store.Settle(ctx, l, r, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestASlowSettleIsWaitedFor has the disk stall after a send that was answered: nobody may see it again for that.
func TestASlowSettleIsWaitedFor(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		e.stop()
		e.wrap = func(s store.Store) store.Store { return slowDisk{s, 8 * time.Second} }
		e.start()
		e.answers(session, "once")
		e.passes(2 * time.Minute)
		if n := len(e.teams.tried("chat", "once")); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
		e.stop()
		e.wrap = nil
		e.start()
	})
}
