package storetest

import (
	"errors"
	"testing"
	"time"

	"snowbot/store"
)

var letterCases = []testCase{
	{"EventsCanBeBuried", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Bury = []store.DeadLetter{{
				Reason: "panic", Delivery: store.Delivery{ID: "e1", Kind: "activity", Body: []byte("raw")},
			}}
		})
		got := w.letters(t, store.DeadLetterFilter{})
		same(t, "dead letters", got, []store.DeadLetter{{
			ID: got[0].ID, Lane: store.Lane{Conversation: "c1"}, Reason: "panic", At: w.clock.now(),
			Delivery: store.Delivery{ID: "e1", Kind: "activity", Accepted: w.clock.now(), Body: []byte("raw")},
		}})
		is(t, "Retry", w.Retry(t.Context(), got[0].ID), store.ErrNotFound)
		is(t, "Discard", w.Discard(t.Context(), got[0].ID), nil)
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 0)
	}},
	{"FiltersChoose", func(t *testing.T, w *world) {
		start := w.clock.now()
		for _, c := range []string{"c1", "c2", "c1"} {
			for _, reason := range []string{"a", "b"} {
				w.apply(t, c, func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{Reason: reason}} })
				w.clock.advance(time.Second)
			}
		}
		all := w.letters(t, store.DeadLetterFilter{})
		same(t, "number", len(all), 6)
		for i, l := range all {
			same(t, "age", l.At, start.Add(time.Duration(i)*time.Second))
			if i > 0 && l.ID <= all[i-1].ID {
				t.Errorf("id %q follows %q", l.ID, all[i-1].ID)
			}
		}
		for _, c := range []struct {
			name   string
			filter store.DeadLetterFilter
			want   []store.DeadLetter
		}{
			{"conversation", store.DeadLetterFilter{Conversation: "c2"}, all[2:4]},
			{"reason", store.DeadLetterFilter{Reason: "b", Conversation: "c1"}, []store.DeadLetter{all[1], all[5]}},
			{"since", store.DeadLetterFilter{Since: start.Add(4 * time.Second)}, all[4:]},
			{"until", store.DeadLetterFilter{Until: start.Add(2 * time.Second)}, all[:2]},
			{"limit", store.DeadLetterFilter{Limit: 2}, all[:2]},
			{"page", store.DeadLetterFilter{Limit: 2, After: all[1].ID}, all[2:4]},
			{"nothing", store.DeadLetterFilter{Conversation: "c9"}, nil},
			{"end", store.DeadLetterFilter{After: all[5].ID}, nil},
		} {
			same(t, c.name, w.letters(t, c.filter), c.want)
		}
	}},
	{"RetryGoesToTheEndOfTheLane", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Bury, Outcome: "403", Reason: "refused"})
		w.clock.advance(time.Hour)
		dead := w.letters(t, store.DeadLetterFilter{})
		is(t, "Retry", w.Retry(t.Context(), dead[0].ID), nil)
		is(t, "Retry", w.Retry(t.Context(), dead[0].ID), store.ErrNotFound)
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 0)
		l := w.claim(t, store.ToTeams, 9)
		want := note("d1")
		want.Accepted = w.clock.now()
		same(t, "run", ids(l), []string{"d2", "d1"})
		same(t, "delivery", l.Deliveries[1], want)
	}},
	{"RetryOfAnEmptyLane", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Bury})
		w.reopen(t)
		is(t, "Retry", w.Retry(t.Context(), w.letters(t, store.DeadLetterFilter{})[0].ID), nil)
		same(t, "lane", w.drain(t, store.ToTeams), []string{"d1"})
	}},
	{"UnknownLettersAreNotFound", func(t *testing.T, w *world) {
		for _, id := range []string{"", "x", "000000000000000000000000"} {
			is(t, "Retry", w.Retry(t.Context(), id), store.ErrNotFound)
			is(t, "Discard", w.Discard(t.Context(), id), store.ErrNotFound)
		}
	}},
	{"OneRetryOfManyWins", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Bury})
		id := w.letters(t, store.DeadLetterFilter{})[0].ID
		errs := make(chan error)
		for range 8 {
			go func() { errs <- w.Retry(t.Context(), id) }()
		}
		won := 0
		for range 8 {
			if err := <-errs; err == nil {
				won++
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Retry: %v", err)
			}
		}
		same(t, "won", won, 1)
		same(t, "lane", w.drain(t, store.ToTeams), []string{"d1"})
	}},
}
