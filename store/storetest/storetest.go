// Package storetest is the conformance suite of the store's contract. Every implementation passes all of
// it; a case that fails is mended in the implementation or in the contract, and never left out.
//
// The suite owns the clock, which only moves when a case says so.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"snowbot/cmd/leaktest"
	"snowbot/store"
)

// Options are what an implementation is opened with.
type Options struct {
	// Dir is an empty directory. Opening twice with the same Dir shows the same data; an implementation
	// that keeps its data elsewhere derives a name from it.
	Dir string
	// Now is the clock that the store must use for everything it decides by time.
	Now func() time.Time
	// Keys are the keys to seal with.
	Keys *store.Keyring
	// Log is searched for what the store is to seal.
	Log *slog.Logger
}

// A Harness gives the suite access to an implementation.
type Harness struct {
	// Open opens the store. The suite closes it.
	Open func(t testing.TB, o Options) (store.Store, error)
	// Raw returns all bytes that the store keeps at rest: files, or rows. The store may be open.
	Raw func(t testing.TB, o Options) []byte
	// Sealed, unless nil, is told what the store is to seal, for a harness that sees who else might learn of it.
	Sealed func(words ...string)
}

// Run runs the suite, each case against a fresh store.
func Run(t *testing.T, h Harness) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Events", eventCases},
		{"Turns", turnCases},
		{"Lanes", laneCases},
		{"Leases", leaseCases},
		{"Records", recordCases},
		{"DeadLetters", letterCases},
		{"People", peopleCases},
		{"Prune", pruneCases},
		{"Keeping", keepingCases},
		{"Files", fileCases},
		{"Model", modelCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, h)
					c.run(t, w)
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, w *world)
}

// A world is a store under a clock that the case moves.
type world struct {
	store.Store
	h     Harness
	clock *clock
	opts  Options
	watch *leaktest.Watch
}

func newWorld(t *testing.T, h Harness) *world {
	t.Helper()
	w := &world{h: h, clock: newClock(), watch: leaktest.New(t)}
	w.opts = Options{Dir: t.TempDir(), Now: w.clock.now, Keys: keys(t, 1), Log: w.watch.Log()}
	w.open(t)
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	s, err := w.h.Open(t, w.opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	w.Store = watched{s, w}
	t.Cleanup(func() { s.Close() })
}

// reopen closes the store and opens it again.
func (w *world) reopen(t *testing.T) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w.open(t)
}

// keys returns a keyring whose keys are made of the given bytes.
func keys(t testing.TB, list ...byte) *store.Keyring {
	t.Helper()
	var ks [][]byte
	for _, b := range list {
		ks = append(ks, bytes.Repeat([]byte{b}, store.KeySize))
	}
	k, err := store.NewKeyring(ks...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// apply runs a turn without ids that has to succeed.
func (w *world) apply(t *testing.T, conversation string, f func(*store.Turn)) {
	t.Helper()
	if err := w.Apply(t.Context(), conversation, nil, func(turn *store.Turn) error { f(turn); return nil }); err != nil {
		t.Fatalf("Apply to %s: %v", conversation, err)
	}
}

// send puts deliveries with the given ids into a lane.
func (w *world) send(t *testing.T, conversation string, to store.Direction, ids ...string) {
	t.Helper()
	w.apply(t, conversation, func(turn *store.Turn) {
		for _, id := range ids {
			turn.Send(to, note(id))
		}
	})
}

// note is a delivery whose other fields follow from its id.
func note(id string) store.Delivery {
	return store.Delivery{ID: id, Kind: "note", Session: "session-" + id, Body: []byte("body of " + id)}
}

// claim leases a lane, which has to be there.
func (w *world) claim(t *testing.T, d store.Direction, limit int) *store.Lease {
	t.Helper()
	l, err := w.Claim(t.Context(), d, time.Minute, limit)
	if err != nil {
		t.Fatalf("Claim %s: %v", d, err)
	}
	return l
}

// claimNothing checks that no lane of the direction may be claimed.
func (w *world) claimNothing(t *testing.T, d store.Direction) {
	t.Helper()
	if l, err := w.Claim(t.Context(), d, time.Minute, 10); !errors.Is(err, store.ErrEmpty) {
		t.Fatalf("Claim %s = %v, %v, want ErrEmpty", d, ids(l), err)
	}
}

// settle settles without a turn and has to succeed.
func (w *world) settle(t *testing.T, l *store.Lease, r store.Result) {
	t.Helper()
	if err := w.Settle(t.Context(), l, r, nil); err != nil {
		t.Fatalf("Settle %s: %v", l.Lane, err)
	}
}

// drain delivers everything of a direction, and returns the ids in the order in which they were claimed.
func (w *world) drain(t *testing.T, d store.Direction) []string {
	t.Helper()
	var out []string
	for {
		l, err := w.Claim(t.Context(), d, time.Minute, 3)
		if errors.Is(err, store.ErrEmpty) {
			if w.waiting(t, d) == 0 { // a lane's last settle may be on its way
				return out
			}
			if err := w.soon(t, func() bool { return w.waiting(t, d) == 0 }); err != nil {
				return out // what is left is not due
			}
			continue
		}
		if err != nil {
			t.Fatalf("Claim %s: %v", d, err)
		}
		out = append(out, ids(l)...)
		w.settle(t, l, store.Result{Done: len(l.Deliveries)})
	}
}

func (w *world) waiting(t *testing.T, d store.Direction) int {
	t.Helper()
	st, err := w.Stats(t.Context())
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	return st.Waiting[d]
}

// soon waits until a condition holds, for what the contract allows to be late.
func (w *world) soon(t *testing.T, ok func() bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// eventually is soon for a condition that has to hold.
func (w *world) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if err := w.soon(t, ok); err != nil {
		t.Fatalf("it was never true that %s", what)
	}
}

func ids(l *store.Lease) []string {
	if l == nil {
		return nil
	}
	var out []string
	for _, d := range l.Deliveries {
		out = append(out, d.ID)
	}
	return out
}

func (w *world) letters(t *testing.T, f store.DeadLetterFilter) []store.DeadLetter {
	t.Helper()
	out, err := w.DeadLetters(t.Context(), f)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	return out
}

func (w *world) load(t *testing.T, conversation string) store.Record {
	t.Helper()
	r, err := w.Load(t.Context(), conversation)
	if err != nil {
		t.Fatalf("Load %s: %v", conversation, err)
	}
	return r
}

// absent checks that there is no such conversation.
func (w *world) absent(t *testing.T, conversation string) {
	t.Helper()
	if r, err := w.Load(t.Context(), conversation); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Load %s = %+v, %v, want ErrNotFound", conversation, r, err)
	}
}

func (w *world) lines(t *testing.T, conversation string, limit int) []string {
	t.Helper()
	lines, err := w.Lines(t.Context(), conversation, limit)
	if err != nil {
		t.Fatalf("Lines of %s: %v", conversation, err)
	}
	var out []string
	for _, l := range lines {
		out = append(out, string(l.Data))
	}
	return out
}

// same compares, taking empty for nil.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

// is checks an error.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func events(names ...string) []store.EventID {
	var out []store.EventID
	for _, n := range names {
		out = append(out, store.EventID{Name: n})
	}
	return out
}

func numbered(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s%03d", prefix, i))
	}
	return out
}
