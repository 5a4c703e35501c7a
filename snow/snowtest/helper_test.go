package snowtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// A post is one callback as the webhook saw it.
type post struct {
	header http.Header
	raw    string
	object
}

func (p post) items() []object {
	list, _ := p.object["body"].([]any)
	var items []object
	for _, it := range list {
		items = append(items, it.(object))
	}
	return items
}

// kinds names the items: uiType, or actionType of an ActionMsg.
func (p post) kinds() []string {
	var names []string
	for _, it := range p.items() {
		name, _ := it["uiType"].(string)
		if name == "ActionMsg" {
			name, _ = it["actionType"].(string)
		}
		names = append(names, name)
	}
	return names
}

// A site is an instance, a webhook and a client of the API.
type site struct {
	*snowtest.Instance
	t    *testing.T
	http *http.Client
	auth string

	mu      sync.Mutex
	posts   []post
	onPost  func(n int, w http.ResponseWriter, r *http.Request)
	webhook *httptest.Server
}

func newSite(t *testing.T, o snowtest.Options) *site {
	t.Helper()
	s := &site{t: t, http: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
	s.webhook = httptest.NewServer(http.HandlerFunc(s.receive))
	if o.WebhookURL == "" && o.Apps == nil {
		o.WebhookURL, o.WebhookSecret = s.webhook.URL+"/hook", "hook-secret"
	}
	inst, err := snowtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Instance = inst
	t.Cleanup(func() {
		s.Close()
		s.webhook.Close()
		s.http.CloseIdleConnections()
	})
	return s
}

func (s *site) receive(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p := post{header: r.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &p.object)
	s.mu.Lock()
	s.posts = append(s.posts, p)
	n, f := len(s.posts), s.onPost
	s.mu.Unlock()
	if f != nil {
		f(n, w, r)
	}
}

// answering sets what the webhook does with the n-th post, from 1.
func (s *site) answering(f func(n int, w http.ResponseWriter, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onPost = f
}

func (s *site) seen() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts)
}

// wait returns the posts once there are n of them and all were answered.
func (s *site) wait(n int) []post {
	s.t.Helper()
	s.until(func() bool { return len(s.out()) >= n })
	posts := s.seen()
	if len(posts) < n {
		s.t.Fatalf("%d posts arrived, want %d", len(posts), n)
	}
	return posts
}

func (s *site) until(holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx, holds); err != nil {
		for _, e := range s.Log() {
			s.t.Log(e)
		}
		s.t.Fatalf("waiting: %v", err)
	}
}

// out returns the log's posts.
func (s *site) out() []snowtest.Exchange {
	return slices.DeleteFunc(s.Log(), func(e snowtest.Exchange) bool { return e.Direction != snowtest.Out })
}

// last returns the newest request of the log.
func (s *site) last() snowtest.Exchange {
	s.t.Helper()
	all := slices.DeleteFunc(s.Log(), func(e snowtest.Exchange) bool { return e.Direction != snowtest.In })
	if len(all) == 0 {
		s.t.Fatal("nothing was requested")
	}
	return all[len(all)-1]
}

// An answer is what the instance answered.
type answer struct {
	status int
	header http.Header
	raw    string
	object
}

// do makes a request. Headers are pairs of name and value.
func (s *site) do(method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.object)
	return a, err
}

func (s *site) must(method, path, body string, headers ...string) answer {
	s.t.Helper()
	a, err := s.do(method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// token asks for a token with the password grant, changed by edits.
func (s *site) token(edits ...string) answer {
	s.t.Helper()
	id, secret, user, password := s.Credentials()
	form := url.Values{
		"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {user}, "password": {password},
	}
	for n := 0; n < len(edits); n += 2 {
		form.Set(edits[n], edits[n+1])
	}
	return s.must(http.MethodPost, "/oauth_token.do", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (s *site) bearer() string {
	s.t.Helper()
	if s.auth == "" {
		token, _ := s.token().object["access_token"].(string)
		if token == "" {
			s.t.Fatal("no token")
		}
		s.auth = "Bearer " + token
	}
	return s.auth
}

func (s *site) get(path string) answer {
	s.t.Helper()
	return s.must(http.MethodGet, path, "", "Authorization", s.bearer())
}

const integration = "/api/sn_va_as_service/bot/integration"

// bot sends a request of the Bot Integration API.
func (s *site) bot(body object, headers ...string) answer {
	s.t.Helper()
	raw, err := marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	headers = append([]string{"Authorization", s.bearer(), "Content-Type", "application/json"}, headers...)
	return s.must(http.MethodPost, integration, string(raw), headers...)
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

var variables = object{"tenantId": "t1", "botId": "b1", "conversationId": "a:1", "extra": "kept"}

// say builds an ordinary message, changed by edits.
func say(id, text string, edits ...object) object {
	body := object{
		"requestId": "r-" + id, "clientSessionId": "s-1", "userId": "u-1", "emailId": "mia.khan@example.com",
		"clientVariables": variables,
		"message":         object{"text": text, "typed": true, "clientMessageId": "m-" + id},
	}
	for _, e := range edits {
		maps.Copy(body, e)
	}
	return body
}

var agentAction = object{"action": "AGENT"}

// queued asks for an agent and waits until the desk has the chat and the webhook knows.
func (s *site) queued() string {
	s.t.Helper()
	if a := s.bot(say("0", "I need a person", agentAction)); a.status != http.StatusOK {
		s.t.Fatalf("AGENT: %d %s", a.status, a.raw)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	chat, err := s.WaitChat(ctx, func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
	if err != nil {
		s.t.Fatal(err)
	}
	s.wait(2)
	return chat.ID
}

// live brings a chat to an agent; after it the webhook has seen three posts.
func (s *site) live() string {
	s.t.Helper()
	id := s.queued()
	if err := s.Accept(s.t.Context(), id, "Sam Ortiz"); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// line waits for a line of a chat.
func (s *site) line(id, text string) (snowtest.Line, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	return s.WaitLine(ctx, id, text)
}

func (s *site) chat(id string) snowtest.Chat {
	s.t.Helper()
	c, err := s.Chat(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) fault(f snowtest.Fault) (remove func()) {
	s.t.Helper()
	remove, err := s.AddFault(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return remove
}

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
