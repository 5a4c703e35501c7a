package bot

import (
	"slices"
	"strings"
	"testing"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

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

func TestAFileIsToldToBothSides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	e := words("see here", IntentNone)
	e.lost = true
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

// A record stays small, however long what ServiceNow says of an agent is.
func TestALongNameDoesNotGrowTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("x", 100_000)
	id := w.queued()
	w.do(post(id, snow.Item{ID: "w2", Kind: snow.KindWait, WaitTime: long}))
	w.do(post(id, snow.Item{ID: "1", Kind: snow.KindText, Text: "hi", FromAgent: true, Agent: snow.Agent{ID: long, Name: long}}))
	w.do(post(id, snow.Item{ID: "2", Kind: snow.KindText, Text: "hi", FromAgent: true, Agent: snow.Agent{ID: long, Name: "y" + long}}))
	if n := len(w.record.Data); n > 4<<10 {
		t.Errorf("the record has %d bytes", n)
	}
}

// A second wish during an outage has its own ticket, whatever becomes of the first.
func TestATicketTakesNoOtherOffAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.facts.outage = true
	w.do(words("agent", IntentAgent))
	first := w.state().Offer
	ask := func(session string) []store.Outgoing {
		e := words("", IntentNone)
		e.press = &button{Verb: verbTicket, Session: session}
		return w.do(e)
	}
	ask(first)
	w.do(words("agent", IntentAgent))
	second := w.state().Offer
	w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindTicket, Session: first}, ticket: "INC1"})
	if got := kinds(ask(second)); !slices.Contains(got, "servicenow ticket") {
		t.Errorf("the second ticket: sent %v", got)
	}
}

// In a group a reaction of somebody who speaks another language changes nothing.
func TestAReactionOfSomebodyElseLeavesTheLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := words("hallo", IntentNone)
	e.ref.Locale = "de-DE"
	w.do(e)
	w.do(&employeeEvent{
		activity: &adapter.Activity{Type: adapter.TypeMessageReaction},
		ref:      adapter.Reference{ConversationID: "chat", TenantID: "tenant", UserID: "29:somebody", Locale: "fr-FR"},
	})
	if got := w.state().Ref.Locale; got != "de-DE" {
		t.Errorf("the language is %q, want de-DE", got)
	}
}

// Words that no button holds are in the transcript, which goes along.
func TestLongWordsAfterASilenceAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(&employeeEvent{activity: &adapter.Activity{Type: adapter.TypeTyping}})
	s := w.state()
	s.Lapsed = w.now
	if err := s.encode(&w.record, w.now); err != nil {
		t.Fatal(err)
	}
	for _, o := range w.do(words(strings.Repeat("long ", 20_000), IntentNone)) {
		if o.Direction == store.ToTeams && 2*len(o.Body) > messageBytes {
			t.Errorf("the offer has %d bytes, which Teams refuses", len(o.Body))
		}
	}
}
