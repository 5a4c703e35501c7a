package bolt_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"unsafe"

	"snowbot/store"
	"snowbot/store/bolt"
)

// A clock gives times with monotonic readings, as time.Now does, and moves only when a test says so.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock(t *testing.T) *clock {
	t.Helper()
	at := time.Now()
	c := &clock{at: at.Add(-time.Duration(at.Nanosecond()) % time.Microsecond)} // the store's times are as fine
	before := c.now()
	c.set(time.Hour)
	if after := c.now(); after.Sub(before) != 0 || after.Round(0).Sub(before.Round(0)) != time.Hour {
		t.Fatalf("the wall clock cannot be set in this version of Go: %v became %v", before, after)
	}
	return c
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// pass lets time pass.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// set sets the wall clock, while no time passes.
func (c *clock) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.at.Add(d)
	// Package time has no function for what happens to a machine's clock.
	(*struct {
		wall      uint64
		monotonic int64
		zone      *time.Location
	})(unsafe.Pointer(&at)).monotonic -= int64(d)
	c.at = at
}

func openAt(t *testing.T, c *clock, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func send(t *testing.T, s *bolt.Store, conversation string, d store.Delivery) {
	t.Helper()
	apply(t, s, conversation, func(turn *store.Turn) { turn.Send(store.ToTeams, d) })
}

// claims checks whose lane is claimed; nobody's when conversation is empty.
func claims(t *testing.T, s *bolt.Store, conversation string) *store.Lease {
	t.Helper()
	l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9)
	switch {
	case conversation == "" && !errors.Is(err, store.ErrEmpty):
		t.Fatalf("Claim = %+v, %v, want ErrEmpty", l, err)
	case conversation != "" && err != nil:
		t.Fatalf("Claim: %v, want the lane of %s", err, conversation)
	case conversation != "" && l.Lane.Conversation != conversation:
		t.Fatalf("Claim took the lane of %s, want that of %s", l.Lane.Conversation, conversation)
	}
	return l
}

func TestSettingTheClock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s *bolt.Store, c *clock)
	}{
		{"ForwardDoesNotEndALease", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d"})
			l := claims(t, s, "c1")
			c.set(24 * time.Hour)
			claims(t, s, "")
			if left := l.Until.Sub(c.now()); left != time.Minute {
				t.Errorf("the holder has %v left, want a minute", left)
			}
			c.pass(time.Minute)
			claims(t, s, "c1")
		}},
		{"BackDoesNotProlongALease", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d"})
			claims(t, s, "c1")
			c.set(-10 * time.Minute)
			claims(t, s, "")
			c.pass(time.Minute)
			claims(t, s, "c1")
		}},
		{"BackHoldsUpNoLane", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d"})
			c.set(-10 * time.Minute)
			if err := s.Wait(t.Context(), store.ToTeams); err != nil {
				t.Fatal(err)
			}
			claims(t, s, "c1")
		}},
		{"BackKeepsTheOrderOfLanes", func(t *testing.T, s *bolt.Store, c *clock) {
			for _, conversation := range []string{"c1", "c2", "c3"} {
				send(t, s, conversation, store.Delivery{ID: "d"})
				c.pass(time.Second)
				c.set(-10 * time.Minute)
			}
			for _, conversation := range []string{"c1", "c2", "c3"} {
				claims(t, s, conversation)
			}
		}},
		{"BackDoesNotPutOffARetry", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d"})
			again := store.Result{Next: store.Again, At: c.now().Add(10 * time.Second)}
			if err := s.Settle(t.Context(), claims(t, s, "c1"), again, nil); err != nil {
				t.Fatal(err)
			}
			c.set(-24 * time.Hour)
			claims(t, s, "")
			c.pass(10*time.Second - time.Microsecond)
			claims(t, s, "")
			c.pass(time.Microsecond)
			claims(t, s, "c1")
		}},
		{"ForwardMakesDue", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d", NotBefore: c.now().Add(time.Hour)})
			claims(t, s, "")
			c.set(time.Hour - time.Second)
			claims(t, s, "")
			c.set(time.Hour)
			claims(t, s, "c1")
		}},
		{"BackAndForthChangesNothing", func(t *testing.T, s *bolt.Store, c *clock) {
			send(t, s, "c1", store.Delivery{ID: "d", NotBefore: c.now().Add(time.Hour)})
			for _, d := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
				c.set(d)
				claims(t, s, "")
			}
			c.pass(time.Hour - time.Second)
			claims(t, s, "")
			c.pass(time.Second)
			claims(t, s, "c1")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock(t)
			tt.run(t, openAt(t, c, filepath.Join(t.TempDir(), "snowbot.db")), c)
		})
	}
}

func TestClockSetBackBeforeOpenHoldsUpNoLane(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	c := newClock(t)
	s := openAt(t, c, path)
	for _, conversation := range []string{"c2", "c1"} {
		send(t, s, conversation, store.Delivery{ID: "d"})
		c.pass(time.Second)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.set(-10 * time.Minute)
	s = openAt(t, c, path)
	claims(t, s, "c2")
	claims(t, s, "c1")
}
