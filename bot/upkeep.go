package bot

import (
	"context"
	"errors"
	"time"

	"snowbot/store"
)

// keepTime lets timers run out.
func (b *Bot) keepTime(ctx context.Context) error {
	const slice = 100
	failed := 0 // of the last round: those come first again, and must not keep the others from their turn
	return b.rounds(ctx, "timers", func() error {
		limit := slice + failed
		due, err := b.store.Due(ctx, limit)
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, store.ErrClosed) {
				return err
			}
			b.log.Error("cannot read timers; will try again", "err", err)
		}
		failed = 0
		for _, conversation := range due {
			ok := b.contain("timer", func() { err = b.apply(ctx, conversation, nil, timerEvent{}) })
			if (!ok || err != nil) && ctx.Err() == nil {
				failed++
				b.log.Error("cannot handle timer; will try again", "conversation", conversation, "err", err)
			}
		}
		if len(due) < limit || failed == len(due) {
			pause(ctx, time.Second)
		}
		return nil
	})
}

// prune removes what has been kept long enough.
func (b *Bot) prune(ctx context.Context) error {
	return b.rounds(ctx, "pruning", func() error {
		now := b.now()
		more, err := b.store.Prune(ctx, store.Limits{
			Lines:         now.Add(-b.rules.KeepTranscript),
			DeadLetters:   now.Add(-b.rules.KeepDeadLetters),
			Conversations: now.Add(-b.rules.KeepConversations),
		})
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, store.ErrClosed) {
				return err
			}
			b.log.Error("cannot prune; will try again", "err", err)
		}
		if more {
			pause(ctx, 100*time.Millisecond) // others write too
		} else {
			pause(ctx, time.Minute)
		}
		return nil
	})
}
