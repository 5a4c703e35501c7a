package bot

import (
	"slices"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// broken is a transition's world in which nothing works, as after a mistake of ours.
func (b *Bot) broken() { b.rules.Resolve = func(string) (string, bool) { panic("a mistake") } }

// turn runs the transition of an event as a store does.
func (m *morgue) turn(b *Bot, ev event, fresh ...bool) (*store.Turn, []count) {
	m.t.Helper()
	r, err := m.st.Load(m.t.Context(), "tenant/chat")
	if err != nil {
		m.t.Fatal(err)
	}
	before := slices.Clone(r.Data)
	turn := &store.Turn{Record: &r, Now: time.Now(), Fresh: fresh}
	var counts []count
	if err := b.transit(turn, "seed", ev, facts{}, &counts); err != nil {
		m.t.Fatalf("the event is refused: %v", err)
	}
	if !slices.Equal(before, r.Data) {
		m.t.Error("a transition that failed has changed the state")
	}
	return turn, counts
}

func TestAnEventThatNoTransitionTakesIsKeptAndTold(t *testing.T) {
	t.Parallel()
	picture := snow.Item{ID: "m1", Kind: snow.KindImage, URL: "https://example.com/x.png", FromAgent: true}
	tell := words("my words", IntentNone)
	tell.activity.Type = adapter.TypeMessage
	for _, tt := range []struct {
		name  string
		ev    event
		fresh []bool
		told  []string
	}{
		{"a post", &postEvent{session: "s", post: &snow.Event{SessionID: "s", Raw: []byte(`{"body":[]}`), Items: []snow.Item{picture}}}, []bool{true}, []string{"ticks tick"}},
		{"a repeat of it", &postEvent{session: "s", post: &snow.Event{SessionID: "s", Items: []snow.Item{{ID: "m2", Kind: snow.KindImage, URL: "x", FromAgent: true}, picture}}}, []bool{true, false}, []string{"ticks tick"}},
		{"words", failing{tell}, nil, nil},
		{"a timer", failing{timerEvent{}}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}, Owner: 1, Session: &session{ID: "s", Phase: connected, Live: "m"}})
			b, err := New(Options{Store: m.st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app", Rules: Rules{Ticks: true}})
			if err != nil {
				t.Fatal(err)
			}
			b.broken()
			turn, counts := m.turn(b, tt.ev, tt.fresh...)
			if len(turn.Bury) != 1 || turn.Bury[0].Reason != "transition failed" {
				t.Errorf("dead letters = %+v, want the event", turn.Bury)
			}
			if got := kinds(turn.Deliver); !slices.Equal(got, tt.told) {
				t.Errorf("sent %v, want %v", got, tt.told)
			}
			if !slices.Equal(counts, []count{{"panics", ""}}) {
				t.Errorf("counted %v", counts)
			}
		})
	}
}

// failing is an event whose transition fails.
type failing struct{ event }

func (failing) apply(*change) { panic("a mistake") }

func TestWordsThatNoTransitionTakesCanBeSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	turn := &store.Turn{Record: &w.record, Now: w.now}
	c := &change{rules: &w.rules, now: w.now, seed: "seed", state: w.state(), turn: turn}
	c.tellLost(words("my words", IntentNone))
	if got := kinds(turn.Deliver); !slices.Equal(got, []string{"teams failure"}) {
		t.Fatalf("sent %v, want that the words were not delivered", got)
	}
}

func TestAPressOrAnEditThatNoTransitionTakesIsTold(t *testing.T) {
	t.Parallel()
	press := words("", IntentNone)
	press.press = &button{Verb: verbChoice, Choice: "5"}
	for _, e := range []*employeeEvent{press, edit(adapter.TypeMessageUpdate, "corrected"), edit(adapter.TypeMessageDelete, "")} {
		w := newWorld(t)
		w.connect()
		turn := &store.Turn{Record: &w.record, Now: w.now}
		c := &change{rules: &w.rules, now: w.now, seed: "seed", state: w.state(), turn: turn}
		c.tellLost(e)
		if got := kinds(turn.Deliver); !slices.Equal(got, []string{"teams notice"}) {
			t.Errorf("%s: sent %v, want that it was not delivered", e.activity.Type, got)
		}
	}
}

func TestATimerThatFailsIsLookedAtAgainWithinAMinute(t *testing.T) {
	t.Parallel()
	m := newMorgue(t, &state{Ref: adapter.Reference{ConversationID: "chat", TenantID: "tenant"}, Owner: 1, Session: &session{ID: "s", Phase: connected, Live: "m"}})
	b, err := New(Options{Store: m.st, Teams: shyTeams{t: t}, ServiceNow: struct{ ServiceNow }{}, AppID: "app"})
	if err != nil {
		t.Fatal(err)
	}
	b.rules.catalogue = nil
	turn, counts := m.turn(b, timerEvent{})
	if wait := turn.Record.Due.Sub(turn.Now); wait <= 0 || wait >= time.Minute {
		t.Errorf("looked at again after %v, want some time within the minute in which a session has to end", wait)
	}
	if len(turn.Bury) != 0 {
		t.Errorf("%d dead letters, want none: there is nothing to keep, and it comes again", len(turn.Bury))
	}
	if !slices.Equal(counts, []count{{"panics", ""}}) {
		t.Errorf("counted %v", counts)
	}
}
