package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// behind opens a store behind a proxy. It waits for a connection that is silent for longer than any test takes.
func behind(t *testing.T) (*postgres.Store, *proxy) {
	t.Helper()
	p := newProxy(t, shared.Schema(t, t.TempDir()))
	url := postgrestest.With(t, p.url, "default_query_exec_mode", "cache_describe") // texts go with each statement
	return open(t, postgres.Options{URL: url, MaxConns: 16, StatementTimeout: 5 * time.Minute}), p
}

// TestSilentConnection: a connection that goes silent, of which nobody is told, holds up who asked over it, and no other. It is
// given up when those have left.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	claim := func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Claim(ctx, store.ToTeams, time.Minute, 1)
		return err
	}
	find := func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Find(ctx, "key")
		return err
	}
	load := func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Load(ctx, "c0")
		return err
	}
	for _, c := range []struct {
		name, sql string
		ask       func(context.Context, *postgres.Store) error
	}{{"Claim", postgres.SQLClaim, claim}, {"Find", postgres.SQLFind, find}, {"Load", postgres.SQLLoad, load}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, p := behind(t)
			for i := range 8 {
				send(t, s, fmt.Sprint("c", i), "d")
			}
			err := s.Apply(t.Context(), "c0", nil, func(turn *store.Turn) error {
				turn.Record.Keys = []string{"key"}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			h := p.silence(c.sql)
			leave, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error)
			go func() { ended <- c.ask(leave, s) }()
			await(t, h.fell, "the connection falls silent")
			soon, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			for range 5 {
				if err := c.ask(soon, s); err != nil {
					t.Fatalf("another's: %v", err)
				}
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want its context's error", err)
			}
			await(t, h.left, "the silent connection is given up")
		})
	}
}

// TestSilentWait: a connection that goes silent keeps nobody from work who waits for some.
func TestSilentWait(t *testing.T) {
	t.Parallel()
	s, p := behind(t)
	h := p.silence(postgres.SQLSoon)
	soon, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	ended := make(chan error)
	for range 3 {
		go func() {
			l, err := next(soon, s)
			if err == nil {
				err = s.Settle(soon, l, store.Result{Done: len(l.Deliveries)}, nil)
			}
			ended <- err
		}()
	}
	await(t, h.fell, "the connection falls silent")
	for i := range 3 {
		send(t, s, fmt.Sprint("c", i), "d")
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Errorf("a worker: %v", err)
		}
	}
}

// TestSilentClose: a store is closed while a connection is silent, and whoever waits for that is told.
func TestSilentClose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sql string
		call      func(context.Context, *postgres.Store) error
	}{
		{"Find", postgres.SQLFind, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Find(ctx, "key")
			return err
		}},
		{"Apply", postgres.SQLLock, func(ctx context.Context, s *postgres.Store) error {
			return s.Apply(ctx, "c", nil, func(*store.Turn) error { return nil })
		}},
		{"PutFile", postgres.SQLPutFile, func(ctx context.Context, s *postgres.Store) error {
			return s.PutFile(ctx, store.File{ID: "f", Conversation: "c", Expires: time.Now().Add(time.Hour), Data: []byte("data")})
		}},
		{"Due", postgres.SQLDue, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Due(ctx, 1)
			return err
		}},
		{"Prune", postgres.SQLPruneEvents, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Prune(ctx, store.Limits{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, p := behind(t)
			send(t, s, "c", "d")
			h := p.silence(c.sql)
			ended := make(chan error)
			go func() { ended <- c.call(context.WithoutCancel(t.Context()), s) }()
			await(t, h.fell, "the connection falls silent")
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				s.Close()
			}()
			if err := <-ended; !errors.Is(err, store.ErrClosed) && !errors.As(err, new(*postgres.UnclearError)) {
				t.Errorf("%v, want ErrClosed, or that it is not known", err)
			}
			await(t, closed, "the store is closed")
		})
	}
}

// await waits for a channel to be closed.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
		t.Fatalf("it was never true that %s", what)
	}
}
