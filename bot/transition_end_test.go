package bot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

// A request for an agent that was given up may have taken effect all the same, at an earlier try or with ServiceNow's own bot.
func TestARequestThatIsGivenUpIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, why := range []failure{failRefused, failNobody, failUnclear, failTooOld, failBroken, failUnsettled} {
		w := newWorld(t)
		w.do(words("agent", IntentAgent))
		sent := kinds(w.do(&failedEvent{
			to: store.ToServiceNow, why: why, delivery: store.Delivery{Kind: kindAgent, Session: w.state().Session.ID},
		}))
		if !slices.Contains(sent, "servicenow end") {
			t.Errorf("%s: sent %v, want ServiceNow told", why, sent)
		}
	}
}

// Where the chat ends and ServiceNow's conversation goes on, its own bot would take the next wish for an agent for an answer.
func TestAConversationThatGoesOnIsEnded(t *testing.T) {
	t.Parallel()
	back := snow.Item{ID: "back", Kind: snow.KindEnded}
	for _, tt := range []struct {
		name  string
		begin func(w *world) string
		want  endReason
	}{
		{"in the queue", (*world).queued, endNoAgents},
		{"after a long silence", func(w *world) string {
			id := w.connect()
			w.now = w.now.Add(w.rules.IdleWarning)
			w.do(timerEvent{})
			w.now = w.now.Add(w.rules.IdleCancel - w.rules.IdleWarning)
			return id
		}, endTimedOut},
		{"in the chat", (*world).connect, endByAgent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := tt.begin(w)
			if sent := kinds(w.do(post(id, back))); !slices.Contains(sent, "servicenow end") {
				t.Errorf("%s: sent %v, want ServiceNow told", tt.want, sent)
			}
			if p := w.state().past(id); p == nil || p.ByEmployee {
				t.Error("words on their way would go to ServiceNow's own bot")
			}
		})
	}
}

func TestASessionThatWaitedTooLongOffersATicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.MaxWait, w.rules.MaxSession = 2*time.Hour, time.Hour
	w.queued()
	w.do(words("my screen is black", IntentNone))
	w.now = w.now.Add(w.rules.MaxSession)
	w.do(timerEvent{})
	if s := w.state(); s.Session != nil || s.Offer == "" {
		t.Errorf("session %+v, offer %q; want it over, and what was held offered as a ticket", s.Session, s.Offer)
	}
}

// Words that wait after the employee has ended the chat reach nobody once the agent has closed it too, however that is said.
func TestALateClosingSentenceGivesUpWordsThatWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	w.do(words("my last words", IntentNone))
	w.do(words("end chat", IntentNone))
	w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
	if p := w.state().past(id); p == nil || p.ByEmployee {
		t.Error("words on their way would go to ServiceNow's own bot, and be shown to nobody")
	}
}

// A question that comes with the end of the chat can be answered by nobody, and so is shown as words.
func TestAQuestionThatComesWithTheEndHasNoButtons(t *testing.T) {
	t.Parallel()
	back := snow.Item{ID: "back", Kind: snow.KindEnded}
	picker := snow.Item{ID: "rating", Kind: snow.KindPicker, Text: "How was it?", Options: []snow.Option{{Label: "Good", Value: "5"}, {Label: "Bad", Value: "1"}}}
	date := snow.Item{ID: "date", Kind: snow.KindInput, Input: "date", Text: "How was it? Good or bad, and when?"}
	for name, p := range map[string]snow.Event{
		"before it":          {Items: []snow.Item{picker, back}},
		"after it":           {Items: []snow.Item{back, picker}},
		"a date":             {Items: []snow.Item{back, date}},
		"that the post says": {Items: []snow.Item{picker}, Completed: true},
		"that is a failure":  {Items: []snow.Item{picker}, Status: snow.StatusFail},
		"that gives up":      {Items: []snow.Item{picker}, TakeControl: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p.SessionID = w.connect()
			shown := false
			for _, o := range w.do(&postEvent{session: p.SessionID, post: &p}) {
				if o.Kind == kindText {
					b, err := decodeBody(o.Body)
					shown = err == nil && strings.Contains(b.Activity.Text, "How was it?") && strings.Contains(b.Activity.Text, "Good") && len(b.Activity.Attachments) == 0
				}
			}
			if !shown || w.state().Session != nil {
				t.Errorf("shown as words: %t, session %+v; want that, and none", shown, w.state().Session)
			}
		})
	}
}

func TestWordsThatWaitWhenTheAgentClosedTheChatInWordsAreGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	w.do(words("my last words", IntentNone))
	d := w.lanes[store.ToServiceNow][len(w.lanes[store.ToServiceNow])-1]
	w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
	if !w.state().over(&d) {
		t.Error("while ServiceNow's own bot may go on, they would be taken by it")
	}
	w.do(words("end chat", IntentNone))
	if !w.state().over(&d) {
		t.Error("when the employee ends the chat too, they would be taken by it")
	}
}

// A request for an agent may take effect after the end that followed it: an agent would sit before a chat that nobody is in.
func TestAChatThatBeginsAfterItsEndIsEndedAgain(t *testing.T) {
	t.Parallel()
	sent := func(w *world, id string) {
		w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindEnd, Session: id}})
	}
	cancelled := func(w *world) string {
		w.do(words("agent", IntentAgent))
		id := w.state().Session.ID
		w.do(words("cancel", IntentNone))
		sent(w, id)
		w.now = w.now.Add(crossing)
		return id
	}
	queue, agent := snow.Item{Kind: snow.KindWait}, snow.Item{Kind: snow.KindText, Text: "hello?", FromAgent: true}
	joined, text := snow.Item{Kind: snow.KindJoined}, snow.Item{Kind: snow.KindText, Text: "The conversation has ended."}
	for _, tt := range []struct {
		name  string
		setUp func(w *world) string
		post  snow.Event
		want  bool
	}{
		{"it is put into the queue", cancelled, snow.Event{Items: []snow.Item{queue}}, true},
		{"in a status alone", cancelled, snow.Event{Status: snow.StatusWaiting}, true},
		{"an agent joins", cancelled, snow.Event{Items: []snow.Item{joined}}, true},
		{"an agent writes", cancelled, snow.Event{Items: []snow.Item{agent}}, true},
		{"ServiceNow takes leave", cancelled, snow.Event{Items: []snow.Item{text}}, false},
		{"ServiceNow says that it is over", cancelled, snow.Event{Items: []snow.Item{agent}, Completed: true}, false},
		{"in time to have been posted before", func(w *world) string {
			id := cancelled(w)
			w.now = w.now.Add(-time.Second)
			return id
		}, snow.Event{Items: []snow.Item{queue}}, false},
		{"before ServiceNow was told of it", func(w *world) string {
			id := w.connect()
			w.do(words("end chat", IntentNone))
			w.now = w.now.Add(crossing)
			return id
		}, snow.Event{Items: []snow.Item{agent}}, false},
		{"the next session is on, and has its own end", func(w *world) string {
			id := cancelled(w)
			w.do(words("agent", IntentAgent))
			return id
		}, snow.Event{Items: []snow.Item{agent}}, false},
		{"the agent ended it, and writes late", func(w *world) string {
			id := w.connect()
			w.do(&postEvent{session: id, post: &snow.Event{Completed: true}})
			return id
		}, snow.Event{Items: []snow.Item{agent}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := tt.setUp(w)
			ends := 0
			for range 10 {
				for _, o := range w.do(&postEvent{session: id, post: &tt.post}) {
					if o.Direction == store.ToServiceNow && o.Kind == kindEnd {
						ends++
						sent(w, id)
					}
				}
			}
			if ends > 0 != tt.want || ends > againMost {
				t.Errorf("it was ended again %d times, want %t, and %d times at most", ends, tt.want, againMost)
			}
		})
	}
}

// An erasure waits for what tells the employee, however often ServiceNow was told.
func TestAChatThatIsEndedAgainIsStillUntoldInTeams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	w.do(words("end chat", IntentNone))
	ended := &sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindEnd, Session: id}}
	w.do(ended)
	w.now = w.now.Add(crossing)
	w.do(post(id, snow.Item{ID: "late", Kind: snow.KindText, Text: "hello?", FromAgent: true}))
	if n := w.state().past(id).Untold; n != 2 {
		t.Errorf("%d are to be told, want the employee, and ServiceNow once more", n)
	}
	w.do(ended)
	if n := w.state().past(id).Untold; n != 1 {
		t.Errorf("%d are to be told, want the employee", n)
	}
}
