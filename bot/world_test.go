package bot

import (
	"fmt"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// A world runs transitions as a store does, without one.
type world struct {
	rules  Rules
	now    time.Time
	record store.Record
	lanes  map[store.Direction][]store.Delivery
	all    []store.Outgoing // everything that was ever sent
	events int
	facts  facts
	known  map[string]bool // items that were posted; nil takes all for new
}

func newWorld(t interface{ Fatal(args ...any) }) *world {
	rules, err := Rules{Ticks: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		rules: rules, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		record: store.Record{ID: "tenant/chat"}, lanes: map[store.Direction][]store.Delivery{},
	}
}

// do applies an event with all its items fresh, and returns what it sent.
func (w *world) do(ev event) []store.Outgoing {
	t := &store.Turn{Record: &w.record, Now: w.now}
	if p, ok := ev.(*postEvent); ok {
		for _, it := range p.post.Items {
			t.Fresh = append(t.Fresh, !w.known[p.session+"/"+it.ID])
			if w.known != nil {
				w.known[p.session+"/"+it.ID] = true
			}
		}
	}
	s, err := decodeState(t.Record)
	if err != nil {
		panic(err)
	}
	w.events++
	c := &change{rules: &w.rules, now: w.now, seed: fmt.Sprintf("event%d", w.events), state: s, turn: t, facts: w.facts}
	ev.apply(c)
	s.forget(w.now)
	if err := s.encode(t.Record, s.due(&w.rules)); err != nil {
		panic(err)
	}
	for _, m := range t.Move {
		w.lanes[m.To] = append(w.lanes[m.To], w.lanes[m.From]...)
		w.lanes[m.From] = nil
	}
	for _, d := range t.Drop {
		w.lanes[d] = nil
	}
	for _, o := range t.Deliver {
		w.lanes[o.Direction] = append(w.lanes[o.Direction], o.Delivery)
	}
	w.all = append(w.all, t.Deliver...)
	return t.Deliver
}

func (w *world) state() *state {
	s, err := decodeState(&w.record)
	if err != nil {
		panic(err)
	}
	return s
}

func words(text string, intent Intent) *employeeEvent {
	return &employeeEvent{
		activity: &adapter.Activity{Type: adapter.TypeMessage, Text: text},
		ref:      adapter.Reference{ConversationID: "chat", TenantID: "tenant", UserID: "29:mia"},
		text:     text, intent: intent, command: DetectCommand(text), live: "masked",
	}
}

func post(session string, items ...snow.Item) *postEvent {
	return &postEvent{session: session, post: &snow.Event{SessionID: session, Items: items}}
}

// connect starts a session and lets an agent join.
func (w *world) connect() (session string) {
	w.do(words("agent", IntentAgent))
	session = w.state().Session.ID
	w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: session}, userID: "mia@example.com"})
	w.do(post(session, snow.Item{ID: "j", Kind: snow.KindJoined}))
	return session
}

func kinds(sent []store.Outgoing) []string {
	var out []string
	for _, o := range sent {
		out = append(out, string(o.Direction)+" "+o.Kind)
	}
	return out
}
