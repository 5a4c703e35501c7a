package adapter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"snowbot/adapter"
	"snowbot/cmd/leaktest"
)

// A door is a handler with everything around it that a test may want to look at.
type door struct {
	provider *identityProvider
	clock    *clock
	handler  http.Handler
	log      *bytes.Buffer
	watch    *leaktest.Watch // of what is logged and refused
	taken    []*adapter.Activity
}

func newDoor(tb testing.TB, change func(o *adapter.HandlerOptions)) *door {
	tb.Helper()
	d := &door{provider: newIdentityProvider(), clock: newClock(), log: new(bytes.Buffer), watch: leaktest.New(tb)}
	o := adapter.HandlerOptions{
		Verifier: newVerifier(tb, d.provider, d.clock, nil),
		AppID:    appID,
		Tenants:  []string{tenantID},
		OnActivity: func(_ context.Context, a *adapter.Activity) error {
			d.taken = append(d.taken, a)
			return nil
		},
		Log: slog.New(slog.NewMultiHandler(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}), d.watch.Log().Handler())),
	}
	if change != nil {
		change(&o)
	}
	h, err := adapter.NewHandler(o)
	if err != nil {
		tb.Fatal(err)
	}
	d.handler = h
	return d
}

// post sends body with a good token, unless change says otherwise.
func (d *door) post(tb testing.TB, body string, change func(r *http.Request)) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/api/messages", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", "Bearer "+newToken(tb, d.clock, nil))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	d.watch.Wire(body)
	d.handler.ServeHTTP(w, r)
	if w.Code >= http.StatusBadRequest {
		_, _ = d.watch.To(leaktest.Refusal).Write(w.Body.Bytes())
	}
	return w
}

func doorJSON(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status = %d, want %d; body %s", w.Code, status, w.Body)
	}
	if status < 400 {
		return
	}
	var refusal struct {
		Error struct{ Code string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &refusal); err != nil || refusal.Error.Code == "" || w.Body.Len() > 80 {
		t.Errorf("body = %s, want a short error with a code", w.Body)
	}
}

func TestHandlerAnswersByActivity(t *testing.T) {
	t.Parallel()
	message := doorJSON(t, newActivity(nil))
	activity := func(change func(a *adapter.Activity)) string { return doorJSON(t, newActivity(change)) }
	for _, tt := range []struct {
		name    string
		body    string
		request func(r *http.Request)
		want    int
	}{
		{name: "message", body: message, want: 200},
		{name: "unknown type", body: activity(func(a *adapter.Activity) { a.Type = "telepathy" }), want: 200},
		{name: "typing", body: activity(func(a *adapter.Activity) { a.Type = adapter.TypeTyping }), want: 200},
		{name: "unknown fields of any shape", body: message[:len(message)-1] + `,"x":[{"y":null}],"value":5,"channelData":"s","entities":{},"timestamp":""}`, want: 200},
		{name: "byte order mark", body: "\ufeff" + message, want: 200},
		{name: "space around it", body: "\r\n\t " + message + " \n", want: 200},
		{name: "not UTF-8", body: strings.Replace(message, "hello", "h\xe9llo", 1), want: 200},
		{name: "no content type", body: message, request: func(r *http.Request) { r.Header.Del("Content-Type") }, want: 200},
		{name: "recipient without prefix", body: activity(func(a *adapter.Activity) { a.Recipient.ID = appID }), want: 200},
		{name: "recipient in capitals", body: activity(func(a *adapter.Activity) { a.Recipient.ID = "28:" + strings.ToUpper(appID) }), want: 200},
		{name: "tenant in channelData", body: activity(func(a *adapter.Activity) {
			a.Conversation.TenantID, a.ChannelData = "", json.RawMessage(`{"tenant":{"id":"`+tenantID+`"}}`)
		}), want: 200},

		{name: "nothing", body: "", want: 400},
		{name: "null", body: "null", want: 400},
		{name: "array", body: "[" + message + "]", want: 400},
		{name: "string", body: `"message"`, want: 400},
		{name: "number", body: "5", want: 400},
		{name: "cut off", body: message[:len(message)-1], want: 400},
		{name: "two objects", body: message + message, want: 400},
		{name: "no type", body: activity(func(a *adapter.Activity) { a.Type = "" }), want: 400},
		{name: "type is a number", body: strings.Replace(message, `"type":"message"`, `"type":5`, 1), want: 400},
		{name: "type is null", body: strings.Replace(message, `"type":"message"`, `"type":null`, 1), want: 400},
		{name: "type in capitals", body: strings.Replace(message, `"type"`, `"TYPE"`, 1), want: 400},
		{name: "no conversation", body: activity(func(a *adapter.Activity) { a.Conversation = nil }), request: nil, want: 403}, // and so no tenant
		{name: "no conversation id", body: activity(func(a *adapter.Activity) { a.Conversation.ID = "" }), want: 400},
		{name: "line break in an id", body: activity(func(a *adapter.Activity) { a.ID = "1\n2" }), want: 400},
		{name: "NUL in an id", body: activity(func(a *adapter.Activity) { a.Conversation.ID = "a\x00b" }), want: 400},
		{name: "id of 450 bytes", body: activity(func(a *adapter.Activity) { a.Conversation.ID = strings.Repeat("a", 450) }), want: 200},
		{name: "id of 451 bytes", body: activity(func(a *adapter.Activity) { a.Conversation.ID = strings.Repeat("a", 451) }), want: 400},
		{name: "endless id of a person", body: activity(func(a *adapter.Activity) { a.From.AADObjectID = strings.Repeat("a", 451) }), want: 400},
		{name: "nobody", body: activity(func(a *adapter.Activity) { a.From = nil }), want: 200},
		{name: "broken off", request: func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)) }, want: 400},
		{name: "endless id", body: activity(func(a *adapter.Activity) { a.Conversation.ID = strings.Repeat("a", 2000) }), want: 400},

		{name: "no authorization", body: message, request: func(r *http.Request) { r.Header.Del("Authorization") }, want: 401},
		{name: "two authorizations", body: message, request: func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, want: 401},
		{name: "tampered signature", body: message, request: func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")[:500]+"AAAA")
		}, want: 401},
		{name: "other service url", body: activity(func(a *adapter.Activity) { a.ServiceURL = "https://smba.trafficmanager.net/emea/" }), want: 401},

		{name: "other tenant", body: activity(func(a *adapter.Activity) { a.Conversation.TenantID = "other" }), want: 403},
		{name: "no tenant", body: activity(func(a *adapter.Activity) { a.Conversation.TenantID = "" }), want: 403},
		{name: "other recipient", body: activity(func(a *adapter.Activity) { a.Recipient.ID = "28:other" }), want: 403},
		{name: "no recipient", body: activity(func(a *adapter.Activity) { a.Recipient = nil }), want: 403},
		{name: "other channel", body: activity(func(a *adapter.Activity) { a.ChannelID = "webchat" }), want: 403},

		{name: "GET", request: func(r *http.Request) { r.Method = http.MethodGet }, want: 405},
		{name: "PUT", body: message, request: func(r *http.Request) { r.Method = http.MethodPut }, want: 405},
		{name: "OPTIONS", request: func(r *http.Request) { r.Method = http.MethodOptions }, want: 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, nil)
			wantStatus(t, d.post(t, tt.body, tt.request), tt.want)
			if got, want := len(d.taken), 0; tt.want == 200 && got != 1 || tt.want != 200 && got != want {
				t.Errorf("%d activities were taken", got)
			}
		})
	}
}

func TestHandlerAnswersHeadAtOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	wantStatus(t, d.post(t, "", func(r *http.Request) { r.Method = http.MethodHead; r.Header.Del("Authorization") }), 200)
}

func TestHandlerHeaders(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	for _, tt := range []struct {
		request            func(r *http.Request)
		status             int
		header, wantHeader string
	}{
		{func(r *http.Request) { r.Method = http.MethodDelete }, 405, "Allow", "POST, HEAD"},
		{func(r *http.Request) { r.Header.Del("Authorization") }, 401, "WWW-Authenticate", "Bearer"},
		{nil, 400, "Content-Type", "application/json; charset=utf-8"},
		{nil, 400, "X-Content-Type-Options", "nosniff"},
	} {
		w := d.post(t, "{}", tt.request)
		wantStatus(t, w, tt.status)
		if got := w.Header().Get(tt.header); got != tt.wantHeader {
			t.Errorf("%s = %q, want %q", tt.header, got, tt.wantHeader)
		}
	}
}

func TestHandlerAsksForARepeat(t *testing.T) {
	t.Parallel()
	secret := "the employee's own words"
	for _, tt := range []struct {
		name       string
		onActivity func(context.Context, *adapter.Activity) error
		provider   func(p *identityProvider)
	}{
		{name: "when the commit failed", onActivity: func(context.Context, *adapter.Activity) error { return errors.New("disk full") }},
		{name: "when the bot panics", onActivity: func(context.Context, *adapter.Activity) error { panic(secret) }},
		{name: "when an error of the bot looks like ours", onActivity: func(context.Context, *adapter.Activity) error {
			return &adapter.AuthError{Status: 401, Reason: "of something else"}
		}},
		{name: "when there are no keys", provider: func(p *identityProvider) { p.status = 500 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, func(o *adapter.HandlerOptions) {
				if tt.onActivity != nil {
					o.OnActivity = tt.onActivity
				}
			})
			if tt.provider != nil {
				d.provider.set(tt.provider)
			}
			w := d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.Text = secret })), nil)
			wantStatus(t, w, 503)
			if w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			s, read := d.log.String(), tt.provider == nil // nothing is read of whom no key can judge
			if strings.Contains(s, secret) || strings.Contains(s, "1700000000001") != read {
				t.Errorf("log = %s, want the activity's id if it was read, and none of its words", s)
			}
		})
	}
}

func TestHandlerTrustsMicrosoftsHostsOnly(t *testing.T) {
	t.Parallel()
	const evil = "https://evil.trafficmanager.net/teams/"
	d := newDoor(t, nil)
	body := doorJSON(t, newActivity(func(a *adapter.Activity) { a.ServiceURL = evil }))
	signed := func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+newToken(t, d.clock, func(s *tokenSpec) { s.claims["serviceurl"] = evil }))
	}
	wantStatus(t, d.post(t, body, signed), 403)
	if len(d.taken) != 0 {
		t.Error("activity was taken")
	}
}

func TestHandlerTakesAnyTenantWhenToldSo(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *adapter.HandlerOptions) { o.Tenants = []string{"*"} })
	for _, tenant := range []string{"other", ""} {
		wantStatus(t, d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.Conversation.TenantID = tenant })), nil), 200)
	}
	wantStatus(t, d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.Conversation = nil })), nil), 400)
}

func TestHandlerReadsBytesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	body := doorJSON(t, newActivity(func(a *adapter.Activity) { a.Value = json.RawMessage(`{"k":"V"}`) }))
	body = strings.Replace(strings.Replace(body, "hello", "h\xe9llo", 1), `"V"`, "\"V\xff\"", 1)
	wantStatus(t, d.post(t, body, nil), 200)
	if got, want := d.taken[0].Text+string(d.taken[0].Value), "h\ufffdllo"+`{"k":"V`+"\ufffd"+`"}`; got != want {
		t.Errorf("taken %q, want %q", got, want)
	}
}

func TestHandlerLogsNoWords(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	authorization := "Bearer " + newToken(t, d.clock, nil)
	wantStatus(t, d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) {
		a.ID, a.Text, a.ServiceURL = "evil\x1b[2J\r\nlevel=ERROR", "private words", "https://example.com/private"
		a.From.Name = "Private Name"
	})), nil), 401)
	for _, part := range []string{"private words", "Private Name", "example.com", authorization[60:100], "\x1b"} {
		if strings.Contains(d.log.String(), part) {
			t.Errorf("log has %q: %s", part, d.log)
		}
	}
	if !strings.Contains(d.log.String(), "a:1conversation") {
		t.Errorf("log does not name the conversation: %s", d.log)
	}
	d.log.Reset()
	wantStatus(t, d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.ID = strings.Repeat("é", 100_000) })), nil), 400)
	if d.log.Len() > 1000 {
		t.Errorf("an id of 200 kB made %d bytes of log", d.log.Len())
	}
	if n := strings.Count(strings.TrimSpace(d.log.String()), "\n"); n > 1 {
		t.Errorf("one refusal made %d lines: %s", n+1, d.log)
	}
}

func TestHandlerInvoke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		onInvoke func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error)
		want     int
		body     string // not compared with that of a refusal
	}{
		{"with a body", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{Status: 200, Body: map[string]int{"statusCode": 200}}, nil
		}, 200, `{"statusCode":200}`},
		{"with a status only", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{Status: 204}, nil
		}, 204, ""},
		{"with nothing", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{}, nil
		}, 200, ""},
		{"unknown", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{}, adapter.ErrNotImplemented
		}, 501, ""},
		{"failed", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{}, errors.New("down")
		}, 503, ""},
		{"panicked", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) { panic("words") }, 503, ""},
		{"that cannot be encoded", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{Body: func() {}}, nil
		}, 503, ""},
		{"with a status that is none", func(context.Context, *adapter.Activity) (adapter.InvokeResponse, error) {
			return adapter.InvokeResponse{Status: 42}, nil
		}, 503, ""},
		{"that nobody takes", nil, 501, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, func(o *adapter.HandlerOptions) { o.OnInvoke = tt.onInvoke })
			w := d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.Type, a.Name = adapter.TypeInvoke, "x/y" })), nil)
			wantStatus(t, w, tt.want)
			if (tt.body != "" || tt.want < 300) && w.Body.String() != tt.body {
				t.Errorf("body = %s, want %s", w.Body, tt.body)
			}
			if len(d.taken) != 0 {
				t.Error("the invoke went to OnActivity")
			}
		})
	}
}

func TestHandlerInvokeBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *adapter.HandlerOptions) {
			o.OnInvoke = func(ctx context.Context, _ *adapter.Activity) (adapter.InvokeResponse, error) {
				<-ctx.Done()
				return adapter.InvokeResponse{}, ctx.Err()
			}
		})
		start := time.Now()
		wantStatus(t, d.post(t, doorJSON(t, newActivity(func(a *adapter.Activity) { a.Type = adapter.TypeInvoke })), nil), 503)
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("invoke took %v, want 5s", got)
		}
	})
}

func TestNewHandlerRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *adapter.HandlerOptions){
		"no verifier":           func(o *adapter.HandlerOptions) { o.Verifier = nil },
		"no app id":             func(o *adapter.HandlerOptions) { o.AppID = "" },
		"no tenants":            func(o *adapter.HandlerOptions) { o.Tenants = nil },
		"an empty tenant":       func(o *adapter.HandlerOptions) { o.Tenants = []string{""} },
		"no OnActivity":         func(o *adapter.HandlerOptions) { o.OnActivity = nil },
		"negative read timeout": func(o *adapter.HandlerOptions) { o.ReadTimeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := adapter.HandlerOptions{
				Verifier: newVerifier(t, newIdentityProvider(), newClock(), nil), AppID: appID, Tenants: []string{"*"},
				OnActivity: func(context.Context, *adapter.Activity) error { return nil },
			}
			change(&o)
			if _, err := adapter.NewHandler(o); err == nil {
				t.Error("NewHandler = nil error, want a refusal")
			}
		})
	}
}
