package bot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// TestBothSidesAgree lets an employee, an agent and the wire between do anything in any order: posts that are late, repeated and out
// of order; requests whose effect is unclear, comes late, or twice; sends that are given up; timers. When the wire is quiet again, nothing that
// the employee wrote is lost in silence, and neither side sits before a chat that the other has left.
func TestBothSidesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{world: newWorld(t), t: t, wrote: map[string]*writing{}, took: map[string]bool{}, over: map[string]bool{}}
		m.known = map[string]bool{}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			m.step()
		}
		m.quiet()
		if s := m.state().Session; s != nil && s.Phase == connected && s.Closing.IsZero() && (m.phase != "live" || m.session != s.ID) {
			t.Fatalf("the employee is connected to nobody: the instance is %q with session %q, the bot in %q", m.phase, m.session, s.ID)
		}
		for range 40 {
			if m.record.Due.IsZero() || m.state().Session == nil {
				break
			}
			m.now = m.record.Due
			m.do(timerEvent{})
			m.quiet()
		}
		for m.phase == "queue" || m.phase == "live" { // the agent finds out, by doing something
			if m.now = m.now.Add(crossing); m.state().Session != nil || m.said > 1000 {
				break
			}
			m.serves()
			m.quiet()
		}
		m.settled()
	})
}

// A model is a world with an instance at the other end of a wire.
type model struct {
	*world
	t *rapid.T

	// The instance, which keeps one chat a person.
	phase   string // "", queue, live or virtual, when its own bot goes on after the agent
	session string // the last that a request named
	took    map[string]bool
	said    int

	wordy bool // it has said something in words only

	air  []*postEvent    // on their way to us
	over map[string]bool // sessions of which we have been told that they are over
	late []request       // on their way to the instance, though we have given up waiting for an answer

	wrote map[string]*writing // by delivery
	order []string            // as the agent sees them
}

// A request is one send to the instance.
type request struct {
	store.Delivery
	late bool
}

// A writing is what became of words of the employee.
type writing struct {
	n                             int
	shown, told, dropped, excused bool
}

func (m *model) step() {
	switch rapid.IntRange(0, 12).Draw(m.t, "step") {
	case 0:
		m.do(words("agent", IntentAgent))
	case 1, 2:
		m.said++
		m.do(words(fmt.Sprint("words ", m.said), IntentNone))
	case 3:
		m.do(words(rapid.SampledFrom([]string{"cancel", "end chat"}).Draw(m.t, "command"), IntentNone))
	case 4:
		m.said++
		m.do(edit(adapter.TypeMessageUpdate, fmt.Sprint("words ", m.said)))
	case 5, 6:
		m.agent()
	case 7, 8:
		if n := len(m.air); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(m.t, "post")
			if m.wordy { // of two sentences that overtake each other nobody can tell which was the last
				i = 0
			}
			m.arrives(m.air[i])
			if rapid.IntRange(0, 3).Draw(m.t, "repeated") > 0 {
				m.air = slices.Delete(m.air, i, i+1)
			}
		}
	case 9, 10:
		m.send(rapid.SampledFrom([]string{"done", "done", "unclear", "slow", "refused", "too old"}).Draw(m.t, "outcome"))
	case 11:
		if len(m.late) > 0 {
			r := m.late[0]
			m.late = m.late[1:]
			m.takes(r)
		}
	default:
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(m.t, "seconds")) * time.Second)
		if due := m.record.Due; !due.IsZero() && !m.now.Before(due) {
			m.do(timerEvent{})
		}
	}
}

// do keeps account of what an event does to the employee's words.
func (m *model) do(ev event) []store.Outgoing {
	held := m.lanes[store.Held]
	sent := m.world.do(ev)
	for _, o := range sent {
		if o.Kind == kindWords {
			m.wrote[o.ID] = &writing{n: m.events}
		}
	}
	gone := len(held) > 0 && !slices.ContainsFunc(slices.Concat(m.lanes[store.Held], m.lanes[store.ToServiceNow]), func(d store.Delivery) bool { return d.ID == held[0].ID })
	cancelled := slices.ContainsFunc(sent, func(o store.Outgoing) bool {
		return o.Kind == kindEnd && o.Direction == store.ToTeams && strings.Contains(string(o.Body), "Your request has ended")
	})
	for _, d := range held {
		if gone {
			m.wrote[d.ID].dropped = cancelled || m.state().Offer == d.Session
		}
	}
	return sent
}

// arrives has a post reach us.
func (m *model) arrives(ev *postEvent) {
	m.do(ev)
	m.over[ev.session] = m.over[ev.session] || ev.over(&m.rules)
}

// post has the instance post something, which is on its way then.
func (m *model) post(ev snow.Event) {
	for i := range ev.Items {
		m.said++
		ev.Items[i].ID = fmt.Sprint("item", m.said)
	}
	m.air = append(m.air, &postEvent{session: m.session, post: &ev})
}

func item(k snow.Kind, text string, agent bool) snow.Event {
	return snow.Event{Items: []snow.Item{{Kind: k, Text: text, FromAgent: agent}}}
}

// serves has an agent take the chat, or write in it.
func (m *model) serves() {
	switch m.phase {
	case "queue":
		m.phase = "live"
		m.post(item(snow.KindJoined, "", false))
	case "live":
		m.post(item(snow.KindText, "hello", true))
	}
}

// agent has somebody at the desk do something that is possible there.
func (m *model) agent() {
	over := snow.Event{Completed: true}
	switch rapid.IntRange(0, 6).Draw(m.t, "agent") {
	case 0, 1, 2:
		m.serves()
	case 3:
		if m.phase == "live" || m.phase == "queue" {
			m.phase = ""
			m.post(over)
		}
	case 4:
		if m.phase == "live" || m.phase == "queue" { // its own bot goes on
			m.phase = "virtual"
			m.post(item(snow.KindEnded, "", false))
		}
	case 5:
		if m.phase == "live" { // in words only
			m.phase, m.wordy = "virtual", true
			m.post(item(snow.KindSystem, "Sam has closed the support session.", false))
		}
	default:
		if m.phase != "" {
			m.phase = ""
			m.post(snow.Event{Status: snow.StatusFail})
		}
	}
}

// takes is what the instance makes of a request. It knows a repeat by its id.
func (m *model) takes(r request) {
	if m.took[r.ID] {
		return
	}
	m.took[r.ID] = true
	if r.Kind == kindEnd && m.phase == "" {
		return // of nothing that it knows
	}
	m.session = r.Session
	switch r.Kind {
	case kindAgent:
		if m.phase == "" || m.phase == "virtual" {
			m.phase = "queue"
			m.post(snow.Event{Items: []snow.Item{{Kind: snow.KindWait}}})
		}
	case kindEnd:
		m.phase = ""
		m.post(snow.Event{Completed: true})
	case kindWords:
		w := m.wrote[r.ID]
		if m.phase == "live" || m.phase == "queue" {
			w.shown = true
			if !r.late {
				m.order = append(m.order, r.ID)
			}
			return
		}
		if m.phase == "" {
			m.phase = "virtual" // its own bot greets
		}
		w.excused = r.late || !m.over[r.Session] // the news of the end is on its way to us
	}
}

// send works on the head of the lane to the instance, as toServiceNow and conclude do.
func (m *model) send(outcome string) {
	lane := m.lanes[store.ToServiceNow]
	if len(lane) == 0 {
		return
	}
	d, s := lane[0], m.state()
	b, err := decodeBody(d.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	settle := func(ev event) {
		m.lanes[store.ToServiceNow] = lane[1:]
		sent := m.do(ev)
		if _, failed := ev.(*failedEvent); failed && m.wrote[d.ID] != nil {
			m.wrote[d.ID].told = slices.Contains(kinds(sent), "teams failure")
		}
	}
	done := &sentEvent{to: store.ToServiceNow, delivery: d, body: b, userID: "mia@example.com"}
	failed := func(why failure) *failedEvent {
		return &failedEvent{to: store.ToServiceNow, delivery: d, body: b, why: why}
	}
	switch {
	case d.Kind == kindAgent && (!s.live(d.Session) || !s.Session.Heard.IsZero()), d.Kind == kindTicket:
		settle(done)
		return
	case (d.Kind == kindWords || d.Kind == kindRemark) && s.over(&d):
		outcome = string(failOver)
	case d.Kind == kindEnd && s.overtaken(d.Session):
		settle(done)
		return
	}
	switch outcome {
	case "done":
		m.takes(request{Delivery: d})
		settle(done)
	case "unclear": // and tried again
		m.takes(request{Delivery: d})
	case "slow":
		m.late = append(m.late, request{d, true})
	default:
		if d.Kind != kindEnd { // which is tried until it is taken
			settle(failed(failure(outcome)))
		}
	}
}

// quiet lets everything arrive that is on its way.
func (m *model) quiet() {
	slow := rapid.Bool().Draw(m.t, "slow ones come last")
	for len(m.air)+len(m.late)+len(m.lanes[store.ToServiceNow]) > 0 {
		if !slow || len(m.lanes[store.ToServiceNow]) == 0 {
			for _, r := range m.late {
				m.takes(r)
			}
			m.late = nil
		}
		m.send("done")
		for _, ev := range m.air {
			m.arrives(ev)
		}
		m.air = nil
	}
}

// settled checks what is promised of a chat that is over.
func (m *model) settled() {
	if s := m.state().Session; s != nil {
		m.t.Fatalf("the session never ends: %+v", s)
	}
	if m.phase == "queue" || m.phase == "live" {
		m.t.Fatalf("the chat of session %q is left open at the instance (%s)", m.session, m.phase)
	}
	for _, id := range slices.Sorted(maps.Keys(m.wrote)) {
		if w := m.wrote[id]; !w.shown && !w.told && !w.dropped && !w.excused {
			m.t.Fatalf("the words of %s reached nobody, and nobody was told", id)
		}
	}
	if !slices.IsSortedFunc(m.order, func(a, b string) int { return m.wrote[a].n - m.wrote[b].n }) {
		m.t.Fatalf("the agent reads %v", m.order)
	}
}
