package bot_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

func TestLastWordsComeBeforeTheEnd(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d *desk) {
		c := d.connect()
		if err := d.snow.End(d.within(), c.ID, "All sorted, bye!"); err != nil {
			t.Fatal(err)
		}
		d.sees("has ended the chat")
		d.settles()
		shown := strings.Join(d.shown(), "\n")
		if last, end := strings.Index(shown, "All sorted, bye!"), strings.Index(shown, "has ended the chat"); last < 0 || last > end {
			t.Errorf("the last words have to come before the end:\n%s", shown)
		}
		before := len(d.requests(""))
		d.says("are you still there?")
		d.settles()
		if got := d.requests(""); len(got) != before {
			t.Errorf("after the end the agent was sent %v", got[before:])
		}
		// A late post of the old session is taken and not shown.
		if status := d.post(fmt.Sprintf(`{"clientSessionId":%q,"body":[{"uiType":"OutputText","value":"too late","messageId":"late1"}]}`, c.SessionID)); status != http.StatusOK {
			t.Errorf("late post: status %d, want 200", status)
		}
		d.settles()
		if d.count("too late") != 0 {
			t.Error("a message of a session that is over was shown")
		}
	})
}

func TestEmployeeEndsOrCancels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		connect bool
		act     func(d *desk)
		notice  string
		state   snowtest.Reason
	}{
		{"typed while waiting", false, func(d *desk) { d.says("Cancel") }, "Your request has ended", snowtest.Cancelled},
		{"button while waiting", false, func(d *desk) { d.presses("cancel") }, "Your request has ended", snowtest.Cancelled},
		{"typed in the chat", true, func(d *desk) { d.says("end chat") }, "You have ended the chat", snowtest.EndedByUser},
		{"button in the chat", true, func(d *desk) { d.presses("end") }, "You have ended the chat", snowtest.EndedByUser},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			if tt.connect {
				d.connect()
			} else {
				d.says("agent please")
				d.waits(snowtest.StateQueued)
			}
			d.settles()
			tt.act(d)
			d.sees(tt.notice)
			c := d.waits(snowtest.StateEnded)
			if c.Reason != tt.state {
				t.Errorf("the instance thinks the chat ended by %q, want %q", c.Reason, tt.state)
			}
			d.settles()
			for _, m := range d.chat.Messages() {
				for _, b := range buttons(m) {
					if b.Data["snowbot"] == "cancel" || b.Data["snowbot"] == "end" {
						t.Errorf("a card still has the button %q", b.Title)
					}
				}
			}
			end := d.requests("END_CONVERSATION")
			if len(end) != 1 {
				t.Fatalf("%d END_CONVERSATION, want 1", len(end))
			}
			if m, _ := end[0]["message"].(map[string]any); m["text"] != "" {
				t.Errorf("END_CONVERSATION says %v, want empty text", m["text"])
			}
		})
	}
}

func TestOneWordsOfAChatAreNoCommands(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	for _, word := range []string{"quit", "cancel", "agent", "help", "bye", "stop"} {
		d.says(word)
		d.hears(c, word)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	for _, mode := range []snowtest.NoAgentMode{
		snowtest.NoAgentsText, snowtest.NoAgentsTakeControl, snowtest.NoAgentsCompleted, snowtest.NoAgentsClose, snowtest.NoAgentsAckFailure, snowtest.NoAgentsFail,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d *desk) {
				if err := d.snow.SetNoAgents(mode); err != nil {
					t.Fatal(err)
				}
				d.says("I need a human")
				d.sees("ended")
				d.sees("Create a ticket")
				d.settles()
				d.says("hello")
				d.sees("Hi!") // the bot is back
				d.presses("ticket")
				d.sees("Your ticket number is INC")
				tickets := d.snow.Incidents()
				if len(tickets) != 1 || !strings.Contains(tickets[0]["description"], "I need a human") {
					t.Errorf("tickets = %v, want one with what was said", tickets)
				}
			})
		})
	}
}

func TestUninstallingEndsTheSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	if err := d.chat.Uninstall(d.within()); err != nil {
		t.Fatal(err)
	}
	d.hears(c, "The employee can no longer be reached: the bot was removed from the conversation in Teams.")
	d.waits(snowtest.StateEnded)
}

// TestWordsThatWaitWhenBothEndTheChatAreNotLostInSilence has ServiceNow out of reach for what the employee says, until they and the
// agent have ended the chat: ServiceNow would take the words then, and show them to nobody.
func TestWordsThatWaitWhenBothEndTheChatAreNotLostInSilence(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d *desk) {
		c := d.connect()
		remove, err := d.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusServiceUnavailable, Action: "message"})
		if err != nil {
			t.Fatal(err)
		}
		d.says("my last words")
		d.says("end chat")
		d.sees("You have ended the chat")
		if err := d.snow.End(d.within(), c.ID, ""); err != nil {
			t.Fatal(err)
		}
		remove()
		d.sees("was not delivered because the chat was already over")
		d.settles()
		if said := d.said(c); len(said) > 0 {
			t.Errorf("the agent sees %q after the end", said)
		}
	})
}
