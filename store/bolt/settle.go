package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"snowbot/store"
)

// Settle implements store.Store.
func (s *Store) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	if err := r.Check(len(l.Deliveries)); err != nil {
		return err
	}
	s.mu.Lock()
	ln, err := s.holding(ctx, l)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	// The lane stays with this call until it is durable, so that nothing is sent on top of a settle that
	// a crash could undo.
	ln.busy++
	s.index.place(ln)
	token := l.Token
	c := &call{
		run: func(b *batch) error { return b.settle(ln, token, r, f) },
		after: func(err error) {
			ln.busy--
			if err == nil && ln.token == token {
				s.index.unlease(ln)
			}
			s.index.place(ln)
		},
		done: make(chan struct{}),
	}
	rides := f == nil && ln.busy == 1 && r.Done == len(ln.places) && slices.Equal(ln.leased, ln.places)
	if rides { // it is told that it has settled
		ln.rode = token
	}
	s.enqueue(c, !rides)
	s.mu.Unlock()
	s.wakeCommitter()
	if rides {
		return nil
	}
	return c.wait(ctx)
}

// holding returns the lane of a lease that has not passed on. The mutex is held.
func (s *Store) holding(ctx context.Context, l *store.Lease) (*lane, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	ln := s.index.leases[l.Token]
	if ln == nil || ln.rode == l.Token || ln.conversation != l.Lane.Conversation || ln.key.to != codeOf(l.Lane.Direction) {
		return nil, store.ErrFenced
	}
	return ln, nil
}

// holds returns the run of a lease, if it still is one.
func (b *batch) holds(ln *lane, token uint64) ([]uint64, bool) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return ln.leased, b.s.index.leases[token] == ln && ln.settled != token && !ln.erased
}

func (b *batch) settle(ln *lane, token uint64, r store.Result, f func(*store.Turn) error) error {
	run, ok := b.holds(ln, token)
	if !ok {
		return store.ErrFenced
	}
	var p *plan
	if f != nil {
		old, err := b.record(ln.conversation)
		if err == nil && old == nil {
			err = store.ErrFenced
		}
		if err != nil {
			return err
		}
		if p, err = b.plan(ln.conversation, old, nil, f); err != nil {
			return err
		}
	}
	b.settleRun(b.lane(ln.key, ln.conversation), run, r)
	ln.settled = token
	if p != nil {
		b.stage(p)
	}
	return nil
}

// settleRun stages what a result says of the run of a lease, as far as it is still in the lane.
func (b *batch) settleRun(ln *lane, run []uint64, r store.Result) {
	n := 0
	for n < r.Done && n < len(ln.staged.places) && ln.staged.places[n] == run[n] {
		n++
	}
	if n < r.Done || r.Done == len(run) || n == len(ln.staged.places) || ln.staged.places[n] != run[n] {
		b.pop(ln, n) // and the next one is not there
		return
	}
	key := key8(run[n])
	d, err := decodeDelivery(bytes.Clone(b.deliveries.Get(key)))
	if err != nil {
		b.breaks(fmt.Errorf("delivery %x: %w", key, err))
		return
	}
	begun := d.Begun
	d.Begun = false
	switch r.Next {
	case store.Again:
		d.failed(b.now, r.Outcome)
		d.NotBefore = r.At
		b.pop(ln, n)
		b.put(b.deliveries, key, d.row())
		b.head(ln, micros(d.NotBefore))
	case store.Bury:
		d.failed(b.now, r.Outcome)
		b.addLetter(&letter{reason: r.Reason, delivery: *d})
		b.pop(ln, n+1)
	default:
		b.pop(ln, n)
		if begun {
			b.put(b.deliveries, key, d.row())
		}
	}
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, l *store.Lease) error {
	s.mu.Lock()
	ln, err := s.holding(ctx, l)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	ln.busy++
	s.index.place(ln)
	token := l.Token
	c := &call{
		run: func(b *batch) error { return b.begin(ln, token) },
		after: func(error) {
			ln.busy--
			s.index.place(ln)
		},
		done: make(chan struct{}),
	}
	s.enqueue(c, true)
	s.mu.Unlock()
	s.wakeCommitter()
	return c.wait(ctx)
}

func (b *batch) begin(ln *lane, token uint64) error {
	run, ok := b.holds(ln, token)
	if !ok {
		return store.ErrFenced
	}
	b.lane(ln.key, ln.conversation)
	if len(ln.staged.places) == 0 || ln.staged.places[0] != run[0] {
		return store.ErrFenced // dropped or moved
	}
	key := key8(run[0])
	d, err := decodeDelivery(bytes.Clone(b.deliveries.Get(key)))
	if err != nil {
		return err
	}
	d.Begun = true
	b.put(b.deliveries, key, d.row())
	return nil
}
