package bot_test

import (
	"slices"
	"testing"

	"snowbot/snow/snowtest"
)

// last is what ServiceNow was last told in words.
func (d *desk) last() map[string]any {
	d.t.Helper()
	words := d.requests("")
	if len(words) == 0 {
		d.t.Fatal("ServiceNow was told nothing")
	}
	m, _ := words[len(words)-1]["message"].(map[string]any)
	return m
}

// A request for an agent does not always lead to the queue: ServiceNow's own bot may ask first.
func TestAQuestionBeforeTheAgentCanBeAnswered(t *testing.T) {
	t.Parallel()
	d := open(t, func(_ *desk, o *snowtest.Options) { o.Unmatched = true })
	d.says("I want to talk to a person")
	d.sees("Which item are you interested in?")
	d.presses("choice") // the first button: Live Agent Support
	c := d.waits(snowtest.StateQueued)
	if m := d.last(); m["typed"] != false {
		t.Errorf("the choice went back as %v, want not typed", m)
	}
	d.settles()
	if err := d.snow.Send(d.within(), c.ID, snowtest.Post{AgentChat: true, Items: []map[string]any{
		{"uiType": "InputText", "label": "Which room are you in?", "messageId": "room"},
	}}); err != nil {
		t.Fatal(err)
	}
	d.sees("Which room are you in?")
	d.says("room 12")
	d.hears(c, "room 12")
	d.says("and the printer is on fire") // nothing was asked any more: this is for the agent
	d.sees("Your words are kept")
	d.settles()
	if chat, err := d.snow.Chat(c.ID); err != nil || slices.Contains(chat.Said(snowtest.FromUser), "and the printer is on fire") {
		t.Errorf("words for the agent went out before there was one: %v, %v", chat.Said(snowtest.FromUser), err)
	}
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		t.Fatal(err)
	}
	d.hears(c, "and the printer is on fire")
}

// Older versions say only in a sentence that the agent has closed the chat.
func TestAClosingSentenceEndsTheChat(t *testing.T) {
	t.Parallel()
	closing := func(d *desk, c snowtest.Chat) {
		d.t.Helper()
		if err := d.snow.Send(d.within(), c.ID, snowtest.Post{Items: []map[string]any{
			{"uiType": "ActionMsg", "actionType": "System", "message": "Sam Ortiz has closed the support session.", "messageId": "closing"},
		}}); err != nil {
			d.t.Fatal(err)
		}
		d.sees("has closed the support session.")
	}
	t.Run("with the next words", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		c := d.connect()
		closing(d, c)
		d.says("hello")
		d.sees("has ended the chat")
		d.sees("Hi!")
		d.waits(snowtest.StateEnded)
		d.settles()
		if chat, err := d.snow.Chat(c.ID); err != nil || slices.Contains(chat.Said(snowtest.FromUser), "hello") {
			t.Errorf("words for the bot went to ServiceNow: %v, %v", chat.Said(snowtest.FromUser), err)
		}
	})
	t.Run("with a wish for another agent", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		c := d.connect()
		closing(d, c)
		d.says("I want to talk to a person")
		d.sees("has ended the chat")
		if next := d.waits(snowtest.StateQueued); next.ID == c.ID {
			t.Error("the wish opened no session of its own")
		}
	})
	t.Run("after a survey", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		c := d.connect()
		closing(d, c)
		if err := d.snow.Send(d.within(), c.ID, snowtest.Post{Items: []map[string]any{{
			"uiType": "Picker", "label": "How was it?", "messageId": "rating",
			"options": []any{map[string]any{"label": "Good", "value": "5"}, map[string]any{"label": "Bad", "value": "1"}},
		}}}); err != nil {
			t.Fatal(err)
		}
		d.sees("How was it?")
		d.presses("choice")
		d.hears(c, "5")
		if err := d.snow.Send(d.within(), c.ID, snowtest.Post{Items: []map[string]any{
			{"uiType": "InputText", "label": "Anything else?", "messageId": "comment"},
		}}); err != nil {
			t.Fatal(err)
		}
		d.sees("Anything else?")
		d.says("very kind")
		d.hears(c, "very kind")
		if d.count("has ended the chat") != 0 {
			t.Error("the chat ended before the survey did")
		}
		if err := d.snow.Send(d.within(), c.ID, snowtest.Post{Completed: true}); err != nil {
			t.Fatal(err)
		}
		d.sees("has ended the chat")
	})
	t.Run("not while the agent goes on", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		c := d.connect()
		closing(d, c)
		d.answers(c, "one more thing")
		d.sees("one more thing")
		d.says("yes?")
		d.hears(c, "yes?")
	})
}

func TestASentenceThatAnAgentEnteredIsJoining(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.says("agent")
	c := d.waits(snowtest.StateQueued)
	d.says("are you there?")
	d.sees("Your words are kept")
	if err := d.snow.Send(d.within(), c.ID, snowtest.Post{Items: []map[string]any{
		{"uiType": "ActionMsg", "actionType": "System", "message": "Agent has entered the chat.", "messageId": "entered"},
	}}); err != nil {
		t.Fatal(err)
	}
	d.sees("A live agent has joined the chat")
	d.hears(c, "are you there?")
}

// ServiceNow's own bot goes on after the agent, and would take the next wish for an agent for an answer.
func TestAnAgentCanBeAskedForAgainAfterASurvey(t *testing.T) {
	t.Parallel()
	d := open(t, func(_ *desk, o *snowtest.Options) { o.Survey = true })
	c := d.connect()
	if err := d.snow.End(d.within(), c.ID, "bye"); err != nil {
		t.Fatal(err)
	}
	d.sees("has ended the chat")
	d.settles()
	if n := len(d.requests("END_CONVERSATION")); n != 1 {
		t.Errorf("%d END_CONVERSATION, want 1: the conversation is still open", n)
	}
	d.says("agent please")
	d.waits(snowtest.StateQueued)
	d.settles()
	if n := d.count("How satisfied are you"); n != 0 {
		t.Errorf("the survey of a chat that is over shows %d times", n)
	}
}

func TestAnAddressGoesAsTheInstanceSpellsIt(t *testing.T) {
	t.Parallel()
	d := open(t, func(_ *desk, o *snowtest.Options) {
		o.Users = []snowtest.User{{Name: "Mia Khan", UserName: "mia", Email: "Mia.Khan@Example.com"}}
	})
	d.says("agent")
	d.waits(snowtest.StateQueued)
	r := d.requests("AGENT")[0]
	if r["emailId"] != "Mia.Khan@Example.com" || r["userId"] != "mia.khan@example.com" {
		t.Errorf("emailId = %v, userId = %v; want the instance's spelling, and the roster's", r["emailId"], r["userId"])
	}
}

// What was said before the last agent left has been in an agent's hands.
func TestTheNextAgentIsToldWhatWasSaidSinceTheLast(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.says("my payslip is wrong")
	c := d.connect()
	if err := d.snow.End(d.within(), c.ID, "bye"); err != nil {
		t.Fatal(err)
	}
	d.sees("has ended the chat")
	d.says("and my screen flickers")
	d.settles()
	d.says("agent please")
	var said []string
	for _, l := range d.waits(snowtest.StateQueued).History {
		if !l.Bot {
			said = append(said, l.Text)
		}
	}
	if !slices.Equal(said, []string{"and my screen flickers"}) {
		t.Errorf("the second agent's history says %q, want what came after the first", said)
	}
}

// A control that an instance's administrators made waits for an answer like any other.
func TestAQuestionOfACustomControlCanBeAnswered(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.says("I want to talk to a person")
	c := d.waits(snowtest.StateQueued)
	d.settles()
	if err := d.snow.Send(d.within(), c.ID, snowtest.Post{AgentChat: true, Items: []map[string]any{{
		"uiType": "CustomControl", "group": "DefaultCustomControl", "name": "map", "isInput": true, "messageId": "map",
		"serializedControlData": `{"label":"Where are you?","zoom":3}`,
	}}}); err != nil {
		t.Fatal(err)
	}
	d.sees("Where are you?")
	d.says("room 12")
	d.hears(c, "room 12")
}
