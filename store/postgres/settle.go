package postgres

import (
	"context"

	"snowbot/store"
)

const (
	sqlAgain = `UPDATE deliveries SET begun = false, failed = $4, attempts = $5, not_before = $6
WHERE no = $1 AND direction = $2 AND place = $3`
	sqlSetBegun = `UPDATE deliveries SET begun = $4 WHERE no = $1 AND direction = $2 AND place = $3`
)

// Settle implements store.Store.
func (s *Store) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	if err := r.Check(len(l.Deliveries)); err != nil {
		return err
	}
	held := *l // the caller may leave before it is read for the last time
	l = &held
	var v laneView
	k := &call{conversation: l.Lane.Conversation, whole: f != nil}
	k.reads = func(t *tx) { t.reads.addLane(l.Lane, len(l.Deliveries)+1, &v) }
	k.run = func(ctx context.Context, t *tx, c *conversation) error {
		if !v.holds(c, l) {
			return store.ErrFenced
		}
		if f == nil {
			t.changed = true
			t.relaxed = s.settleRun(t, c, &v, l, r)
			return nil
		}
		p, err := s.plan(ctx, t, k, c, nil, f)
		if err != nil {
			return err
		}
		s.settleRun(t, c, &v, l, r)
		return stage(ctx, t, p)
	}
	return s.do(ctx, k)
}

// holds reports whether a lease has not passed on.
func (v *laneView) holds(c *conversation, l *store.Lease) bool {
	return c != nil && v.found && v.token != 0 && uint64(v.token) == l.Token
}

// settleRun queues what a result says of the deliveries of a lease, as far as they are still in the lane, and
// the end of the lease. It reports whether the lane is empty then and everything in it was delivered.
func (s *Store) settleRun(t *tx, c *conversation, v *laneView, l *store.Lease, r store.Result) bool {
	to := string(l.Lane.Direction)
	has := func(i int) bool {
		return i < len(l.Deliveries) && i < len(v.head) && v.head[i].id == l.Deliveries[i].ID
	}
	n := 0
	for n < r.Done && has(n) {
		n++
	}
	all := n == len(v.head)
	gone, again := n, false
	due, at := v.due, t.now
	if n == r.Done && has(n) {
		h := &v.head[n]
		switch r.Next {
		case store.Again:
			attempts := h.fail(t.now, r.Outcome)
			t.do(sqlAgain, c.no, to, h.place, h.failed, attempts, toTime(r.At))
			h.notBefore, again = r.At, true
		case store.Bury:
			s.buryDelivery(t, c, l.Lane.Direction, h, r)
			gone++
		default:
			if h.begun {
				t.do(sqlSetBegun, c.no, to, h.place, false)
			}
		}
	}
	if gone > 0 {
		t.bulk.addDone(c.no, to, v.head[gone-1].place)
	}
	if gone == len(v.head) { // it had one more than the lease if there were more
		t.bulk.addEnd(c.no, to)
		return all
	}
	if next := v.head[gone]; gone > 0 || again {
		if next.notBefore.After(at) {
			at = next.notBefore
		}
		due = at
	}
	t.bulk.addRest(c.no, to, v.head[gone].place, due)
	t.wake(l.Lane.Direction)
	return false
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, l *store.Lease) error {
	var v laneView
	return s.do(ctx, &call{
		conversation: l.Lane.Conversation,
		reads:        func(t *tx) { t.reads.addLane(l.Lane, 1, &v) },
		run: func(_ context.Context, t *tx, c *conversation) error {
			if !v.holds(c, l) || len(v.head) == 0 || len(l.Deliveries) == 0 || v.head[0].id != l.Deliveries[0].ID {
				return store.ErrFenced // also when it was dropped or moved
			}
			t.changed = true
			t.do(sqlSetBegun, c.no, string(l.Lane.Direction), v.head[0].place, true)
			return nil
		},
	})
}
