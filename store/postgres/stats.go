package postgres

import (
	"context"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	sqlWaiting = `SELECT direction, count(*) FROM deliveries GROUP BY direction`
	sqlCounts  = `SELECT (SELECT count(*) FROM letters), (SELECT count(*) FROM conversations WHERE status <> ''),
(SELECT count(*) FROM files), (SELECT coalesce(sum(size), 0) FROM files)`
)

// rests is for how many times as long as counting took nobody counts again: whoever asks, and however often, a replica
// spends no more than a twentieth of one connection on it.
const rests = 20

// A tally is what was counted last.
type tally struct {
	turn  chan struct{} // holds one: who counts
	stats store.Stats
	until time.Time // when it is to be counted again
}

func newTally() tally { return tally{turn: make(chan struct{}, 1)} }

// Stats implements store.Store. The counts are exact, and up to twenty times as old as counting takes.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	if err := s.usable(ctx); err != nil {
		return store.Stats{}, err
	}
	t := &s.tally
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-s.closed:
		return store.Stats{}, store.ErrClosed
	case <-ctx.Done():
		return store.Stats{}, ctx.Err()
	}
	if began := time.Now(); !began.Before(t.until) {
		st, err := s.count(ctx)
		if err != nil {
			return store.Stats{}, err
		}
		t.stats, t.until = st, time.Now().Add(rests*time.Since(began))
	}
	st := t.stats
	st.Waiting = maps.Clone(st.Waiting)
	return st, nil
}

// count counts.
func (s *Store) count(ctx context.Context) (st store.Stats, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		st = store.Stats{Waiting: map[store.Direction]int{}}
		rows, err := conn.Query(ctx, sqlWaiting)
		if err != nil {
			return err
		}
		var direction string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&direction, &n}, func() error {
			st.Waiting[store.Direction(direction)] = n
			return nil
		})
		if err != nil {
			return err
		}
		return conn.QueryRow(ctx, sqlCounts).Scan(&st.DeadLetters, &st.Live, &st.Files, &st.FileBytes)
	})
	return st, err
}
