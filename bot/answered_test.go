package bot_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
)

// asked are the items of a question with the options, in both of the ways in which ServiceNow asks.
func asked(options int) map[string]any {
	names := []string{"Laptop *old*", "Phone", "Screen", "Mouse", "Dock", "Cable"}
	var list []any
	for _, name := range names[:options] {
		list = append(list, map[string]any{"label": name, "value": strings.ToLower(name[:3]) + "-1"})
	}
	return map[string]any{"uiType": "Picker", "label": "Which one?", "itemType": "List", "options": list}
}

// Who has chosen sees what, and nothing that could be pressed again.
func TestAnAnsweredQuestionShowsTheChoiceWithoutButtons(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]int{"buttons": 2, "list": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d *desk) {
				c := d.connect()
				if _, err := d.snow.SendItem(d.within(), c.ID, asked(options)); err != nil {
					t.Fatal(err)
				}
				question := d.sees("Which one?")
				d.settles()
				d.stop() // the answer may come to another process
				d.start()
				data := buttons(question)[0].Data
				data["choice"] = "lap-1" // which is what the list adds
				for range 2 {
					if _, err := d.chat.Submit(d.within(), d.mia, question.ID, data); err != nil {
						t.Fatal(err)
					}
				}
				d.hears(c, "lap-1")
				answered := d.sees(`✓ Laptop \*old\*`)
				if answered.ID != question.ID || !answered.Shows("Which one?") {
					t.Errorf("the choice shows on %s, want on the question %s: %s", answered.ID, question.ID, cardText(answered))
				}
				if left := cardText(answered); strings.Contains(left, "Input.") || strings.Contains(left, "Action.") || answered.Shows("Phone") {
					t.Errorf("there is still something to press: %s", left)
				}
				d.settles()
				if n := len(d.requests("")); n != 1 {
					t.Errorf("ServiceNow was told %d answers, want 1", n)
				}
			})
		})
	}
}

// ServiceNow's own bot is answered before there is an agent.
func TestAQuestionBeforeTheAgentLosesItsButtonsToo(t *testing.T) {
	t.Parallel()
	d := open(t, func(_ *desk, o *snowtest.Options) { o.Unmatched = true })
	d.says("I want to talk to a person")
	d.sees("Which item are you interested in?")
	d.presses("choice")
	d.waits(snowtest.StateQueued)
	if m := d.sees("✓ Live Agent Support"); len(buttons(m)) != 0 || !m.Shows("Which item are you interested in?") {
		t.Errorf("the answered question shows %s", cardText(m))
	}
}

// A question that was deleted, or that Teams does not let us change, is no reason to tell anybody anything.
func TestAnAnswerCountsWhereItsCardCannotBeChanged(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	if _, err := d.snow.SendItem(d.within(), c.ID, asked(2)); err != nil {
		t.Fatal(err)
	}
	d.sees("Which one?")
	d.settles()
	messages := len(d.chat.Messages())
	remove := d.teams.AddFault(adaptertest.Fault{
		Kind: adaptertest.Status, Status: 404, Code: "ActivityNotFoundInConversation",
		Match: func(r adaptertest.FaultRequest) bool { return r.Method == http.MethodPut },
	})
	d.presses("choice")
	d.hears(c, "lap-1")
	d.settles()
	remove()
	if n := len(d.chat.Messages()); n != messages {
		t.Errorf("Teams shows %d messages more, want none: %q", n-messages, d.shown())
	}
	letters, err := d.store.DeadLetters(d.within(), store.DeadLetterFilter{})
	if err != nil || len(letters) != 0 {
		t.Errorf("dead letters %v, %v; want none", letters, err)
	}
	d.answers(c, "thank you")
	d.sees("thank you")
}

// Only what was a question of this chat is changed, whatever a press says that it belongs to.
func TestAPressChangesNoOtherMessage(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	d.answers(c, "read this")
	words := d.sees("read this")
	if _, err := d.snow.SendItem(d.within(), c.ID, asked(2)); err != nil {
		t.Fatal(err)
	}
	data := buttons(d.sees("Which one?"))[0].Data
	if _, err := d.chat.Submit(d.within(), d.mia, words.ID, data); err != nil {
		t.Fatal(err)
	}
	d.hears(c, "lap-1")
	d.settles()
	for _, m := range d.chat.Messages() {
		if m.ID == words.ID && m.Text != "read this" {
			t.Errorf("the agent's words have become %q%s", m.Text, cardText(m))
		}
	}
}

func TestAPressWithoutAChoiceIsNoAnswer(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		session := e.connect("chat")
		e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindInput, Input: "date", Text: "Since when?", FromAgent: true}}})
		e.passes(time.Second)
		e.presses("chat", "choice")
		e.passes(time.Second)
		if n := e.metric("snowbot_conversation_events_total", "ignored"); n != 1 {
			t.Errorf("%v events were ignored, want the press", n)
		}
	})
}
