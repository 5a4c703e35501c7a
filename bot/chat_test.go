package bot_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// dialects runs a test against both ways in which ServiceNow may speak.
func dialects(t *testing.T, f func(t *testing.T, d *desk)) {
	for _, dialect := range []snowtest.Dialect{snowtest.DialectOfficial, snowtest.DialectSpec} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			f(t, open(t, func(_ *desk, o *snowtest.Options) { o.Dialect = dialect }))
		})
	}
}

// hostile are words that nobody may interpret on the way.
var hostile = []string{
	`**bold** _it_ ~~s~~ # h1 <b>tag</b> <at>Sam Ortiz</at> [link](https://example.com) 5 > 3 & 2 < 4 &amp;`,
	"two\nlines\n\nand a paragraph",
	`{"json": "\u0022quoted\u0022"} \backslash \n not a newline`,
	"Ünïcödé 😀 日本語 \u202Eright-to-left\u202C",
	"  leading and trailing spaces  ",
}

func TestInstallationIsGreetedOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	if err := d.chat.Install(d.within()); err != nil {
		t.Fatal(err)
	}
	d.sees("Hi!")
	d.says("hello")
	d.settles()
	if got := d.count("Hi!"); got != 2 { // one for the installation, one for the hello
		t.Errorf("greeted %d times, want 2: %q", got, d.shown())
	}
}

func TestInstallationIsGreetedInTheLanguageOfWhoInstalls(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.chat = d.teams.Personal(d.teams.AddUser(adaptertest.User{Name: "Jonas Weber", Email: "jonas.weber@example.com", Locale: "de-DE"}))
	for n := range 2 { // the second time the activity without a language comes first
		if err := d.chat.Install(d.within()); err != nil {
			t.Fatal(err)
		}
		d.sees("Hallo!")
		d.settles()
		if got := d.count("Hallo!"); got != n+1 {
			t.Errorf("greeted %d times in German after installation %d: %q", got, n+1, d.shown())
		}
		if err := d.chat.Uninstall(d.within()); err != nil {
			t.Fatal(err)
		}
	}
	if d.count("Hi!") > 0 {
		t.Errorf("greeted in English: %q", d.shown())
	}
}

func TestEscalationAsksForAnAgentOnce(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d *desk) {
		d.says("my payslip is wrong")
		d.settles()
		p := d.says("I want to talk to a person")
		if _, err := d.chat.Repeat(d.within(), p); err != nil {
			t.Fatal(err)
		}
		c := d.waits(snowtest.StateQueued)
		d.settles()
		asked := d.requests("AGENT")
		if len(asked) != 1 {
			t.Fatalf("%d requests for an agent, want 1", len(asked))
		}
		r := asked[0]
		for _, field := range []string{"userId", "emailId"} {
			if r[field] != "mia.khan@example.com" {
				t.Errorf("%s = %v, want the address in the roster", field, r[field])
			}
		}
		vars, _ := r["clientVariables"].(map[string]any)
		want := map[string]any{
			"tenantId": d.teams.TenantID(), "botId": d.teams.AppID(), "conversationId": d.chat.ID(), "sessionId": r["clientSessionId"],
		}
		if diff := cmp.Diff(want, vars); diff != "" {
			t.Errorf("clientVariables (-want +got):\n%s", diff)
		}
		if len(c.History) == 0 || c.History[0].Text != "my payslip is wrong" {
			t.Errorf("history = %+v, want what was said before", c.History)
		}
	})
}

func TestWordsPassUnchangedBothWays(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d *desk) {
		c := d.connect()
		for i, text := range hostile {
			d.answers(c, text)
			m := d.sees(text)
			if m.Text != text || m.TextFormat != "plain" {
				t.Errorf("agent's words %d: Teams shows %q as %s, want %q as plain", i, m.Text, m.TextFormat, text)
			}
			d.says(text)
			if got := d.hears(c, text); got.Text != text {
				t.Errorf("employee's words %d: the agent sees %q, want %q", i, got.Text, text)
			}
		}
		d.settles()
		var shown []string
		for _, m := range d.chat.Messages() {
			if m.FromBot && slices.Contains(hostile, m.Text) {
				shown = append(shown, m.Text)
			}
		}
		if diff := cmp.Diff(hostile, shown); diff != "" { // each once, in order: the employee's own words never come back
			t.Errorf("Teams shows (-want +got):\n%s", diff)
		}
	})
}

func TestRepeatsShowOnce(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d *desk) {
		c := d.connect()
		if _, err := d.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultDuplicate, Direction: snowtest.Out, Times: 1}); err != nil {
			t.Fatal(err)
		}
		d.answers(c, "posted twice")
		p := d.says("said twice")
		if _, err := d.chat.Repeat(d.within(), p); err != nil {
			t.Fatal(err)
		}
		d.says("ok")
		d.hears(c, "ok")
		d.says("ok") // not a repeat: people do say it again
		d.answers(c, "last")
		d.sees("last")
		d.settles()
		if got := d.count("posted twice"); got != 1 {
			t.Errorf("the agent's words show %d times, want 1", got)
		}
		chat, err := d.snow.Chat(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"said twice", "ok", "ok"}, chat.Said(snowtest.FromUser)[1:]); diff != "" {
			t.Errorf("the agent sees (-want +got):\n%s", diff)
		}
	})
}

func TestHeldWordsArriveInOrderWhenTheAgentJoins(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.says("agent")
	c := d.waits(snowtest.StateQueued)
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("held %d", i))
		d.says(want[i])
	}
	d.sees("Your words are kept")
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		t.Fatal(err)
	}
	d.says("after")
	want = append(want, "after")
	d.hears(c, "after")
	chat, err := d.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, chat.Said(snowtest.FromUser)[1:]); diff != "" {
		t.Errorf("the agent sees (-want +got):\n%s", diff)
	}
	for _, h := range c.History {
		if strings.HasPrefix(h.Text, "held") || h.Text == "agent" {
			t.Errorf("the history says %q, which comes as a message", h.Text)
		}
	}
	if n := d.count("Your words are kept"); n != 1 {
		t.Errorf("told %d times that words are kept, want once", n)
	}
}

func TestAChoiceGoesBackAsSelected(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	if _, err := d.snow.SendItem(d.within(), c.ID, map[string]any{
		"uiType": "Picker", "group": "DefaultPicker", "label": "Which one?", "itemType": "List",
		"options": []any{
			map[string]any{"label": "Laptop", "value": "lap-1", "enabled": false},
			map[string]any{"label": "Phone", "value": "pho-2"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	d.sees("Which one?")
	logged := make(chan struct{}, 1)
	t.Cleanup(d.snow.Subscribe(func(snowtest.Exchange) {
		select {
		case logged <- struct{}{}:
		default:
		}
	}))
	d.presses("choice") // the last card's first button
	d.hears(c, "lap-1")
	words := d.requests("")
	for wait := d.within(); len(words) == 0; words = d.requests("") { // a request is in the log once it was answered
		select {
		case <-logged:
		case <-wait.Done():
			t.Fatal("the choice is not in the log")
		}
	}
	m, _ := words[len(words)-1]["message"].(map[string]any)
	if m["text"] != "lap-1" || m["typed"] != false {
		t.Errorf("the choice went back as %v, want its value, not typed", m)
	}
}

func TestAgentSeesTicks(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	id := d.answers(c, "seen?")
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool {
		return slices.ContainsFunc(c.Lines, func(l snowtest.Line) bool { return l.ID == id && l.Receipt == snowtest.ReceiptSent })
	}); err != nil {
		t.Fatalf("no tick: %v", err)
	}
	d.chat.Block()
	id = d.answers(c, "not seen")
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool {
		return c.State == snowtest.StateEnded && slices.ContainsFunc(c.Lines, func(l snowtest.Line) bool { return l.ID == id && l.Receipt == snowtest.ReceiptError })
	}); err != nil {
		t.Fatalf("a message to somebody who blocked the bot has to fail, and the chat has to end: %v", err)
	}
	d.hears(c, "The employee can no longer be reached: the bot was blocked or removed in Teams.")
}

func TestTypingShowsOnTheOtherSide(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	if _, err := d.chat.Typing(d.within(), d.mia); err != nil {
		t.Fatal(err)
	}
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.UserTyping }); err != nil {
		t.Errorf("the agent does not see that the employee types: %v", err)
	}
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return !c.UserTyping }); err != nil {
		t.Errorf("the agent does not see that the employee has stopped: %v", err)
	}
	if n := len(d.requests("VIEWING")); n != 1 {
		t.Errorf("%d VIEWING, want 1", n)
	}
	if err := d.snow.Typing(d.within(), c.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := d.teams.Wait(d.within(), func() bool { return !d.chat.TypingUntil().IsZero() }); err != nil {
		t.Errorf("Teams does not show that the agent types: %v", err)
	}
}

func TestWaitTimeShowsOnTheCardInPlace(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.says("operator")
	c := d.waits(snowtest.StateQueued)
	first := d.sees("2 Minutes")
	if err := d.snow.ReportWait(d.within(), c.ID, "7 Minutes"); err != nil {
		t.Fatal(err)
	}
	if second := d.sees("7 Minutes"); second.ID != first.ID {
		t.Errorf("the wait shows on a new card")
	}
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		t.Fatal(err)
	}
	d.sees("has joined the chat")
	d.answers(c, "Sam here")
	d.sees("You are chatting with Sam Ortiz.") // on the card: that Sam came in was said already
	if err := d.snow.Transfer(d.within(), c.ID, "Kim Lee"); err != nil {
		t.Fatal(err)
	}
	d.answers(c, "Kim here")
	d.sees("You are now talking to Kim Lee.")
	d.sees("Kim here")
}

func TestOnePersonOneSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.connect()
	other := d.teams.AddUser(adaptertest.User{Name: "Noa Berg", Email: "noa.berg@example.com"})
	group := d.teams.Group(d.mia, other)
	if _, err := group.Say(d.within(), d.mia, "I want an agent here too"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.teams.WaitText(d.within(), group, "already have a chat"); err != nil {
		t.Fatalf("not told of the other session: %v", err)
	}
	if _, err := group.Say(d.within(), other, "agent"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.UserID == "noa.berg@example.com" }); err != nil {
		t.Fatalf("another person has to be served: %v", err)
	}
}

// In a group the agent reads only what mentions the bot: whoever talks there has to know.
func TestWhoTalksInAGroupIsAskedToMention(t *testing.T) {
	t.Parallel()
	const please = "Please mention me in each message here"
	d := open(t)
	c := d.connect()
	d.settles()
	if raw, _ := json.Marshal(d.chat.Messages()); strings.Contains(string(raw), please) {
		t.Error("asked to mention the bot in a chat with nobody else")
	}
	if err := d.snow.End(d.within(), c.ID, ""); err != nil {
		t.Fatal(err)
	}
	d.sees("has ended the chat")
	d.chat = d.teams.Group(d.mia, d.teams.AddUser(adaptertest.User{Name: "Noa Berg"}))
	d.connect()
	d.sees(please)
}

func TestARestartLosesNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	d.settles()
	if err := d.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		d.says(fmt.Sprintf("kept %d", i))
	}
	d.stop()
	if err := d.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.hears(c, "kept 4")
	chat, err := d.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kept 0", "kept 1", "kept 2", "kept 3", "kept 4"}, chat.Said(snowtest.FromUser)[1:]); diff != "" {
		t.Errorf("the agent sees (-want +got):\n%s", diff)
	}
	d.answers(c, "and back")
	d.sees("and back")
}
