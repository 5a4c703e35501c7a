package main

import (
	"context"
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
	judges(t)
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
	t.Cleanup(func() { _ = y.proc.Kill() })

	y.greets()
	c := y.escalates()
	y.talks(c)
	y.restarts(c)
	y.survivesAnOutage(c)
	at := y.mark()
	y.must(inst.End(y.within(), c.ID, "bye"))
	y.sees(playPersonal, at, english(bot.TextNoticeEndedByAgent))
	y.cancels()
	y.leaves()
	y.findsNobody()
	y.talksInAGroup()

	if n := y.refused.Load(); n != 0 {
		t.Errorf("%d activities of the Playground were refused", n)
	}
	if n := strings.Count(y.proc.logs.String(), `"level":"ERROR"`); n != 0 {
		t.Errorf("%d errors in the log:\n%s", n, y.proc.logs.String())
	}
}

func (y *play) greets() {
	y.install(playPersonal)
	y.sees(playPersonal, 0, english(bot.TextGreeting))
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
	c := y.queued()
	if c.Email != playEmail {
		y.t.Errorf("the agent sees the address %q", c.Email)
	}
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playPersonal, at, "has joined the chat")
	return c
}

func (y *play) talks(c snowtest.Chat) {
	at := y.mark()
	y.says("my payslip *is* wrong & <b>late</b>")
	y.hears(c, "my payslip *is* wrong & <b>late</b>")
	_, err := y.snow.Say(y.within(), c.ID, "looking at *it* & <you>")
	y.must(err)
	if m := y.sees(playPersonal, at, "looking at *it* & <you>"); m.TextFormat != "plain" {
		y.t.Errorf("the agent's words are shown as %q", m.TextFormat)
	}
	y.typesUntilSeen(c)
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputImage", "value": "https://cdn.example.com/p.png", "altText": "the form"})
	y.must(err)
	y.sees(playPersonal, at, "https://cdn.example.com/p.png")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputLink", "label": "The page", "value": map[string]any{"action": "https://example.com/page"}})
	y.must(err)
	y.sees(playPersonal, at, "[The page](https://example.com/page)")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{
		"uiType": "Picker", "label": "Which one?", "options": []any{map[string]any{"label": "Laptop", "value": "lap"}, map[string]any{"label": "Phone", "value": "pho"}},
	})
	y.must(err)
	y.presses(y.sees(playPersonal, at, "Which one?"), "Laptop")
	y.hears(c, "lap")
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
	y.says("still there?")
	y.hears(c, "still there?")
	_, err := y.snow.Say(y.within(), c.ID, "yes, still here")
	y.must(err)
	y.sees(playPersonal, at, "yes, still here")
}

func (y *play) survivesAnOutage(c snowtest.Chat) {
	at := y.mark()
	y.must(y.snow.SetDown(snowtest.Down503))
	y.says("said while it is down")
	y.sees(playPersonal, at, english(bot.TextNoticeOutage))
	y.must(y.snow.SetDown(snowtest.DownOff))
	y.hears(c, "said while it is down")
	y.sees(playPersonal, at, english(bot.TextNoticeOutageOver))
}

func (y *play) cancels() {
	at := y.mark()
	y.says(wish)
	card := y.sees(playPersonal, at, "2 Minutes")
	c := y.queued()
	y.presses(card, english(bot.TextButtonCancel))
	y.sees(playPersonal, at, english(bot.TextNoticeCancelled))
	y.over(c)
}

func (y *play) leaves() {
	c := y.escalates()
	at := y.mark()
	y.says("end chat")
	y.sees(playPersonal, at, english(bot.TextNoticeEndedByEmployee))
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
	y.presses(y.sees(playPersonal, at, english(bot.TextButtonTicket)), english(bot.TextButtonTicket))
	y.sees(playPersonal, at, "INC")
	y.must(y.snow.SetNoAgents(snowtest.NoAgentsOff))
}

func (y *play) talksInAGroup() {
	at := y.mark()
	y.install(playGroup)
	y.sees(playGroup, at, english(bot.TextGreeting))
	y.mentions(true, wish)
	y.sees(playGroup, at, "2 Minutes")
	c := y.queued()
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playGroup, at, "has joined the chat")
	y.mentions(false, "not for the bot")
	y.mentions(true, "in front of everybody")
	y.hears(c, "in front of everybody")
	_, err := y.snow.Say(y.within(), c.ID, "hello, all")
	y.must(err)
	y.sees(playGroup, at, "hello, all")
	y.must(y.snow.End(y.within(), c.ID, ""))
	y.sees(playGroup, at, english(bot.TextNoticeEndedByAgent))
}
