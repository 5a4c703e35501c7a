package adapter_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"snowbot/adapter"
)

// wireActivity is a message as Teams posts it.
const wireActivity = `{"text":"Have you tried turning it off and on again?","textFormat":"plain",` +
	`"attachments":[{"contentType":"text/html","content":"<p>Have you tried turning it off and on again?</p>"}],` +
	`"type":"message","timestamp":"2026-11-22T10:11:12.1314151Z","localTimestamp":"2026-11-22T12:11:12.1314151+02:00",` +
	`"id":"1795342272131","channelId":"msteams","serviceUrl":"https://smba.trafficmanager.net/emea/",` +
	`"from":{"id":"29:1rJp7mU3Q9v8wYxZ0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u","name":"Mia Sanchez","aadObjectId":"5d1c7b3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f"},` +
	`"conversation":{"conversationType":"personal","tenantId":"0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f","id":"a:1Xk3v5y8B9eGhJkMnPqRsTuVwXyZ0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6A7B8C9D0"},` +
	`"recipient":{"id":"28:6d5b1c3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f","name":"Help desk"},` +
	`"entities":[{"locale":"en-US","country":"US","platform":"Web","timezone":"Europe/Berlin","type":"clientInfo"}],` +
	`"channelData":{"tenant":{"id":"0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f"}},"locale":"en-US","localTimezone":"Europe/Berlin"}`

func decoded(tb testing.TB) *adapter.Activity {
	tb.Helper()
	a, err := adapter.DecodeActivity([]byte(wireActivity))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// A created Connector answers every send with an id.
type created struct{}

func (created) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{
		StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"id":"1795342272132"}`)), Request: r,
	}, nil
}

type fixedToken string

func (t fixedToken) Token(context.Context) (string, error) { return string(t), nil }
func (fixedToken) Forget(string)                           {}

// sender returns a send of one message, whole but for the network.
func sender(tb testing.TB) func() {
	tb.Helper()
	c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: fixedToken("token"), HTTP: &http.Client{Transport: created{}}})
	if err != nil {
		tb.Fatal(err)
	}
	ref := decoded(tb).Reference()
	a := &adapter.Activity{Type: adapter.TypeMessage, Text: "Have you tried turning it off and on again?", TextFormat: adapter.TextPlain}
	return func() {
		if _, err := c.Send(tb.Context(), ref, a); err != nil {
			tb.Fatal(err)
		}
	}
}

// Allocations a message may cost. They are a little above what was measured, with the race detector: a step that costs more
// than before has to be wanted.
func TestAllocationBudgets(t *testing.T) {
	c := newClock()
	v := newVerifier(t, newIdentityProvider(), c, nil)
	authorization := "Bearer " + newToken(t, c, nil)
	activity, wire := newActivity(nil), decoded(t)
	for _, tt := range []struct {
		name string
		most float64
		do   func()
	}{
		{"verify a known token", 2, func() {
			if err := v.Verify(t.Context(), authorization, activity); err != nil {
				t.Fatal(err)
			}
		}},
		{"decode", 33, func() { decoded(t) }},
		{"encode", 8, func() {
			if _, err := wire.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}},
		{"send", 54, sender(t)},
	} {
		if n := testing.AllocsPerRun(200, tt.do); n > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.name, n, tt.most)
		} else {
			t.Logf("%s: %.0f allocations", tt.name, n)
		}
	}
}
