package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"snowbot/store"
)

var laneCases = []testCase{
	{"OrderIsTheOrderOfAcceptance", func(t *testing.T, w *world) {
		want := numbered("d", 40)
		for i := 0; i < len(want); i += 2 {
			w.send(t, "c1", store.ToTeams, want[i], want[i+1])
			w.clock.advance(-time.Second) // a clock that is set back changes nothing
		}
		w.clock.advance(time.Minute)
		same(t, "order", w.drain(t, store.ToTeams), want)
	}},
	{"OrderSurvivesReopening", func(t *testing.T, w *world) {
		want := numbered("d", 300)
		w.send(t, "c1", store.ToTeams, want[:299]...)
		w.settle(t, w.claim(t, store.ToTeams, 2), store.Result{Done: 2})
		w.reopen(t)
		w.send(t, "c1", store.ToTeams, want[299])
		same(t, "order", w.drain(t, store.ToTeams), want[2:])
	}},
	{"LanesAreIndependent", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "t1")
		w.send(t, "c1", store.ToServiceNow, "s1")
		w.send(t, "c1", store.ToBot, "b1")
		w.send(t, "c1", store.ToTicks, "u1")
		w.send(t, "c1", store.Links, "l1")
		w.clock.advance(time.Second)
		w.send(t, "c2", store.ToTeams, "t2")
		first := w.claim(t, store.ToTeams, 9)
		second := w.claim(t, store.ToTeams, 9)
		same(t, "lanes", [][]string{ids(first), ids(second)}, [][]string{{"t1"}, {"t2"}})
		w.claimNothing(t, store.ToTeams)
		for d, want := range map[store.Direction]string{store.ToServiceNow: "s1", store.ToBot: "b1", store.ToTicks: "u1", store.Links: "l1"} {
			l := w.claim(t, d, 9)
			same(t, "lane", l.Lane, store.Lane{Conversation: "c1", Direction: d})
			same(t, "deliveries", ids(l), []string{want})
		}
	}},
	{"LanesAreClaimedAsTheyBecameDue", func(t *testing.T, w *world) {
		for _, c := range []string{"c3", "c1", "c2"} {
			w.send(t, c, store.ToTeams, "d-"+c, "e-"+c)
			w.clock.advance(time.Second)
		}
		l := w.claim(t, store.ToTeams, 1)
		w.clock.advance(time.Second)
		w.settle(t, l, store.Result{Done: 1}) // and is now behind the others
		var order []string
		for range 3 {
			order = append(order, ids(w.claim(t, store.ToTeams, 1))...)
		}
		same(t, "order", append(ids(l), order...), []string{"d-c3", "d-c1", "d-c2", "e-c3"})
	}},
	{"RunIsBoundedByNumber", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, numbered("d", 10)...)
		same(t, "run", ids(w.claim(t, store.ToTeams, 4)), numbered("d", 4))
	}},
	{"RunIsBoundedByBytes", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) {
			for _, id := range numbered("d", 5) {
				turn.Send(store.ToTeams, store.Delivery{ID: id, Body: []byte(strings.Repeat("x", store.MaxRun/2-10))})
			}
			turn.Send(store.ToTeams, store.Delivery{ID: "big", Body: make([]byte, 2*store.MaxRun)})
		})
		for _, want := range []int{2, 2, 1, 1} {
			l := w.claim(t, store.ToTeams, 9)
			same(t, "run", len(l.Deliveries), want)
			err := w.Settle(t.Context(), l, store.Result{Done: want}, func(*store.Turn) error { return nil })
			is(t, "Settle", err, nil)
		}
	}},
	{"NotBeforeHoldsTheLane", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Send(store.ToTeams, note("d1"))
			late := note("d2")
			late.NotBefore = turn.Now.Add(time.Minute)
			turn.Send(store.ToTeams, late)
			turn.Send(store.ToTeams, note("d3"))
		})
		l := w.claim(t, store.ToTeams, 9)
		same(t, "run", ids(l), []string{"d1"})
		w.settle(t, l, store.Result{Done: 1})
		w.claimNothing(t, store.ToTeams)
		w.clock.advance(59 * time.Second)
		w.claimNothing(t, store.ToTeams)
		w.clock.advance(time.Second)
		same(t, "run", ids(w.claim(t, store.ToTeams, 9)), []string{"d2", "d3"})
	}},
	{"HeldIsNeverClaimed", func(t *testing.T, w *world) {
		w.send(t, "c1", store.Held, "h1")
		w.clock.advance(100 * time.Hour)
		w.claimNothing(t, store.Held)
		w.reopen(t)
		w.claimNothing(t, store.Held)
		same(t, "held", w.waiting(t, store.Held), 1)
	}},
	{"UnknownDirectionIsAnError", func(t *testing.T, w *world) {
		if _, err := w.Claim(t.Context(), "mars", time.Minute, 1); err == nil || errors.Is(err, store.ErrEmpty) {
			t.Errorf("Claim: %v", err)
		}
		if err := w.Wait(t.Context(), "mars"); err == nil {
			t.Errorf("Wait: %v", err)
		}
	}},
	{"WaitWakesForANewDelivery", func(t *testing.T, w *world) {
		got := make(chan []string, 1)
		go func() {
			for {
				if err := w.Wait(t.Context(), store.ToTeams); err != nil {
					t.Errorf("Wait: %v", err)
				}
				l, err := w.Claim(t.Context(), store.ToTeams, time.Minute, 9)
				if err == nil || !errors.Is(err, store.ErrEmpty) {
					got <- ids(l)
					return
				}
			}
		}()
		w.send(t, "c1", store.ToTeams, "d1")
		same(t, "claimed", <-got, []string{"d1"})
	}},
	{"WaitReturnsWhenSomethingIsDue", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		is(t, "Wait", w.Wait(t.Context(), store.ToTeams), nil)
	}},
	{"EveryWaiterFindsWork", func(t *testing.T, w *world) {
		const n = 8
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		done := make(chan string, n)
		for range n {
			go func() {
				for {
					if err := w.Wait(ctx, store.ToBot); err != nil {
						done <- err.Error()
						return
					}
					if l, err := w.Claim(ctx, store.ToBot, time.Minute, 1); err == nil {
						done <- l.Lane.Conversation
						return
					}
				}
			}()
		}
		for _, c := range numbered("c", n) {
			w.send(t, c, store.ToBot, "d")
		}
		seen := map[string]bool{}
		for range n {
			seen[<-done] = true
		}
		same(t, "lanes claimed", len(seen), n)
	}},
	{"WaitEndsWithItsContext", func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is(t, "Wait", w.Wait(ctx, store.ToTeams), context.Canceled)
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		var err error
		for err == nil {
			err = w.Wait(ctx, store.ToTeams)
		}
		is(t, "Wait", err, context.DeadlineExceeded)
	}},
}
