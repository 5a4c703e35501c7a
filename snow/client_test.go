package snow_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)

func atNoon(o *snow.ClientOptions) { o.Now = func() time.Time { return noon } }

func TestRequestBodies(t *testing.T) {
	t.Parallel()
	history := []snow.HistoryLine{
		{Name: "HelpBot", Bot: true, Text: "How can I help?", At: noon.Add(-time.Minute)},
		{Name: "Mia", Text: testWords},
	}
	identity := map[string]any{
		"requestId": "r-1", "clientSessionId": "a:conv-17#1", "userId": testEmail, "emailId": testEmail,
		"clientVariables": map[string]any{
			"tenantId": "t1", "botId": "b1", "conversationId": "a:conv-17", "sessionId": "a:conv-17#1",
		},
		"timestamp": 1772366400123.0,
	}
	lines := []any{
		map[string]any{
			"displayName": "HelpBot", "isBotMessage": true, "value": "How can I help?", "type": "text",
			"timestamp": "1772366340123",
		},
		map[string]any{
			"displayName": "Mia", "isBotMessage": false, "value": testWords, "type": "text", "timestamp": "1772366400123",
		},
	}
	for _, tt := range []struct {
		name string
		do   func(*snow.Client) error
		want map[string]any // besides identity
	}{
		{"AgentWithEverything", func(c *snow.Client) error {
			return c.RequestAgent(t.Context(), testChat, snow.AgentRequest{
				RequestID: "r-1", MessageID: "m-1", Text: "A person, please", Context: map[string]string{"request_topic": "Pay"},
				History: history, NowBotID: "A85", Timezone: "Europe/Berlin", Locale: "de-DE",
			})
		}, map[string]any{
			"action": "AGENT", "silentMessage": false, "nowBotId": "A85", "timezone": "Europe/Berlin", "history": lines,
			"message":          map[string]any{"text": "A person, please", "typed": true, "clientMessageId": "m-1"},
			"contextVariables": map[string]any{"request_topic": "Pay", "requester_session_language": "de"},
		}},
		{"AgentWithoutWords", func(c *snow.Client) error {
			return c.RequestAgent(t.Context(), testChat, snow.AgentRequest{RequestID: "r-1", MessageID: "m-1"})
		}, map[string]any{
			"action": "AGENT", "silentMessage": false,
			"message": map[string]any{"text": "Live Agent Support.", "typed": true, "clientMessageId": "m-1"},
		}},
		{"AgentKeepsTheLanguageGiven", func(c *snow.Client) error {
			return c.RequestAgent(t.Context(), testChat, snow.AgentRequest{
				RequestID: "r-1", MessageID: "m-1", Text: "Hi", Locale: "pt_BR",
				Context: map[string]string{"requester_session_language": "pb"},
			})
		}, map[string]any{
			"action": "AGENT", "silentMessage": false,
			"message":          map[string]any{"text": "Hi", "typed": true, "clientMessageId": "m-1"},
			"contextVariables": map[string]any{"requester_session_language": "pb"},
		}},
		{"Say", func(c *snow.Client) error { return c.Say(t.Context(), testChat, hello) }, map[string]any{
			"message": map[string]any{"text": testWords, "typed": true, "clientMessageId": "m-1"},
		}},
		{"SayAnOption", func(c *snow.Client) error {
			return c.Say(t.Context(), testChat, snow.Words{RequestID: "r-1", MessageID: "m-2", Text: "b", Selected: true})
		}, map[string]any{
			"message": map[string]any{"text": "b", "typed": false, "clientMessageId": "m-2"},
		}},
		{"End", func(c *snow.Client) error { return c.End(t.Context(), testChat, "r-1") }, map[string]any{
			"action": "END_CONVERSATION", "message": map[string]any{"text": "", "typed": true},
		}},
		{"Typing", func(c *snow.Client) error { return c.Typing(t.Context(), testChat, "r-1", true) }, map[string]any{
			"action": "TYPING",
		}},
		{"TypingStopped", func(c *snow.Client) error { return c.Typing(t.Context(), testChat, "r-1", false) }, map[string]any{
			"action": "VIEWING",
		}},
		{"Report", func(c *snow.Client) error {
			return c.Report(t.Context(), testChat, "r-1", []snow.Receipt{
				{MessageID: "9ab0", Status: snow.SentToUser}, {MessageID: "9ab1", Status: snow.ExternalError},
			})
		}, map[string]any{
			"action": "UPDATE_MESSAGES",
			"message": []any{
				map[string]any{"id": "9ab0", "status": "sent_to_user"},
				map[string]any{"id": "9ab1", "status": "external_error"},
			},
		}},
		{"History", func(c *snow.Client) error { return c.SendHistory(t.Context(), testChat, "r-1", history) }, map[string]any{
			"action": "SEND_HISTORY", "history": lines,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var f fakeInstance
			c := newFakeClient(t, &f, atNoon)
			if err := tt.do(c); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{}
			for _, m := range []map[string]any{identity, tt.want} {
				for k, v := range m {
					want[k] = v
				}
			}
			calls := f.called()
			if len(calls) != 1 {
				t.Fatalf("%d calls, want 1", len(calls))
			}
			var got map[string]any
			if err := json.Unmarshal(calls[0].body, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			wantHeader := http.Header{
				"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer access-1"},
			}
			if d := cmp.Diff(wantHeader, calls[0].header); d != "" {
				t.Errorf("header (-want +got):\n%s", d)
			}
			if got, want := calls[0].path, "/api/sn_va_as_service/bot/integration"; got != want {
				t.Errorf("path %q, want %q", got, want)
			}
		})
	}
}

func TestNothingToTellIsNoCall(t *testing.T) {
	t.Parallel()
	var f fakeInstance
	c := newFakeClient(t, &f)
	if err := c.Report(t.Context(), testChat, "r-1", nil); err != nil {
		t.Error(err)
	}
	if err := c.SendHistory(t.Context(), testChat, "r-1", nil); err != nil {
		t.Error(err)
	}
	if err := c.Say(t.Context(), snow.Chat{SessionID: "s"}, hello); err == nil {
		t.Error("a chat without a user was sent")
	}
	if n := len(f.called()); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

// The signature is over the bytes as JavaScript writes them: without escapes for <, >, &, U+2028 and U+2029, and with
// U+FFFD for what is not UTF-8.
func TestSignedBytes(t *testing.T) {
	t.Parallel()
	var f fakeInstance
	c := newFakeClient(t, &f, atNoon, func(o *snow.ClientOptions) {
		o.MessageToken, o.HashSecret, o.AppInboundID = "static-token", "hash-secret", "app-1"
	})
	words := snow.Words{RequestID: "r-1", MessageID: "m-1", Text: "<b>&\"\\u2028\u2028\u2029\xff\n\x01 \U0001f600</b>"}
	if err := c.Say(t.Context(), snow.Chat{SessionID: "s", UserID: "u"}, words); err != nil {
		t.Fatal(err)
	}
	want := `{"requestId":"r-1","token":"static-token","appInboundId":"app-1","clientSessionId":"s",` +
		`"message":{"text":"<b>&\"\\u2028` + "\u2028\u2029\ufffd" + `\n\u0001 ` + "\U0001f600" + `</b>","typed":true,` +
		`"clientMessageId":"m-1"},"userId":"u","clientVariables":{"sessionId":"s"},"timestamp":1772366400123}`
	got := f.called()[0]
	if d := cmp.Diff(want, string(got.body)); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
	mac := hmac.New(sha1.New, []byte("hash-secret"))
	mac.Write([]byte(want))
	if got, want := got.header.Get("x-b2b-signature"), hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	if got := got.header.Get("token"); got != "static-token" {
		t.Errorf("header token %q", got)
	}
}

func TestMessageAuthStaysOffTables(t *testing.T) {
	t.Parallel()
	f := fakeInstance{api: func(int, *http.Request, []byte) fakeAnswer { return fakeAnswer{body: `{"result":[]}`} }}
	c := newFakeClient(t, &f, func(o *snow.ClientOptions) { o.MessageToken, o.HashSecret = "static-token", "hash-secret" })
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer access-1"}}
	if d := cmp.Diff(want, f.called()[0].header); d != "" {
		t.Errorf("header (-want +got):\n%s", d)
	}
}

func TestClientOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*snow.ClientOptions)
		want   []string // none means that it is accepted
	}{
		{"complete", func(*snow.ClientOptions) {}, nil},
		{"all wrong at once", func(o *snow.ClientOptions) {
			*o = snow.ClientOptions{Instance: "ftp://x", Grant: "implicit", Timeout: -1}
		}, []string{"instance is not", "grant is neither", "client id is missing", "client secret is missing", "timeout"}},
		{"nothing", func(o *snow.ClientOptions) { *o = snow.ClientOptions{} }, []string{
			"instance is missing", "client id", "client secret", "username", "password",
		}},
		{"client credentials need no user", func(o *snow.ClientOptions) {
			o.Grant, o.Username, o.Password = snow.GrantClientCredentials, "", ""
		}, nil},
		{"newline after a secret", func(o *snow.ClientOptions) { o.ClientSecret += "\n" }, []string{"client secret has"}},
		{"header injection", func(o *snow.ClientOptions) { o.MessageToken = "a\r\nb" }, []string{"message token has"}},
		{"plain http", func(o *snow.ClientOptions) { o.Instance = "http://example.service-now.com" }, []string{"loopback only"}},
		{"plain http to a name that looks local", func(o *snow.ClientOptions) { o.Instance = "http://127.0.0.1.example.com" }, []string{"loopback only"}},
		{"loopback", func(o *snow.ClientOptions) { o.Instance = "http://127.0.0.9:8080" }, nil},
		{"loopback v6", func(o *snow.ClientOptions) { o.Instance = "http://[::1]:8080/" }, nil},
		{"localhost", func(o *snow.ClientOptions) { o.Instance = "http://localhost:8080" }, nil},
		{"path", func(o *snow.ClientOptions) { o.Instance += "/now" }, []string{"more than"}},
		{"query", func(o *snow.ClientOptions) { o.Instance += "?a=b" }, []string{"more than"}},
		{"user in the address", func(o *snow.ClientOptions) { o.Instance = "https://u:" + testPassword + "@x" }, []string{"more than"}},
		{"no address", func(o *snow.ClientOptions) { o.Instance = "https://" + testPassword + "\x7f" }, []string{"is not an https"}},
		{"bare name", func(o *snow.ClientOptions) { o.Instance = "example.service-now.com" }, []string{"is not an https"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			tt.change(&o)
			c, err := snow.NewClient(o)
			if c != nil {
				defer c.Close()
			}
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("NewClient: %v, want problems %q", err, tt.want)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if err != nil {
				noSecrets(t, err.Error())
			}
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	c := newFakeClient(t, &fakeInstance{}, func(o *snow.ClientOptions) { o.Instance = "https://Example.service-now.com" })
	const own = "https://Example.service-now.com"
	for _, tt := range []struct {
		raw, abs string
		own      bool
	}{
		{"abc.iix?t=small", own + "/abc.iix?t=small", true},
		{" /sys_attachment.do?sys_id=1#x ", own + "/sys_attachment.do?sys_id=1#x", true},
		{"https://example.SERVICE-now.com:443/a", "https://example.SERVICE-now.com:443/a", true},
		{"https://example.service-now.com:8443/a", "https://example.service-now.com:8443/a", false},
		{"http://example.service-now.com/a", "http://example.service-now.com/a", false},
		{"http://example.service-now.com:443/a", "http://example.service-now.com:443/a", false},
		{"https://u:p@example.service-now.com/a", "https://u:p@example.service-now.com/a", false},
		{"https://example.service-now.com@evil.example/a", "https://example.service-now.com@evil.example/a", false},
		{"https://example.service-now.com.evil.example/", "https://example.service-now.com.evil.example/", false},
		{"//evil.example/a", "https://evil.example/a", false},
		{`/\evil.example/a`, own + "/%5Cevil.example/a", true},
		{"../../a", own + "/a", true},
		{"mailto:desk@example.com", "mailto:desk@example.com", false},
		{"javascript:alert(1)", "", false},
		{"data:text/html,x", "", false},
		{"file:///etc/passwd", "", false},
		{"https:///a", "", false},
		{"https://a b/", "", false},
		{"", "", false},
		{" ", "", false},
	} {
		abs, isOwn := c.Resolve(tt.raw)
		if abs != tt.abs || isOwn != tt.own {
			t.Errorf("Resolve(%q) = %q, %v, want %q, %v", tt.raw, abs, isOwn, tt.abs, tt.own)
		}
	}
}
