package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/store"
)

var turnCases = []testCase{
	{"MoveThenDropThenDeliver", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) {
			for _, id := range []string{"h1", "h2"} {
				turn.Send(store.Held, note(id))
			}
			turn.Send(store.ToServiceNow, note("s1"))
			turn.Send(store.ToTeams, note("t1"))
		})
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Send(store.ToServiceNow, note("s2")) // staged first, carried out last
			turn.Send(store.ToTeams, note("t2"))
			turn.Drop = []store.Direction{store.ToTeams}
			turn.Move = []store.Move{{From: store.Held, To: store.ToServiceNow}}
		})
		same(t, "to ServiceNow", w.drain(t, store.ToServiceNow), []string{"s1", "h1", "h2", "s2"})
		same(t, "to Teams", w.drain(t, store.ToTeams), []string{"t2"})
		same(t, "held", w.waiting(t, store.Held), 0)
	}},
	{"MovesAreCarriedOutInOrder", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Send(store.Held, note("h"))
			turn.Send(store.ToBot, note("b"))
		})
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Move = []store.Move{
				{From: store.Held, To: store.ToBot}, {From: store.ToBot, To: store.ToTeams}, {From: store.ToTeams, To: store.ToTeams},
			}
		})
		same(t, "to Teams", w.drain(t, store.ToTeams), []string{"b", "h"})
	}},
	{"LeavingHeldIsAcceptedAnew", func(t *testing.T, w *world) {
		w.send(t, "c1", store.Held, "h")
		w.send(t, "c1", store.ToBot, "b")
		start := w.clock.now()
		w.clock.advance(time.Hour)
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Move = []store.Move{{From: store.Held, To: store.ToTeams}, {From: store.ToBot, To: store.ToServiceNow}}
		})
		same(t, "accepted", w.claim(t, store.ToTeams, 1).Deliveries[0].Accepted, w.clock.now())
		same(t, "accepted", w.claim(t, store.ToServiceNow, 1).Deliveries[0].Accepted, start)
	}},
	{"DeliveriesKeepTheirFields", func(t *testing.T, w *world) {
		accepted := w.clock.now().Add(-time.Minute)
		body := []byte(strings.Repeat("body ", 2000))
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Send(store.ToTeams, store.Delivery{
				ID: "d/1 ü", Kind: "k", Session: "s", Accepted: accepted, NotBefore: turn.Now, Body: body,
				Begun: true, Failed: 3, Attempts: []store.Attempt{{Outcome: "ignored"}},
			})
			turn.Send(store.ToTeams, store.Delivery{ID: "d2"})
		})
		want := []store.Delivery{
			{ID: "d/1 ü", Kind: "k", Session: "s", Accepted: accepted, NotBefore: w.clock.now(), Body: body},
			{ID: "d2", Accepted: w.clock.now()},
		}
		same(t, "deliveries", w.claim(t, store.ToTeams, 9).Deliveries, want)
	}},
	{"CallersMayReuseTheirBytes", func(t *testing.T, w *world) {
		b := []byte("bytes")
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Record.Data = b
			turn.Send(store.ToTeams, store.Delivery{ID: "d", Body: b})
			turn.Lines = []store.Line{{Data: b}}
		})
		copy(b, "XXXXX")
		same(t, "data", string(w.load(t, "c1").Data), "bytes")
		same(t, "body", string(w.claim(t, store.ToTeams, 1).Deliveries[0].Body), "bytes")
		same(t, "lines", w.lines(t, "c1", 1), []string{"bytes"})
	}},
	{"ImpossibleTurnsAreRefused", func(t *testing.T, w *world) {
		w.busyConversation(t)
		before := w.load(t, "c1")
		long := strings.Repeat("x", store.MaxString+1)
		for name, f := range map[string]func(*store.Turn){
			"changed id":         func(turn *store.Turn) { turn.Record.ID = "c2" },
			"no record":          func(turn *store.Turn) { turn.Record = nil },
			"delivery nowhere":   func(turn *store.Turn) { turn.Send("", note("d9")) },
			"delivery elsewhere": func(turn *store.Turn) { turn.Send("mars", note("d9")) },
			"delivery unnamed":   func(turn *store.Turn) { turn.Send(store.ToTeams, store.Delivery{}) },
			"NUL in an id":       func(turn *store.Turn) { turn.Send(store.ToTeams, note("d\x00")) },
			"id not UTF-8":       func(turn *store.Turn) { turn.Send(store.ToTeams, note("d\xff")) },
			"long id":            func(turn *store.Turn) { turn.Send(store.ToTeams, note(long)) },
			"move nowhere":       func(turn *store.Turn) { turn.Move = []store.Move{{From: store.Held}} },
			"drop nowhere":       func(turn *store.Turn) { turn.Drop = []store.Direction{"mars"} },
			"empty key":          func(turn *store.Turn) { turn.Record.Keys = []string{""} },
			"key twice":          func(turn *store.Turn) { turn.Record.Keys = []string{"k", "k"} },
			"person twice":       func(turn *store.Turn) { turn.Record.People = []string{"p", "p"} },
			"long status":        func(turn *store.Turn) { turn.Record.Status = long },
			"huge body": func(turn *store.Turn) {
				turn.Send(store.ToTeams, store.Delivery{ID: "d", Body: make([]byte, store.MaxData+1)})
			},
		} {
			err := w.Apply(t.Context(), "c1", events("e1"), func(turn *store.Turn) error { f(turn); return nil })
			if err == nil {
				t.Errorf("%s: Apply succeeded", name)
			}
		}
		for _, id := range []string{"", "c\x00", "c\xff", long} {
			if err := w.Apply(t.Context(), id, nil, func(*store.Turn) error { return nil }); err == nil {
				t.Errorf("Apply to conversation %.9q succeeded", id)
			}
			if err := w.Apply(t.Context(), "c1", events(id), func(*store.Turn) error { return nil }); err == nil {
				t.Errorf("Apply of event %.9q succeeded", id)
			}
		}
		w.unchanged(t, before)
	}},
	{"LongestStringsAreTaken", func(t *testing.T, w *world) {
		long := strings.Repeat("x", store.MaxString)
		err := w.Apply(t.Context(), long, events(long), func(turn *store.Turn) error {
			turn.Record.Keys, turn.Record.People, turn.Record.Status = []string{long}, []string{long}, long
			turn.Send(store.ToTeams, store.Delivery{ID: long, Kind: long, Session: long})
			return nil
		})
		is(t, "Apply", err, nil)
		w.claim(t, store.ToTeams, 1)
		n, err := w.Erase(t.Context(), long)
		is(t, "Erase", err, nil)
		same(t, "erased", n, 1)
	}},
	{"SettleAddsToOtherLanes", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToServiceNow, "s1", "s2")
		l := w.claim(t, store.ToServiceNow, 1)
		err := w.Settle(t.Context(), l, store.Result{Done: 1}, func(turn *store.Turn) error {
			same(t, "Fresh", turn.Fresh, []bool(nil))
			turn.Record.Data = []byte("sent")
			turn.Send(store.ToTeams, note("t1"))
			turn.Send(store.ToServiceNow, note("s3"))
			return nil
		})
		is(t, "Settle", err, nil)
		same(t, "data", string(w.load(t, "c1").Data), "sent")
		same(t, "to ServiceNow", w.drain(t, store.ToServiceNow), []string{"s2", "s3"})
		same(t, "to Teams", w.drain(t, store.ToTeams), []string{"t1"})
	}},
	{"SettleMayEmptyItsLane", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToServiceNow, "s1", "s2", "s3")
		l := w.claim(t, store.ToServiceNow, 2)
		err := w.Settle(t.Context(), l, store.Result{Done: 1, Next: store.Bury, Reason: "r"}, func(turn *store.Turn) error {
			turn.Drop = []store.Direction{store.ToServiceNow}
			turn.Send(store.ToServiceNow, note("end"))
			return nil
		})
		is(t, "Settle", err, nil)
		same(t, "to ServiceNow", w.drain(t, store.ToServiceNow), []string{"end"})
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 1) // s2; s3 was dropped
	}},
	{"BothDirectionsAtOnce", func(t *testing.T, w *world) {
		// Each delivery makes one for the other lane, with settles and events crossing.
		const conversations, rounds = 4, 12
		for i := range conversations {
			w.send(t, fmt.Sprintf("c%d", i), store.ToTeams, "a0")
			w.send(t, fmt.Sprintf("c%d", i), store.ToServiceNow, "b0")
		}
		var wg sync.WaitGroup
		work := func(from, to store.Direction) {
			for done := 0; done < conversations*rounds; {
				if err := w.Wait(t.Context(), from); err != nil {
					t.Errorf("Wait: %v", err)
					return
				}
				l, err := w.Claim(t.Context(), from, time.Minute, 1)
				if err != nil {
					continue
				}
				err = w.Settle(t.Context(), l, store.Result{Done: 1}, func(turn *store.Turn) error {
					turn.Record.Data = append(turn.Record.Data, 'x')
					turn.Send(to, note("n"+l.Deliveries[0].ID))
					return nil
				})
				if err != nil {
					t.Errorf("Settle: %v", err)
					return
				}
				done++
			}
		}
		wg.Go(func() { work(store.ToTeams, store.ToServiceNow) })
		wg.Go(func() { work(store.ToServiceNow, store.ToTeams) })
		for i := range conversations {
			wg.Go(func() {
				for j := range rounds {
					err := w.Apply(t.Context(), fmt.Sprintf("c%d", i), events(fmt.Sprint(j)), func(turn *store.Turn) error {
						turn.Record.Data = append(turn.Record.Data, 'y')
						return nil
					})
					if err != nil {
						t.Errorf("Apply: %v", err)
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for i := range conversations {
			total += len(w.load(t, fmt.Sprintf("c%d", i)).Data)
		}
		same(t, "turns", total, 3*conversations*rounds)
		left := w.waiting(t, store.ToTeams) + w.waiting(t, store.ToServiceNow)
		same(t, "deliveries left", left, 2*conversations)
	}},
}
