package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/store"
)

var eventCases = []testCase{
	{"FirstEventMakesTheRecord", func(t *testing.T, w *world) {
		w.absent(t, "c1")
		err := w.Apply(t.Context(), "c1", events("e1"), func(turn *store.Turn) error {
			same(t, "New", turn.New, true)
			same(t, "Fresh", turn.Fresh, []bool{true})
			same(t, "Now", turn.Now, w.clock.now())
			same(t, "Record", *turn.Record, store.Record{ID: "c1"})
			turn.Record.Data = []byte("state")
			return nil
		})
		is(t, "Apply", err, nil)
		same(t, "record", w.load(t, "c1"), store.Record{ID: "c1", Updated: w.clock.now(), Data: []byte("state")})
		w.clock.advance(time.Second)
		w.apply(t, "c1", func(turn *store.Turn) {
			same(t, "New", turn.New, false)
			same(t, "Data", string(turn.Record.Data), "state")
		})
		same(t, "Updated", w.load(t, "c1").Updated, w.clock.now())
	}},
	{"AllKnownIDsDoNothing", func(t *testing.T, w *world) {
		w.once(t, "c1", "e1", "e2")
		before := w.load(t, "c1")
		w.clock.advance(store.KeepMax - time.Second)
		err := w.Apply(t.Context(), "c1", events("e2", "e1"), func(*store.Turn) error {
			t.Error("the function was called for events that are known")
			return nil
		})
		is(t, "Apply", err, nil)
		same(t, "record", w.load(t, "c1"), before)
	}},
	{"SomeKnownIDsAreTold", func(t *testing.T, w *world) {
		w.once(t, "c1", "e1", "e3")
		var fresh []bool
		err := w.Apply(t.Context(), "c1", events("e1", "e2", "e3", "e4"), func(turn *store.Turn) error {
			fresh = append([]bool(nil), turn.Fresh...)
			clear(turn.Fresh) // its own copy
			return nil
		})
		is(t, "Apply", err, nil)
		same(t, "Fresh", fresh, []bool{false, true, false, true})
		w.never(t, "c1", "e1", "e2", "e3", "e4")
	}},
	{"RepeatWithinOneCallIsNotFresh", func(t *testing.T, w *world) {
		var fresh []bool
		err := w.Apply(t.Context(), "c1", events("e1", "e1"), func(turn *store.Turn) error {
			fresh = append([]bool(nil), turn.Fresh...)
			return nil
		})
		is(t, "Apply", err, nil)
		same(t, "Fresh", fresh, []bool{true, false})
	}},
	{"IDsBelongToTheirConversation", func(t *testing.T, w *world) {
		w.once(t, "c1", "e1")
		w.once(t, "c2", "e1")
	}},
	{"NoIDsAlwaysRuns", func(t *testing.T, w *world) {
		w.once(t, "c1")
		w.once(t, "c1")
	}},
	{"ShortKeepEnds", func(t *testing.T, w *world) {
		short := []store.EventID{{Name: "e1", Keep: 10 * time.Minute}}
		runs := 0
		count := func(*store.Turn) error { runs++; return nil }
		for _, step := range []struct {
			advance time.Duration
			want    int
		}{{0, 1}, {9 * time.Minute, 1}, {2 * time.Minute, 2}, {9 * time.Minute, 2}, {30 * time.Hour, 3}} {
			w.clock.advance(step.advance)
			is(t, "Apply", w.Apply(t.Context(), "c1", short, count), nil)
			same(t, "runs", runs, step.want)
		}
	}},
	{"KeepSurvivesPruneAndReopening", func(t *testing.T, w *world) {
		w.once(t, "c1", "e1")
		for range 4 {
			w.clock.advance(store.KeepMax/4 - time.Second)
			w.pruneAll(t, store.Limits{})
			w.never(t, "c1", "e1")
		}
		w.reopen(t)
		w.never(t, "c1", "e1")
		w.clock.advance(2 * store.KeepMax)
		w.pruneAll(t, store.Limits{})
		w.once(t, "c1", "e1")
	}},
	{"ManyIDsAreKept", func(t *testing.T, w *world) {
		names := numbered("e", 300)
		for i := 0; i < len(names); i += 10 {
			w.once(t, "c1", names[i:i+10]...)
			w.clock.advance(10 * time.Minute)
		}
		w.never(t, "c1", names...)
		w.once(t, "c2", names...)
		w.reopen(t)
		w.clock.advance(store.KeepMax - 300*time.Minute - time.Second)
		w.pruneAll(t, store.Limits{})
		w.never(t, "c1", names...)
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.People = []string{"p"} })
		_, err := w.Erase(t.Context(), "p")
		is(t, "Erase", err, nil)
		w.once(t, "c1", names[0])
		w.never(t, "c2", names...)
	}},
	{"TooManyIDsAreRefused", func(t *testing.T, w *world) {
		ids := make([]store.EventID, store.MaxEvents+1)
		for i := range ids {
			ids[i].Name = fmt.Sprint("e", i%(store.MaxEvents-1)) // the last two repeat the first two
		}
		called := false
		if err := w.Apply(t.Context(), "c1", ids, func(*store.Turn) error { called = true; return nil }); err == nil || called {
			t.Fatalf("Apply with %d ids: %v, called %t; want an error", len(ids), err, called)
		}
		w.absent(t, "c1")
		ids = ids[:store.MaxEvents]
		err := w.Apply(t.Context(), "c1", ids, func(turn *store.Turn) error {
			for i, fresh := range turn.Fresh {
				if fresh != (i < store.MaxEvents-1) {
					t.Errorf("Fresh[%d] = %t", i, fresh)
				}
			}
			return nil
		})
		is(t, "Apply", err, nil)
		err = w.Apply(t.Context(), "c1", ids, func(*store.Turn) error {
			t.Error("the function was called for events that are known")
			return nil
		})
		is(t, "Apply", err, nil)
	}},
	{"ErrorChangesNothing", func(t *testing.T, w *world) {
		w.busyConversation(t)
		before := w.load(t, "c1")
		mistake := errors.New("mistake")
		err := w.Apply(t.Context(), "c1", events("e1"), func(turn *store.Turn) error {
			change(turn)
			return mistake
		})
		is(t, "Apply", err, mistake)
		w.unchanged(t, before)
		w.once(t, "c1", "e1")
	}},
	{"PanicChangesNothing", func(t *testing.T, w *world) {
		w.busyConversation(t)
		before := w.load(t, "c1")
		err := w.Apply(t.Context(), "c1", events("e1"), func(turn *store.Turn) error {
			change(turn)
			panic("words of a person")
		})
		var p *store.PanicError
		if !errors.As(err, &p) || len(p.Stack) == 0 {
			t.Fatalf("Apply: %v, want a PanicError with a stack", err)
		}
		if msg := err.Error(); msg == "" || contains([]byte(msg), "words") {
			t.Fatalf("the error tells the panic's value: %q", msg)
		}
		w.unchanged(t, before)
		w.once(t, "c1", "e1")
	}},
	{"ErrorsDoNotSpoilOthersCommits", func(t *testing.T, w *world) {
		mistake := errors.New("mistake")
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				c := fmt.Sprintf("c%d", i)
				err := w.Apply(t.Context(), c, events("e"), func(turn *store.Turn) error {
					turn.Send(store.ToTeams, note("d-"+c))
					switch i % 3 {
					case 1:
						return mistake
					case 2:
						panic(i)
					}
					return nil
				})
				var p *store.PanicError
				if i%3 == 0 && err != nil || i%3 == 1 && !errors.Is(err, mistake) || i%3 == 2 && !errors.As(err, &p) {
					t.Errorf("Apply %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		same(t, "deliveries", len(w.drain(t, store.ToTeams)), 20)
	}},
	{"SimultaneousRepeatsRunOnce", func(t *testing.T, w *world) {
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				err := w.Apply(t.Context(), "c1", events("e1"), func(turn *store.Turn) error {
					turn.Send(store.ToTeams, note("d1"))
					runs.Add(1)
					return nil
				})
				if err != nil {
					t.Errorf("Apply: %v", err)
				}
			})
		}
		wg.Wait()
		same(t, "deliveries", w.drain(t, store.ToTeams), []string{"d1"})
	}},
	{"SimultaneousEventsAllCount", func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				err := w.Apply(t.Context(), fmt.Sprintf("c%d", i%4), nil, func(turn *store.Turn) error {
					turn.Record.Data = append(turn.Record.Data, 'x')
					return nil
				})
				if err != nil {
					t.Errorf("Apply: %v", err)
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			same(t, "turns", len(w.load(t, fmt.Sprintf("c%d", i)).Data), 16)
		}
	}},
}

// once applies events of which at least one has to be fresh.
func (w *world) once(t *testing.T, conversation string, names ...string) {
	t.Helper()
	called := false
	err := w.Apply(t.Context(), conversation, events(names...), func(*store.Turn) error { called = true; return nil })
	if err != nil || !called {
		t.Fatalf("Apply %v to %s: called %t, %v; want it called", names, conversation, called, err)
	}
}

// never applies events that all have to be known.
func (w *world) never(t *testing.T, conversation string, names ...string) {
	t.Helper()
	called := false
	err := w.Apply(t.Context(), conversation, events(names...), func(*store.Turn) error { called = true; return nil })
	if err != nil || called {
		t.Fatalf("Apply %v to %s: called %t, %v; want it not called", names, conversation, called, err)
	}
}

// busyConversation makes a conversation c1 that has some of everything.
func (w *world) busyConversation(t *testing.T) {
	t.Helper()
	w.apply(t, "c1", func(turn *store.Turn) {
		turn.Record.Status = "live"
		turn.Record.Keys = []string{"k1", "k2"}
		turn.Record.People = []string{"p1"}
		turn.Record.Due = turn.Now.Add(time.Hour)
		turn.Record.Data = []byte("data")
		turn.Send(store.ToTeams, note("d1"))
		turn.Send(store.Held, note("d2"))
		turn.Lines = append(turn.Lines, store.Line{Data: []byte("line 1")})
	})
}

// change changes as much as a turn can.
func change(turn *store.Turn) {
	turn.Record.Status = ""
	turn.Record.Keys[0] = "k9"
	turn.Record.People[0] = "p9"
	turn.Record.Due = time.Time{}
	turn.Record.Data[0] = 'D'
	turn.Move = []store.Move{{From: store.Held, To: store.ToServiceNow}}
	turn.Drop = []store.Direction{store.ToTeams}
	turn.Send(store.ToBot, note("d9"))
	turn.Lines = append(turn.Lines, store.Line{Data: []byte("line 9")})
	turn.Bury = append(turn.Bury, store.DeadLetter{Reason: "r"})
}

// unchanged checks that c1 is as busyConversation made it.
func (w *world) unchanged(t *testing.T, before store.Record) {
	t.Helper()
	same(t, "record", w.load(t, "c1"), before)
	same(t, "lines", w.lines(t, "c1", 9), []string{"line 1"})
	same(t, "dead letters", w.letters(t, store.DeadLetterFilter{}), []store.DeadLetter(nil))
	if _, err := w.Find(t.Context(), "k9"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Find k9: %v", err)
	}
	w.claimNothing(t, store.ToServiceNow)
	w.claimNothing(t, store.ToBot)
	l := w.claim(t, store.ToTeams, 9)
	same(t, "lane", ids(l), []string{"d1"})
	w.settle(t, l, store.Result{})
}
