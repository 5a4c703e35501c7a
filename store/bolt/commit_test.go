package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
)

func TestSimultaneousCallsShareCommits(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	const writers = 64
	before := s.Commits()
	under, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	apply := func(conversation string, f func()) {
		wg.Go(func() {
			if err := s.Apply(t.Context(), conversation, nil, func(*store.Turn) error { f(); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	apply("first", func() { close(under); <-over })
	<-under // and while that commit is under way, the others come
	for i := range writers {
		apply(fmt.Sprint(i), func() {})
	}
	for s.Queued() < writers {
		runtime.Gosched()
	}
	close(over)
	wg.Wait()
	if n := s.Commits() - before; n != 2 {
		t.Errorf("%d calls took %d commits, want one for the first and one for the others", 1+writers, n)
	}
}

func TestCallsThatChangeNothingDoNotCommit(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	event := []store.EventID{{Name: "e"}}
	for range 3 {
		if err := s.Apply(t.Context(), "c", event, func(*store.Turn) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Commits()
	_ = s.Apply(t.Context(), "c", event, func(*store.Turn) error { return nil })
	_ = s.Apply(t.Context(), "c", nil, func(*store.Turn) error { return errors.New("mistake") })
	if _, err := s.Prune(t.Context(), store.Limits{}); err != nil {
		t.Fatal(err)
	}
	if n := s.Commits() - before; n != 0 {
		t.Errorf("%d commits for nothing", n)
	}
}

func TestLastSettleRidesWithTheNextCommit(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	const rounds = 50
	before := s.Commits()
	for i := range rounds {
		apply(t, s, fmt.Sprint(i), func(turn *store.Turn) { turn.Send(store.ToTeams, store.Delivery{ID: "d"}) })
		l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Commits() - before; n > rounds*3/2 {
		t.Errorf("%d messages took %d commits", rounds, n)
	}
	// Nothing else comes, and it is committed all the same.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if st, err := s.Stats(ctx); err != nil {
			t.Fatal(err)
		} else if st.Waiting[store.ToTeams] == 0 {
			return
		}
		<-tick.C
	}
}

func TestEndedContextTakesAWaitingCallBack(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	running, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Apply(t.Context(), "c1", nil, func(*store.Turn) error {
			close(running)
			<-goOn
			return nil
		})
		if err != nil {
			t.Errorf("Apply: %v", err)
		}
	})
	<-running // the committer is held up
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	called := false
	err := s.Apply(ctx, "c2", nil, func(*store.Turn) error { called = true; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply: %v, want DeadlineExceeded", err)
	}
	close(goOn)
	wg.Wait()
	apply(t, s, "c3", func(*store.Turn) {}) // by now the queue has been worked off
	if _, err := s.Load(t.Context(), "c2"); !errors.Is(err, store.ErrNotFound) || called {
		t.Errorf("the call was carried out after its caller had left: %v", err)
	}
}

func TestFailedCommitFailsTheStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	fatal := make(chan error, 2)
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1), Fatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.LimitSize(256 << 10)
	acknowledged := 0
	for err == nil {
		err = s.Apply(t.Context(), fmt.Sprint("c", acknowledged), nil, func(turn *store.Turn) error {
			turn.Record.Data = make([]byte, 20000)
			turn.Send(store.ToTeams, store.Delivery{ID: "d"})
			return nil
		})
		if err == nil {
			acknowledged++
		}
	}
	var failed *bolt.FailedError
	if !errors.As(err, &failed) || acknowledged == 0 {
		t.Fatalf("Apply %d: %v, want a FailedError", acknowledged, err)
	}
	<-s.Failed()
	if got := <-fatal; !errors.As(got, &failed) {
		t.Errorf("Fatal was told %v", got)
	}
	if !errors.As(s.Err(), &failed) {
		t.Errorf("Err = %v", s.Err())
	}
	// Nothing succeeds any more, not even what would not be written.
	if err := s.Apply(t.Context(), "small", nil, func(*store.Turn) error { return nil }); !errors.As(err, &failed) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1); !errors.As(err, &failed) {
		t.Errorf("Claim: %v", err)
	}
	if err := s.Wait(t.Context(), store.ToTeams); !errors.As(err, &failed) {
		t.Errorf("Wait: %v", err)
	}
	if err := s.Close(); !errors.As(err, &failed) {
		t.Errorf("Close: %v", err)
	}
	if len(fatal) > 0 {
		t.Error("Fatal was called twice")
	}
	s = open(t, path)
	if st, err := s.Stats(t.Context()); err != nil || st.Waiting[store.ToTeams] != acknowledged {
		t.Errorf("%d deliveries after reopening, %v; %d were acknowledged", st.Waiting[store.ToTeams], err, acknowledged)
	}
	if s.PossibleRepeats() == 0 {
		t.Error("the file counts as cleanly closed")
	}
}

func TestTurnThatEndsItsGoroutineFailsTheStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := open(t, path)
	apply(t, s, "c1", func(*store.Turn) {})
	err := s.Apply(t.Context(), "c2", nil, func(*store.Turn) error {
		runtime.Goexit()
		return nil
	})
	var failed *bolt.FailedError
	if !errors.As(err, &failed) {
		t.Fatalf("Apply: %v, want a FailedError", err)
	}
	if err := s.Close(); !errors.As(err, &failed) {
		t.Errorf("Close: %v", err)
	}
	s = open(t, path)
	if _, err := s.Load(t.Context(), "c1"); err != nil {
		t.Errorf("Load: %v", err)
	}
	if _, err := s.Load(t.Context(), "c2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load: %v, want ErrNotFound", err)
	}
}
