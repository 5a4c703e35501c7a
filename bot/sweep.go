package bot

import (
	"context"
	"errors"
	"time"

	"snowbot/store"
)

// sweepEvery is how often live sessions are looked through for one that no timer would end in time.
const sweepEvery = 30 * time.Second

// sweep sees to it that every live session has its timer: also one that was set under longer limits than those of now, and
// one whose record lost it.
func (b *Bot) sweep(ctx context.Context) error {
	return b.rounds(ctx, "sweep", func() error {
		err := b.eachSession(ctx, func(r store.Record, s *state) error {
			due := s.due(&b.rules)
			if r.Due.IsZero() || r.Due.Sub(due) > time.Second && r.Due.Sub(b.now()) > panicPause { // sooner, it is about to be looked at
				b.log.Warn("a live session had no timer that ends it in time", "conversation", r.ID, "session", s.Session.ID)
				b.metrics.add([]count{{"orphans", ""}})
				return b.apply(ctx, r.ID, nil, timerEvent{}) // which sets it, or ends the session
			}
			return nil
		})
		if errors.Is(err, store.ErrClosed) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			b.log.Error("cannot look through the sessions; will try again", "err", err)
		}
		pause(ctx, sweepEvery)
		return nil
	})
}
