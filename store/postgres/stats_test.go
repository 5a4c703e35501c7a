package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// TestStatsRest: when counting takes long it is not done each time that somebody asks.
func TestStatsRest(t *testing.T) {
	t.Parallel()
	const slow = 250 * time.Millisecond
	url := postgrestest.With(t, shared.Schema(t, t.TempDir()), "application_name", t.Name())
	s := open(t, postgres.Options{URL: url})
	send(t, s, "c", "d1")
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	watch := shared.Connect(t, url) // a transaction sees the others' activity as it was at first
	defer watch.Close(context.Background())
	for _, sql := range []string{"BEGIN", "LOCK TABLE letters"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	type counted struct {
		stats store.Stats
		err   error
	}
	first := make(chan counted, 1)
	go func() {
		st, err := s.Stats(t.Context())
		first <- counted{st, err}
	}()
	eventually(t, "counting takes long", func() bool {
		n := 0
		err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1
AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - $2::bigint * interval '1 millisecond'`, t.Name(), slow.Milliseconds()).Scan(&n)
		return err == nil && n == 1
	})
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := <-first; got.err != nil || got.stats.Waiting[store.ToTeams] != 1 {
		t.Fatalf("Stats: %+v, %v, want one delivery", got.stats, got.err)
	}
	send(t, s, "c", "d2")
	got, err := s.Stats(t.Context())
	if n := got.Waiting[store.ToTeams]; err != nil || n != 1 && time.Since(began) < 20*slow {
		t.Errorf("Stats counted again at once: %d, %v", n, err)
	}
	eventually(t, "it is counted again", func() bool {
		got, err := s.Stats(t.Context())
		return err == nil && got.Waiting[store.ToTeams] == 2
	})
}

// BenchmarkStats counts beside a million conversations that are kept, with deliveries that wait.
func BenchmarkStats(b *testing.B) {
	own, err := postgrestest.Start(postgrestest.Options{Own: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(own.Stop)
	url := own.Schema(b, b.Name())
	s := open(b, postgres.Options{URL: postgrestest.With(b, url, "statement_timeout", "5min")})
	conn := own.Connect(b, url)
	defer conn.Close(context.Background())
	fill := fmt.Sprintf(fillGrown, 1_000_000)
	for _, waiting := range []int{0, 100_000} {
		if waiting > 0 {
			fill = fmt.Sprintf(`INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, body)
SELECT no, 'teams', 1, 'd', '', '', now(), '\x01' FROM conversations LIMIT %d`, waiting)
		}
		if _, err := conn.PgConn().Exec(b.Context(), fill).ReadAll(); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			before := own.CPU()
			longest := time.Duration(0)
			for b.Loop() {
				began := time.Now()
				if _, err := s.Stats(b.Context()); err != nil {
					b.Fatal(err)
				}
				longest = max(longest, time.Since(began))
			}
			b.ReportMetric(float64(longest.Microseconds()), "counting-us")
			b.ReportMetric(float64((own.CPU()-before).Microseconds())/float64(b.N), "server-us")
		})
	}
}
