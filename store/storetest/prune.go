package storetest

import (
	"fmt"
	"testing"
	"time"

	"snowbot/store"
)

var pruneCases = []testCase{
	{"ZeroLimitsRemoveNothing", func(t *testing.T, w *world) {
		w.busyConversation(t)
		w.apply(t, "c2", func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{}} })
		w.clock.advance(10000 * time.Hour)
		w.pruneAll(t, store.Limits{})
		w.load(t, "c2")
		same(t, "lines", w.lines(t, "c1", 9), []string{"line 1"})
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 1)
	}},
	{"OldLinesGo", func(t *testing.T, w *world) {
		for i := range 6 {
			w.apply(t, fmt.Sprintf("c%d", i%2), func(turn *store.Turn) {
				turn.Lines = []store.Line{{Data: fmt.Append(nil, i)}}
			})
			w.clock.advance(time.Hour)
		}
		w.pruneAll(t, store.Limits{Lines: w.clock.now().Add(-3 * time.Hour)})
		same(t, "lines", w.lines(t, "c0", 9), []string{"4"})
		same(t, "lines", w.lines(t, "c1", 9), []string{"3", "5"})
		w.pruneAll(t, store.Limits{Lines: w.clock.now()})
		same(t, "lines", w.lines(t, "c0", 9), []string(nil))
		w.reopen(t)
		w.apply(t, "c1", func(turn *store.Turn) { turn.Lines = []store.Line{{Data: []byte("new")}} })
		same(t, "lines", w.lines(t, "c0", 9), []string(nil))
		same(t, "lines", w.lines(t, "c1", 9), []string{"new"})
	}},
	{"OldLinesGoWhateverIsBeforeThem", func(t *testing.T, w *world) { // as in a copy, whose lines come by conversation
		for i, ago := range []int{1, 5, 0, 4, 2} {
			w.apply(t, fmt.Sprintf("c%d", i), func(turn *store.Turn) {
				turn.Lines = []store.Line{{At: turn.Now.Add(-time.Duration(ago) * time.Hour), Data: fmt.Append(nil, ago)}}
			})
		}
		w.reopen(t)
		w.pruneAll(t, store.Limits{Lines: w.clock.now().Add(-3 * time.Hour), Slice: 2})
		for i, want := range [][]string{{"1"}, nil, {"0"}, nil, {"2"}} {
			same(t, "lines", w.lines(t, fmt.Sprintf("c%d", i), 9), want)
		}
	}},
	{"OldDeadLettersGo", func(t *testing.T, w *world) {
		for range 4 {
			w.apply(t, "c1", func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{}} })
			w.clock.advance(time.Hour)
		}
		w.pruneAll(t, store.Limits{DeadLetters: w.clock.now().Add(-2 * time.Hour)})
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 2)
		w.stats(t, store.Stats{Waiting: map[store.Direction]int{}, DeadLetters: 2})
	}},
	{"IdleConversationsGo", func(t *testing.T, w *world) {
		w.apply(t, "live", func(turn *store.Turn) { turn.Record.Status = "live" })
		w.apply(t, "timer", func(turn *store.Turn) { turn.Record.Due = turn.Now.Add(1e6 * time.Hour) })
		w.send(t, "work", store.ToTeams, "d1")
		w.send(t, "held", store.Held, "d1")
		w.apply(t, "idle", func(turn *store.Turn) {
			turn.Record.Keys = []string{"k"}
			turn.Record.People = []string{"p"}
			turn.Lines = []store.Line{{Data: []byte("line")}}
		})
		w.once(t, "ended", "e1")
		w.apply(t, "ended", func(turn *store.Turn) { turn.Record.Status = "live" })
		w.apply(t, "touched", func(*store.Turn) {})
		w.clock.advance(50 * time.Hour)
		w.apply(t, "touched", func(*store.Turn) {})
		w.apply(t, "ended", func(turn *store.Turn) { turn.Record.Status = "" })
		w.clock.advance(50 * time.Hour)
		w.pruneAll(t, store.Limits{Conversations: w.clock.now().Add(-60 * time.Hour)})
		for _, c := range []string{"live", "timer", "work", "held", "touched", "ended"} {
			w.load(t, c)
		}
		w.absent(t, "idle")
		w.finds(t, map[string]string{"k": ""})
		same(t, "lines", w.lines(t, "idle", 9), []string(nil))
		n, err := w.Erase(t.Context(), "p")
		is(t, "Erase", err, nil)
		same(t, "erased", n, 0)
		w.pruneAll(t, store.Limits{Conversations: w.clock.now().Add(-time.Hour)})
		w.absent(t, "touched")
		w.absent(t, "ended")
		same(t, "work", w.drain(t, store.ToTeams), []string{"d1"})
		w.eventually(t, "the conversation without work is pruned", func() bool {
			w.pruneAll(t, store.Limits{Conversations: w.clock.now().Add(-time.Hour)})
			_, err := w.Load(t.Context(), "work")
			return err != nil
		})
	}},
	{"LimitsAreExact", func(t *testing.T, w *world) {
		for _, c := range []string{"c1", "c2"} {
			w.apply(t, c, func(turn *store.Turn) {
				turn.Lines = []store.Line{{Data: []byte(c)}}
				turn.Bury = []store.DeadLetter{{}}
			})
			w.clock.advance(time.Second)
		}
		limit := w.clock.now().Add(-time.Second)
		w.pruneAll(t, store.Limits{Conversations: limit, Lines: limit, DeadLetters: limit})
		w.absent(t, "c1")
		same(t, "lines", w.lines(t, "c2", 9), []string{"c2"})
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 1)
	}},
	{"SlicesAreBounded", func(t *testing.T, w *world) {
		for _, c := range numbered("c", 20) {
			w.apply(t, c, func(turn *store.Turn) { turn.Lines = []store.Line{{Data: []byte("x")}} })
		}
		w.apply(t, "live", func(turn *store.Turn) { turn.Record.Status = "live" })
		w.clock.advance(48 * time.Hour)
		more, err := w.Prune(t.Context(), store.Limits{Lines: w.clock.now(), Slice: 5})
		is(t, "Prune", err, nil)
		same(t, "more", more, true)
		left := 0
		for _, c := range numbered("c", 20) {
			left += len(w.lines(t, c, 9))
		}
		same(t, "lines left", left, 15)
		slices := w.pruneAll(t, store.Limits{Lines: w.clock.now(), Conversations: w.clock.now(), Slice: 5})
		if slices < 4 {
			t.Errorf("20 conversations went in %d slices of 5", slices)
		}
		for _, c := range numbered("c", 20) {
			w.absent(t, c)
		}
		w.load(t, "live")
	}},
}

// pruneAll prunes until there is no more, and returns the number of slices.
func (w *world) pruneAll(t *testing.T, l store.Limits) int {
	t.Helper()
	for n := 1; ; n++ {
		more, err := w.Prune(t.Context(), l)
		if err != nil {
			t.Fatalf("Prune: %v", err)
		}
		if !more {
			return n
		}
		if n == 1000 {
			t.Fatal("Prune does not come to an end")
		}
	}
}
