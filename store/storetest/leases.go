package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"snowbot/store"
)

var leaseCases = []testCase{
	{"LeasedLaneIsNotClaimed", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		l := w.claim(t, store.ToTeams, 1)
		same(t, "until", l.Until, w.clock.now().Add(time.Minute))
		w.clock.advance(59 * time.Second)
		w.send(t, "c1", store.ToTeams, "d3")
		w.claimNothing(t, store.ToTeams)
	}},
	{"LeaseRunsOut", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		w.claim(t, store.ToTeams, 1)
		w.clock.advance(time.Minute)
		same(t, "run", ids(w.claim(t, store.ToTeams, 1)), []string{"d1"})
	}},
	{"LeaseSaysWhetherTheOneBeforeRanOut", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2", "d3")
		l := w.claim(t, store.ToTeams, 1)
		same(t, "lapsed, the first", l.Lapsed, false)
		w.settle(t, l, store.Result{Done: 1})
		l = w.claim(t, store.ToTeams, 1)
		same(t, "lapsed, after a settle", l.Lapsed, false)
		w.settle(t, l, store.Result{})
		same(t, "lapsed, after a release", w.claim(t, store.ToTeams, 1).Lapsed, false)
		w.clock.advance(time.Minute)
		l = w.claim(t, store.ToTeams, 1)
		same(t, "lapsed, after a lease that ran out", l.Lapsed, true)
		w.settle(t, l, store.Result{Done: 1})
		same(t, "lapsed, after that", w.claim(t, store.ToTeams, 1).Lapsed, false)
	}},
	{"PassedLeaseIsFenced", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		old := w.claim(t, store.ToTeams, 1)
		w.clock.advance(time.Minute)
		current := w.claim(t, store.ToTeams, 1)
		called := false
		err := w.Settle(t.Context(), old, store.Result{Done: 1}, func(*store.Turn) error { called = true; return nil })
		is(t, "Settle", err, store.ErrFenced)
		is(t, "Begin", w.Begin(t.Context(), old), store.ErrFenced)
		same(t, "turn called", called, false)
		is(t, "Begin", w.Begin(t.Context(), current), nil)
		w.settle(t, current, store.Result{Done: 1})
		is(t, "Settle", w.Settle(t.Context(), old, store.Result{Done: 1}, nil), store.ErrFenced)
		same(t, "left", w.drain(t, store.ToTeams), []string{"d2"})
	}},
	{"LateSettleCountsUntilAnotherClaims", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		l := w.claim(t, store.ToTeams, 1)
		w.clock.advance(time.Hour)
		w.settle(t, l, store.Result{Done: 1})
		same(t, "left", w.drain(t, store.ToTeams), []string{"d2"})
	}},
	{"SettledLeaseIsFenced", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2", "d3")
		l := w.claim(t, store.ToTeams, 1)
		w.settle(t, l, store.Result{Done: 1})
		is(t, "Settle", w.Settle(t.Context(), l, store.Result{Done: 1}, nil), store.ErrFenced)
		same(t, "left", w.drain(t, store.ToTeams), []string{"d2", "d3"})
	}},
	{"SettledLeaseOfAnEmptyLaneIsFenced", func(t *testing.T, w *world) { // also when that settle is not durable yet
		for _, id := range numbered("d", 10) {
			w.send(t, "c1", store.ToTeams, id)
			l := w.claim(t, store.ToTeams, 1)
			w.settle(t, l, store.Result{Done: 1})
			is(t, "Settle", w.Settle(t.Context(), l, store.Result{Done: 1}, nil), store.ErrFenced)
			is(t, "Begin", w.Begin(t.Context(), l), store.ErrFenced)
		}
	}},
	{"TwoSettlesOfOneLeaseCountOnce", func(t *testing.T, w *world) {
		const rounds, settles = 20, 8
		w.send(t, "c1", store.ToTeams, numbered("d", rounds+1)...)
		for range rounds {
			l := w.claim(t, store.ToTeams, 1)
			errs := make(chan error)
			for range settles {
				go func() {
					errs <- w.Settle(t.Context(), l, store.Result{Done: 1}, func(turn *store.Turn) error {
						turn.Record.Data = append(turn.Record.Data, 'x')
						return nil
					})
				}()
			}
			fenced := 0
			for range settles {
				if err := <-errs; errors.Is(err, store.ErrFenced) {
					fenced++
				} else if err != nil {
					t.Fatalf("Settle: %v", err)
				}
			}
			same(t, "fenced", fenced, settles-1)
		}
		same(t, "turns", len(w.load(t, "c1").Data), rounds)
		same(t, "left", w.drain(t, store.ToTeams), numbered("d", rounds+1)[rounds:])
	}},
	{"ForgedLeaseIsFenced", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		w.clock.advance(time.Second)
		w.send(t, "c2", store.ToTeams, "d2")
		l := w.claim(t, store.ToTeams, 1)
		for _, forge := range []func(*store.Lease){
			func(l *store.Lease) { l.Token++ },
			func(l *store.Lease) { l.Token = 0 },
			func(l *store.Lease) { l.Lane.Conversation = "c2" },
			func(l *store.Lease) { l.Lane.Direction = store.ToBot },
		} {
			forged := *l
			forge(&forged)
			is(t, "Settle", w.Settle(t.Context(), &forged, store.Result{Done: 1}, nil), store.ErrFenced)
		}
		w.settle(t, l, store.Result{Done: 1})
	}},
	{"LeaseOfAnotherLifeIsFenced", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		old := w.claim(t, store.ToTeams, 1)
		w.reopen(t)
		w.clock.advance(time.Minute)
		w.claim(t, store.ToTeams, 1)
		is(t, "Settle", w.Settle(t.Context(), old, store.Result{Done: 1}, nil), store.ErrFenced)
	}},
	{"AgainKeepsTheHead", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2", "d3")
		at := w.clock.now()
		l := w.claim(t, store.ToTeams, 3)
		w.settle(t, l, store.Result{Done: 1, Next: store.Again, At: at.Add(10 * time.Second), Outcome: "503"})
		w.claimNothing(t, store.ToTeams)
		w.clock.advance(10 * time.Second)
		l = w.claim(t, store.ToTeams, 3)
		want := note("d2")
		want.Accepted, want.NotBefore = at, at.Add(10*time.Second)
		want.Failed, want.Attempts = 1, store.AddAttempt(nil, at, "503")
		same(t, "head", l.Deliveries[0], want)
		same(t, "run", ids(l), []string{"d2", "d3"})
	}},
	{"AgainWithoutTimeIsDueAtOnce", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Again})
		same(t, "head", w.claim(t, store.ToTeams, 1).Deliveries[0].Failed, 1)
	}},
	{"AttemptsAreBounded", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		const n = store.AttemptsKept + 5
		for i := range n {
			w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Again, Outcome: fmt.Sprint(i)})
		}
		d := w.claim(t, store.ToTeams, 1).Deliveries[0]
		same(t, "failed", d.Failed, n)
		same(t, "attempts", len(d.Attempts), store.AttemptsKept)
		same(t, "last outcome", d.Attempts[store.AttemptsKept-1].Outcome, fmt.Sprint(n-1))
	}},
	{"AttemptsThatFailAlikeAreOne", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1")
		start := w.clock.now()
		for _, outcome := range []string{"503", "503", "503", "time-out", "503"} {
			w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Again, Outcome: outcome})
			w.clock.advance(time.Second)
		}
		w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Bury, Outcome: "503", Reason: "too old"})
		at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
		d := w.letters(t, store.DeadLetterFilter{})[0].Delivery
		same(t, "failed", d.Failed, 6)
		same(t, "attempts", d.Attempts, []store.Attempt{
			{At: at(0), Outcome: "503", Times: 3, Last: at(2)},
			{At: at(3), Outcome: "time-out", Times: 1, Last: at(3)},
			{At: at(4), Outcome: "503", Times: 2, Last: at(5)},
		})
	}},
	{"ReleaseLeavesTheHeadDue", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		w.settle(t, w.claim(t, store.ToTeams, 2), store.Result{})
		l := w.claim(t, store.ToTeams, 2)
		same(t, "run", ids(l), []string{"d1", "d2"})
		same(t, "failed", l.Deliveries[0].Failed, 0)
		w.settle(t, l, store.Result{Done: 1, Next: store.Release})
		same(t, "run", ids(w.claim(t, store.ToTeams, 2)), []string{"d2"})
	}},
	{"BuryMovesTheLaneOn", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2", "d3")
		l := w.claim(t, store.ToTeams, 2)
		w.settle(t, l, store.Result{Done: 1, Next: store.Bury, Outcome: "403", Reason: "refused"})
		same(t, "left", w.drain(t, store.ToTeams), []string{"d3"})
		dead := w.letters(t, store.DeadLetterFilter{})
		want := note("d2")
		want.Accepted, want.Failed = w.clock.now(), 1
		want.Attempts = store.AddAttempt(nil, w.clock.now(), "403")
		same(t, "dead letter", dead, []store.DeadLetter{{
			ID: dead[0].ID, Lane: store.Lane{Conversation: "c1", Direction: store.ToTeams}, Reason: "refused",
			At: w.clock.now(), Delivery: want,
		}})
	}},
	{"NextIsForWhatTheLeaseHolds", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		l := w.claim(t, store.ToTeams, 1)
		w.settle(t, l, store.Result{Done: 1, Next: store.Bury, Reason: "r"})
		same(t, "left", w.drain(t, store.ToTeams), []string{"d2"})
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 0)
	}},
	{"ImpossibleResultsAreRefused", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		l := w.claim(t, store.ToTeams, 1)
		for _, r := range []store.Result{{Done: 2}, {Done: -1}, {Next: 7}, {Next: -1}} {
			if err := w.Settle(t.Context(), l, r, nil); err == nil {
				t.Errorf("Settle %+v succeeded", r)
			}
		}
		w.settle(t, l, store.Result{Done: 1})
	}},
	{"SettleErrorKeepsTheLease", func(t *testing.T, w *world) {
		w.busyConversation(t)
		before := w.load(t, "c1")
		l := w.claim(t, store.ToTeams, 1)
		mistake := errors.New("mistake")
		err := w.Settle(t.Context(), l, store.Result{Done: 1}, func(turn *store.Turn) error { change(turn); return mistake })
		is(t, "Settle", err, mistake)
		err = w.Settle(t.Context(), l, store.Result{Done: 1}, func(turn *store.Turn) error { change(turn); panic(1) })
		var p *store.PanicError
		if !errors.As(err, &p) {
			t.Fatalf("Settle: %v, want a PanicError", err)
		}
		w.claimNothing(t, store.ToTeams)
		w.settle(t, l, store.Result{})
		w.unchanged(t, before)
	}},
	{"BeginIsSeenUntilSettled", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToTeams, "d1", "d2")
		l := w.claim(t, store.ToTeams, 2)
		same(t, "begun", l.Deliveries[0].Begun, false)
		is(t, "Begin", w.Begin(t.Context(), l), nil)
		w.reopen(t)
		w.clock.advance(time.Minute)
		l = w.claim(t, store.ToTeams, 2)
		same(t, "begun", []bool{l.Deliveries[0].Begun, l.Deliveries[1].Begun}, []bool{true, false})
		w.settle(t, l, store.Result{})
		l = w.claim(t, store.ToTeams, 2)
		same(t, "begun after a release", l.Deliveries[0].Begun, false)
		is(t, "Begin", w.Begin(t.Context(), l), nil)
		w.settle(t, l, store.Result{Next: store.Again})
		same(t, "begun after a failure", w.claim(t, store.ToTeams, 1).Deliveries[0].Begun, false)
	}},
	{"DropUnderALease", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToServiceNow, "d1", "d2")
		l := w.claim(t, store.ToServiceNow, 2)
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Drop = []store.Direction{store.ToServiceNow}
			turn.Send(store.ToServiceNow, note("end"))
			turn.Send(store.ToServiceNow, note("after"))
		})
		w.claimNothing(t, store.ToServiceNow) // one in flight
		is(t, "Begin", w.Begin(t.Context(), l), store.ErrFenced)
		err := w.Settle(t.Context(), l, store.Result{Done: 1, Next: store.Bury}, func(turn *store.Turn) error {
			turn.Record.Data = []byte("told")
			return nil
		})
		is(t, "Settle", err, nil)
		same(t, "data", string(w.load(t, "c1").Data), "told")
		same(t, "dead letters", len(w.letters(t, store.DeadLetterFilter{})), 0)
		same(t, "left", w.drain(t, store.ToServiceNow), []string{"end", "after"})
	}},
	{"MoveUnderALease", func(t *testing.T, w *world) {
		w.send(t, "c1", store.ToServiceNow, "d1", "d2")
		l := w.claim(t, store.ToServiceNow, 1)
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Move = []store.Move{{From: store.ToServiceNow, To: store.ToTeams}}
		})
		w.settle(t, l, store.Result{Done: 1})
		same(t, "moved", w.drain(t, store.ToTeams), []string{"d1", "d2"})
		w.claimNothing(t, store.ToServiceNow)
	}},
	{"EmptiedLaneTakesNewWork", func(t *testing.T, w *world) {
		for _, id := range numbered("d", 20) {
			w.send(t, "c1", store.ToTeams, id)
			l := w.claim(t, store.ToTeams, 9)
			same(t, "run", ids(l), []string{id})
			w.settle(t, l, store.Result{Done: 1})
		}
		w.eventually(t, "nothing waits", func() bool { return w.waiting(t, store.ToTeams) == 0 })
		w.reopen(t)
		w.claimNothing(t, store.ToTeams)
	}},
}
