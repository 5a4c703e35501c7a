package snow_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"snowbot/snow"
)

// wireEvent is an agent's message as ServiceNow posts it.
const wireEvent = `{"agentChat":true,"appInboundId":"","body":[{"agentInfo":{"agentAvatar":"sam.iix?t=small","agentId":"b7e1c2d3a4f5968778695a4b3c2d1e0f",` +
	`"agentName":"Sam Ortiz","sentFromAgent":true},"group":"DefaultText","maskType":"NONE","messageId":"0f1e2d3c4b5a69788796a5b4c3d2e1f0",` +
	`"uiType":"OutputText","value":"Have you tried turning it off and on again?"}],"clientSessionId":"5d1c7b3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f",` +
	`"clientVariables":{"botId":"6d5b1c3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f","conversationId":"a:1Xk3v5y8B9eGhJkMnPqRsTuVwXyZ0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6A7B8C9D0",` +
	`"sessionId":"5d1c7b3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f","tenantId":"0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f"},"interactionId":"c7e1c2d3a4f5968778695a4b3c2d1e0f",` +
	`"message":{"clientMessageId":"m-17","text":"It does not start","typed":true},"requestId":"5d1c7b3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f.9a","score":1,"userId":"mia@example.com"}`

func decodedEvent(tb testing.TB) {
	tb.Helper()
	e, err := snow.DecodeEvent([]byte(wireEvent))
	if err != nil || len(e.Items) != 1 {
		tb.Fatal(e, err)
	}
}

// A taker is an instance that takes everything.
type taker struct{}

func (taker) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := `{"status":"success"}`
	if strings.HasSuffix(r.URL.Path, "oauth_token.do") {
		answer = `{"access_token":"token","refresh_token":"again","expires_in":1800,"token_type":"Bearer"}`
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer)), Request: r,
	}, nil
}

// sayer returns a send of one message, whole but for the network.
func sayer(tb testing.TB) func() {
	tb.Helper()
	c, err := snow.NewClient(snow.ClientOptions{
		Instance: "https://example.service-now.com", ClientID: "id", ClientSecret: "secret", Username: "user", Password: "password",
		HTTP: &http.Client{Transport: taker{}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	chat := snow.Chat{SessionID: "5d1c7b3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f", UserID: "mia@example.com", Email: "mia@example.com"}
	return func() {
		if err := c.Say(tb.Context(), chat, snow.Words{RequestID: "r", MessageID: "m", Text: "It does not start"}); err != nil {
			tb.Fatal(err)
		}
	}
}

// Allocations a message may cost. They are a little above what was measured, with the race detector: a step that costs more
// than before has to be wanted.
func TestAllocationBudgets(t *testing.T) {
	for _, tt := range []struct {
		name string
		most float64
		do   func()
	}{
		{"decode an event", 96, func() { decodedEvent(t) }},
		{"say", 52, sayer(t)},
	} {
		if n := testing.AllocsPerRun(200, tt.do); n > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.name, n, tt.most)
		} else {
			t.Logf("%s: %.0f allocations", tt.name, n)
		}
	}
}
