package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"snowbot/store"
)

var recordCases = []testCase{
	{"FieldsComeBack", func(t *testing.T, w *world) {
		due := w.clock.now().Add(time.Hour + 123456789*time.Nanosecond)
		w.apply(t, "c1", func(turn *store.Turn) {
			*turn.Record = store.Record{
				ID: "c1", Status: "live", Keys: []string{"k2", "k1"}, People: []string{"p2", "p1"},
				Due: due.In(time.FixedZone("x", 3600)), Data: []byte{0, 1, 2, 255},
			}
		})
		want := store.Record{
			ID: "c1", Status: "live", Keys: []string{"k2", "k1"}, People: []string{"p2", "p1"},
			Due: due.Truncate(time.Microsecond), Updated: w.clock.now(), Data: []byte{0, 1, 2, 255},
		}
		same(t, "record", w.load(t, "c1"), want)
		w.reopen(t)
		same(t, "record", w.load(t, "c1"), want)
	}},
	{"FindFollowsTheKeys", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Keys = []string{"k1", "k2"} })
		w.finds(t, map[string]string{"k1": "c1", "k2": "c1", "k3": "", "": "", "c1": ""})
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Keys = []string{"k3", "k2"} })
		w.finds(t, map[string]string{"k1": "", "k2": "c1", "k3": "c1"})
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.Keys = []string{"k1"} })
		w.finds(t, map[string]string{"k1": "c2", "k2": "c1"})
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.Keys[0] = "k4" }) // in place
		w.finds(t, map[string]string{"k1": "", "k4": "c2"})
	}},
	{"WhatOneReadHasSeenTheNextOneSees", func(t *testing.T, w *world) {
		const rounds = 30
		key := func(n int) string { return fmt.Sprint("k", n) }
		written := make(chan error)
		go func() {
			for n := range rounds {
				err := w.Apply(t.Context(), "c1", nil, func(turn *store.Turn) error {
					turn.Record.Keys = []string{key(n)}
					return nil
				})
				written <- err
			}
		}()
		for n := range rounds {
			_, err := w.Find(t.Context(), key(n))
			for errors.Is(err, store.ErrNotFound) { // asked again at once: what comes apart does so for a moment
				_, err = w.Find(t.Context(), key(n))
			}
			is(t, "Find", err, nil)
			same(t, "keys of what was found", w.load(t, "c1").Keys, []string{key(n)})
			is(t, "Apply", <-written, nil)
		}
	}},
	{"WhatCannotBeIsNotFound", func(t *testing.T, w *world) { // whoever asks may have it from a stranger
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Keys = []string{"k1"} })
		for _, id := range []string{"", "c\x00", "c\xff", strings.Repeat("c", store.MaxString+1), strings.Repeat("c", 1<<20)} {
			_, err := w.Load(t.Context(), id)
			is(t, "Load", err, store.ErrNotFound)
			_, err = w.Find(t.Context(), id)
			is(t, "Find", err, store.ErrNotFound)
			_, err = w.File(t.Context(), id)
			is(t, "File", err, store.ErrNotFound)
			is(t, "ExtendFile", w.ExtendFile(t.Context(), id, w.clock.now().Add(time.Hour)), store.ErrNotFound)
			is(t, "Retry", w.Retry(t.Context(), id), store.ErrNotFound)
			is(t, "Discard", w.Discard(t.Context(), id), store.ErrNotFound)
			same(t, "lines", w.lines(t, id, 9), []string(nil))
			n, err := w.Erase(t.Context(), id)
			is(t, "Erase", err, nil)
			same(t, "erased", n, 0)
			is(t, "Export", w.Export(t.Context(), id, func(store.Record, []store.Line) error { return errors.New("called") }), nil)
			if id != "" {
				same(t, "dead letters", w.letters(t, store.DeadLetterFilter{Conversation: id}), []store.DeadLetter(nil))
				same(t, "dead letters", w.letters(t, store.DeadLetterFilter{Reason: id}), []store.DeadLetter(nil))
			}
		}
	}},
	{"TakenKeyIsRefused", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Keys = []string{"k1"} })
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.Keys = []string{"k2"} })
		err := w.Apply(t.Context(), "c2", events("e1"), func(turn *store.Turn) error {
			turn.Record.Keys = []string{"k3", "k1"}
			turn.Send(store.ToTeams, note("d1"))
			return nil
		})
		var taken *store.KeyTakenError
		if !errors.As(err, &taken) {
			t.Fatalf("Apply: %v, want a KeyTakenError", err)
		}
		same(t, "error", *taken, store.KeyTakenError{Key: "k1", Conversation: "c1"})
		w.finds(t, map[string]string{"k1": "c1", "k2": "c2", "k3": ""})
		w.claimNothing(t, store.ToTeams)
		w.once(t, "c2", "e1")
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Keys = nil })
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.Keys = []string{"k1"} })
		w.finds(t, map[string]string{"k1": "c2", "k2": ""})
	}},
	{"OneOfManyGetsAKey", func(t *testing.T, w *world) {
		const n = 24
		errs := make(chan error)
		for i := range n {
			go func() {
				errs <- w.Apply(t.Context(), fmt.Sprintf("c%d", i), nil, func(turn *store.Turn) error {
					turn.Record.Keys = []string{"person"}
					return nil
				})
			}()
		}
		refused := 0
		for range n {
			err := <-errs
			var taken *store.KeyTakenError
			switch {
			case errors.As(err, &taken):
				refused++
			case err != nil:
				t.Errorf("Apply: %v", err)
			}
		}
		same(t, "refused", refused, n-1)
	}},
	{"TimersFallDueInOrder", func(t *testing.T, w *world) {
		start := w.clock.now()
		for c, after := range map[string]time.Duration{"c1": 30, "c2": 10, "c3": 20, "c4": 0} {
			w.apply(t, c, func(turn *store.Turn) {
				if after > 0 {
					turn.Record.Due = start.Add(after * time.Second)
				}
			})
		}
		w.due(t, 9)
		w.clock.advance(10 * time.Second)
		w.due(t, 9, "c2")
		w.clock.advance(20 * time.Second)
		w.due(t, 9, "c2", "c3", "c1")
		w.due(t, 2, "c2", "c3")
		w.reopen(t)
		w.due(t, 9, "c2", "c3", "c1")
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.Due = time.Time{} })
		w.apply(t, "c3", func(turn *store.Turn) { turn.Record.Due = turn.Now.Add(time.Hour) })
		w.due(t, 9, "c1")
		w.reopen(t)
		w.due(t, 9, "c1")
		w.clock.advance(time.Hour)
		w.due(t, 9, "c1", "c3")
	}},
	{"SessionsArePaged", func(t *testing.T, w *world) {
		names := numbered("c", 7)
		for i, c := range names {
			w.apply(t, c, func(turn *store.Turn) {
				if i != 3 {
					turn.Record.Status = "live"
				}
			})
		}
		w.apply(t, names[5], func(turn *store.Turn) { turn.Record.Status = "" })
		w.apply(t, names[6], func(turn *store.Turn) { turn.Record.Status = "other" })
		var got []string
		for after := ""; ; {
			page, err := w.Sessions(t.Context(), after, 2)
			is(t, "Sessions", err, nil)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				same(t, "record", r, w.load(t, r.ID))
				got = append(got, r.ID)
			}
			after = got[len(got)-1]
		}
		same(t, "sessions", got, []string{"c000", "c001", "c002", "c004", "c006"})
		page, err := w.Sessions(t.Context(), "c0005", 9)
		is(t, "Sessions", err, nil)
		same(t, "sessions after an id that is not there", len(page), 4)
	}},
	{"SessionsSortByBytes", func(t *testing.T, w *world) {
		for _, c := range []string{"b", "a:1", "B", "ä", "a-1", "A"} {
			w.apply(t, c, func(turn *store.Turn) { turn.Record.Status = "live" })
		}
		page, err := w.Sessions(t.Context(), "", 9)
		is(t, "Sessions", err, nil)
		var got []string
		for _, r := range page {
			got = append(got, r.ID)
		}
		same(t, "order", got, []string{"A", "B", "a-1", "a:1", "b", "ä"})
	}},
	{"LinesAreTheLastOnes", func(t *testing.T, w *world) {
		same(t, "lines", w.lines(t, "c1", 5), []string(nil))
		at := w.clock.now().Add(-time.Hour)
		for _, part := range [][]string{{"1", "2"}, {"3"}, {"4", "5", "6"}} {
			w.apply(t, "c1", func(turn *store.Turn) {
				for _, l := range part {
					turn.Lines = append(turn.Lines, store.Line{At: at, Data: []byte(l)})
				}
			})
			w.apply(t, "c2", func(turn *store.Turn) { turn.Lines = []store.Line{{Data: []byte("other")}} })
		}
		same(t, "lines", w.lines(t, "c1", 4), []string{"3", "4", "5", "6"})
		same(t, "lines", w.lines(t, "c1", 100), []string{"1", "2", "3", "4", "5", "6"})
		same(t, "lines", w.lines(t, "c1", 0), []string(nil))
		w.reopen(t)
		w.apply(t, "c1", func(turn *store.Turn) { turn.Lines = []store.Line{{Data: []byte("7")}} })
		lines, err := w.Lines(t.Context(), "c1", 2)
		is(t, "Lines", err, nil)
		same(t, "lines", lines, []store.Line{{At: at, Data: []byte("6")}, {At: w.clock.now(), Data: []byte("7")}})
	}},
	{"StatsCount", func(t *testing.T, w *world) {
		w.busyConversation(t)
		w.clock.advance(time.Second)
		w.send(t, "c2", store.ToTeams, "d1", "d2", "d3")
		w.clock.advance(time.Second)
		w.send(t, "c3", store.ToTeams, "d1")
		w.apply(t, "c3", func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{Reason: "r"}, {Reason: "r"}} })
		want := store.Stats{Waiting: map[store.Direction]int{store.ToTeams: 5, store.Held: 1}, DeadLetters: 2, Live: 1}
		w.stats(t, want)
		w.reopen(t)
		w.stats(t, want)
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Done: 1})
		w.settle(t, w.claim(t, store.ToTeams, 3), store.Result{Done: 1, Next: store.Bury})
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.Status = "" })
		want = store.Stats{Waiting: map[store.Direction]int{store.ToTeams: 2, store.Held: 1}, DeadLetters: 3}
		w.stats(t, want)
		w.reopen(t)
		w.stats(t, want)
	}},
	{"EndedContextEndsCalls", func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is(t, "Apply", w.Apply(ctx, "c1", nil, func(*store.Turn) error { return nil }), context.Canceled)
		_, err := w.Load(ctx, "c1")
		is(t, "Load", err, context.Canceled)
		_, err = w.Claim(ctx, store.ToTeams, time.Minute, 1)
		is(t, "Claim", err, context.Canceled)
		_, err = w.Prune(ctx, store.Limits{})
		is(t, "Prune", err, context.Canceled)
	}},
}

func (w *world) finds(t *testing.T, want map[string]string) {
	t.Helper()
	for key, conversation := range want {
		got, err := w.Find(t.Context(), key)
		if conversation == "" {
			if !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("Find %q = %q, %v, want ErrNotFound", key, got, err)
			}
		} else if got != conversation || err != nil {
			t.Fatalf("Find %q = %q, %v, want %q", key, got, err, conversation)
		}
	}
}

func (w *world) due(t *testing.T, limit int, want ...string) {
	t.Helper()
	got, err := w.Due(t.Context(), limit)
	is(t, "Due", err, nil)
	same(t, "due", got, want)
}

// stats checks the counts, which may be late; directions without deliveries may be left out.
func (w *world) stats(t *testing.T, want store.Stats) {
	t.Helper()
	var got store.Stats
	err := w.soon(t, func() bool {
		st, err := w.Stats(t.Context())
		is(t, "Stats", err, nil)
		got = st
		for d, n := range st.Waiting {
			if n == 0 {
				delete(st.Waiting, d)
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	if err != nil {
		same(t, "stats", got, want)
	}
}
