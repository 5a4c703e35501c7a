package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	// sqlClaim leases as many lanes as there are tokens, and says what was found in each: also whether it had a token of
	// old, that of a lease that ran out.
	sqlClaim = `WITH due AS (SELECT no, direction, at, token FROM lanes WHERE direction = $1 AND at <= coalesce($2::timestamptz, now())
ORDER BY at LIMIT cardinality($3::bigint[]) FOR UPDATE SKIP LOCKED),
q AS (SELECT *, row_number() OVER (ORDER BY at) AS n FROM due)
UPDATE lanes AS l SET token = ($3::bigint[])[q.n], until = coalesce($2::timestamptz, now()) + $4::bigint * interval '1 microsecond',
at = coalesce($2::timestamptz, now()) + $4::bigint * interval '1 microsecond'
FROM q WHERE l.no = q.no AND l.direction = q.direction
RETURNING l.token, l.conversation, coalesce($2::timestamptz, now()), q.token <> 0`
	// sqlRuns reads the heads of the lanes that sqlClaim has just leased, in the same transaction, so that they are free
	// at the same time, and in a statement of its own: sqlClaim may have locked a lane that was settled after it began, and
	// would still see what was delivered then.
	sqlRuns = `SELECT id, kind, session, accepted, not_before, begun, failed, attempts, body, l.token FROM lanes AS l CROSS JOIN LATERAL (
SELECT *, sum(octet_length(body) - $6::integer) OVER (ORDER BY place) AS size, row_number() OVER (ORDER BY place) AS n
FROM (SELECT * FROM deliveries AS d WHERE d.no = l.no AND d.direction = l.direction ORDER BY place LIMIT $5) AS head) AS run
WHERE l.direction = $1 AND l.at = coalesce($2::timestamptz, now()) + $4::bigint * interval '1 microsecond' AND l.token = ANY($3::bigint[])
AND (n = 1 OR size <= $7) ORDER BY l.token, n`
)

// reasonDamaged is the reason of a dead letter whose body does not open.
const reasonDamaged = "damaged"

// terms are what a claim asks for.
type terms struct {
	ttl   time.Duration
	limit int
}

// A claimed is what a claim came to: nothing, a lease, or one of a lane whose head cannot be read.
type claimed struct {
	lease *store.Lease
	err   error
}

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
		c, err := s.claims[d].get(ctx, terms{ttl, limit})
		if err != nil {
			return nil, err
		}
		l := c.lease
		if l == nil {
			s.hub.missed(d)
			return nil, store.ErrEmpty
		}
		err = c.err
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
			return l, nil
		}
	}
}

// claimAll leases the lanes of a direction that have been due for the longest time, of those that nobody is at, and
// reads their heads: one for each of the terms, as far as there are any. A claim whose answer is lost rests until it has
// run out.
func (s *Store) claimAll(ctx context.Context, d store.Direction, asked []terms) ([]claimed, error) {
	var out []claimed
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		out = make([]claimed, len(asked))
		b := &pgx.Batch{} // without BEGIN, a transaction of its own
		b.Queue(sqlRelaxed)
		for i, t := range asked {
			if slices.Index(asked, t) != i {
				continue // it came with those that asked for the same
			}
			var places []int
			for j := i; j < len(asked); j++ {
				if asked[j] == t {
					places = append(places, j)
				}
			}
			s.queueClaim(b, d, t, places, out)
		}
		return conn.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return nil, err
	}
	found := 0
	for _, c := range out {
		if c.lease != nil {
			found++
		}
	}
	if found == len(asked) { // there may be more for others
		s.hub.wake(d, found)
	}
	return out, nil
}

// queueClaim queues claims on the same terms, whose answers go to their places in out. Until follows from this machine's
// clock before the claim: what is sent under the lease is timed by that, and the database's clock may be another.
func (s *Store) queueClaim(b *pgx.Batch, d store.Direction, t terms, places []int, out []claimed) {
	until := time.Now().Add(t.ttl)
	moment := s.moment()
	if moment != nil {
		until = moment.Add(t.ttl)
	}
	tokens := make([]int64, len(places))
	of := make(map[int64]*claimed, len(places))
	for i, place := range places {
		tokens[i] = int64(1 + rand.Uint64()>>1)
		of[tokens[i]] = &out[place]
	}
	var now time.Time
	b.Queue(sqlClaim, string(d), moment, tokens, t.ttl.Microseconds()).Query(func(rows pgx.Rows) error {
		var token int64
		l := store.Lease{Lane: store.Lane{Direction: d}, Until: until}
		_, err := pgx.ForEachRow(rows, []any{&token, &l.Lane.Conversation, &now, &l.Lapsed}, func() error {
			lease := l
			lease.Token = uint64(token)
			of[token].lease = &lease
			return nil
		})
		return err
	})
	b.Queue(sqlRuns, string(d), moment, tokens, t.ttl.Microseconds(), t.limit, store.SealOverhead, store.MaxRun).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		ended := map[int64]bool{}
		for rows.Next() {
			var token int64
			d, sealed, err := scanDelivery(rows, &token)
			if rows.Err() != nil {
				return rows.Err()
			}
			if !ended[token] {
				ended[token] = !s.addToRun(of[token], &d, sealed, err, now)
			}
		}
		return rows.Err()
	})
}

// addToRun adds a delivery to those of a lease, and reports whether more may follow. The error is that of its reading. When
// the head does not open, it is given without its body.
func (s *Store) addToRun(c *claimed, d *store.Delivery, sealed []byte, err error, now time.Time) bool {
	l := c.lease
	head := len(l.Deliveries) == 0
	if err == nil && !head && d.NotBefore.After(now) {
		return false
	}
	if err == nil {
		d.Body, err = s.keys.Open(store.DeliveryName(l.Lane.Conversation, d.ID), sealed)
	}
	if err != nil && !head {
		return false // told when it is at the head
	}
	l.Deliveries, c.err = append(l.Deliveries, *d), err
	return err == nil
}

// free gives back what was claimed for somebody who has left meanwhile, so that its lane does not rest for the time of a lease.
// Where the lease before ran out, this one has to run out too: the next claim learns only so that the head may have been sent.
func (s *Store) free(c claimed) {
	if c.lease == nil || c.lease.Lapsed {
		return
	}
	s.wg.Go(func() { // beside the next claims; Close waits for these, and so for this
		ctx, cancel := context.WithTimeout(context.Background(), s.limit)
		defer cancel()
		err := s.Settle(ctx, &store.Lease{Lane: c.lease.Lane, Token: c.lease.Token}, store.Result{}, nil)
		if err != nil && !errors.Is(err, store.ErrFenced) {
			s.log.Info("a lane that nobody waits for is free when its lease has run out", "lane", c.lease.Lane.String(), "err", err)
		}
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
