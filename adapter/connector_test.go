package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"snowbot/adapter"
	"snowbot/cmd/leaktest"

	"github.com/google/go-cmp/cmp"
)

// A tokenList hands out its tokens in turn, one more each time the present one is forgotten.
type tokenList struct {
	mu     sync.Mutex
	tokens []string
	err    error
	then   error // in place of err once a token was forgotten
	forgot []string
}

func (l *tokenList) Token(context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens[0], l.err
}

func (l *tokenList) Forget(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgot = append(l.forgot, token)
	if l.then != nil {
		l.err = l.then
	}
	if len(l.tokens) > 1 {
		l.tokens = l.tokens[1:]
	}
}

func tokens(list ...string) *tokenList { return &tokenList{tokens: list} }

// A seenRequest is what reached the service.
type seenRequest struct{ Method, URI, Token, Body string }

// A service is a Connector service that answers as it is told and keeps what it saw.
type service struct {
	*httptest.Server
	connections atomic.Int32
	mu          sync.Mutex
	seen        []seenRequest
}

func newService(tb testing.TB, answer http.HandlerFunc) *service {
	tb.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, seenRequest{r.Method, r.RequestURI, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), string(body)})
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	tb.Cleanup(s.Close)
	return s
}

func (s *service) requests() []seenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seenRequest(nil), s.seen...)
}

func (s *service) ref() adapter.Reference {
	return adapter.Reference{
		ServiceURL: s.URL + "/emea/", ChannelID: "msteams", ConversationID: "a:1", ConversationType: adapter.Personal, TenantID: "tenant",
		UserID: "29:user", UserAADID: "aad", UserName: "Ada", BotID: "28:app", BotName: "Help Desk",
	}
}

// openConnector returns a connector for services on this machine whose connections end with the test.
func openConnector(tb testing.TB, change func(*adapter.ConnectorOptions)) *adapter.Connector {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	tb.Cleanup(transport.CloseIdleConnections)
	watch := leaktest.New(tb)
	watch.Secret("words of a person")
	o := adapter.ConnectorOptions{
		Tokens: tokens("token"), Hosts: adapter.HostPolicy{AllowLoopback: true}, HTTP: &http.Client{Transport: transport}, Log: watch.Log(),
	}
	if change != nil {
		change(&o)
	}
	c, err := adapter.NewConnector(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// wantError checks that err is an *adapter.Error and returns it.
func wantError(tb testing.TB, err error) *adapter.Error {
	tb.Helper()
	var e *adapter.Error
	if !errors.As(err, &e) {
		tb.Fatalf("error = %v, want an *adapter.Error", err)
	}
	return e
}

const addressed = `"channelId":"msteams","from":{"id":"28:app","name":"Help Desk"},` +
	`"conversation":{"id":"a:1","conversationType":"personal","tenantId":"tenant"},` +
	`"recipient":{"id":"29:user","name":"Ada","aadObjectId":"aad"}`

func TestConnectorCalls(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(201, `{"id":"1700"}`))
	c := openConnector(t, nil)
	ctx := t.Context()
	incoming := decode(t, `{"type":"message","id":"9","timestamp":"t","localTimestamp":"t","localTimezone":"z","callerId":"x","serviceUrl":"u","text":"<b> & so on","keep":1}`)
	for name, tt := range map[string]struct {
		call func(ref adapter.Reference) (string, error)
		want seenRequest
	}{
		"Send": {
			func(ref adapter.Reference) (string, error) { return c.Send(ctx, ref, incoming) },
			seenRequest{"POST", "/emea/v3/conversations/a:1/activities", "token", `{"type":"message",` + addressed + `,"text":"<b> & so on","keep":1}`},
		},
		"Send without a type": {
			func(ref adapter.Reference) (string, error) {
				return c.Send(ctx, ref, &adapter.Activity{ReplyToID: "7"})
			},
			seenRequest{"POST", "/emea/v3/conversations/a:1/activities", "token", `{"type":"message",` + addressed + `,"replyToId":"7"}`},
		},
		"Reply": {
			func(ref adapter.Reference) (string, error) {
				return c.Reply(ctx, ref, "f:1/2", &adapter.Activity{Type: "message", ReplyToID: "7"})
			},
			seenRequest{"POST", "/emea/v3/conversations/a:1/activities/f:1%2F2", "token", `{"type":"message",` + addressed + `,"replyToId":"f:1/2"}`},
		},
		"Update": {
			func(ref adapter.Reference) (string, error) {
				return "1700", c.Update(ctx, ref, "5", &adapter.Activity{ID: "5", Text: "new"})
			},
			seenRequest{"PUT", "/emea/v3/conversations/a:1/activities/5", "token", `{"type":"message",` + addressed + `,"text":"new"}`},
		},
		"Delete": {
			func(ref adapter.Reference) (string, error) { return "1700", c.Delete(ctx, ref, "5") },
			seenRequest{"DELETE", "/emea/v3/conversations/a:1/activities/5", "token", ""},
		},
		"Typing": {
			func(ref adapter.Reference) (string, error) { return "1700", c.Typing(ctx, ref) },
			seenRequest{"POST", "/emea/v3/conversations/a:1/activities", "token", `{"type":"typing",` + addressed + `}`},
		},
		"CreateConversation": {
			func(ref adapter.Reference) (string, error) {
				r, err := c.CreateConversation(ctx, ref.ServiceURL, adapter.ConversationParameters{
					Bot: &adapter.ChannelAccount{ID: "28:app"}, Members: []adapter.ChannelAccount{{ID: "aad"}}, TenantID: `t"`,
				})
				return r.ID, err
			},
			seenRequest{"POST", "/emea/v3/conversations", "token", `{"isGroup":false,"bot":{"id":"28:app"},"members":[{"id":"aad"}],"tenantId":"t\"","channelData":{"tenant":{"id":"t\""}}}` + "\n"},
		},
	} {
		// One after the other, so that the last request is the one meant.
		for _, base := range []string{"/emea/", "/emea"} {
			ref := s.ref()
			ref.ServiceURL = s.URL + base
			id, err := tt.call(ref)
			if err != nil || id != "1700" {
				t.Errorf("%s = %q, %v", name, id, err)
			}
			seen := s.requests()
			if diff := cmp.Diff(tt.want, seen[len(seen)-1]); diff != "" {
				t.Errorf("%s with the service URL ending in %q (-want +got):\n%s", name, base, diff)
			}
		}
	}
	if incoming.ID != "9" || incoming.Extra["callerId"] == nil || incoming.From != nil {
		t.Error("Send changed what it was given")
	}
}

func TestConnectorSaysWhatItSends(t *testing.T) {
	t.Parallel()
	var header http.Header
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		answer(201, `{"id":"1"}`)(w, r)
	})
	if _, err := openConnector(t, nil).Send(t.Context(), s.ref(), &adapter.Activity{Text: "x"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Accept": "application/json", "User-Agent": "snowbot", "Authorization": "Bearer token",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestConnectorStartsAThread(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(201, `{"id":"19:c;messageid=1","activityId":"1","serviceUrl":5}`))
	got, err := openConnector(t, nil).CreateConversation(t.Context(), s.URL, adapter.ConversationParameters{
		IsGroup: true, TenantID: "t", ChannelData: json.RawMessage(`{"channel":{"id":"19:c"}}`), Activity: &adapter.Activity{ID: "x", Type: "message", Text: "<hi>"},
	})
	if want := (adapter.ConversationResource{ID: "19:c;messageid=1", ActivityID: "1"}); err != nil || got != want {
		t.Errorf("CreateConversation = %+v, %v", got, err)
	}
	const want = `{"isGroup":true,"tenantId":"t","channelData":{"channel":{"id":"19:c"}},"activity":{"type":"message","text":"<hi>"}}` + "\n"
	if diff := cmp.Diff(want, s.requests()[0].Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	before := len(s.requests())
	_, err = openConnector(t, nil).CreateConversation(t.Context(), s.URL, adapter.ConversationParameters{ChannelData: json.RawMessage("{")})
	if e := wantError(t, err); e.Written || len(s.requests()) != before {
		t.Errorf("parameters that are no JSON were sent: %v", err)
	}
	for _, body := range []string{"", "{}", `{"id":5}`, "[]"} {
		s := newService(t, answer(201, body))
		_, err := openConnector(t, nil).CreateConversation(t.Context(), s.URL, adapter.ConversationParameters{})
		_ = wantError(t, err)
	}
}

func TestConnectorTakesAnySuccess(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id":"1"}`: "1", ``: "", `{}`: "", `{"id":5}`: "", `{"id":null}`: "", `[]`: "", `null`: "", `5`: "", `not JSON`: "",
		`{"id":"` + strings.Repeat("x", 2<<20) + `"}`: "",
	} {
		for _, status := range []int{200, 201, 202} {
			s := newService(t, answer(status, body))
			id, err := openConnector(t, nil).Send(t.Context(), s.ref(), &adapter.Activity{})
			if err != nil || id != want {
				t.Errorf("Send = %.20q, %v for %d %.20q, want %q", id, err, status, body, want)
			}
		}
	}
	t.Run("broken off after the status", func(t *testing.T) {
		t.Parallel()
		s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":`)
		})
		if id, err := openConnector(t, nil).Send(t.Context(), s.ref(), &adapter.Activity{}); id != "" || err != nil {
			t.Errorf("Send = %q, %v", id, err)
		}
	})
}

func TestConnectorEscapesIDs(t *testing.T) {
	t.Parallel()
	const hostile = "19:a/../../../v3/x?y#z"
	s := newService(t, answer(200, `{}`))
	c := openConnector(t, nil)
	ref := s.ref()
	for _, id := range []string{hostile, "19:x@thread.tacv2;messageid=1", "a%2Fb", "a\\b", "a b\r\nX: y", "ü", "..%2f", "a..b"} {
		ref.ConversationID = id
		if _, err := c.Reply(t.Context(), ref, id, &adapter.Activity{}); err != nil {
			t.Errorf("Reply with the id %q: %v", id, err)
			continue
		}
		seen := s.requests()
		parts := strings.Split(seen[len(seen)-1].URI, "/")
		if len(parts) != 7 || strings.ContainsAny(parts[4], "?#; ") {
			t.Errorf("the id %q led to %q", id, seen[len(seen)-1].URI)
		}
	}
	if got, want := s.requests()[0].URI, "/emea/v3/conversations/19:a%2F..%2F..%2F..%2Fv3%2Fx%3Fy%23z/activities/19:a%2F..%2F..%2F..%2Fv3%2Fx%3Fy%23z"; got != want {
		t.Errorf("the hostile id led to %q, want %q", got, want)
	}
	before := len(s.requests())
	for _, id := range []string{"", ".", ".."} {
		ref.ConversationID = id
		_, send := c.Send(t.Context(), ref, &adapter.Activity{})
		ref.ConversationID = "a:1"
		_, reply := c.Reply(t.Context(), ref, id, &adapter.Activity{})
		_, member := c.Member(t.Context(), ref, id)
		ref.ConversationID = id + ";messageid=1"
		_, nowhere := c.Member(t.Context(), ref, "29:user")
		ref.ConversationID = "a:1"
		for _, err := range []error{send, reply, member, nowhere, c.Update(t.Context(), ref, id, &adapter.Activity{}), c.Delete(t.Context(), ref, id)} {
			if e := wantError(t, err); e.Written || e.StatusCode != 0 {
				t.Errorf("with the id %q: %v", id, err)
			}
		}
	}
	if _, err := c.Send(t.Context(), ref, nil); err == nil {
		t.Error("Send of nothing has no error")
	}
	if _, err := c.Send(t.Context(), ref, &adapter.Activity{Value: json.RawMessage("{")}); err == nil {
		t.Error("Send of a broken value has no error")
	}
	if got := len(s.requests()); got != before {
		t.Errorf("%d requests were made with ids that are none", got-before)
	}
}

func TestConnectorGivesItsTokenToNobodyElse(t *testing.T) {
	t.Parallel()
	other := newService(t, answer(200, `{}`))
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	c := openConnector(t, nil)
	_, err := c.Send(t.Context(), s.ref(), &adapter.Activity{})
	if e := wantError(t, err); e.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("redirect: %v", err)
	}
	strict := openConnector(t, func(o *adapter.ConnectorOptions) { o.Hosts = adapter.HostPolicy{} })
	for _, url := range []string{other.URL, "https://evil.org/", "https://anyone.blob.core.windows.net/", "", "https://smba.trafficmanager.net/?q", "https://smba.trafficmanager.net/#q", "https://smba.trafficmanager.net/a/%2e%2e/b"} {
		ref := s.ref()
		ref.ServiceURL = url
		_, err := strict.Send(t.Context(), ref, &adapter.Activity{})
		var host *adapter.HostError
		if e := wantError(t, err); !errors.As(err, &host) || e.Written || e.StatusCode != 0 {
			t.Errorf("Send to %q: %v", url, err)
		}
	}
	if n := len(other.requests()); n != 0 {
		t.Errorf("%d requests reached a host that was not to be called", n)
	}
}

func TestConnectorReusesConnections(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"short": `{"id":"1"}`, "empty": "", "long": strings.Repeat(" ", 100<<10)} {
		for _, status := range []int{201, 429} {
			s := newService(t, answer(status, body))
			c := openConnector(t, func(o *adapter.ConnectorOptions) { o.HTTP = nil })
			for range 50 {
				if _, err := c.Send(t.Context(), s.ref(), &adapter.Activity{}); (err == nil) != (status == 201) {
					t.Fatal(err)
				}
			}
			if n := s.connections.Load(); n != 1 {
				t.Errorf("50 sends with %s answers of %d took %d connections, want 1", name, status, n)
			}
		}
	}
}

func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(answer(201, `{"id":"1700000000001"}`))
	b.Cleanup(s.Close)
	c := openConnector(b, func(o *adapter.ConnectorOptions) { o.HTTP = nil })
	ref := (&service{Server: s}).ref()
	a := &adapter.Activity{Type: "message", Text: "Hello, how can I help you?", TextFormat: "plain"}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Send(b.Context(), ref, a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64 at a time", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.Send(b.Context(), ref, a); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
