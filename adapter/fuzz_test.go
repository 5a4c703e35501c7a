package adapter_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"snowbot/adapter"
)

// FuzzChannelData puts any JSON where Teams keeps its own data: it comes back as it was, and the tenant is read from the
// one place where Teams writes it.
func FuzzChannelData(f *testing.F) {
	for _, s := range []string{
		`{"tenant":{"id":"t1"},"team":{"id":"19:t"},"channel":{"id":"19:c"},"eventType":"editMessage"}`, `5`, `"tenant"`, `[]`, `{"tenant":null}`,
		`{"tenant":{"id":5}}`, `{"tenant":"t1"}`, `{"tenant":{"id":"a"},"tenant":{"id":"b"}}`, `{"Tenant":{"ID":"t1"}}`, `{"tenant":{"id":"a","ID":"b"}}`,
		`{"t\u0065nant":{"id":"\ud800"}}`, "{\"tenant\":{\"id\":\"\xff\"}}", `{"tenant":{"id":"a"},"tenant":5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		a := decode(t, `{"type":"message","conversation":{"id":"c"},"channelData":`+string(data)+`}`)
		valid := strings.ToValidUTF8(string(data), "\uFFFD")
		if same := meaning(t, encode(t, a)); encode(t, same) != encode(t, meaning(t, `{"type":"message","conversation":{"id":"c"},"channelData":`+valid+`}`)) {
			t.Errorf("round trip of %s: %v", data, same)
		}
		want := ""
		if root, ok := meaning(t, valid).(map[string]any); ok {
			if tenant, ok := root["tenant"].(map[string]any); ok {
				want, _ = tenant["id"].(string)
			}
		}
		if got := a.TenantID(); got != want {
			t.Errorf("tenant of %s = %q, want %q", data, got, want)
		}
		if r := a.Reference(); r.TenantID != want || r.ConversationID != "c" {
			t.Errorf("reference of %s = %+v", data, r)
		}
	})
}

// FuzzAttachment has a message with an attachment of any content: the words are read in bounded time and space, and none of them
// is lost or invented.
func FuzzAttachment(f *testing.F) {
	for _, s := range []struct{ kind, content, text string }{
		{"text/html", `"<p>one</p><p>two</p>"`, "one two"},
		{"text/html", `"<ol><li>a<li>b</ol>"`, "a b"},
		{"text/html", `{"x":1}`, "words"},
		{"text/html", `"<div><at>Help</at> <img alt='😀'> x<br>y</div>"`, "<at>Help</at> 😀 xy"},
		{"text/html", `"` + strings.Repeat("<ul><li>", 50) + `x"`, "x"},
		{"text/html", `"<script>x</script><pre>\n\n a\u0000</pre>\u202e"`, "a"},
		{"application/vnd.microsoft.teams.file.download.info", `{"downloadUrl":"http://169.254.169.254/","uniqueId":"../../x"}`, ""},
		{"image/png", `null`, "see"},
		{"", `[]`, ""},
	} {
		f.Add(s.kind, []byte(s.content), s.text)
	}
	f.Fuzz(func(t *testing.T, kind string, content []byte, text string) {
		if !json.Valid(content) {
			return
		}
		raw, err := json.Marshal(map[string]any{
			"type": "message", "text": text, "recipient": map[string]any{"id": "28:app"},
			"attachments": []any{map[string]any{"contentType": kind, "content": json.RawMessage(content)}},
		})
		if err != nil {
			return // content is valid, and yet too deep
		}
		a := decode(t, string(raw))
		words := a.PlainText()
		if !utf8.ValidString(words) || len(words) > 20*(len(text)+len(content))+100 {
			t.Errorf("%d bytes of words from %d", len(words), len(raw))
		}
		if words == strings.TrimSpace(a.Text) {
			return
		}
		for _, w := range strings.Fields(a.Text) { // the lines of the markup, which have to hold the words of the text
			if squashed := strings.Join(strings.Fields(words), ""); !strings.Contains(squashed, w) && !strings.Contains(w, "<") {
				t.Errorf("%q is lost from %q: %q", w, a.Text, words)
			}
		}
	})
}

// FuzzConnectorAnswer answers a send with any status, body and Retry-After: the send has succeeded, or there is an *Error that repeats
// nothing of what came, and asks for a bounded wait.
func FuzzConnectorAnswer(f *testing.F) {
	for _, s := range []struct {
		status     uint16
		retryAfter string
		body       string
	}{
		{201, "", `{"id":"1"}`},
		{200, "", ""},
		{202, "", "null"},
		{200, "", `{"id":5}`},
		{200, "", "<html>"},
		{201, "", `{"id":"` + strings.Repeat("x", 999) + `"}`},
		{429, "7", `{"error":{"code":"429","message":"{\"subCode\":\"X\"}"}}`},
		{503, "1e99", ""},
		{429, "-5", ""},
		{429, "NaN", ""},
		{503, "Wed, 21 Oct 2099 07:28:00 GMT", ""},
		{403, "", `{"error":{"code":"Forbidden","innerHttpError":{"body":{"code":"a secret sentence"}}}}`},
		{307, "", ""},
		{401, "", `{"code":401}`},
		{403, "", `{"error":{"code":"InvalidBotApiHost"}}`},
		{412, "", strings.Repeat(`{"error":`, 2000)},
		{500, "", "\xff"},
	} {
		f.Add(s.status, s.retryAfter, s.body)
	}
	var status int
	var retryAfter, body string
	c := openConnector(f, func(o *adapter.ConnectorOptions) {
		o.GCCServiceURL = "http://127.0.0.1:2/gcc"
		o.HTTP = &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) {
			return status, body, http.Header{"Retry-After": {retryAfter}}
		})}
	})
	ref := adapter.Reference{ServiceURL: "http://127.0.0.1:1/emea/", ConversationID: "a:1"}
	f.Fuzz(func(t *testing.T, s uint16, r, b string) {
		status, retryAfter, body = 200+int(s)%400, r, b
		id, err := c.Send(t.Context(), ref, &adapter.Activity{Text: "hello"})
		var e *adapter.Error
		switch {
		case err == nil && status/100 != 2:
			t.Errorf("status %d taken for a success", status)
		case err == nil:
			return
		case !errors.As(err, &e) || id != "":
			t.Fatalf("%T, id %q", err, id)
		case len(err.Error()) > 300 || strings.Contains(err.Error(), "secret sentence"):
			t.Errorf("the error repeats the answer: %s", err)
		case e.RetryAfter < 0 || e.RetryAfter > time.Hour:
			t.Errorf("Retry-After %q is %v", r, e.RetryAfter)
		}
	})
}

// FuzzTokenAnswer answers a request for a token: there is a token that can stand in a header, or an *Error that repeats nothing of the
// answer.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{
		granted("t", 3600), `{"access_token":"a\nb"}`, `{"access_token":"a","expires_in":"-5"}`, `{"access_token":"a","expires_in":1e999}`, `{"access_token":5}`,
		`{"access_token":"a","expires_on":"9999999999999"}`, "null", "", "[]", `{"error":"invalid_client","error_description":"AADSTS7000215: a secret sentence"}`,
		`{"error_codes":["x"],"error":{"a":1}}`, `{"error_codes":[700016]}`, "<html>", "\xff",
	} {
		f.Add(uint16(0), body)
		f.Add(uint16(200), body)
	}
	f.Fuzz(func(t *testing.T, s uint16, body string) {
		status := 200 + int(s)%400
		source, err := adapter.NewTokenSource(adapter.Credentials{
			AppID: "app", TenantID: "tenant", Password: "password", TokenURL: "http://127.0.0.1:1/token",
			HTTP: &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) { return status, body, nil })},
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := source.Token(t.Context())
		var e *adapter.Error
		switch {
		case err == nil && (status != 200 || token == "" || strings.Trim(token, " \r\n\t\x00") != token || strings.ContainsAny(token, "\r\n")):
			t.Errorf("status %d, %q gives the token %q", status, body, token)
		case err != nil && (!errors.As(err, &e) || token != ""):
			t.Errorf("%T, token %q", err, token)
		case err != nil && (len(err.Error()) > 250 || strings.Contains(err.Error(), "secret sentence")):
			t.Errorf("the error repeats the answer: %s", err)
		}
	})
}
