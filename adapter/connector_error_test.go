package adapter_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
)

// connectorBody is an error body in the usual shape.
func connectorBody(code string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":"words of a person","innerHttpError":{"statusCode":1,"body":"more words"}}}`, code)
}

func TestConnectorErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		want   adapter.Error
	}{
		"bad argument":        {400, connectorBody("BadArgument"), adapter.Error{Code: "BadArgument"}},
		"not registered":      {401, connectorBody("BotNotRegistered"), adapter.Error{Code: "BotNotRegistered"}},
		"disabled":            {403, connectorBody("BotDisabledByAdmin"), adapter.Error{Code: "BotDisabledByAdmin"}},
		"not in roster":       {403, connectorBody("BotNotInConversationRoster"), adapter.Error{Code: "BotNotInConversationRoster"}},
		"blocked by user":     {403, connectorBody("ConversationBlockedByUser"), adapter.Error{Code: "ConversationBlockedByUser"}},
		"no permissions":      {403, connectorBody("NotEnoughPermissions"), adapter.Error{Code: "NotEnoughPermissions"}},
		"activity not found":  {404, connectorBody("ActivityNotFoundInConversation"), adapter.Error{Code: "ActivityNotFoundInConversation"}},
		"conversation gone":   {404, connectorBody("ConversationNotFound"), adapter.Error{Code: "ConversationNotFound"}},
		"precondition failed": {412, connectorBody("PreconditionFailed"), adapter.Error{Code: "PreconditionFailed"}},
		"too big":             {413, connectorBody("MessageSizeTooBig"), adapter.Error{Code: "MessageSizeTooBig"}},
		"throttled":           {429, connectorBody("Throttled"), adapter.Error{Code: "Throttled"}},
		"service error":       {500, connectorBody("ServiceError"), adapter.Error{Code: "ServiceError"}},
		"bad gateway":         {502, connectorBody("ServiceError"), adapter.Error{Code: "ServiceError"}},
		"unavailable":         {503, ``, adapter.Error{}},
		"gateway time-out":    {504, `<html>words`, adapter.Error{}},
		"writes blocked, JSON in a string": {
			403, `{"errorCode":209,"message":"{\r\n  \"subCode\": \"MessageWritesBlocked\",\r\n  \"details\": \"words\",\r\n  \"errorCode\": null\r\n}"}`,
			adapter.Error{Code: "209", SubCode: "MessageWritesBlocked"},
		},
		"writes blocked, below error": {
			403, `{"error":{"code":"ConversationBlockedByUser","message":"{\"subCode\":\"MessageWritesBlocked\"}"}}`,
			adapter.Error{Code: "ConversationBlockedByUser", SubCode: "MessageWritesBlocked"},
		},
		"writes blocked, in the inner error": {
			403, `{"error":{"code":"Forbidden","innerHttpError":{"body":{"error":{"subCode":"MessageWritesBlocked"}}}}}`,
			adapter.Error{Code: "Forbidden", SubCode: "MessageWritesBlocked"},
		},
		"flat":               {400, `{"code":"BadSyntax","message":"words"}`, adapter.Error{Code: "BadSyntax"}},
		"words as code":      {400, connectorBody("words of a person"), adapter.Error{}},
		"long code":          {400, connectorBody(strings.Repeat("x", 65)), adapter.Error{}},
		"odd types":          {400, `{"error":{"code":{"a":1}},"message":["words"]}`, adapter.Error{}},
		"an array":           {400, `["words"]`, adapter.Error{}},
		"a page with 200":    {200, " <!DOCTYPE html>words", adapter.Error{Code: adapter.CodeNotConnector}},
		"a redirect":         {302, "<html>words", adapter.Error{Code: adapter.CodeNotConnector}},
		"moved for good":     {308, `{"code":"words"}`, adapter.Error{Code: adapter.CodeNotConnector}},
		"endlessly nested":   {400, strings.Repeat(`{"error":`, 500) + `{"code":"deep"}` + strings.Repeat("}", 500), adapter.Error{}},
		"strings in strings": {400, `{"message":"{\"message\":\"{\\\"code\\\":\\\"Inner\\\"}\"}"}`, adapter.Error{Code: "Inner"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("MS-CV", "vector.1")
				w.Header().Set("X-Ms-Request-Id", "words of a person")
				answer(tt.status, tt.body)(w, r)
			})
			c := openConnector(t, func(o *adapter.ConnectorOptions) {
				o.Tokens = tokens("secret-token")
				o.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			_, err := c.Send(t.Context(), s.ref(), &adapter.Activity{Text: "words"})
			tt.want.Op, tt.want.StatusCode, tt.want.Written = "send", tt.status, true
			if diff := cmp.Diff(&tt.want, wantError(t, err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if shown := err.Error() + logged.String(); strings.Contains(shown, "words") || strings.Contains(shown, "secret-token") || !strings.Contains(shown, "vector.1") {
				t.Errorf("shown: %s", shown)
			}
		})
	}
}

// A token that is refused and cannot be replaced yet leaves the call undone, and worth a try later.
func TestConnectorRefusedTokenWithoutAnother(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(401, `{"message":"Authorization has been denied for this request."}`))
	c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Tokens = tokens("the-same") })
	_, err := c.Send(t.Context(), s.ref(), &adapter.Activity{Text: "words"})
	if e := wantError(t, err); e.Op != "token" || e.Written || e.RetryAfter <= 0 {
		t.Errorf("error = %+v, want one of the token, with a time to wait", e)
	}
}

func TestConnectorRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, " 7 ": 7 * time.Second, "0": 0, "-5": 0, "1.5": 1500 * time.Millisecond, "": 0, ".": 0, "soon": 0, "1e3": 0, "NaN": 0, "+Inf": 0,
		"86400": time.Hour, "99999999999999999999999999": time.Hour, strings.Repeat("9", 400): time.Hour,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"Sat, 02 Jan 2027 03:04:00 GMT": time.Hour,
	} {
		s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Now = func() time.Time { return now } })
		if e := wantError(t, c.Typing(t.Context(), s.ref())); e.RetryAfter != want || e.Op != "typing" {
			t.Errorf("Retry-After %.40q led to %v, want %v", header, e.RetryAfter, want)
		}
	}
}

func TestConnectorRepeatsOnceWithAFreshToken(t *testing.T) {
	t.Parallel()
	accept := func(good, refusal string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer "+good {
				answer(201, `{"id":"1"}`)(w, r)
				return
			}
			answer(401, refusal)(w, r)
		}
	}
	const coded, bare = `{"error":{"code":"Unauthorized"}}`, `{"message":"Authorization has been denied for this request."}`
	for name, tt := range map[string]struct {
		tokens  *tokenList
		refusal string
		ok      bool
		used    []string
	}{
		"which is accepted": {tokens("old", "new"), coded, true, []string{"old", "new"}},
		"which is accepted after a refusal without code": {tokens("old", "new"), bare, true, []string{"old", "new"}},
		"which is refused, too":                          {tokens("old", "older", "new"), coded, false, []string{"old", "older"}},
		"but not when there is no other":                 {tokens("old"), coded, false, []string{"old"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, accept("new", tt.refusal))
			c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Tokens = tt.tokens })
			_, err := c.Send(t.Context(), s.ref(), &adapter.Activity{Text: "x"})
			if (err == nil) != tt.ok {
				t.Errorf("Send error = %v", err)
			}
			var used []string
			for _, r := range s.requests() {
				used = append(used, r.Token)
				if !strings.Contains(r.Body, `"text":"x"`) {
					t.Errorf("body %q", r.Body)
				}
			}
			if diff := cmp.Diff(tt.used, used); diff != "" {
				t.Errorf("tokens used (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"old"}, tt.tokens.forgot); diff != "" {
				t.Errorf("tokens forgotten (-want +got):\n%s", diff)
			}
		})
	}
}

// What a source of ours says about a failure, above all how long to wait, comes through as it is; and nothing is sent without a token.
func TestConnectorHandsOnWhyThereIsNoToken(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(401, `{}`))
	down := &adapter.Error{Op: "token", StatusCode: 429, RetryAfter: time.Minute}
	sealed := errors.New("vault sealed")
	for _, tt := range []struct {
		name   string
		source *tokenList
		cause  error
		sent   int
		wait   time.Duration
	}{
		{"at first", &tokenList{tokens: []string{""}, err: down}, down, 0, time.Minute},
		{"after a 401", &tokenList{tokens: []string{"old", ""}, then: down}, down, 1, time.Minute},
		{"from another source, at first", &tokenList{tokens: []string{""}, err: sealed}, sealed, 0, 0},
		{"from another source, after a 401", &tokenList{tokens: []string{"old", ""}, then: sealed}, sealed, 1, 0},
	} {
		before := len(s.requests())
		c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Tokens = tt.source })
		_, err := c.Send(t.Context(), s.ref(), &adapter.Activity{Text: "x"})
		e := wantError(t, err)
		if !errors.Is(err, tt.cause) || e.Op != "token" || e.Written || e.RetryAfter != tt.wait {
			t.Errorf("%s: Send error = %+v, want %v", tt.name, e, tt.cause)
		}
		if sent := len(s.requests()) - before; sent != tt.sent {
			t.Errorf("%s: %d requests were sent, want %d", tt.name, sent, tt.sent)
		}
	}
}

func TestConnectorGoesToTheGCCHostOnce(t *testing.T) {
	t.Parallel()
	wrong := newService(t, answer(403, connectorBody("InvalidBotApiHost")))
	right := newService(t, answer(201, `{"id":"1"}`))
	for name, tt := range map[string]struct {
		gcc         string
		ok          bool
		wrong, gccN int
	}{
		"and is served":              {right.URL + "/gcc", true, 1, 1},
		"and not again":              {wrong.URL + "/gcc", false, 2, 0},
		"but not when it was called": {wrong.URL + "/emea/", false, 1, 0},
	} {
		// Services are shared: one after the other.
		before, gccBefore := len(wrong.requests()), len(right.requests())
		c := openConnector(t, func(o *adapter.ConnectorOptions) { o.GCCServiceURL = tt.gcc })
		id, err := c.Send(t.Context(), wrong.ref(), &adapter.Activity{})
		if (err == nil && id == "1") != tt.ok {
			t.Errorf("%s: Send = %q, %v", name, id, err)
		}
		if a, b := len(wrong.requests())-before, len(right.requests())-gccBefore; a != tt.wrong || b != tt.gccN {
			t.Errorf("%s: %d and %d requests, want %d and %d", name, a, b, tt.wrong, tt.gccN)
		}
	}
	if got, want := right.requests()[0].URI, "/gcc/v3/conversations/a:1/activities"; got != want {
		t.Errorf("GCC host was asked for %q, want %q", got, want)
	}
	for status, code := range map[int]string{403: "BotDisabledByAdmin", 400: "InvalidBotApiHost"} {
		other := newService(t, answer(status, connectorBody(code)))
		c := openConnector(t, func(o *adapter.ConnectorOptions) { o.GCCServiceURL = right.URL })
		if _, err := c.Send(t.Context(), other.ref(), &adapter.Activity{}); err == nil {
			t.Errorf("%d %s was served by the GCC host", status, code)
		}
	}
}

func TestConnectorKnowsWhatWasWritten(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	hanging := newService(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	resetting := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	})
	talking := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "words of a person\r\n\r\n")
			conn.Close()
		}
	})
	encrypted := httptest.NewUnstartedServer(answer(200, `{}`))
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()

	for name, tt := range map[string]struct {
		url     string
		change  func(*adapter.ConnectorOptions)
		written bool
		op      string
		is      error
	}{
		"nobody listens":     {closed, nil, false, "send", syscall.ECONNREFUSED},
		"unknown authority":  {encrypted.URL, nil, false, "send", nil},
		"no token":           {hanging.URL, func(o *adapter.ConnectorOptions) { o.Tokens = &tokenList{tokens: []string{""}, err: errors.New("x")} }, false, "token", nil},
		"time-out":           {hanging.URL, func(o *adapter.ConnectorOptions) { o.Timeout = 100 * time.Millisecond }, true, "send", context.DeadlineExceeded},
		"reset":              {resetting.URL, nil, true, "send", nil},
		"answer of no sense": {talking.URL, nil, true, "send", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openConnector(t, tt.change)
			ref := hanging.ref()
			ref.ServiceURL, ref.ConversationID = tt.url, "someone@example.org"
			_, err := c.Send(t.Context(), ref, &adapter.Activity{})
			e := wantError(t, err)
			if e.Written != tt.written || e.Op != tt.op || e.StatusCode != 0 {
				t.Errorf("error %+v, want written %v, op %s", e, tt.written, tt.op)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
			if s := err.Error(); strings.Contains(s, "words") || strings.Contains(s, "example.org") || strings.Contains(s, "Bearer") {
				t.Errorf("error tells too much: %s", s)
			}
		})
	}
	t.Run("caller gives up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := openConnector(t, nil).Send(ctx, s.ref(), &adapter.Activity{})
		if e := wantError(t, err); !e.Written || !errors.Is(err, context.Canceled) {
			t.Errorf("error %+v", e)
		}
		_, err = openConnector(t, nil).Send(ctx, s.ref(), &adapter.Activity{})
		if e := wantError(t, err); e.Written {
			t.Errorf("error %+v before the start", e)
		}
	})
}

// A roundTripFunc sends in the place of a transport.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Where the transport finds a kept connection closed and cannot open another, nothing was written.
func TestConnectorKnowsThatTheTransportTriedAgain(t *testing.T) {
	t.Parallel()
	transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		trace.GetConn("")
		return nil, errors.New("connection refused")
	})
	c := openConnector(t, func(o *adapter.ConnectorOptions) { o.HTTP = &http.Client{Transport: transport} })
	err := c.Typing(t.Context(), adapter.Reference{ServiceURL: "https://smba.trafficmanager.net/emea/", ConversationID: "a:1"})
	if e := wantError(t, err); e.Written {
		t.Errorf("error = %+v, want not written", e)
	}
}

// What ends a call is named as far as it is of use to whoever runs the bot, and without the address.
func TestConnectorErrorsSayWhy(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		"no such host":                 &net.DNSError{Err: "no such host", Name: "smba.trafficmanager.net", IsNotFound: true},
		"dial tcp: connection refused": &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
		"failed to verify certificate": &tls.CertificateVerificationError{Err: errors.New("expired")},
		"signed by unknown authority":  x509.UnknownAuthorityError{},
		"tls: handshake failure":       tls.AlertError(40),
		"i/o timeout":                  timeoutError{},
		"unexpected EOF":               io.ErrUnexpectedEOF,
		"context deadline exceeded":    fmt.Errorf("secret: %w", context.DeadlineExceeded),
		"send: the answer is not HTTP": errors.New("malformed HTTP response \"secret\""),
	} {
		c := openConnector(t, func(o *adapter.ConnectorOptions) {
			o.HTTP = &http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, cause })}
		})
		_, err := c.Send(t.Context(), adapter.Reference{ServiceURL: "https://smba.trafficmanager.net/emea/", ConversationID: "secret"}, &adapter.Activity{})
		if s := err.Error(); !strings.Contains(s, want) || strings.Contains(s, "secret") {
			t.Errorf("error %q, want it to say %q", s, want)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "secret" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*adapter.Error{
		"bot connector: send: status 403 Forbidden/MessageWritesBlocked": {Op: "send", StatusCode: 403, Code: "Forbidden", SubCode: "MessageWritesBlocked"},
		"bot connector: send: status 403 209":                            {Op: "send", StatusCode: 403, Code: "209"},
		"bot connector: token: status 401 AADSTS7000215/invalid_client":  {Op: "token", StatusCode: 401, Code: "7000215", SubCode: "invalid_client"},
		"bot connector: token: status 401 AADSTS90":                      {Op: "token", StatusCode: 401, Code: "90"},
		"bot connector: token: status 401 Odd":                           {Op: "token", StatusCode: 401, Code: "Odd"},
		"bot connector: delete: EOF":                                     {Op: "delete", Err: io.EOF},
	} {
		if got := e.Error(); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

func TestConnectorTakesNoPageForASuccess(t *testing.T) {
	t.Parallel()
	s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "Sign in, please")
	})
	_, err := openConnector(t, nil).Send(t.Context(), s.ref(), &adapter.Activity{Text: "x"})
	if e := wantError(t, err); e.Code != adapter.CodeNotConnector {
		t.Errorf("error = %+v", e)
	}
}

func TestNewConnectorRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]adapter.ConnectorOptions{
		"no tokens":        {},
		"negative timeout": {Tokens: tokens("x"), Timeout: -1},
		"GCC host":         {Tokens: tokens("x"), GCCServiceURL: "https://evil.org/"},
	} {
		if _, err := adapter.NewConnector(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens("x")}); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
