package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// beatEvery is how often a replica says that it is there, and counts the others.
	beatEvery = 2 * time.Second
	// beatLimit bounds one try.
	beatLimit = 2 * time.Second
	// silence is after how long a replica that says nothing is not counted any more, in seconds. It errs on the
	// side of a replica too many: then all send a little less than they might.
	silence = 10
)

const (
	sqlBeat = `INSERT INTO replicas (id, at) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = excluded.at`
	// sqlForget skips who is at its own row at this moment: that one is there.
	sqlForget = `DELETE FROM replicas WHERE id IN (SELECT id FROM replicas
WHERE at < clock_timestamp() - $1::bigint * interval '1 second' FOR UPDATE SKIP LOCKED)`
	sqlReplicas = `SELECT count(*) FROM replicas`
	sqlLeave    = `DELETE FROM replicas WHERE id = $1`
)

// A pulse is what a replica knows of itself and the others.
type pulse struct {
	trying chan struct{} // a member while there is a try

	mu    sync.Mutex
	first time.Time // when the others could first see it
	n     int       // replicas, this one included
	err   error     // of the last try
}

func newPulse() pulse { return pulse{trying: make(chan struct{}, 1)} }

// Replicas returns how many replicas share the database, this one included, or zero while the others may not know of
// this one yet. A store that was opened without [Options.Replica] always returns zero.
func (s *Store) Replicas() int {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	if s.pulse.first.IsZero() || time.Since(s.pulse.first) < beatEvery+beatLimit {
		return 0
	}
	return s.pulse.n
}

// Ready returns nil when a commit was possible a moment ago. When the last try failed it tries again.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if !s.member {
		_, err := s.pool.Exec(ctx, sqlFlush)
		return s.told(ctx, err)
	}
	if s.pulse.fine() {
		return nil
	}
	return s.told(ctx, s.try(ctx, s.pulse.fine))
}

// fine reports whether the last try succeeded.
func (p *pulse) fine() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n > 0 && p.err == nil
}

// try is a beat when it is its turn, unless it is not needed any more then.
func (s *Store) try(ctx context.Context, needless func() bool) error {
	select {
	case s.pulse.trying <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.pulse.trying }()
	if needless() {
		return nil
	}
	return s.beat(ctx)
}

// beats says that this replica is there until ctx ends, and then that it is not any more.
func (s *Store) beats(ctx context.Context) {
	for {
		err := s.try(ctx, func() bool { return false })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the database takes no commits", "err", err)
		}
		if !sleep(ctx, beatEvery) {
			break
		}
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatLimit)
	defer cancel()
	if _, err := s.pool.Exec(leaving, sqlLeave, s.replica); err != nil {
		s.log.Info("the other replicas will notice by themselves that this one is gone", "err", err)
	}
}

// beat is one durable commit, and so shows that there can be others.
func (s *Store) beat(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	n := 0
	once := func() error {
		b := &pgx.Batch{} // a transaction of its own
		b.Queue(sqlBeat, s.replica)
		b.Queue(sqlForget, silence)
		b.Queue(sqlReplicas).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return s.pool.SendBatch(limited, b).Close()
	}
	err := once()
	if err != nil && limited.Err() == nil {
		err = once() // the connection may have been cut long ago
	}
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	s.pulse.err = err
	if err != nil {
		return err
	}
	s.pulse.n = n
	if s.pulse.first.IsZero() {
		s.pulse.first = time.Now()
	}
	return nil
}
