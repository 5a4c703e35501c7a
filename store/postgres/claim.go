package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	// sqlClaim also says whether the lane has a token of old: that of a lease that ran out.
	sqlClaim = `UPDATE lanes AS l SET token = $3, until = coalesce($2::timestamptz, statement_timestamp()) + $4::bigint * interval '1 microsecond',
at = coalesce($2::timestamptz, statement_timestamp()) + $4::bigint * interval '1 microsecond'
FROM (SELECT no, direction, token FROM lanes WHERE direction = $1 AND at <= coalesce($2::timestamptz, statement_timestamp())
ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED) AS q WHERE l.no = q.no AND l.direction = q.direction
RETURNING l.no, l.conversation, l.until - $4::bigint * interval '1 microsecond', q.token <> 0`
	sqlRun = `SELECT id, kind, session, accepted, not_before, begun, failed, attempts, body FROM (
SELECT *, sum(octet_length(body) - $4::bigint) OVER (ORDER BY place) AS size, row_number() OVER (ORDER BY place) AS n
FROM (SELECT * FROM deliveries WHERE no = $1 AND direction = $2 ORDER BY place LIMIT $3) AS run) AS run
WHERE n = 1 OR size <= $5 ORDER BY n`
)

// reasonDamaged is the reason of a dead letter whose body does not open.
const reasonDamaged = "damaged"

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, d store.Direction, ttl time.Duration, limit int) (*store.Lease, error) {
	if !d.Known() {
		return nil, fmt.Errorf("claim %q: no such direction", d)
	}
	if ttl < time.Microsecond || limit <= 0 {
		return nil, fmt.Errorf("claim of at most %d deliveries for %v", limit, ttl)
	}
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if d == store.Held {
		return nil, store.ErrEmpty
	}
	for {
		l := &store.Lease{Lane: store.Lane{Direction: d}, Token: 1 + rand.Uint64()>>1}
		no, now, err := s.lease(ctx, l, ttl)
		if err == nil && no == 0 {
			s.hub.missed(d)
			return nil, store.ErrEmpty
		}
		if err != nil {
			return nil, err
		}
		err = s.readRun(ctx, l, no, limit, now)
		if errors.Is(err, store.ErrWrongKey) {
			s.log.Error("a damaged delivery was made a dead letter", "lane", l.Lane.String())
			bad := *l
			bad.Deliveries = []store.Delivery{{ID: l.Deliveries[0].ID}}
			err = s.Settle(ctx, &bad, store.Result{Next: store.Bury, Reason: reasonDamaged}, nil)
			l.Deliveries = nil
		} else if err == nil && len(l.Deliveries) == 0 { // they were taken away meanwhile
			err = s.Settle(ctx, l, store.Result{}, nil)
		}
		switch {
		case err != nil && !errors.Is(err, store.ErrFenced):
			return nil, fmt.Errorf("lane %s: %w", l.Lane, err) // it rests until the lease has run out
		case len(l.Deliveries) > 0:
			s.hub.wake(d) // there may be more for others
			return l, nil
		}
	}
}

// lease claims the lane that has been due for the longest time of those that nobody is at. It returns the
// number of its conversation, or zero when there is none. A claim whose answer is lost rests until it has
// run out. Until follows from this machine's clock before the claim: what is sent under the lease is timed by
// that, and the database's clock may be another.
func (s *Store) lease(ctx context.Context, l *store.Lease, ttl time.Duration) (no int64, now time.Time, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		l.Until = time.Now().Add(ttl)
		if m := s.moment(); m != nil {
			l.Until = m.Add(ttl)
		}
		b := &pgx.Batch{} // without BEGIN, a transaction of its own
		b.Queue(sqlRelaxed)
		b.Queue(sqlClaim, string(l.Lane.Direction), s.moment(), int64(l.Token), ttl.Microseconds()).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&no, &l.Lane.Conversation, &now, &l.Lapsed); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		return conn.SendBatch(ctx, b).Close()
	})
	return no, now, err
}

// readRun fills in the deliveries of a lease, as many from the head as are due and can be given. When the head does not
// open, it is given without its body.
func (s *Store) readRun(ctx context.Context, l *store.Lease, no int64, limit int, now time.Time) error {
	return s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		l.Deliveries = nil
		rows, err := conn.Query(ctx, sqlRun, no, string(l.Lane.Direction), limit, store.SealOverhead, store.MaxRun)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			d, sealed, err := scanDelivery(rows)
			if err != nil {
				return err
			}
			n := len(l.Deliveries)
			if n > 0 && d.NotBefore.After(now) {
				return nil
			}
			if d.Body, err = s.keys.Open(store.DeliveryName(l.Lane.Conversation, d.ID), sealed); err != nil {
				if n == 0 {
					l.Deliveries = append(l.Deliveries, d)
					return err
				}
				return nil // told when it is at the head
			}
			l.Deliveries = append(l.Deliveries, d)
		}
		return rows.Err()
	})
}

// scanDelivery takes a delivery, whose body is sealed still.
func scanDelivery(row pgx.Row, more ...any) (d store.Delivery, sealed []byte, err error) {
	var notBefore *time.Time
	var failed int32
	var attempts []byte
	to := []any{&d.ID, &d.Kind, &d.Session, &d.Accepted, &notBefore, &d.Begun, &failed, &attempts, &sealed}
	if err := row.Scan(append(to, more...)...); err != nil {
		return d, nil, err
	}
	d.Accepted, d.NotBefore, d.Failed = d.Accepted.UTC(), fromTime(notBefore), int(failed)
	d.Attempts, err = decodeAttempts(attempts)
	return d, sealed, err
}
