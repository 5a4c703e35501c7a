package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// fillGrown makes conversations that are kept, each with a line and an event id, and no work.
const fillGrown = `
INSERT INTO conversations (id, updated, filed, lines, data)
SELECT 'kept' || i, now(), i / 1000, 1, decode(repeat('ab', 600), 'hex') FROM generate_series(1, %d) AS i;
INSERT INTO events SELECT no, gen_random_uuid(), now() + interval '1 day' FROM conversations;
INSERT INTO lines SELECT no, 1, now(), '\x01' FROM conversations;
ANALYZE`

// BenchmarkKept takes a message through Apply, Claim and Settle beside so many conversations that are kept.
func BenchmarkKept(b *testing.B) {
	for _, kept := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("conversations=%d", kept), func(b *testing.B) {
			own, err := postgrestest.Start(postgrestest.Options{Own: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(own.Stop)
			url := own.Schema(b, b.Name())
			s := open(b, postgres.Options{URL: postgrestest.With(b, url, "statement_timeout", "5min")})
			conn := own.Connect(b, url)
			defer conn.Close(context.Background())
			if _, err := conn.PgConn().Exec(b.Context(), fmt.Sprintf(fillGrown, kept)).ReadAll(); err != nil {
				b.Fatal(err)
			}
			body := []byte(strings.Repeat("b", 400))
			var applying, claiming, settling time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				err := s.Apply(b.Context(), fmt.Sprint("work", i%1000), []store.EventID{{Name: fmt.Sprint(i)}}, func(t *store.Turn) error {
					t.Record.Data = body
					t.Send(store.ToTeams, store.Delivery{ID: fmt.Sprint(i), Body: body})
					return nil
				})
				applied := time.Now()
				if err != nil {
					b.Fatal(err)
				}
				l, err := s.Claim(b.Context(), store.ToTeams, time.Minute, 8)
				claimed := time.Now()
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Settle(b.Context(), l, store.Result{Done: len(l.Deliveries)}, nil); err != nil {
					b.Fatal(err)
				}
				applying, claiming, settling = applying+applied.Sub(start), claiming+claimed.Sub(applied), settling+time.Since(claimed)
			}
			for name, took := range map[string]time.Duration{"apply": applying, "claim": claiming, "settle": settling} {
				b.ReportMetric(float64(took.Microseconds())/float64(b.N), name+"-us")
			}
		})
	}
}
