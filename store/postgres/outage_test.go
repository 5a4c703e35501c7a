package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// TestCrash restarts the server in the middle of many calls. What was acknowledged is there, what was not
// can be repeated, and nothing is there twice.
func TestCrash(t *testing.T) {
	t.Parallel()
	own, err := postgrestest.Start(postgrestest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	dsn := own.Schema(t, t.TempDir())
	stores := []*postgres.Store{
		open(t, postgres.Options{URL: dsn, MaxConns: 8}), open(t, postgres.Options{URL: dsn, MaxConns: 8}),
	}
	const writers, each = 8, 60
	var acknowledged atomic.Int32
	var failed atomic.Int32
	crash := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			s := stores[w%2]
			for i := 0; i < each; {
				id := fmt.Sprintf("%d-%d", w, i)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				err := s.Apply(ctx, fmt.Sprint("c", (w+i)%5), []store.EventID{{Name: id}}, func(turn *store.Turn) error {
					turn.Send(store.ToTeams, store.Delivery{ID: id})
					return nil
				})
				cancel()
				if err != nil {
					failed.Add(1)
					if t.Context().Err() != nil {
						return
					}
					continue // the other side repeats its request
				}
				i++
				if acknowledged.Add(1) > writers*each/3 {
					once.Do(func() { close(crash) })
				}
			}
		})
	}
	<-crash
	if err := own.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	t.Logf("%d calls failed and were repeated", failed.Load())

	got := map[string]int{}
	for {
		l, err := stores[0].Claim(t.Context(), store.ToTeams, time.Minute, 100)
		if errors.Is(err, store.ErrEmpty) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.Deliveries {
			got[d.ID]++
		}
		if err := stores[1].Settle(t.Context(), l, store.Result{Done: len(l.Deliveries)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for w := range writers {
		for i := range each {
			if id := fmt.Sprintf("%d-%d", w, i); got[id] != 1 {
				t.Errorf("%s is there %d times", id, got[id])
			}
		}
	}
}

// TestLostAnswer cuts the connection around a commit. The calls have no event ids, so that only finding out
// what became of the commit keeps them from being lost or doubled.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cut  cut
		runs int32
	}{
		{"CutBeforeTheCommitArrives", cutRequest, 2},
		{"CutBeforeTheAnswerArrives", cutAnswer, 1},
		{"CommitArrivesAfterItWasGivenUp", cutLate, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dsn := shared.Schema(t, t.TempDir())
			p := newProxy(t, dsn)
			s := open(t, postgres.Options{URL: postgrestest.With(t, p.url, "default_query_exec_mode", "cache_describe"), MaxConns: 8})
			send(t, s, "c", "first")
			p.arm(c.cut)
			var runs atomic.Int32
			err := s.Apply(t.Context(), "c", nil, func(turn *store.Turn) error {
				runs.Add(1)
				turn.Record.Data = append(turn.Record.Data, 'x')
				turn.Send(store.ToTeams, store.Delivery{ID: "second"})
				return nil
			})
			if err != nil {
				t.Fatalf("Apply: %v", err)
			}
			if !p.sprung() {
				t.Fatal("the connection was not cut")
			}
			if got := runs.Load(); got != c.runs {
				t.Errorf("the turn ran %d times, want %d", got, c.runs)
			}
			p.settle() // what arrives late has arrived
			rec, err := s.Load(t.Context(), "c")
			if err != nil || string(rec.Data) != "x" {
				t.Errorf("record %q, %v, want the turn to count once", rec.Data, err)
			}
			l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9)
			if err != nil || len(l.Deliveries) != 2 || l.Deliveries[1].ID != "second" {
				t.Fatalf("Claim: %+v, %v, want first and second", l, err)
			}
			p.arm(c.cut)
			if err := s.Settle(t.Context(), l, store.Result{Done: 2}, nil); err != nil {
				t.Errorf("Settle: %v", err)
			}
			p.settle()
			if _, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9); !errors.Is(err, store.ErrEmpty) {
				t.Errorf("Claim after Settle: %v, want ErrEmpty", err)
			}
		})
	}
}

// TestOutage takes the database away for longer than a call's patience.
func TestOutage(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shared.Schema(t, t.TempDir()))
	s := open(t, postgres.Options{URL: p.url, MaxConns: 8, Replica: true})
	send(t, s, "c", "d1")
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	p.down()
	eventually(t, "the store says that it takes no commits", func() bool { return s.Ready(t.Context()) != nil })
	if err := s.Apply(t.Context(), "c", nil, func(*store.Turn) error { return nil }); err == nil {
		t.Error("Apply succeeded without a database")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Apply(ctx, "c", nil, func(*store.Turn) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply: %v, want its context's error", err)
	}
	p.up()
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready, with the database back: %v", err)
	}
	eventually(t, "the store works again", func() bool {
		l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1)
		return err == nil && s.Settle(t.Context(), l, store.Result{Done: 1}, nil) == nil
	})
	p.down()
	start := time.Now()
	if err := s.Close(); err != nil || time.Since(start) > 10*time.Second {
		t.Errorf("Close: %v, after %v without a database", err, time.Since(start))
	}
}

// TestSettlesLostInACrash: a lane's last settle need not be durable at once. When the server goes down in that moment, the
// store says how many may have been lost.
func TestSettlesLostInACrash(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shared.Schema(t, t.TempDir()))
	s := open(t, postgres.Options{URL: p.url, MaxConns: 8})
	lost := 0
	for i := 0; lost == 0 && i < 50; i++ { // the moment may pass on a machine that has much to do
		send(t, s, fmt.Sprint("c", i), "d")
		l, err := next(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
			t.Fatal(err)
		}
		p.down()
		eventually(t, "the outage is noticed", func() bool { return s.Ready(t.Context()) != nil })
		p.up()
		eventually(t, "the store works again", func() bool { return s.Ready(t.Context()) == nil })
		lost = s.LostSettles()
	}
	if lost == 0 {
		t.Error("no settle was said to be lost")
	}
	if n := s.LostSettles(); n != 0 {
		t.Errorf("%d are said again", n)
	}
}

// TestLockTimeout: a row that somebody else keeps locked fails the call for it, and no other.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	dsn := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: dsn, LockTimeout: 200 * time.Millisecond, StatementTimeout: 5 * time.Second})
	send(t, s, "c0", "d")
	send(t, s, "c1", "d")
	conn := shared.Connect(t, dsn)
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM conversations WHERE id = 'c0' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = s.Apply(t.Context(), fmt.Sprint("c", i), nil, func(*store.Turn) error { return nil })
		})
	}
	wg.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 0) {
			t.Errorf("Apply to c%d: %v", i, err)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, s, "c0", "d2")
}

// TestLockedConversation: a row that somebody else keeps locked holds up the calls that were to share its transaction, and
// none that come later.
func TestLockedConversation(t *testing.T) {
	t.Parallel()
	dsn := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: dsn, LockTimeout: time.Minute, StatementTimeout: time.Minute})
	send(t, s, "c", "d1")
	conn := shared.Connect(t, dsn)
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM conversations WHERE id = 'c' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	apply := func(id string) error {
		return s.Apply(t.Context(), id, nil, func(*store.Turn) error { return nil })
	}
	go func() { ended <- apply("c") }()
	eventually(t, "the locked row is waited for", func() (waiting bool) {
		err := tx.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))").Scan(&waiting)
		if err != nil {
			t.Error(err)
		}
		return waiting
	})
	go func() { ended <- apply("c") }() // which does not take another transaction with it
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 20 {
		if err := s.Apply(soon, fmt.Sprint("other", i), nil, func(*store.Turn) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
