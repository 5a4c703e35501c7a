package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
	"snowbot/store/postgres"
)

// TestSharedClaims: whoever claims at the same time, through the same replica or another, gets a lane of their own with as
// many deliveries as they asked for.
func TestSharedClaims(t *testing.T) {
	t.Parallel()
	const claimers = 60
	r := replicas(t, 2)
	for i := range claimers {
		send(t, r[0], fmt.Sprint("c", i), "d1", "d2", "d3", "d4")
	}
	leases := make([]*store.Lease, claimers)
	var wg sync.WaitGroup
	for i := range leases {
		wg.Go(func() {
			s, limit := r[i%2], 1+i%3
			l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, limit)
			for errors.Is(err, store.ErrEmpty) { // the other replica was at it
				if err = s.Wait(t.Context(), store.ToTeams); err == nil {
					l, err = s.Claim(t.Context(), store.ToTeams, time.Minute, limit)
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			var got []string
			for _, d := range l.Deliveries {
				got = append(got, d.ID)
			}
			if want := []string{"d1", "d2", "d3"}[:limit]; !slices.Equal(got, want) {
				t.Errorf("a claim of %d deliveries gave %v", limit, got)
			}
			leases[i] = l
		})
	}
	wg.Wait()
	holder, token := map[string]int{}, map[uint64]bool{}
	for i, l := range leases {
		if l == nil {
			continue
		}
		if other, taken := holder[l.Lane.Conversation]; taken || token[l.Token] {
			t.Errorf("claims %d and %d both have the lane %s", other, i, l.Lane)
		}
		holder[l.Lane.Conversation], token[l.Token] = i, true
		if err := r[i%2].Settle(t.Context(), l, store.Result{Done: len(l.Deliveries)}, nil); err != nil {
			t.Errorf("Settle: %v", err)
		}
	}
}

// TestClaimOfSomebodyWhoLeft: what was claimed for a caller whose context has ended meanwhile is free again at once, and
// not after the time of the lease.
func TestClaimOfSomebodyWhoLeft(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	send(t, s, "c", "d")
	unlock := lockTable(t, url, "lanes")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := s.Claim(ctx, store.ToTeams, time.Hour, 1)
		ended <- err
	}()
	awaitLock(t, url, "lanes")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Claim: %v, want its context's error", err)
	}
	unlock()
	soon, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	l, err := next(soon, s)
	if err != nil || l.Lapsed || len(l.Deliveries) != 1 {
		t.Errorf("the next claim: %+v, %v, want a lane whose last lease was given back", l, err)
	}
}

// TestLapsedClaimOfSomebodyWhoLeft: when the lease before had run out, what it sent may be sent again. Whoever claims next is told,
// also when a claim between was made for a caller who has left.
func TestLapsedClaimOfSomebodyWhoLeft(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	var later atomic.Int64
	now := time.Now()
	s := open(t, postgres.Options{URL: url, Now: func() time.Time { return now.Add(time.Duration(later.Load())) }})
	send(t, s, "c", "d")
	if _, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1); err != nil {
		t.Fatal(err)
	}
	later.Add(int64(2 * time.Minute))
	unlock := lockTable(t, url, "lanes")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := s.Claim(ctx, store.ToTeams, time.Minute, 1)
		ended <- err
	}()
	awaitLock(t, url, "lanes")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Claim: %v, want its context's error", err)
	}
	unlock()
	l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1)
	if errors.Is(err, store.ErrEmpty) {
		if err := s.Apply(t.Context(), "c", nil, func(*store.Turn) error { return nil }); err != nil { // behind what the claim may have left to do
			t.Fatal(err)
		}
		later.Add(int64(2 * time.Minute))
		l, err = s.Claim(t.Context(), store.ToTeams, time.Minute, 1)
	}
	if err != nil || !l.Lapsed || len(l.Deliveries) != 1 {
		t.Errorf("the next claim: %+v, %v, want one that tells of the lease that ran out", l, err)
	}
}

// TestSharedReads: who asks at the same time gets an answer of their own.
func TestSharedReads(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url})
	for i := range 3 {
		err := s.Apply(t.Context(), fmt.Sprint("c", i), nil, func(turn *store.Turn) error {
			turn.Record.Keys, turn.Record.Data = []string{fmt.Sprint("k", i)}, []byte{byte(i)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	unlock := lockTable(t, url, "conversations", "keys")
	var wg sync.WaitGroup
	ask := func(i int) {
		wg.Go(func() {
			id := fmt.Sprint("c", i%3)
			rec, err := s.Load(t.Context(), id)
			if err != nil || rec.ID != id || rec.Data[0] != byte(i%3) || rec.Keys[0] != fmt.Sprint("k", i%3) {
				t.Errorf("Load of %s: %+v, %v", id, rec, err)
				return
			}
			rec.Keys[0], rec.Data[0] = "mine", 'x'
		})
		wg.Go(func() {
			if got, err := s.Find(t.Context(), fmt.Sprint("k", i%3)); err != nil || got != fmt.Sprint("c", i%3) {
				t.Errorf("Find of k%d: %s, %v", i%3, got, err)
			}
		})
		wg.Go(func() {
			if _, err := s.Load(t.Context(), fmt.Sprint("none", i)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Load of none: %v, want ErrNotFound", err)
			}
		})
		wg.Go(func() {
			if _, err := s.Find(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Find of none: %v, want ErrNotFound", err)
			}
		})
	}
	ask(0)
	awaitLock(t, url, "conversations") // so that the others wait together
	for i := range 30 {
		ask(i)
	}
	unlock()
	wg.Wait()
}

// TestPanicInAShare: a panic where several ask together is an error for those who asked, and nobody's end.
func TestPanicInAShare(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s := open(t, postgres.Options{URL: shared.Schema(t, t.TempDir()), Now: func() time.Time {
		if broken.Load() {
			panic("no time")
		}
		return time.Now()
	}})
	send(t, s, "c", "d")
	broken.Store(true)
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			if _, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1); !errors.As(err, new(*store.PanicError)) {
				t.Errorf("Claim: %v, want a PanicError", err)
			}
		})
		wg.Go(func() {
			if err := s.Wait(t.Context(), store.ToTeams); err != nil && !errors.As(err, new(*store.PanicError)) { // it may be early
				t.Errorf("Wait: %v, want a PanicError", err)
			}
		})
	}
	wg.Wait()
	broken.Store(false)
	if l, err := next(t.Context(), s); err != nil || len(l.Deliveries) != 1 {
		t.Errorf("the next claim: %+v, %v", l, err)
	}
}

// TestFileWithoutData: a file without data is read while others are on their way, as many as may be.
func TestFileWithoutData(t *testing.T) {
	t.Parallel()
	url := shared.Schema(t, t.TempDir())
	s := open(t, postgres.Options{URL: url, LockTimeout: time.Minute, StatementTimeout: time.Minute})
	send(t, s, "c", "d")
	f := store.File{ID: "bare", Name: "n", Conversation: "c", Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	full := f
	full.ID, full.Data = "full", []byte("data")
	if err := errors.Join(s.PutFile(t.Context(), f), s.PutFile(t.Context(), full)); err != nil {
		t.Fatal(err)
	}
	unlock := lockTable(t, url, "file_parts")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := s.File(t.Context(), full.ID); err != nil || string(got.Data) != "data" {
				t.Errorf("File: %+v, %v", got, err)
			}
		})
	}
	awaitLocks(t, url, "file_parts", 4)
	soon, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if got, err := s.File(soon, f.ID); err != nil || got.Conversation != "c" || got.Name != "n" {
		t.Errorf("File without data: %+v, %v", got, err)
	}
	if _, err := s.File(soon, "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("File that is not there: %v, want ErrNotFound", err)
	}
	unlock()
	wg.Wait()
}

// lockTable keeps tables from everybody else until unlock is called.
func lockTable(t *testing.T, url string, tables ...string) (unlock func()) {
	t.Helper()
	conn := shared.Connect(t, url)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, err := tx.Exec(t.Context(), "LOCK TABLE "+pgx.Identifier{table}.Sanitize()); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(tx.Rollback(t.Context()), conn.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// awaitLock waits until somebody waits for a table.
func awaitLock(t *testing.T, url, table string) {
	t.Helper()
	awaitLocks(t, url, table, 1)
}

// awaitLocks waits until so many wait for a table.
func awaitLocks(t *testing.T, url, table string, n int) {
	t.Helper()
	conn := shared.Connect(t, url)
	defer conn.Close(context.Background())
	eventually(t, fmt.Sprintf("%d wait for %s", n, table), func() (waiting bool) {
		err := conn.QueryRow(t.Context(), "SELECT count(*) >= $2 FROM pg_locks WHERE relation = to_regclass($1) AND NOT granted", table, n).Scan(&waiting)
		if err != nil {
			t.Error(err)
		}
		return waiting
	})
}
