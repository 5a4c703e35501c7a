package bot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

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
		for range p.post.Items {
			t.Fresh = append(t.Fresh, true)
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

func TestTimers(t *testing.T) {
	t.Parallel()
	start := func(w *world) string {
		w.do(words("agent", IntentAgent))
		return w.state().Session.ID
	}
	taken := func(w *world) string {
		id := start(w)
		w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: id}, userID: "u"})
		return id
	}
	closed := func(w *world) string {
		id := w.connect()
		w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
		return id
	}
	for _, tt := range []struct {
		name  string
		setUp func(w *world) string
		after time.Duration
		live  bool // at the end
		warns bool
	}{
		{"no callback, too early", taken, 89 * time.Second, true, false},
		{"no callback", taken, 90 * time.Second, false, false},
		{"silence counts from when ServiceNow took the request", start, 2 * time.Minute, true, false},
		{"in the queue there is more time", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "w", Kind: snow.KindWait}))
			return id
		}, 29 * time.Minute, true, false},
		{"nobody came", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "w", Kind: snow.KindWait}))
			return id
		}, 30 * time.Minute, false, false},
		{"idle, not yet", (*world).connect, 4*time.Minute - time.Second, true, false},
		{"idle is warned of", (*world).connect, 4 * time.Minute, true, true},
		{"closed, and ServiceNow may still go on", closed, 2*time.Minute - time.Second, true, false},
		{"closed, and nothing came", closed, 2 * time.Minute, false, false},
		{"an answer to ServiceNow's own bot takes its time", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "q", Kind: snow.KindInput, Input: "text", Text: "Your room?"}))
			return id
		}, 20 * time.Minute, true, false},
		{"and then the silence counts again", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "q", Kind: snow.KindInput, Input: "text", Text: "Your room?"}))
			w.do(words("12", IntentNone))
			return id
		}, 90 * time.Second, false, false},
		{"the longest session", (*world).connect, 8 * time.Hour, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.setUp(w)
			w.now = w.now.Add(tt.after)
			sent := w.do(timerEvent{})
			s := w.state()
			if live := s.Session != nil; live != tt.live {
				t.Errorf("live = %t, want %t", live, tt.live)
			}
			if warned := s.Session != nil && s.Session.Warned; warned != tt.warns {
				t.Errorf("warned = %t, want %t", warned, tt.warns)
			}
			if !tt.live && !slices.Contains(kinds(sent), "teams end") {
				t.Errorf("the employee is not told of the end: %v", kinds(sent))
			}
			if !tt.live && !slices.Contains(kinds(sent), "servicenow end") {
				t.Errorf("ServiceNow is not told of the end: %v", kinds(sent))
			}
			if again := w.do(timerEvent{}); len(again) != 0 {
				t.Errorf("a timer fired twice: %v", kinds(again))
			}
		})
	}
}

func TestIdleWarningComesOncePerSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	for range 2 {
		w.now = w.now.Add(4 * time.Minute)
		if got := kinds(w.do(timerEvent{})); !slices.Equal(got, []string{"teams notice"}) {
			t.Fatalf("sent %v, want one warning", got)
		}
		w.do(words("still here", IntentNone))
	}
}

func TestLateEventsOfAnOldSessionDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.connect()
	w.do(words("end chat", IntentNone))
	w.do(words("agent", IntentAgent))
	late := w.do(post(old, snow.Item{ID: "m", Kind: snow.KindText, Text: "late", FromAgent: true}))
	if got := kinds(late); !slices.Equal(got, []string{"ticks tick"}) {
		t.Errorf("a late message sent %v, want the agent's report that it failed, and nothing else", got)
	}
	for _, ev := range []event{
		&postEvent{session: old, post: &snow.Event{Completed: true}},
		&failedEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: old}, why: failTooOld},
		&failedEvent{to: store.ToTeams, delivery: store.Delivery{Kind: kindText, Session: old}, why: failBlocked},
	} {
		if sent := w.do(ev); len(sent) != 0 {
			t.Errorf("%T of the old session sent %v", ev, kinds(sent))
		}
	}
	if w.state().Session == nil || w.state().Session.ID == old {
		t.Error("the new session is gone")
	}
}

func TestAnAnswerUnderAnEarlierOwnerIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := w.do(words("what is the weather", IntentNone))
	b, err := decodeBody(asked[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	w.do(words("agent", IntentAgent))
	answer := &sentEvent{to: store.ToBot, delivery: asked[0].Delivery, body: b, replies: []*adapter.Activity{plain("sunny")}}
	if sent := w.do(answer); len(sent) != 0 {
		t.Errorf("sent %v", kinds(sent))
	}
}

// TestSessionProperties lets anything happen in any order.
func TestSessionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		sessions := []string{"unknown"}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			before := w.state()
			w.facts = facts{outage: rapid.IntRange(0, 4).Draw(t, "outage") == 0, ticksOff: rapid.Bool().Draw(t, "ticks off")}
			sent := w.do(anyEvent(t, w, sessions))
			after := w.state()
			if after.Session != nil && !slices.Contains(sessions, after.Session.ID) {
				sessions = append(sessions, after.Session.ID)
			}
			w.holds(t, before, after, sent)
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
		}
		// Left alone, every session ends.
		for range 10 {
			if w.record.Due.IsZero() || w.state().Session == nil {
				break
			}
			w.now = w.record.Due
			w.do(timerEvent{})
		}
		if w.state().Session != nil {
			t.Fatalf("the session never ends: %+v", w.state().Session)
		}
	})
}

// holds checks what is true after every event.
func (w *world) holds(t *rapid.T, before, after *state, sent []store.Outgoing) {
	if live := after.Session != nil; live != (after.Owner%2 == 1) {
		t.Fatalf("owner %d with a session: %t", after.Owner, live)
	}
	if n := len(w.record.Data); n > 4<<10 {
		t.Fatalf("the record has %d bytes", n)
	}
	if s := after.Session; s != nil && s.Phase == connected && len(w.lanes[store.Held]) > 0 {
		t.Fatal("words are held back though an agent is there")
	}
	if s := after.Session; s != nil {
		// Whatever becomes of its deliveries, it ends by a timer.
		last := s.Started.Add(w.rules.MaxSession)
		if s.Phase != connected {
			last = s.Started.Add(w.rules.MaxWait)
		}
		if w.record.Due.IsZero() || w.record.Due.After(last) {
			t.Fatalf("a session that is %s has its timer at %v, want %v at the latest", s.Phase, w.record.Due, last)
		}
		if w.facts.outage && (before.Session == nil || before.Session.ID != s.ID) {
			t.Fatal("an agent was promised during an outage")
		}
	}
	ends, owners := 0, after.Owner-before.Owner
	for _, o := range sent {
		if o.Direction == store.ToTeams && o.Kind == kindEnd {
			ends++
		}
		if o.Direction == store.ToServiceNow && o.Kind == kindWords && (after.Session == nil || o.Session != after.Session.ID) {
			if after.Session != nil || before.Session == nil || o.Session != before.Session.ID {
				t.Fatal("words for a session that is not on")
			}
		}
		if o.ID == "" || o.Accepted.IsZero() {
			t.Fatal("a delivery without id or time")
		}
	}
	if owners < 0 || owners > 2 || ends != boolInt(before.Session != nil && (after.Session == nil || after.Session.ID != before.Session.ID)) {
		t.Fatalf("owner changed by %d with %d end notices", owners, ends)
	}
	if after.Session == nil && len(w.lanes[store.Held]) > 0 {
		t.Fatal("words are held for nobody")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func anyEvent(t *rapid.T, w *world, sessions []string) event {
	session := rapid.SampledFrom(sessions).Draw(t, "session")
	switch rapid.IntRange(0, 7).Draw(t, "kind of event") {
	case 0:
		return words(rapid.SampledFrom([]string{"hello", "cancel", "end chat", "quit", ""}).Draw(t, "words"), IntentNone)
	case 1:
		return words("agent", IntentAgent)
	case 2:
		e := words("", IntentNone)
		e.press = &button{Session: session, Text: "again", Choice: "c", Verb: rapid.SampledFrom([]verb{
			verbTalk, verbCancel, verbEnd, verbTicket, verbAgain, verbChoice, "unknown",
		}).Draw(t, "verb")}
		return e
	case 3, 4:
		p := &snow.Event{
			SessionID: session,
			AgentChat: rapid.Bool().Draw(t, "agentChat"), TakeControl: rapid.IntRange(0, 9).Draw(t, "takeControl") == 0,
			Completed: rapid.IntRange(0, 9).Draw(t, "completed") == 0,
			Status: rapid.SampledFrom([]snow.Status{
				"", "", "", snow.StatusActive, snow.StatusWaiting, snow.StatusConnected, snow.StatusCompleted, snow.StatusFail, snow.StatusCancelled,
			}).Draw(t, "status"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "items") {
			p.Items = append(p.Items, snow.Item{
				ID: fmt.Sprintf("item%d-%d", w.events, i), Text: "text", FromAgent: rapid.Bool().Draw(t, "from agent"),
				Kind: rapid.SampledFrom([]snow.Kind{
					snow.KindText, snow.KindSystem, snow.KindWait, snow.KindJoined, snow.KindEnded, snow.KindTyping, snow.KindPicker,
					snow.KindUnknown, snow.KindNothing, snow.KindImage, snow.KindInput, snow.KindLinks,
				}).Draw(t, "item"),
			})
		}
		return &postEvent{session: session, post: p}
	case 5:
		return timerEvent{}
	case 6:
		return &failedEvent{
			to:       rapid.SampledFrom([]store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot}).Draw(t, "to"),
			delivery: store.Delivery{ID: "d", Session: session, Kind: rapid.SampledFrom([]string{kindAgent, kindWords, kindEnd, kindText, kindCard, kindTicket, kindTurn}).Draw(t, "delivery")},
			why:      rapid.SampledFrom([]failure{failTooOld, failRefused, failUnclear, failBlocked, failNobody, failOver}).Draw(t, "why"),
		}
	default:
		action := rapid.SampledFrom([]string{"add", "remove", "add-upgrade"}).Draw(t, "action")
		return &employeeEvent{
			activity: &adapter.Activity{Type: adapter.TypeInstallationUpdate, Action: action},
			ref:      adapter.Reference{ConversationID: "chat", TenantID: "tenant", UserID: "29:mia"},
		}
	}
}

func TestAReactionLeavesTheLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := words("hallo", IntentNone)
	e.ref.Locale, e.ref.UserName = "de-DE", "Mia"
	w.do(e)
	w.do(&employeeEvent{
		activity: &adapter.Activity{Type: adapter.TypeMessageReaction},
		ref:      adapter.Reference{ConversationID: "chat", TenantID: "tenant", UserID: "29:somebody", ServiceURL: "https://new"},
	})
	if ref := w.state().Ref; ref.Locale != "de-DE" || ref.UserID != "29:mia" || ref.ServiceURL != "https://new" {
		t.Errorf("reference = %+v, want the old language and user, and the new service URL", ref)
	}
}

func TestAnAnswerThatWasLostEndsNoSessionThatIsHeardFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(words("agent", IntentAgent))
	id := w.state().Session.ID
	w.do(post(id, snow.Item{ID: "j", Kind: snow.KindJoined}))
	if sent := w.do(&failedEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: id}, why: failUnclear}); len(sent) != 0 {
		t.Errorf("sent %v", kinds(sent))
	}
	if !w.state().live(id) {
		t.Error("the session ended though an agent has it")
	}
}

func TestSomethingHeardIsNoSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(words("agent", IntentAgent))
	id := w.state().Session.ID
	w.now = w.now.Add(time.Second)
	w.do(post(id, snow.Item{ID: "t", Kind: snow.KindText, Text: "There are no agents available."}))
	w.now = w.now.Add(90 * time.Second)
	w.do(timerEvent{})
	if w.state().Session != nil {
		t.Fatal("a session that is not in any queue has to end")
	}
	for _, o := range w.all {
		if b, err := decodeBody(o.Body); err == nil && b.Activity != nil && b.Activity.Text == TextsFor("en").Say(TextNoticeNoCallback) {
			t.Error("the employee was told that the service desk did not answer, and it had")
		}
	}
}

func TestAFileIsToldToBothSides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	e := words("see here", IntentNone)
	e.files = true
	var agent, employee string
	for _, o := range w.do(e) {
		b, err := decodeBody(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		if o.Direction == store.ToServiceNow {
			agent = b.Text
		} else if b.Activity != nil {
			employee = b.Activity.Text
		}
	}
	if want := "see here\n\n" + TextsFor("en").Say(TextAttachmentNotRelayed); agent != want {
		t.Errorf("the agent is told %q, want %q", agent, want)
	}
	if want := TextsFor("en").Say(TextFileNotRelayed); employee != want {
		t.Errorf("the employee is told %q, want %q", employee, want)
	}
}

func TestARepeatedPostBringsNoOldName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	w.do(post(id, snow.Item{ID: "1", Kind: snow.KindText, Text: "a", FromAgent: true, Agent: snow.Agent{Name: "Sam"}}))
	w.do(post(id, snow.Item{ID: "2", Kind: snow.KindText, Text: "b", FromAgent: true, Agent: snow.Agent{Name: "Priya"}}))
	repeat := post(id, snow.Item{ID: "1", Kind: snow.KindText, Text: "a", FromAgent: true, Agent: snow.Agent{Name: "Sam"}})
	repeat.post.Status = snow.StatusConnected
	turn := &store.Turn{Record: &w.record, Now: w.now, Fresh: []bool{false}}
	c := &change{rules: &w.rules, now: w.now, seed: "repeat", state: w.state(), turn: turn}
	repeat.apply(c)
	if len(turn.Deliver) != 0 || c.state.Session.AgentName != "Priya" {
		t.Errorf("sent %v, and the agent is %q", kinds(turn.Deliver), c.state.Session.AgentName)
	}
}

func TestButtonsAnswer(t *testing.T) {
	t.Parallel()
	press := func(b button, from string) *employeeEvent {
		e := words("", IntentNone)
		e.press, e.ref.UserID, e.activity.ReplyToID = &b, from, "card-1"
		return e
	}
	for _, tt := range []struct {
		name   string
		before func(w *world, session string)
		button button
		from   string
		want   []string
	}{
		{"a question is answered once", func(w *world, id string) {
			w.do(press(button{Verb: verbChoice, Session: id, Choice: "a"}, "29:mia"))
		}, button{Verb: verbChoice, Choice: "b"}, "29:mia", nil},
		{"somebody else cannot end the chat", nil, button{Verb: verbEnd}, "29:bob", []string{"teams notice"}},
		{
			"send again after the end asks for an agent", func(w *world, _ string) { w.do(words("end chat", IntentNone)) },
			button{Verb: verbAgain, Text: "my words"},
			"29:mia",
			[]string{"servicenow agent", "teams card"},
		},
		{
			"a ticket is confirmed at once", func(w *world, _ string) { w.do(words("end chat", IntentNone)) },
			button{Verb: verbTicket},
			"29:mia",
			[]string{"teams notice", "servicenow ticket"},
		},
		{"and made once", func(w *world, id string) {
			w.do(words("end chat", IntentNone))
			w.do(press(button{Verb: verbTicket, Session: id}, "29:mia"))
		}, button{Verb: verbTicket}, "29:mia", []string{"teams notice"}},
		{"a ticket of long ago is answered", func(w *world, _ string) {
			w.do(words("end chat", IntentNone))
			w.now = w.now.Add(25 * time.Hour)
			w.do(timerEvent{})
		}, button{Verb: verbTicket}, "29:mia", []string{"teams notice"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.connect()
			if tt.before != nil {
				tt.before(w, id)
			}
			tt.button.Session = id
			if got := kinds(w.do(press(tt.button, tt.from))); !slices.Equal(got, tt.want) {
				t.Errorf("sent %v, want %v", got, tt.want)
			}
		})
	}
}

func TestARecordIsFoundByThePeopleWhoWrote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, person := range []string{"mia", "noa", "mia"} {
		e := words("hello", IntentNone)
		e.live = person
		w.do(e)
	}
	if !slices.Equal(w.record.People, []string{"mia", "noa"}) {
		t.Errorf("people = %v, want each once", w.record.People)
	}
}
