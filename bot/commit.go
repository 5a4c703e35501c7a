package bot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"snowbot/store"
)

// How long either side is kept waiting for a commit, well below the time after which it hangs up: 15 s of Teams, 5 s of
// ServiceNow. Without a database both are to hear that we could not take it.
const (
	teamsPatience      = 10 * time.Second
	serviceNowPatience = 4 * time.Second
)

// within returns a context that ends in d at the latest: ctx itself, when that ends before.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// apply handles one event in one commit.
func (b *Bot) apply(ctx context.Context, conversation string, ids []store.EventID, ev event) error {
	seed := uuid.NewString()
	var counts []count
	ran := false
	f := b.facts()
	err := b.store.Apply(ctx, conversation, ids, func(t *store.Turn) error {
		if ran = true; t.New && len(ids) == 0 {
			return errErased
		}
		return b.transit(t, seed, ev, f, &counts)
	})
	switch {
	case errors.Is(err, errErased):
		return nil
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	if p, ok := ev.(*postEvent); !ran && (!ok || !p.readBack) {
		counts = append(counts, count{"repeats", "whole"})
	}
	b.metrics.add(counts)
	return nil
}

// panicPause is when a timer is looked at again whose transition failed: soon enough to end a session within a minute of its limit.
const panicPause = 20 * time.Second

// transit runs the transition on a turn. One that panics changes nothing, and its event becomes a dead letter.
func (b *Bot) transit(t *store.Turn, seed string, ev event, f facts, counts *[]count) (err error) {
	before, err := b.states.read(t.Record)
	if err != nil {
		return err
	}
	if e, ok := ev.(*employeeEvent); ok && !e.interpreted && before.forBot() {
		return errUninterpreted
	}
	s := before.clone()
	c := &change{rules: &b.rules, now: t.Now, seed: seed, state: s, turn: t, facts: f}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("transition failed; its event is kept as a dead letter, unless it is a timer, which is looked at again",
				"conversation", t.Record.ID, "event", fmt.Sprintf("%T", ev), "stack", string(debug.Stack()))
			t.Move, t.Drop, t.Deliver, t.Lines = nil, nil, nil, nil
			t.Bury = nil
			if _, timer := ev.(timerEvent); timer { // which would run out again at once, and of which there is nothing to keep
				t.Record.Due = t.Now.Add(panicPause)
			} else {
				t.Bury = []store.DeadLetter{{Reason: "transition failed", Delivery: store.Delivery{ID: seed, Kind: "event", Body: ev.raw()}}}
			}
			*counts = []count{{"panics", ""}}
			c.tellLost(ev)
			err = nil
		}
	}()
	ev.apply(c)
	s.forget(t.Now)
	*counts = c.counts
	due := s.due(&b.rules)
	if len(t.Record.Data) > 0 && s.equal(before) { // as with most words of an agent
		s.index(t.Record, due)
		return nil
	}
	if err := s.encode(t.Record, due); err != nil {
		return err
	}
	b.states.put(t.Record.ID, t.Record.Data, s) // if the commit fails, no record has these bytes
	return nil
}
