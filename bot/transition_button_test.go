package bot

import (
	"slices"
	"testing"
	"time"

	"snowbot/snow"
)

func TestButtonsAnswer(t *testing.T) {
	t.Parallel()
	press := func(b button, from string) *employeeEvent {
		e := words("", IntentNone)
		e.press, e.ref.UserID, e.activity.ReplyToID = &b, from, "card-1"
		return e
	}
	closedInWords := func(w *world, id string) {
		w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
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
		{
			"nor make a ticket of another's chat", func(w *world, _ string) { w.do(words("end chat", IntentNone)) },
			button{Verb: verbTicket},
			"29:bob",
			[]string{"teams notice"},
		},
		{
			"send again after the agent closed the chat in words asks for another", closedInWords,
			button{Verb: verbAgain, Text: "my words"},
			"29:mia",
			[]string{"servicenow end", "teams end", "teams card", "servicenow agent", "teams card"},
		},
		{
			"and so does the wish for a person", closedInWords,
			button{Verb: verbTalk},
			"29:mia",
			[]string{"servicenow end", "teams end", "teams card", "servicenow agent", "teams card"},
		},
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

func TestATicketOfferedInAnOutageIsForWhoAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		who  string
		want []string
	}{
		{"29:bob", []string{"teams notice"}},
		{"29:mia", []string{"teams notice", "servicenow ticket"}},
	} {
		w := newWorld(t)
		w.facts.outage = true
		w.do(words("agent", IntentAgent))
		e := words("", IntentNone)
		e.press, e.ref.UserID = &button{Verb: verbTicket, Session: w.state().Offer}, tt.who
		if got := kinds(w.do(e)); !slices.Equal(got, tt.want) {
			t.Errorf("pressed by %s: sent %v, want %v", tt.who, got, tt.want)
		}
	}
}
