package storetest

import (
	"errors"
	"testing"
	"time"

	"snowbot/store"
)

var peopleCases = []testCase{
	{"EraseRemovesEverythingOfAPerson", func(t *testing.T, w *world) {
		w.busyConversation(t) // of p1
		w.once(t, "c1", "e1")
		w.apply(t, "c1", func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{Reason: "r"}} })
		w.apply(t, "c2", func(turn *store.Turn) {
			turn.Record.People = []string{"p2", "p1"}
			turn.Send(store.ToServiceNow, note("d3"))
		})
		w.apply(t, "c3", func(turn *store.Turn) {
			turn.Record.People = []string{"p2"}
			turn.Record.Status = "live"
			turn.Record.Due = turn.Now
			turn.Send(store.ToTeams, note("d4"))
			turn.Lines = []store.Line{{Data: []byte("stays")}}
			turn.Bury = []store.DeadLetter{{Reason: "stays"}}
		})
		w.clock.advance(2 * time.Hour)
		n, err := w.Erase(t.Context(), "p1")
		is(t, "Erase", err, nil)
		same(t, "erased", n, 2)
		w.absent(t, "c1")
		w.absent(t, "c2")
		w.finds(t, map[string]string{"k1": "", "k2": ""})
		w.due(t, 9, "c3")
		same(t, "lines", w.lines(t, "c1", 9), []string(nil))
		same(t, "lines", w.lines(t, "c3", 9), []string{"stays"})
		dead := w.letters(t, store.DeadLetterFilter{})
		same(t, "dead letters", len(dead), 1)
		same(t, "dead letter", dead[0].Reason, "stays")
		w.stats(t, store.Stats{Waiting: map[store.Direction]int{store.ToTeams: 1}, DeadLetters: 1, Live: 1})
		same(t, "to Teams", w.drain(t, store.ToTeams), []string{"d4"})
		w.claimNothing(t, store.ToServiceNow)
		n, err = w.Erase(t.Context(), "p1")
		is(t, "Erase", err, nil)
		same(t, "erased again", n, 0)

		w.reopen(t)
		w.once(t, "c1", "e1") // nothing is remembered of it
		same(t, "lines", w.lines(t, "c1", 9), []string(nil))
		same(t, "held", w.waiting(t, store.Held), 0)
	}},
	{"EraseEndsLeases", func(t *testing.T, w *world) {
		w.busyConversation(t)
		l := w.claim(t, store.ToTeams, 1)
		_, err := w.Erase(t.Context(), "p1")
		is(t, "Erase", err, nil)
		w.busyConversation(t)
		called := false
		err = w.Settle(t.Context(), l, store.Result{Done: 1}, func(*store.Turn) error { called = true; return nil })
		is(t, "Settle", err, store.ErrFenced)
		same(t, "called", called, false)
		same(t, "to Teams", w.drain(t, store.ToTeams), []string{"d1"})
	}},
	{"EraseIsExact", func(t *testing.T, w *world) {
		for _, p := range []string{"p", "pp", "p1"} {
			w.apply(t, "c-"+p, func(turn *store.Turn) { turn.Record.People = []string{p} })
		}
		for _, p := range []string{"", "p2", "c-p"} {
			n, err := w.Erase(t.Context(), p)
			is(t, "Erase", err, nil)
			same(t, "erased", n, 0)
		}
		n, err := w.Erase(t.Context(), "p")
		is(t, "Erase", err, nil)
		same(t, "erased", n, 1)
		w.load(t, "c-pp")
		w.load(t, "c-p1")
	}},
	{"PeopleCanLeaveARecord", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.People = []string{"p1", "p2"} })
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.People = []string{"p2"} })
		n, err := w.Erase(t.Context(), "p1")
		is(t, "Erase", err, nil)
		same(t, "erased", n, 0)
		w.load(t, "c1")
	}},
	{"ExportGivesRecordsAndLines", func(t *testing.T, w *world) {
		w.busyConversation(t)
		w.apply(t, "c2", func(turn *store.Turn) { turn.Record.People = []string{"p1"} })
		w.apply(t, "c3", func(turn *store.Turn) { turn.Record.People = []string{"p2"} })
		got := map[string]int{}
		err := w.Export(t.Context(), "p1", func(r store.Record, lines []store.Line) error {
			same(t, "record", r, w.load(t, r.ID)) // the store may be used meanwhile
			w.once(t, r.ID)
			got[r.ID] = len(lines)
			return nil
		})
		is(t, "Export", err, nil)
		same(t, "exported", got, map[string]int{"c1": 1, "c2": 0})
		enough := errors.New("enough")
		calls := 0
		err = w.Export(t.Context(), "p1", func(store.Record, []store.Line) error { calls++; return enough })
		is(t, "Export", err, enough)
		same(t, "calls", calls, 1)
	}},
	{"MaskIsStableAndTellsNothing", func(t *testing.T, w *world) {
		a, b := w.Mask("ada@example.com"), w.Mask("bob@example.com")
		if a == b || a == "" || contains([]byte(a), "ada") {
			t.Fatalf("masks %q and %q", a, b)
		}
		w.reopen(t)
		same(t, "mask", w.Mask("ada@example.com"), a)
		other := *w
		other.opts.Dir = t.TempDir()
		other.open(t)
		if other.Mask("ada@example.com") == a {
			t.Error("two stores mask alike")
		}
		if err := store.CheckID("mask", a); err != nil {
			t.Error(err)
		}
	}},
}
