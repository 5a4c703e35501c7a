package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/snow/snowtest"
)

// words that nobody may interpret on the way.
var wholeChatWords = []string{
	"my payslip <b>is</b> *wrong* & <at>you</at> [know](https://example.com) it",
	"  two\nlines \u00e4\u65e5\u672c\U0001f600  ",
	"ok",
	"ok", // people say it twice
}

// TestServiceCarriesAWholeChat takes the real binary from the greeting to what comes after the end, in both dialects.
func TestServiceCarriesAWholeChat(t *testing.T) {
	t.Parallel()
	for _, dialect := range []snowtest.Dialect{snowtest.DialectOfficial, snowtest.DialectSpec} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, snowtest.Options{Dialect: dialect}, "TEAMS_PACING=off") // one activity a message
			if err := r.chat.Install(r.within()); err != nil {
				t.Fatal(err)
			}
			r.sees("Hi!")
			r.says("my screen flickers")
			r.sees("Sorry, I didn't understand that.")
			asked, err := r.chat.Say(r.within(), r.mia, "Can I talk to a person, please?")
			if err != nil || asked.Status != http.StatusOK {
				t.Fatalf("asked for a person: status %d, %v", asked.Status, err)
			}
			if _, err := r.chat.Repeat(r.within(), asked); err != nil {
				t.Fatal(err)
			}
			c, err := r.snow.WaitChat(r.within(), func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
			if err != nil {
				t.Fatalf("nobody in the queue: %v\n%s", err, r.logs.String())
			}
			r.checkRequest(c)
			if err := r.snow.Accept(r.within(), c.ID, "Sam Ortiz"); err != nil {
				t.Fatal(err)
			}
			r.sees("Sam Ortiz")
			r.exchange(c)
			r.checkWebhook(c)

			if err := r.snow.End(r.within(), c.ID, "All sorted, bye!"); err != nil {
				t.Fatal(err)
			}
			r.sees("has ended the chat")
			shown := r.shown()
			last, end := strings.Index(shown, "All sorted, bye!"), strings.Index(shown, "has ended the chat")
			if last < 0 || last > end {
				t.Errorf("the last words have to come before the end:\n%s", shown)
			}
			before := len(r.requests(""))
			r.says("hello")
			r.until("greeted again", func() bool { return strings.Count(r.shown(), "Hi!") == 2 })
			late := fmt.Sprintf(`{"clientSessionId":%q,"body":[{"uiType":"OutputText","value":"too late","messageId":"late"}]}`, c.SessionID)
			if got := r.post("/api/v1/snowBot/receiveMessage", "Bearer "+rigSecret, late); got != http.StatusOK {
				t.Errorf("a late post: status %d, want 200", got)
			}
			r.says("help")
			r.sees("Write your question")
			if got := r.requests(""); len(got) != before {
				t.Errorf("after the end ServiceNow was told %v", got[before:])
			}
			if strings.Contains(r.shown(), "too late") {
				t.Error("a post that came after the end is shown")
			}
			for _, secret := range []string{"payslip", "flickers", "sorted", "mia.khan", "Mia Khan", rigSecret, r.teams.AppPassword(), "Bearer "} {
				if strings.Contains(r.logs.String(), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
		})
	}
}

// checkRequest demands one request for an agent, with all that ServiceNow is to know.
func (r *rig) checkRequest(c snowtest.Chat) {
	r.t.Helper()
	r.until("a request for an agent in the instance's log", func() bool { return len(r.requests("AGENT")) > 0 }) // after its answer
	asked := r.requests("AGENT")
	if len(asked) != 1 {
		r.t.Fatalf("%d requests for an agent, want 1", len(asked))
	}
	got := map[string]any{}
	for _, key := range []string{"userId", "emailId", "clientVariables", "clientSessionId", "silentMessage"} {
		got[key] = asked[0][key]
	}
	want := map[string]any{
		"userId": "mia.khan@example.com", "emailId": "mia.khan@example.com", "clientSessionId": c.SessionID, "silentMessage": false,
		"clientVariables": map[string]any{
			"tenantId": r.teams.TenantID(), "botId": r.teams.AppID(), "conversationId": r.chat.ID(), "sessionId": c.SessionID,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the request for an agent (-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(c.History, func(l snowtest.HistoryLine) bool { return !l.Bot && l.Text == "my screen flickers" }) {
		r.t.Errorf("history = %+v, want what was said before", c.History)
	}
}

// exchange has both sides say the same words, each activity and each post twice, and demands that they arrive once and unchanged.
func (r *rig) exchange(c snowtest.Chat) {
	r.t.Helper()
	clear, err := r.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultDuplicate, Direction: snowtest.Out})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, text := range wholeChatWords {
		p, err := r.chat.Say(r.within(), r.mia, text)
		if err != nil || p.Status != http.StatusOK {
			r.t.Fatalf("say %q: status %d, %v", text, p.Status, err)
		}
		if _, err := r.chat.Repeat(r.within(), p); err != nil {
			r.t.Fatal(err)
		}
		r.hears(c, text)
	}
	r.says("the employee's last")
	r.hears(c, "the employee's last")
	chat, err := r.snow.Chat(c.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	want := append([]string{"Can I talk to a person, please?"}, append(slices.Clone(wholeChatWords), "the employee's last")...)
	if diff := cmp.Diff(want, chat.Said(snowtest.FromUser)); diff != "" {
		r.t.Errorf("the agent sees (-want +got):\n%s", diff)
	}
	for _, m := range r.chat.Messages() {
		if m.FromBot && slices.Contains(want, m.Text) {
			r.t.Errorf("the employee's own words came back: %q", m.Text)
		}
	}

	// The words of a text in DialectSpec have no id, so that one post cannot be told from its repeat for longer than a moment:
	// nothing is said twice there.
	words := slices.Compact(slices.Clone(wholeChatWords))
	for _, text := range append(words, "the agent's last") {
		if _, err := r.snow.Say(r.within(), c.ID, text); err != nil {
			r.t.Fatal(err)
		}
	}
	clear()
	r.sees("the agent's last")
	var shown []string
	for _, m := range r.chat.Messages() {
		if m.FromBot && slices.Contains(words, m.Text) && m.TextFormat == "plain" {
			shown = append(shown, m.Text)
		}
	}
	if diff := cmp.Diff(words, shown); diff != "" {
		r.t.Errorf("Teams shows (-want +got):\n%s", diff)
	}
}

// checkWebhook posts what belongs together, and what does not, about a live chat.
func (r *rig) checkWebhook(c snowtest.Chat) {
	r.t.Helper()
	for _, tt := range []struct {
		name string
		edit map[string]any // of clientVariables; "session" and "item" are taken out
		want int
	}{
		{"an item of an unknown type", map[string]any{}, 200},
		{"an unknown action", map[string]any{"item": map[string]any{"uiType": "ActionMsg", "actionType": "NeverHeardOf"}}, 200},
		{"an unknown session", map[string]any{"session": "nobody"}, 400},
		{"a foreign bot", map[string]any{"botId": "another"}, 400},
		{"a foreign tenant", map[string]any{"tenantId": "another"}, 400},
		{"another conversation", map[string]any{"conversationId": "a:another"}, 400},
		{"another session within", map[string]any{"sessionId": "another"}, 400},
	} {
		vars := map[string]any{"tenantId": r.teams.TenantID(), "botId": r.teams.AppID(), "conversationId": r.chat.ID()}
		maps.Copy(vars, tt.edit)
		session, item := any(c.SessionID), any(map[string]any{"uiType": "NeverHeardOf"})
		if s, ok := vars["session"]; ok {
			session = s
		}
		if i, ok := vars["item"]; ok {
			item = i
		}
		delete(vars, "session")
		delete(vars, "item")
		body, err := json.Marshal(map[string]any{"clientSessionId": session, "clientVariables": vars, "body": []any{item}})
		if err != nil {
			r.t.Fatal(err)
		}
		if got := r.post("/api/v1/snowBot/receiveMessage", "Bearer "+rigSecret, string(body)); got != tt.want {
			r.t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
}

// shown is all that the bot has written in Teams.
func (r *rig) shown() string {
	var b strings.Builder
	for _, m := range r.chat.Messages() {
		if m.FromBot {
			b.WriteString(m.Text + "\n")
		}
	}
	return b.String()
}

// requests are the bodies of what the instance was asked, with the action, "" for words.
func (r *rig) requests(action string) []map[string]any {
	var out []map[string]any
	for _, x := range r.snow.Log() {
		var body map[string]any
		if x.Direction != snowtest.In || !strings.HasSuffix(x.Path, "/bot/integration") || json.Unmarshal([]byte(x.RequestBody), &body) != nil {
			continue
		}
		if got, _ := body["action"].(string); got == action {
			out = append(out, body)
		}
	}
	return out
}
