package adapter_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
)

// words stand for what a person wrote; errors must not repeat them.
const words = "words of a person"

// FuzzConnectorAnswer lets the Connector answer anything.
func FuzzConnectorAnswer(f *testing.F) {
	f.Add(uint16(201), `{"id":"1"}`, "")
	f.Add(uint16(403), connectorBody("InvalidBotApiHost"), "")
	f.Add(uint16(403), `{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\"}"}`, "5")
	f.Add(uint16(429), `{"error":{"innerHttpError":{"body":"{}"}}}`, "Fri, 02 Jan 2026 03:04:15 GMT")
	f.Add(uint16(401), `{"message":"Authorization has been denied for this request."}`, "1e9")
	f.Add(uint16(200), "<html>", "")
	f.Add(uint16(200), ada, "")
	f.Fuzz(func(t *testing.T, status uint16, body, retryAfter string) {
		c := openConnector(t, func(o *adapter.ConnectorOptions) {
			o.HTTP = &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
				return int(status%500) + 100, body, http.Header{"Retry-After": {retryAfter}}
			})}
		})
		ref := adapter.Reference{ServiceURL: "https://smba.trafficmanager.net/emea/", ConversationID: "a:1"}
		_, send := c.Send(t.Context(), ref, &adapter.Activity{Text: words})
		_, create := c.CreateConversation(t.Context(), ref.ServiceURL, adapter.ConversationParameters{TenantID: "t"})
		_, member := c.Member(t.Context(), ref, "u")
		for _, err := range []error{send, create, member} {
			checkFuzzed(t, err, body)
		}
	})
}

// FuzzTokenAnswer lets the token endpoint answer anything.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(uint16(200), granted("1", 3600), "")
	f.Add(uint16(200), `{"access_token":"1","expires_on":"4102444800"}`, "")
	f.Add(uint16(200), `{"access_token":"1","expires_in":"NaN","expires_on":1e400}`, "")
	f.Add(uint16(401), `{"error":"invalid_client","error_description":"AADSTS7000215: x","error_codes":[7000215]}`, "7")
	f.Add(uint16(400), `{"error":[],"error_codes":{}}`, "soon")
	f.Fuzz(func(t *testing.T, status uint16, body, retryAfter string) {
		s, err := adapter.NewTokenSource(adapter.Credentials{
			AppID: "app", TenantID: "t", Password: "p",
			HTTP: &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
				return int(status%500) + 100, body, http.Header{"Retry-After": {retryAfter}}
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.Token(t.Context())
		checkFuzzed(t, err, body)
		if (token == "") != (err != nil) || strings.ContainsAny(token, " \t\r\n\x00") {
			t.Errorf("Token() = %q, %v", token, err)
		}
	})
}

// checkFuzzed checks what holds for every failure of a call: it is typed, bounded, and its text is ours.
func checkFuzzed(t *testing.T, err error, body string) {
	t.Helper()
	if err == nil {
		return
	}
	var e *adapter.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want an *adapter.Error", err)
	}
	if e.RetryAfter < 0 || e.RetryAfter > time.Hour || len(e.Code) > 64 || len(e.SubCode) > 64 {
		t.Errorf("error %+v", e)
	}
	text := err.Error()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 300 || strings.Contains(text, words) {
		t.Errorf("error %q for the answer %q", text, body)
	}
}
