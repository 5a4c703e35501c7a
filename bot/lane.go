package bot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/store"
)

// Times of a delivery. A send has to be over before its lease is, since a lease that has passed on
// stops a settle but not a send.
const (
	leaseTime   = 15 * time.Second
	sendLimit   = 8 * time.Second
	settleLimit = 5 * time.Second
)

// Run works on the lanes and the timers until ctx ends, finishes what is in hand, and returns. An
// error means that the store is lost.
func (b *Bot) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range []store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot, store.ToTicks} {
		for range b.workers {
			g.Go(func() error { return b.work(ctx, d) })
		}
	}
	g.Go(func() error { return b.keepTime(ctx) })
	g.Go(func() error { return b.prune(ctx) })
	g.Go(func() error { return b.typist.run(ctx) })
	return g.Wait()
}

// work handles deliveries of one direction.
func (b *Bot) work(ctx context.Context, d store.Direction) error {
	for ctx.Err() == nil {
		claimed := time.Now() // monotonic, and before the claim: the lease cannot be shorter than it looks
		l, err := b.store.Claim(ctx, d, leaseTime, 1)
		if errors.Is(err, store.ErrEmpty) {
			err = b.store.Wait(ctx, d)
		}
		switch {
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil && ctx.Err() == nil:
			b.log.Error("cannot claim deliveries; will try again", "direction", d, "err", err)
			pause(ctx, time.Second)
		case l != nil:
			b.handle(context.WithoutCancel(ctx), l, claimed)
		}
	}
	return nil
}

// handle sends the head of a lane and settles it.
func (b *Bot) handle(ctx context.Context, l *store.Lease, claimed time.Time) {
	d := l.Deliveries[0]
	log := b.log.With("delivery", d.ID, "kind", d.Kind, "lane", l.Lane.String())
	sending, cancel := context.WithDeadline(ctx, claimed.Add(min(sendLimit, leaseTime-5*time.Second)))
	sent, err := b.carry(sending, l.Lane, d)
	cancel()

	v := b.rules.judge(l.Lane.Direction, d, err, b.now())
	var r store.Result
	var ev event
	switch v.fate {
	case done:
		r.Done, ev = 1, sent.worthTelling()
	case never:
		log.Warn("delivery given up", "why", v.why, "attempts", d.Failed+1, "err", err)
		r.Next, r.Reason, r.Outcome = store.Bury, string(v.why), outcome(l.Lane.Direction, err)
		ev = &failedEvent{to: l.Lane.Direction, delivery: d, body: sent.body, why: v.why}
	default:
		log.Info("delivery will be tried again", "at", v.at, "attempts", d.Failed+1, "err", err)
		r.Next, r.At, r.Outcome = store.Again, v.at, outcome(l.Lane.Direction, err)
		if l.Lane.Direction == store.ToServiceNow && b.now().Sub(d.Accepted) > b.rules.OutageAfter {
			ev = outageEvent{}
		}
	}
	b.metrics.delivered(l.Lane.Direction, d.Kind, v, b.now().Sub(d.Accepted))
	settling, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := b.settle(settling, l, r, ev); err != nil { // the lease runs out and the delivery is repeated
		log.Error("cannot settle delivery; it will be repeated", "err", err)
		b.metrics.add([]count{{"possible repeats", "settle failed"}})
	}
}

func (b *Bot) settle(ctx context.Context, l *store.Lease, r store.Result, ev event) error {
	if ev == nil {
		return b.store.Settle(ctx, l, r, nil)
	}
	var counts []count
	seed := l.Deliveries[0].ID + "+" // unique, since a delivery ends once, and the same in every run
	if r.Next == store.Again {
		seed += r.At.UTC().Format("150405.000")
	}
	err := b.store.Settle(ctx, l, r, func(t *store.Turn) error { return b.transit(t, seed, ev, &counts) })
	if err == nil {
		b.metrics.add(counts)
	}
	return err
}

// carry makes one send. The result has the body even when there is an error. A panic is a failed
// attempt like any other.
func (b *Bot) carry(ctx context.Context, lane store.Lane, d store.Delivery) (sent *sentEvent, err error) {
	sent = &sentEvent{to: lane.Direction, delivery: d}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("send failed in an unforeseen way", "delivery", d.ID, "kind", d.Kind, "stack", string(debug.Stack()))
			b.metrics.add([]count{{"panics", ""}})
			err = errors.New("panic while sending")
		}
	}()
	if sent.body, err = decodeBody(d.Body); err != nil {
		return sent, errBroken
	}
	r, err := b.store.Load(ctx, lane.Conversation)
	if err != nil {
		return sent, fmt.Errorf("load conversation: %w", err)
	}
	s, err := decodeState(&r)
	if err != nil {
		return sent, errBroken
	}
	switch lane.Direction {
	case store.ToTeams:
		return sent, b.toTeams(ctx, s, sent)
	case store.ToServiceNow:
		return sent, b.toServiceNow(ctx, lane.Conversation, s, sent)
	case store.ToTicks:
		return sent, b.toTicks(ctx, s, sent)
	default:
		return sent, b.toBot(ctx, sent)
	}
}

// worthTelling returns the event if a transition is to see it, else nil.
func (e *sentEvent) worthTelling() event {
	switch {
	case e.to == store.ToTicks,
		e.to == store.ToTeams && e.delivery.Kind != kindCard && e.body.MessageID == "":
		return nil
	default:
		return e
	}
}

// outcome is what is kept of an attempt: ids and codes.
func outcome(to store.Direction, err error) string {
	s := err.Error()
	if classify(to, err).fate == unclear {
		s = unclearMark + s
	}
	return cut(s, 200)
}

// keepTime lets timers run out.
func (b *Bot) keepTime(ctx context.Context) error {
	const slice = 100
	for ctx.Err() == nil {
		due, err := b.store.Due(ctx, slice)
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, store.ErrClosed) {
				return err
			}
			b.log.Error("cannot read timers; will try again", "err", err)
		}
		for _, conversation := range due {
			if err := b.apply(ctx, conversation, nil, timerEvent{}); err != nil && ctx.Err() == nil {
				b.log.Error("cannot handle timer; will try again", "conversation", conversation, "err", err)
			}
		}
		if len(due) < slice {
			pause(ctx, time.Second)
		}
	}
	return nil
}

// prune removes what has been kept long enough.
func (b *Bot) prune(ctx context.Context) error {
	for ctx.Err() == nil {
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
	}
	return nil
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
