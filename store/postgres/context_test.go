package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// TestContextEndsDuringAWaitForAKey: a caller whose context ends goes at once, also while its transaction waits for another that
// is about to take the same key. What it leaves behind does not read its bytes any more.
func TestContextEndsDuringAWaitForAKey(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url, LockTimeout: time.Minute, StatementTimeout: time.Minute})
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	other, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), "INSERT INTO keys (key, conversation) VALUES ('k', 'other')"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := []byte("body")
	ended, left := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(left)
		ended <- s.Apply(ctx, "c", nil, func(turn *store.Turn) error {
			turn.Record.Keys, turn.Record.Data = []string{"k"}, body
			turn.Send(store.ToTeams, store.Delivery{ID: "d", Body: body})
			turn.Lines = []store.Line{{Data: body}}
			return nil
		})
		copy(body, "mine")
	}()
	watcher := shared.Connect(t, url)
	defer watcher.Close(context.Background())
	eventually(t, "the transaction waits for the other", func() (waiting bool) {
		err := watcher.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks AS w JOIN pg_locks AS h USING (transactionid)
WHERE NOT w.granted AND h.granted AND h.pid = $1)`, conn.PgConn().PID()).Scan(&waiting)
		if err != nil {
			t.Error(err)
		}
		return waiting
	})
	cancel()
	await(t, left, "the caller has left")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v, want its context's error", err)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), "c", nil, func(*store.Turn) error { return nil }); err != nil { // behind what was left
		t.Fatal(err)
	}
	rec, err := s.Load(t.Context(), "c")
	if err != nil || rec.Data != nil && !bytes.Equal(rec.Data, []byte("body")) {
		t.Errorf("the record says %q, %v", rec.Data, err)
	}
	if l, err := next(t.Context(), s); err != nil || string(l.Deliveries[0].Body) != "body" {
		t.Errorf("the delivery: %+v, %v", l, err)
	}
}

// TestCallersWhoLeaveInAnOutage: what they asked for does not pile up while the database is away.
func TestCallersWhoLeaveInAnOutage(t *testing.T) {
	t.Parallel()
	const calls = 5000
	p := newProxy(t, shared.Schema(t, t.TempDir()))
	s := open(t, postgres.Options{URL: p.url, MaxConns: 8})
	p.down()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if err := s.Apply(ctx, fmt.Sprint("c", i), nil, func(*store.Turn) error { return nil }); err == nil {
				t.Error("Apply succeeded without a database")
			}
		})
	}
	eventually(t, "most calls wait for a transaction", func() bool { return postgres.Queued(s) > calls/2 })
	cancel()
	wg.Wait()
	eventually(t, "none waits", func() bool { return postgres.Queued(s) == 0 })
}

// TestCallersWhoLeaveWhileNobodyTakes: nor does it while every committer looks up what became of a commit.
func TestCallersWhoLeaveWhileNobodyTakes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := postgres.QueuedOfGone(ctx, 10_000); n > 100 {
		t.Errorf("%d calls are kept", n)
	}
}

// TestReadyEndsWithItsContext: whoever asks whether the store is ready does not wait for another's try for longer than they want.
func TestReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shared.Schema(t, t.TempDir()))
	h := p.silence("INSERT INTO replicas")
	s := open(t, postgres.Options{URL: postgrestest.With(t, p.url, "default_query_exec_mode", "cache_describe"), Replica: true})
	await(t, h.fell, "the first try hangs")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second { // of the two of that try
		t.Errorf("Ready: %v after %v, want its context's error at once", err, time.Since(start))
	}
	eventually(t, "the store is ready", func() bool { return s.Ready(t.Context()) == nil })
}
