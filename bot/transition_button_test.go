package bot

import (
	"slices"
	"testing"
	"time"
)

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
