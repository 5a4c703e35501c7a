package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"snowbot/store"
)

const (
	// patience is how long a call outlasts a database that is away, for instance because it restarts.
	patience = 2 * time.Second
	// clashes is how often a transaction is tried that clashes with others.
	clashes = 10
	// unclearFor is how long the outcome of a commit is looked for, less than the hour for which it is kept.
	unclearFor = 30 * time.Minute
	// tokensFor is how long the tokens of transactions are kept, in seconds.
	tokensFor = 3600
)

const (
	sqlBegin   = `BEGIN ISOLATION LEVEL READ COMMITTED`
	sqlRelaxed = `SELECT set_config('synchronous_commit', 'off', true)`
	sqlToken   = `INSERT INTO commits (token) VALUES ($1)`
	sqlCommit  = `COMMIT`
	// sqlRefuse keeps the transaction of the token $1 from committing, and leaves the token $2 if it was not too late.
	sqlRefuse = `WITH refused AS (INSERT INTO commits (token) VALUES ($1) ON CONFLICT (token) DO NOTHING RETURNING token)
INSERT INTO commits (token) SELECT $2::uuid FROM refused`
	sqlRefused = `SELECT EXISTS (SELECT FROM commits WHERE token = $1)`
	sqlNow     = `SELECT coalesce($1::timestamptz, clock_timestamp())`
)

// A tx is a transaction under way. Statements are queued, and sent together when an answer is needed.
type tx struct {
	conn    *pgx.Conn
	queue   *pgx.Batch
	reads   bulkReads
	bulk    bulk
	begun   bool
	changed bool // there is something to commit
	relaxed bool // nobody waits until it is durable
	settles int  // in it
	now     time.Time
	wakes   map[store.Direction]int // how many lanes of a direction there are to claim afterwards

	resealed bool // something was, with the first key
}

// do queues a statement whose answer does not matter.
func (t *tx) do(sql string, args ...any) { t.ask(sql, args...) }

// ask queues a statement. Its answer is handed over by send.
func (t *tx) ask(sql string, args ...any) *pgx.QueuedQuery {
	if !t.begun {
		t.begun = true
		t.queue.Queue(sqlBegin)
	}
	return t.queue.Queue(sql, args...)
}

// send sends what is queued and takes the answers.
func (t *tx) send(ctx context.Context) error {
	if t.queue.Len() == 0 {
		return nil
	}
	b := t.queue
	t.queue = &pgx.Batch{}
	if err := t.conn.SendBatch(ctx, b).Close(); err != nil {
		return &databaseError{err, t.conn.IsClosed()}
	}
	return nil
}

// wake notes that there is a lane to claim.
func (t *tx) wake(d store.Direction) {
	if t.wakes == nil {
		t.wakes = map[store.Direction]int{}
	}
	t.wakes[d]++
}

// transact runs work in a transaction until it is known what became of it. Work may run more than once. When it
// returns an error, or leaves changed unset, nothing is changed.
func (s *Store) transact(ctx context.Context, work func(context.Context, *tx) error) error {
	start := time.Now()
	for n := 1; ; n++ {
		token := uuid.New()
		sent, err := s.attempt(ctx, token, work)
		if err == nil {
			return nil
		}
		k := kindOf(err)
		if k == lost {
			s.hub.severed()
		}
		if sent && k == lost {
			var committed bool
			if committed, err = s.resolve(ctx, token, err); committed {
				s.hub.wakeAll() // for what it brought
			}
			if err != nil || committed {
				return err
			}
			err = &databaseError{errors.New("the connection was lost before the commit"), true}
		}
		switch {
		case k == final, k == clashed && n >= clashes, k == lost && time.Since(start) > patience, ctx.Err() != nil:
			return s.told(ctx, err)
		}
		pause := time.Duration(1+rand.Int64N(int64(n)*5)) * time.Millisecond
		if k == lost {
			pause *= 20
		}
		if !s.pause(ctx, min(pause, time.Second/2)) {
			return s.told(ctx, err)
		}
	}
}

// attempt runs work in a transaction once. It reports whether a commit was sent, so that its outcome is not
// clear when the connection was lost then.
func (s *Store) attempt(ctx context.Context, token uuid.UUID, work func(context.Context, *tx) error) (sent bool, err error) {
	limited, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(limited)
	if err != nil {
		return false, &databaseError{err, ctx.Err() == nil}
	}
	defer conn.Release() // which closes what is not at rest
	t := &tx{conn: conn.Conn(), queue: &pgx.Batch{}}
	err = work(limited, t)
	if err == nil && t.changed {
		t.bulk.write(t)
		if t.relaxed {
			t.do(sqlRelaxed)
		}
		t.do(sqlToken, token)
		done := ""
		t.ask(sqlCommit).Exec(func(tag pgconn.CommandTag) error { done = tag.String(); return nil })
		at := time.Now()
		if err = t.send(limited); err == nil && done != sqlCommit {
			err = fmt.Errorf("the database answered a commit with %q", done)
		}
		if err == nil {
			s.hub.committed(t, at)
			return true, nil
		}
		sent = true
	}
	if readOnly(err) { // a standby now: what comes next needs another server
		closing, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = t.conn.Close(closing)
	}
	if t.begun && !t.conn.IsClosed() {
		t.queue = &pgx.Batch{}
		t.do(`ROLLBACK`)
		_ = t.send(limited) // the connection is given up if that fails
	}
	return sent, err
}

// resolve finds out whether the transaction of a token was committed, and keeps it from being so later if not.
// It waits for the database to come back, and, since the other transaction may have been visible before a standby
// had it, until what it says is as durable as any commit.
func (s *Store) resolve(ctx context.Context, token uuid.UUID, cause error) (committed bool, err error) {
	s.log.Warn("the answer to a commit was lost; looking up what became of it", "err", cause)
	refusal := uuid.New() // one for all tries, of which each may have its own answer lost
	for start := time.Now(); time.Since(start) < unclearFor; {
		var refused bool
		b := &pgx.Batch{} // in one transaction, in which each statement sees what the one before waited for
		b.Queue(sqlRefuse, token, refusal)
		b.Queue(sqlRefused, refusal).QueryRow(func(row pgx.Row) error { return row.Scan(&refused) })
		b.Queue(sqlFlush)
		limited, cancel := s.within(ctx)
		err := s.pool.SendBatch(limited, b).Close()
		cancel()
		if err == nil {
			s.log.Info("an unclear commit was looked up", "committed", !refused)
			return !refused, nil
		}
		if !s.pause(ctx, 250*time.Millisecond) {
			break
		}
	}
	return false, &UnclearError{cause}
}

// pause waits, and reports whether it makes sense to go on.
func (s *Store) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// read runs a query that changes nothing, again if the connection is lost.
func (s *Store) read(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	start := time.Now()
	for {
		err := s.readOnce(ctx, f)
		if kindOf(err) != lost || time.Since(start) > patience || !s.pause(ctx, 100*time.Millisecond) {
			return s.told(ctx, err)
		}
	}
}

func (s *Store) readOnce(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	limited, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(limited)
	if err != nil {
		return &databaseError{err, true}
	}
	defer conn.Release()
	err = f(limited, conn.Conn())
	var pg *pgconn.PgError
	if err != nil && (conn.Conn().IsClosed() || errors.As(err, &pg)) {
		return &databaseError{err, conn.Conn().IsClosed()}
	}
	return err
}
