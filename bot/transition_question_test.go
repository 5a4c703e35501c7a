package bot

import (
	"slices"
	"testing"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// asked starts a session in which ServiceNow's own bot waits for an answer.
func (w *world) asked() (session string) {
	w.do(words("agent", IntentAgent))
	session = w.state().Session.ID
	w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: session}, userID: "mia@example.com"})
	w.do(roomQuestion(session, "room"))
	return session
}

func roomQuestion(session, id string) *postEvent {
	return post(session, snow.Item{ID: id, Kind: snow.KindInput, Input: "text", Text: "Which room?"})
}

func edit(kind, text string) *employeeEvent {
	e := words(text, IntentNone)
	e.activity.Type = kind
	return e
}

// What is no answer must not be taken for one: the answer that follows would be held, and ServiceNow wait for it in vain.
func TestOnlyAnAnswerAnswersAQuestion(t *testing.T) {
	t.Parallel()
	other := words("is anybody there?", IntentNone)
	other.ref.UserID, other.ref.UserName = "29:noa", "Noa"
	for _, tt := range []struct {
		name string
		ev   event
	}{
		{"an edit of what was written before", edit(adapter.TypeMessageUpdate, "my printer, not my screen")},
		{"a message is deleted", edit(adapter.TypeMessageDelete, "")},
		{"words of somebody else in a group", other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.asked()
			if sent := kinds(w.do(tt.ev)); !slices.Contains(sent, "held words") || slices.Contains(sent, "servicenow words") {
				t.Errorf("sent %v, want it held for the agent", sent)
			}
			if sent := kinds(w.do(words("12", IntentNone))); !slices.Contains(sent, "servicenow words") {
				t.Errorf("the answer then sent %v, want it to reach ServiceNow", sent)
			}
		})
	}
}

func TestAnAnswerThatWasNotDeliveredCanBeGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.asked()
	w.do(words("12", IntentNone))
	w.do(&failedEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindWords, Session: id}, body: body{Text: "12"}, why: failRefused})
	again := words("", IntentNone)
	again.press = &button{Verb: verbAgain, Session: id, Text: "12"}
	if sent := kinds(w.do(again)); !slices.Contains(sent, "servicenow words") {
		t.Errorf("sent %v, want the answer to reach ServiceNow, which still waits for it", sent)
	}
}

// An agent who has closed the chat in words reads no corrections, and ServiceNow's own bot would take them for an answer.
func TestAnEditAfterTheChatWasClosedGoesNowhere(t *testing.T) {
	t.Parallel()
	for _, survey := range []bool{false, true} {
		w := newWorld(t)
		id := w.connect()
		w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
		if survey {
			w.do(roomQuestion(id, "rating"))
		}
		if sent := kinds(w.do(edit(adapter.TypeMessageUpdate, "corrected"))); len(sent) > 0 {
			t.Errorf("with a survey %t: sent %v, want nothing", survey, sent)
		}
		if s := w.state().Session; s == nil || s.Asked != survey {
			t.Errorf("with a survey %t: the session is %+v", survey, s)
		}
	}
}
