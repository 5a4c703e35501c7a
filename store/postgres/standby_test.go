package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// TestStandbyGoesAway cuts commits short that wait for a standby. The server keeps them, for everybody to see and on itself
// alone; nobody must be told that they are safe before a standby has them.
func TestStandbyGoesAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cut  cut
	}{
		{"TheCommitIsKept", cutNothing},
		{"TheCommitDoesNotArrive", cutRequest}, // so that it is refused, and the refusal is cut short
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			own, err := postgrestest.Start(postgrestest.Options{Own: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(own.Stop)
			dsn := own.Schema(t, t.TempDir())
			p := newProxy(t, dsn)
			one, other := open(t, postgres.Options{URL: p.url, MaxConns: 8}), open(t, postgres.Options{URL: dsn, MaxConns: 8})
			send(t, one, "c", "first")
			apply := func(ctx context.Context, s *postgres.Store) error {
				return s.Apply(ctx, "c", []store.EventID{{Name: "event"}}, func(turn *store.Turn) error {
					turn.Send(store.ToTeams, store.Delivery{ID: "second"})
					return nil
				})
			}
			if err := own.LoseStandby(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = own.FindStandby(context.Background()) }) // or the stores do not close
			p.arm(tt.cut)
			answer := make(chan error, 1)
			go func() { answer <- apply(t.Context(), one) }()
			for range 3 { // the commit, and what is done to find out about it
				eventually(t, "a commit waits for the standby", func() bool {
					if len(answer) > 0 {
						t.Fatalf("Apply was answered without the standby: %v", <-answer)
					}
					n, err := own.CutShort(t.Context())
					return err == nil && n > 0
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := apply(ctx, other); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a repeat, without the standby: %v, want its context's error", err)
			}
			select {
			case err := <-answer:
				t.Errorf("Apply was answered without the standby: %v", err)
				answer <- err
			default:
			}
			if err := own.FindStandby(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-answer; err != nil {
				t.Errorf("Apply: %v", err)
			}
			if err := apply(t.Context(), other); err != nil {
				t.Errorf("a repeat: %v", err)
			}
			l, err := next(t.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Deliveries) != 2 || l.Deliveries[1].ID != "second" {
				t.Errorf("claimed %+v, want first and second", l.Deliveries)
			}
		})
	}
}
