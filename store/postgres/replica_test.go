package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
	"snowbot/store/postgres"
)

// replicas opens several stores on one schema.
func replicas(t *testing.T, n int) []*postgres.Store {
	t.Helper()
	url := shared.Schema(t, t.TempDir())
	var out []*postgres.Store
	for range n {
		out = append(out, open(t, postgres.Options{URL: url, MaxConns: 8}))
	}
	return out
}

// send puts a delivery into a lane to Teams.
func send(t testing.TB, s store.Store, conversation string, ids ...string) {
	t.Helper()
	err := s.Apply(t.Context(), conversation, nil, func(turn *store.Turn) error {
		for _, id := range ids {
			turn.Send(store.ToTeams, store.Delivery{ID: id, Body: []byte(id)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// next waits for a lease.
func next(ctx context.Context, s store.Store) (*store.Lease, error) {
	for {
		l, err := s.Claim(ctx, store.ToTeams, time.Minute, 4)
		if errors.Is(err, store.ErrEmpty) {
			if err := s.Wait(ctx, store.ToTeams); err != nil {
				return nil, err
			}
			continue
		}
		return l, err
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()

	t.Run("LaneOfADeadReplicaIsTakenOver", func(t *testing.T) {
		t.Parallel()
		const ttl = time.Second
		r := replicas(t, 2)
		send(t, r[0], "c", "d1", "d2")
		old, err := r[0].Claim(t.Context(), store.ToTeams, ttl, 1)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		l, err := next(t.Context(), r[1])
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > ttl+3*time.Second {
			t.Errorf("the lane was taken over after %v, want at most %v", took, ttl+3*time.Second)
		}
		if l.Token == old.Token || l.Deliveries[0].ID != "d1" {
			t.Errorf("lease %d of %s, want another one of d1", l.Token, l.Deliveries[0].ID)
		}
		if err := r[0].Settle(t.Context(), old, store.Result{Done: 1}, nil); !errors.Is(err, store.ErrFenced) {
			t.Errorf("Settle under the old lease: %v, want ErrFenced", err)
		}
		if err := r[0].Begin(t.Context(), old); !errors.Is(err, store.ErrFenced) {
			t.Errorf("Begin under the old lease: %v, want ErrFenced", err)
		}
		if err := r[1].Settle(t.Context(), l, store.Result{Done: len(l.Deliveries)}, nil); err != nil {
			t.Error(err)
		}
	})

	t.Run("ReplicasAreCounted", func(t *testing.T) {
		t.Parallel()
		url := shared.Schema(t, t.TempDir())
		var r []*postgres.Store
		for range 3 {
			r = append(r, open(t, postgres.Options{URL: url, Replica: true}))
		}
		if n := r[0].Replicas(); n != 0 {
			t.Errorf("%d replicas before the others can know of this one, want none", n)
		}
		visitor := open(t, postgres.Options{URL: url})
		conn := shared.Connect(t, url)
		defer conn.Close(context.Background())
		dead := "INSERT INTO replicas VALUES (gen_random_uuid(), now() - interval '1 minute')"
		if _, err := conn.Exec(t.Context(), dead); err != nil {
			t.Fatal(err)
		}
		all := func(n int) func() bool {
			return func() bool { return r[0].Replicas() == n && r[1].Replicas() == n }
		}
		eventually(t, "three replicas know of each other", func() bool { return all(3)() && r[2].Replicas() == 3 })
		if n := visitor.Replicas(); n != 0 {
			t.Errorf("who only has a look counts %d replicas, want none", n)
		}
		if err := r[2].Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "one has left", all(2))
	})

	t.Run("AnyReplicaSettles", func(t *testing.T) {
		t.Parallel()
		r := replicas(t, 2)
		send(t, r[0], "c", "d1")
		l, err := r[0].Claim(t.Context(), store.ToTeams, time.Minute, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r[1].Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r[0].Claim(t.Context(), store.ToTeams, time.Minute, 1); !errors.Is(err, store.ErrEmpty) {
			t.Errorf("Claim: %v, want ErrEmpty", err)
		}
	})

	t.Run("RepeatsAreRecognisedByAll", func(t *testing.T) {
		t.Parallel()
		r := replicas(t, 3)
		var ran atomic.Int32
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				err := r[i%3].Apply(t.Context(), "new", []store.EventID{{Name: "e"}}, func(turn *store.Turn) error {
					turn.Send(store.ToTeams, store.Delivery{ID: "d"})
					ran.Add(1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		st, err := r[0].Stats(t.Context())
		if err != nil || st.Waiting[store.ToTeams] != 1 {
			t.Errorf("%d deliveries, %v, want one", st.Waiting[store.ToTeams], err)
		}
	})

	t.Run("TimersFireOnce", func(t *testing.T) {
		t.Parallel()
		const timers = 40
		r := replicas(t, 3)
		for i := range timers {
			err := r[0].Apply(t.Context(), fmt.Sprint("c", i), nil, func(turn *store.Turn) error {
				turn.Record.Due = turn.Now
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for _, s := range r {
			wg.Go(func() {
				for {
					due, err := s.Due(t.Context(), 10)
					if err != nil {
						t.Error(err)
					}
					if err != nil || len(due) == 0 {
						return
					}
					for _, c := range due {
						err := s.Apply(t.Context(), c, nil, func(turn *store.Turn) error {
							if turn.Record.Due.IsZero() || turn.Record.Due.After(turn.Now) {
								return nil // another replica was first
							}
							turn.Record.Due = time.Time{}
							turn.Record.Data = append(turn.Record.Data, 'x')
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		for i := range timers {
			if rec, err := r[0].Load(t.Context(), fmt.Sprint("c", i)); err != nil || string(rec.Data) != "x" {
				t.Errorf("timer %d fired %d times, %v", i, len(rec.Data), err)
			}
		}
	})

	t.Run("ClaimsNeverOverlap", func(t *testing.T) {
		t.Parallel()
		const lanes, each = 6, 12
		r := replicas(t, 3)
		var hand, total sync.Map
		var settled atomic.Int32
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for i := range lanes {
			wg.Go(func() {
				for j := range each {
					send(t, r[j%3], fmt.Sprint("c", i), fmt.Sprintf("%03d", j))
				}
			})
		}
		for _, s := range r {
			for range 3 {
				wg.Go(func() {
					for settled.Load() < lanes*each {
						l, err := next(ctx, s)
						if ctx.Err() != nil {
							return // all was settled
						}
						if err != nil {
							t.Error(err)
							return
						}
						if _, loaded := hand.LoadOrStore(l.Lane, true); loaded {
							t.Errorf("lane %s was claimed twice", l.Lane)
						}
						for _, d := range l.Deliveries {
							was, _ := total.LoadOrStore(l.Lane, "")
							if was.(string) >= d.ID {
								t.Errorf("%s of %s came after %s", d.ID, l.Lane, was)
							}
							total.Store(l.Lane, d.ID)
						}
						hand.Delete(l.Lane)
						if err := s.Settle(ctx, l, store.Result{Done: len(l.Deliveries)}, nil); err != nil {
							t.Error(err)
						}
						if settled.Add(int32(len(l.Deliveries))) == lanes*each {
							cancel()
						}
					}
				})
			}
		}
		wg.Wait()
		if n := settled.Load(); n != lanes*each {
			t.Errorf("%d deliveries were settled, want %d", n, lanes*each)
		}
	})

	t.Run("WorkOfOneReplicaWakesAnother", func(t *testing.T) {
		t.Parallel()
		r := replicas(t, 2)
		best := time.Hour
		for i := range 5 { // a notification may be late, but not each time
			woken := make(chan time.Time, 1)
			go func() {
				l, err := next(t.Context(), r[1])
				if err != nil {
					t.Errorf("Claim: %v", err)
				}
				at := time.Now()
				if err := r[1].Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
					t.Errorf("Settle: %v", err)
				}
				woken <- at
			}()
			start := time.Now()
			send(t, r[0], fmt.Sprint("c", i), "d")
			best = min(best, (<-woken).Sub(start))
		}
		if best > time.Second/2 {
			t.Errorf("woken after %v at best", best)
		}
	})

	t.Run("SettleTurnsOfAllReplicasCount", func(t *testing.T) {
		t.Parallel()
		r := replicas(t, 2)
		const n = 20
		var wg sync.WaitGroup
		for i, s := range r {
			wg.Go(func() {
				for j := range n {
					err := s.Apply(t.Context(), fmt.Sprint("c", j%2), nil, func(turn *store.Turn) error {
						turn.Record.Data = append(turn.Record.Data, byte('a'+i))
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for _, c := range []string{"c0", "c1"} {
			rec, err := r[0].Load(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			got := []int{strings.Count(string(rec.Data), "a"), strings.Count(string(rec.Data), "b")}
			if diff := cmp.Diff([]int{n / 2, n / 2}, got); diff != "" {
				t.Errorf("turns of %s (-want +got):\n%s", c, diff)
			}
		}
	})
}
