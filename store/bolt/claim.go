package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	bbolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"snowbot/store"
)

// look is how often a waiting call looks at the clock by itself, since a clock can be set.
const look = time.Second

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, d store.Direction, ttl time.Duration, limit int) (*store.Lease, error) {
	to := codeOf(d)
	if to == noLane {
		return nil, fmt.Errorf("claim %q: no such direction", d)
	}
	if ttl <= 0 || limit <= 0 {
		return nil, fmt.Errorf("claim of at most %d deliveries for %v", limit, ttl)
	}
	for {
		lease := &store.Lease{Lane: store.Lane{Direction: d}}
		l, now, err := s.reserve(ctx, to, ttl, limit, lease)
		if err != nil {
			return nil, err
		}
		err = s.readRun(lease, l, now)
		if errors.Is(err, store.ErrWrongKey) {
			s.log.Error("a damaged delivery was made a dead letter", "lane", lease.Lane.String())
			err = s.do(ctx, func(b *batch) error { return b.buryDamaged(l, lease.Token) })
		}
		if err != nil {
			err = fmt.Errorf("lane %s: %w", lease.Lane, err)
		}
		s.mu.Lock()
		l.busy--
		n := len(lease.Deliveries)
		l.leased = l.leased[:n]
		if n == 0 && err == nil { // they were taken away meanwhile
			s.index.unlease(l)
		}
		s.index.place(l)
		gone := l.gone
		s.mu.Unlock()
		switch {
		case err != nil:
			return nil, err // the lane rests until the lease has run out, so that others are heard
		case n > 0 && !gone:
			return lease, nil
		}
	}
}

// reserve leases the lane that may be claimed first, and keeps it busy. The end of the lease has the
// monotonic reading of the clock, so that a deadline that follows from it holds when the clock is set.
func (s *Store) reserve(ctx context.Context, to lanecode, ttl time.Duration, limit int, lease *store.Lease) (l *lane, now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, now, err
	}
	reading := s.reading()
	now = reading.UTC()
	moment := s.moment(reading)
	s.index.follow(micros(now), moment)
	l = s.index.first(to)
	if l == nil || l.at > moment {
		return nil, now, store.ErrEmpty
	}
	lease.Lane.Conversation, lease.Until, lease.Lapsed = l.conversation, reading.Add(ttl.Truncate(time.Microsecond)), l.token != 0
	s.index.unlease(l) // one that has run out
	s.tokens++
	lease.Token = s.tokens
	l.token, l.until = s.tokens, moment+ttl.Microseconds()
	s.index.leases[l.token] = l
	l.leased = l.places[:min(limit, len(l.places))]
	l.busy++
	s.index.place(l)
	return l, now, nil
}

// readRun fills in the deliveries of a lease, as many from the start of its run as can be given.
func (s *Store) readRun(lease *store.Lease, l *lane, now time.Time) error {
	given := run{lease: lease, now: now}
	for _, d := range s.recent.take(l.leased) {
		if !given.add(*d) {
			return nil
		}
	}
	if len(lease.Deliveries) == len(l.leased) {
		return nil
	}
	return s.read(func(tx *bbolt.Tx) error {
		deliveries := tx.Bucket([]byte(bucketDeliveries))
		for _, place := range l.leased[len(lease.Deliveries):] {
			row := deliveries.Get(key8(place))
			if row == nil {
				return nil // taken away meanwhile
			}
			r, err := decodeDelivery(row)
			if err != nil {
				return err
			}
			d, err := r.open(s.keys)
			if err != nil {
				if len(lease.Deliveries) > 0 {
					return nil // told when it is at the head
				}
				return err
			}
			if !given.add(d) {
				return nil
			}
		}
		return nil
	})
}

// A run is what is given with a lease.
type run struct {
	lease *store.Lease
	now   time.Time
	size  int // of the bodies
}

// add adds a delivery, and reports whether it may be given. The head is due, or its lane would not have been claimed.
func (r *run) add(d store.Delivery) bool {
	r.size += len(d.Body)
	if len(r.lease.Deliveries) > 0 && (d.NotBefore.After(r.now) || r.size > store.MaxRun) {
		return false
	}
	r.lease.Deliveries = append(r.lease.Deliveries, d)
	return true
}

// reasonDamaged is the reason of a dead letter whose body does not open.
const reasonDamaged = "damaged"

// buryDamaged stages that the head of a lane is a dead letter, so that it does not block the lane for good.
func (b *batch) buryDamaged(l *lane, token uint64) error {
	run, ok := b.holds(l, token)
	if !ok {
		return nil
	}
	b.lane(l.key, l.conversation)
	if len(l.staged.places) == 0 || l.staged.places[0] != run[0] {
		return nil // taken away meanwhile
	}
	d, err := decodeDelivery(bytes.Clone(b.deliveries.Get(key8(run[0]))))
	if err != nil {
		return err
	}
	b.addLetter(&letter{reason: reasonDamaged, delivery: *d})
	b.pop(l, 1)
	return nil
}

// view reads in a transaction.
func (s *Store) view(f func(buckets) error) error {
	return s.read(func(tx *bbolt.Tx) error { return f(bucketsOf(tx)) })
}

func (s *Store) read(f func(*bbolt.Tx) error) error {
	err := s.db.View(f)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, d store.Direction) error {
	to := codeOf(d)
	if to == noLane {
		return fmt.Errorf("wait for %q: no such direction", d)
	}
	s.mu.Lock()
	if err := s.usable(ctx); err != nil {
		s.mu.Unlock()
		return err
	}
	pause := look
	reading := s.reading()
	moment := s.moment(reading)
	s.index.follow(micros(reading), moment)
	if l := s.index.first(to); l != nil {
		pause = time.Duration(min(l.at-moment, pause.Microseconds())) * time.Microsecond
	}
	if pause <= 0 {
		s.mu.Unlock()
		return nil
	}
	woken := make(chan struct{})
	s.index.waiters[to] = append(s.index.waiters[to], woken)
	s.mu.Unlock()

	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.index.waiters[to].remove(woken)
	if err := ctx.Err(); err != nil && !waiting {
		s.index.waiters[to].wake() // who takes what this call was woken for
	}
	return s.usable(ctx)
}
