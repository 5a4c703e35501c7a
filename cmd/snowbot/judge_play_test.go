package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow/snowtest"
)

// A play is the whole of it: the Playground, the binary and an instance.
type play struct {
	*playground
	snow *snowtest.Instance
	proc *binary
}

// start starts the binary, or starts it again.
func (y *play) start() {
	y.t.Helper()
	at, err := y.proc.Start(y.t.Context())
	if err != nil {
		y.t.Fatalf("%v\n%s", err, y.proc.logs.String())
	}
	y.bot.Store(&at.Bot)
	y.snow.SetWebhook(at.Webhook, at.WebhookSecret)
}

func (y *play) within() context.Context {
	ctx, cancel := context.WithTimeout(y.t.Context(), 20*time.Second)
	y.t.Cleanup(cancel)
	return ctx
}

func (y *play) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *play) hears(c snowtest.Chat, text string) {
	y.t.Helper()
	if _, err := y.snow.WaitLine(y.within(), c.ID, text); err != nil {
		y.t.Fatalf("the agent never saw %q: %v\n%s", text, err, y.proc.logs.String())
	}
}

// queued waits for a chat in the queue.
func (y *play) queued() snowtest.Chat {
	y.t.Helper()
	c, err := y.snow.WaitChat(y.within(), func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
	if err != nil {
		y.t.Fatalf("nobody in the queue: %v\n%s", err, y.proc.logs.String())
	}
	return c
}

// english is what the bot says; the Playground's people all speak English.
func english(key bot.TextKey) string { return bot.TextsFor("en").Say(key) }

const wish = "Can I talk to a person, please?"

// TestJudgePlayground has an employee chat in Microsoft's own emulator of Teams with an agent, through the real binary.
func TestJudgePlayground(t *testing.T) {
	t.Parallel()
	newPlay(t).everything()
}

func newPlay(t *testing.T) *play {
	t.Helper()
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	inst, err := snowtest.New(snowtest.Options{AgentNames: true, WaitTime: "2 Minutes"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Close)
	y := &play{playground: newPlayground(t, teams), snow: inst, proc: newBinary(t, teams, inst, nil)}
	y.start()
	t.Cleanup(func() { y.must(y.proc.Stop()) })
	return y
}

// everything is all that can happen to Alex, one thing after the other.
func (y *play) everything() {
	y.greets()
	c := y.escalates()
	y.talks(c)
	y.restarts(c)
	y.survivesAnOutage(c)
	y.endsByAgent(c)
	y.cancels()
	y.leaves()
	y.findsNobody()
	y.talksInAGroup()

	if n := y.refused.Load(); n != 0 {
		y.t.Errorf("%d activities of the Playground were refused", n)
	}
	if n := strings.Count(y.proc.logs.String(), `"level":"ERROR"`); n != 0 {
		y.t.Errorf("%d errors in the log:\n%s", n, y.proc.logs.String())
	}
}

func (y *play) greets() {
	y.installs(playPersonal)
	y.sees(playPersonal, 0, english(bot.TextGreeting))
	y.shoots("greeting")
	// Nothing but the gateway's token lets an activity in.
	req, err := http.NewRequestWithContext(y.within(), http.MethodPost, *y.bot.Load(), strings.NewReader(`{"type":"message"}`))
	y.must(err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	y.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		y.t.Errorf("without a token the binary answers %d", res.StatusCode)
	}
}

func (y *play) escalates() snowtest.Chat {
	at := y.mark()
	y.says(wish)
	y.sees(playPersonal, at, "2 Minutes")
	y.shoots("waiting")
	c := y.queued()
	if c.Email != playEmail {
		y.t.Errorf("the agent sees the address %q", c.Email)
	}
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playPersonal, at, "has joined the chat")
	y.shoots("agent has joined")
	return c
}

func (y *play) talks(c snowtest.Chat) {
	at := y.mark()
	y.says("My payslip *of May* is wrong & <b>late</b>")
	y.hears(c, "My payslip *of May* is wrong & <b>late</b>")
	_, err := y.snow.Say(y.within(), c.ID, "Found it: *May* & <June> are swapped")
	y.must(err)
	if m := y.sees(playPersonal, at, "Found it: *May* & <June> are swapped"); m.TextFormat != "plain" {
		y.t.Errorf("the agent's words are shown as %q", m.TextFormat)
	}
	y.shoots("words both ways")
	y.typesUntilSeen(c)
	y.shoots("agent types")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputImage", "value": "https://cdn.example.com/p.png", "altText": "The form to fill in"})
	y.must(err)
	y.sees(playPersonal, at, "https://cdn.example.com/p.png")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputLink", "label": "Payroll guide", "value": map[string]any{"action": "https://example.com/page"}})
	y.must(err)
	y.sees(playPersonal, at, "[Payroll guide](https://example.com/page)")
	y.shoots("picture and link")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{
		"uiType": "Picker", "label": "Which one shall I correct?", "options": []any{map[string]any{"label": "May", "value": "may"}, map[string]any{"label": "June", "value": "jun"}},
	})
	y.must(err)
	picker := y.sees(playPersonal, at, "Which one shall I correct?")
	y.shoots("picker")
	y.presses(picker, "May")
	y.hears(c, "may")
	if m := y.sees(playPersonal, at, "✓ May"); m.MessageID != picker.MessageID {
		y.t.Errorf("the choice shows in message %s, want in the question's, %s", m.MessageID, picker.MessageID)
	}
}

// typesUntilSeen has the agent go on typing: what is shown of it gives way to everything else.
func (y *play) typesUntilSeen(c snowtest.Chat) {
	y.t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for within := y.within(); ; {
		y.must(y.snow.Typing(within, c.ID, true))
		y.mu.Lock()
		seen, change := y.typing > 0, y.change
		y.mu.Unlock()
		if seen {
			y.looksForTyping()
			return
		}
		select {
		case <-change:
		case <-tick.C:
		case <-within.Done():
			y.t.Fatal("the Playground never showed that the agent types")
		}
	}
}

func (y *play) restarts(c snowtest.Chat) {
	y.must(y.proc.Kill())
	y.start()
	at := y.mark()
	y.says("Are you still there?")
	y.hears(c, "Are you still there?")
	_, err := y.snow.Say(y.within(), c.ID, "Yes, still here")
	y.must(err)
	y.sees(playPersonal, at, "Yes, still here")
	y.shoots("after a restart")
}

func (y *play) survivesAnOutage(c snowtest.Chat) {
	at := y.mark()
	y.must(y.snow.SetDown(snowtest.Down503))
	y.says("Thank you! When will it be there?")
	y.sees(playPersonal, at, english(bot.TextNoticeOutage))
	y.shoots("ServiceNow is down")
	y.must(y.snow.SetDown(snowtest.DownOff))
	y.hears(c, "Thank you! When will it be there?")
	y.sees(playPersonal, at, english(bot.TextNoticeOutageOver))
	y.shoots("after an outage")
}

func (y *play) endsByAgent(c snowtest.Chat) {
	at := y.mark()
	y.must(y.snow.End(y.within(), c.ID, "bye"))
	y.sees(playPersonal, at, "bye")
	y.sees(playPersonal, at, english(bot.TextNoticeEndedByAgent))
	y.shoots("ended by the agent")
}

func (y *play) cancels() {
	at := y.mark()
	y.says(wish)
	card := y.sees(playPersonal, at, "2 Minutes")
	c := y.queued()
	y.presses(card, english(bot.TextButtonCancel))
	y.sees(playPersonal, at, english(bot.TextNoticeCancelled))
	y.shoots("cancelled")
	y.over(c)
}

func (y *play) leaves() {
	c := y.escalates()
	at := y.mark()
	y.says("end chat")
	y.sees(playPersonal, at, english(bot.TextNoticeEndedByEmployee))
	y.shoots("ended by the employee")
	y.over(c)
}

// over waits until the desk has a chat no longer.
func (y *play) over(c snowtest.Chat) {
	y.t.Helper()
	_, err := y.snow.WaitChat(y.within(), func(now snowtest.Chat) bool { return now.ID == c.ID && !now.EndedAt.IsZero() })
	if err != nil {
		y.t.Fatalf("the chat never ended at the desk: %v", err)
	}
}

func (y *play) findsNobody() {
	at := y.mark()
	y.must(y.snow.SetNoAgents(snowtest.NoAgentsCompleted))
	y.says(wish)
	offer := y.sees(playPersonal, at, english(bot.TextButtonTicket))
	y.shoots("nobody there")
	y.presses(offer, english(bot.TextButtonTicket))
	y.sees(playPersonal, at, "INC")
	y.shoots("ticket")
	y.must(y.snow.SetNoAgents(snowtest.NoAgentsOff))
}

func (y *play) talksInAGroup() {
	at := y.mark()
	y.installs(playGroup)
	y.sees(playGroup, at, english(bot.TextGreeting))
	y.mentions(true, wish)
	y.sees(playGroup, at, "2 Minutes")
	c := y.queued()
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playGroup, at, "has joined the chat")
	y.sees(playGroup, at, english(bot.TextNoticeMention))
	y.mentions(false, "not for the bot")
	y.mentions(true, "in front of everybody")
	y.hears(c, "in front of everybody")
	now, err := y.snow.Chat(c.ID)
	y.must(err)
	if strings.Contains(fmt.Sprint(now.Lines), "not for the bot") {
		y.t.Error("the agent reads what was not meant for the bot")
	}
	_, err = y.snow.Say(y.within(), c.ID, "hello, all")
	y.must(err)
	y.sees(playGroup, at, "hello, all")
	y.must(y.snow.End(y.within(), c.ID, ""))
	y.sees(playGroup, at, english(bot.TextNoticeEndedByAgent))
	y.shoots("group")
}
