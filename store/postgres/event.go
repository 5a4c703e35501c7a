package postgres

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	sqlKnown = `SELECT hash FROM unnest($2::uuid[]) AS asked (hash) WHERE EXISTS (SELECT FROM events AS e
WHERE e.no = (SELECT no FROM conversations WHERE id = $1) AND e.hash = asked.hash
AND e.until > coalesce($3::timestamptz, clock_timestamp()))`
	sqlAddEvents = `INSERT INTO events (no, hash, until) SELECT $1, * FROM unnest($2::uuid[], $3::timestamptz[])
ON CONFLICT (no, hash) DO UPDATE SET until = excluded.until`
)

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, conversationID string, ids []store.EventID, f func(*store.Turn) error) error {
	if err := store.CheckID("conversation", conversationID); err != nil {
		return err
	}
	hashes := make([][16]byte, len(ids))
	for i, id := range ids {
		if err := store.CheckID("event id", id.Name); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(id.Name))
		copy(hashes[i][:], sum[:])
	}
	var known [][16]byte
	c := &call{conversation: conversationID, create: true}
	if len(ids) > 0 {
		c.reads = func(t *tx) {
			known = nil
			t.ask(sqlKnown, conversationID, hashes, s.moment()).Query(func(rows pgx.Rows) error {
				var hash [16]byte
				_, err := pgx.ForEachRow(rows, []any{&hash}, func() error { known = append(known, hash); return nil })
				return err
			})
		}
	}
	c.run = func(ctx context.Context, t *tx, cv *conversation) error {
		fresh := make([]bool, len(ids))
		var added [][16]byte
		var until []time.Time
		for i, h := range hashes {
			if fresh[i] = !slices.Contains(known, h) && !slices.Contains(hashes[:i], h); fresh[i] {
				added = append(added, h)
				until = append(until, t.now.Add(keep(ids[i])))
			}
		}
		if len(ids) > 0 && len(added) == 0 {
			return nil
		}
		p, err := s.plan(ctx, t, cv, fresh, f)
		if err != nil {
			return err
		}
		if len(added) > 0 {
			t.do(sqlAddEvents, cv.no, added, until)
		}
		return s.stage(ctx, t, p)
	}
	return s.do(ctx, c)
}

// keep is how long a repeat of the event is recognised.
func keep(id store.EventID) time.Duration {
	if id.Keep <= 0 || id.Keep > store.KeepMax {
		return store.KeepMax
	}
	return id.Keep
}
