package bot_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// post posts to the webhook as ServiceNow would, and returns the status.
func (d *desk) post(body string) int {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.within(), http.MethodPost, d.webhook(), strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+webhookSecret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestWebhookRefusesWhatDoesNotBelongTogether(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	other := d.teams.AddUser(adaptertest.User{Name: "Noa Berg", Email: "noa.berg@example.com"})
	chat2 := d.teams.Personal(other)
	if _, err := chat2.Say(d.within(), other, "agent"); err != nil {
		t.Fatal(err)
	}
	c2, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.Email == "noa.berg@example.com" })
	if err != nil {
		t.Fatal(err)
	}
	foreign := ""
	for _, r := range d.requests("AGENT") {
		if r["clientSessionId"] == c2.SessionID {
			foreign, _ = r["requestId"].(string)
		}
	}
	vars := func(tenant, bot, conversation string) map[string]any {
		return map[string]any{"tenantId": tenant, "botId": bot, "conversationId": conversation}
	}
	tenant, app := d.teams.TenantID(), d.teams.AppID()
	for _, tt := range []struct {
		name string
		post map[string]any
		want int
	}{
		{"known session", map[string]any{"clientSessionId": c.SessionID}, 200},
		{"all that belongs together", map[string]any{"clientSessionId": c.SessionID, "clientVariables": vars(tenant, app, d.chat.ID())}, 200},
		{"no session, known conversation", map[string]any{"clientVariables": vars(tenant, app, d.chat.ID())}, 200},
		{"empty values", map[string]any{"clientSessionId": c.SessionID, "clientVariables": vars("", "", ""), "requestId": ""}, 200},
		{"unknown request id", map[string]any{"clientSessionId": c.SessionID, "requestId": "of-nobody.1"}, 200},
		{"unknown session", map[string]any{"clientSessionId": "nobody"}, 400},
		{"nothing to go by", map[string]any{}, 400},
		{"no session, unknown conversation", map[string]any{"clientVariables": vars(tenant, app, "a:unknown")}, 400},
		{"foreign bot", map[string]any{"clientSessionId": c.SessionID, "clientVariables": vars(tenant, "somebody-else", d.chat.ID())}, 400},
		{"foreign tenant", map[string]any{"clientSessionId": c.SessionID, "clientVariables": vars("another", app, d.chat.ID())}, 400},
		{"foreign conversation", map[string]any{"clientSessionId": c.SessionID, "clientVariables": vars(tenant, app, chat2.ID())}, 400},
		{"another session within", map[string]any{"clientSessionId": c.SessionID, "clientVariables": map[string]any{"sessionId": c2.SessionID}}, 400},
		{"request of another session", map[string]any{"clientSessionId": c.SessionID, "requestId": foreign}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.post["body"] = []any{map[string]any{"uiType": "NeverHeardOf", "messageId": tt.name}}
			raw, err := json.Marshal(tt.post)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.post(string(raw)); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
}
