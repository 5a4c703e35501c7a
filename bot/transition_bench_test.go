package bot

import (
	"testing"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

// What a transition does without.
type (
	noStore      struct{ store.Store }
	noTeams      struct{ Teams }
	noServiceNow struct{ ServiceNow }
)

func (noStore) Mask(string) string { return "masked" }

// transitions returns the transition of one message of each side, in a chat that is on: from the record to the record.
func transitions(tb testing.TB) (employee, agent func()) {
	tb.Helper()
	b, err := New(Options{Store: noStore{}, Teams: noTeams{}, ServiceNow: noServiceNow{}, AppID: "app"})
	if err != nil {
		tb.Fatal(err)
	}
	w := newWorld(tb)
	session := w.connect()
	step := func(ev event) func() {
		return func() {
			w.now = w.now.Add(time.Millisecond)
			r := w.record
			t := store.Turn{Record: &r, Now: w.now, Fresh: []bool{true}}
			var counts []count
			if err := b.transit(&t, "event", ev, facts{}, &counts); err != nil {
				tb.Fatal(err)
			}
			if len(t.Deliver) == 0 {
				tb.Fatal("nothing is sent")
			}
			w.record = r
		}
	}
	said := words("Have you tried turning it off and on again?", IntentNone)
	said.interpreted = true
	return step(said), step(post(session, snow.Item{ID: "m", Kind: snow.KindText, Text: "It does not start", FromAgent: true}))
}

func BenchmarkTransition(b *testing.B) {
	employee, agent := transitions(b)
	for name, do := range map[string]func(){"employee": employee, "agent": agent} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}

func BenchmarkDescribe(b *testing.B) {
	x := &Bot{store: noStore{}}
	a := words("Have you tried turning it off and on again?", IntentNone).activity
	for name, interpreted := range map[string]bool{"to an agent": false, "to the bot": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ev := x.describe(a); interpreted {
					x.interpret(ev)
				}
			}
		})
	}
}

// Allocations a transition may cost.
func TestAllocationBudgets(t *testing.T) {
	employee, agent := transitions(t)
	for _, tt := range []struct {
		name string
		most float64
		do   func()
	}{
		{"employee's words", 34, employee},
		{"agent's words", 22, agent},
	} {
		if n := testing.AllocsPerRun(200, tt.do); n > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.name, n, tt.most)
		} else {
			t.Logf("%s: %.0f allocations", tt.name, n)
		}
	}
}
