package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// Whoever has Microsoft's token for one tenant is nobody in another, and what ServiceNow says of whose chat it is has to be true.
func TestServiceBelievesNobodysWordForWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	noah := s.teams.AddUser(adaptertest.User{Name: "Noah Park", Email: "noah.park@example.com"})
	other := s.teams.Personal(noah)
	if p, err := other.Say(s.within(), noah, "Can I talk to a person, please?"); err != nil || !p.OK() {
		t.Fatalf("%+v, %v", p, err)
	}
	his, err := s.snow.WaitChat(s.within(), func(c snowtest.Chat) bool { return c.ID != s.live.ID && c.State == snowtest.StateQueued })
	if err != nil {
		t.Fatal(err)
	}
	var mine, theirs map[string]any
	for of, c := range map[*map[string]any]snowtest.Chat{&mine: s.live, &theirs: his} {
		for _, x := range s.snow.Log() {
			var request struct {
				ClientVariables map[string]any `json:"clientVariables"`
				RequestID       string         `json:"requestId"`
			}
			if x.SessionID == c.SessionID && json.Unmarshal([]byte(x.RequestBody), &request) == nil && request.RequestID != "" {
				*of = request.ClientVariables
				(*of)["requestId"] = request.RequestID
			}
		}
	}
	const words = "forged words"
	for _, tt := range []struct {
		name    string
		session any
		change  map[string]any // of the variables
		request any
	}{
		{"a session of nobody's", "nobody", nil, nil},
		{"another's session", his.SessionID, nil, nil},
		{"another bot", s.live.SessionID, map[string]any{"botId": "another"}, nil},
		{"another tenant", s.live.SessionID, map[string]any{"tenantId": "another"}, nil},
		{"another's conversation", s.live.SessionID, map[string]any{"conversationId": theirs["conversationId"]}, nil},
		{"another session among the variables", s.live.SessionID, map[string]any{"sessionId": his.SessionID}, nil},
		{"a request of another's session", s.live.SessionID, nil, theirs["requestId"]},
		{"a conversation of nobody's", nil, map[string]any{"conversationId": "a:nobody"}, nil},
		{"nothing at all", nil, map[string]any{"conversationId": nil}, nil},
	} {
		variables := map[string]any{"botId": mine["botId"], "tenantId": mine["tenantId"], "conversationId": mine["conversationId"]}
		for k, v := range tt.change {
			variables[k] = v
		}
		raw, err := json.Marshal(map[string]any{
			"clientSessionId": tt.session, "clientVariables": variables, "requestId": tt.request,
			"body": []any{map[string]any{"uiType": "OutputText", "value": words, "messageId": tt.name}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.post(webhookPath, "Bearer "+rigSecret, string(raw)); got != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", tt.name, got)
		}
	}

	for name, change := range map[string]map[string]any{
		"another tenant's conversation": {"conversation": map[string]any{"id": s.chat.ID(), "tenantId": "another"}},
		"another tenant in both places": {
			"conversation": map[string]any{"id": s.chat.ID(), "tenantId": "another"}, "channelData": map[string]any{"tenant": map[string]any{"id": "another"}},
		},
		"no tenant":      {"conversation": map[string]any{"id": s.chat.ID()}, "channelData": nil},
		"another bot":    {"recipient": map[string]any{"id": "28:another"}},
		"no recipient":   {"recipient": nil},
		"another person": {"channelId": "directline"},
	} {
		body := s.activity(change)
		if got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), body); got != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, got)
		}
	}
	for name, token := range map[string]string{
		"signed by another key":       s.teams.Sign(s.teams.Claims(s.teams.ServiceURL()), func(g *adaptertest.Signing) { g.Foreign = true }),
		"signed by nobody":            s.teams.Sign(s.teams.Claims(s.teams.ServiceURL()), func(g *adaptertest.Signing) { g.Alg = "none" }),
		"signed with the public key":  s.teams.Sign(s.teams.Claims(s.teams.ServiceURL()), func(g *adaptertest.Signing) { g.Alg = "HS256" }),
		"for another service address": s.teams.Token("https://smba.trafficmanager.net/emea/"),
	} {
		if got := s.post(messagesPath, "Bearer "+token, s.activity(nil)); got != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", name, got)
		}
	}
	// What was taken once has no second effect, whoever sends it again.
	again, err := s.chat.Say(s.within(), s.mia, "once and only once")
	if err != nil {
		t.Fatal(err)
	}
	s.hears(s.live, "once and only once")
	for range 3 {
		if p, err := s.chat.Repeat(s.within(), again); err != nil || !p.OK() {
			t.Errorf("a repeat: %+v, %v", p, err)
		}
	}
	s.stands()
	s.unseen(words)
	s.unseen("this must not be seen")
	chat, err := s.snow.Chat(s.live.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(chat.Said(snowtest.FromUser), "\n"), "once and only once"); n != 1 {
		t.Errorf("the agent sees repeated words %d times", n)
	}
}

// TestServiceSlowsGuessersDown: guesses of secrets and tokens are answered, and slowly, while whoever has the right one, from the same
// address, waits for nothing.
func TestServiceSlowsGuessersDown(t *testing.T) {
	t.Parallel()
	s := besiege(t, "ADMIN_TOKEN=the-right-admin-token")
	for _, door := range []struct {
		name, url, right, body string
		method                 string
		ok                     int
	}{
		{"webhook", "http://" + s.addr + webhookPath, rigSecret, `{"clientSessionId":"` + s.live.SessionID + `","body":[]}`, http.MethodPost, 200},
		{"messages", "http://" + s.addr + messagesPath, s.teams.Token(s.teams.ServiceURL()), s.activity(map[string]any{"type": "typing"}), http.MethodPost, 200},
		{"admin", "http://" + s.admin + "/api/admin/stats", "the-right-admin-token", "", http.MethodGet, 200},
	} {
		call := func(credential string) (int, time.Duration) {
			began := time.Now()
			req, err := http.NewRequestWithContext(s.within(), door.method, door.url, strings.NewReader(door.body))
			if err != nil {
				t.Error(err)
				return 0, 0
			}
			req.Header.Set("Authorization", "Bearer "+credential)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return 0, 0
			}
			defer res.Body.Close()
			answer, _ := io.ReadAll(res.Body)
			if strings.Contains(string(answer), credential) {
				t.Errorf("%s: the answer repeats the credential", door.name)
			}
			return res.StatusCode, time.Since(began)
		}
		const guessers, guesses = 8, 6
		began := time.Now()
		var guessing sync.WaitGroup
		for g := range guessers {
			guessing.Go(func() {
				for i := range guesses {
					wrong := fmt.Sprintf("%s%d%d", door.right[:len(door.right)-2], g, i)
					if got, _ := call(wrong); got != http.StatusUnauthorized {
						t.Errorf("%s: a guess is answered %d, want 401", door.name, got)
					}
				}
			})
		}
		fastest := time.Hour
		for range 20 {
			got, took := call(door.right)
			if got != door.ok {
				t.Errorf("%s: the right credential is answered %d", door.name, got)
			}
			fastest = min(fastest, took)
		}
		guessing.Wait()
		if took := time.Since(began); took < (guesses-2)*guardDelay {
			t.Errorf("%s: %d guesses each of %d took %v", door.name, guesses, guessers, took)
		}
		if fastest >= guardDelay {
			t.Errorf("%s: the right credential had to wait, %v at least", door.name, fastest)
		}
	}
	s.stands()
}

// A canary is a host that must never be called.
type canary struct {
	*httptest.Server
	calls atomic.Int32
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.calls.Add(1)
		t.Errorf("the canary was called: %s %s", r.Method, r.URL)
	}))
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.calls.Add(1)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// TestServiceCallsNobodyWhoAsksForIt: an address in what comes in, signed or not, makes the service call nobody. Emulators live on
// loopback, so that the service believes in loopback here; what it believes in elsewhere is in the host policy's own table.
func TestServiceCallsNobodyWhoAsksForIt(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	c := newCanary(t)
	for _, address := range []string{
		"http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/", "https://metadata.google.internal/",
		"http://10.0.0.1/", "https://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "https://192.168.1.1:443/", "http://100.64.0.1/", "http://[fc00::1]/", "http://[fe80::1]/",
		"http://0.0.0.0/", "http://[::]/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://[::ffff:169.254.169.254]/",
		"https://127.0.0.1.nip.io/", "https://evil.example/", "https://evil.trafficmanager.net/", "https://smba.trafficmanager.net.evil.example/",
		"https://smba.trafficmanager.net@evil.example/", "https://evil.example#smba.trafficmanager.net", `https://evil.example\.botframework.com/`,
		"https://smba.trafficmanager.net:8443/", "http://smba.trafficmanager.net/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "//127.0.0.1/", "/emea",
		"https://storage.blob.core.windows.net/", "https://contoso.sharepoint.com/", "http://" + strings.Repeat("a", 5000) + ".example/",
	} {
		body := s.activity(map[string]any{"serviceUrl": address})
		if status, _, err := s.teams.PostRaw(s.within(), []byte(body), "Bearer "+s.teams.Token(address)); err != nil || status != http.StatusForbidden {
			t.Errorf("service URL %.80s, signed: status %d, %v, want 403", address, status, err)
		}
		if got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), body); got != http.StatusUnauthorized {
			t.Errorf("service URL %.80s, not signed: status %d, want 401", address, got)
		}
	}
	// The last of two names counts, everywhere: the one that is compared is the one that would be called.
	twice := strings.Replace(s.activity(nil), `"serviceUrl":`, `"serviceUrl":"`+c.URL+`","serviceUrl":`, 1)
	if got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), strings.Replace(twice, "this must not be seen", "a name twice", 1)); got != http.StatusOK {
		t.Errorf("the service URL twice, the right one last: status %d, want 200", got)
	}
	s.hears(s.live, "a name twice")

	file := map[string]any{"contentType": "application/vnd.microsoft.teams.file.download.info", "name": "a.txt", "contentUrl": c.URL, "content": map[string]any{"downloadUrl": c.URL}}
	picture := map[string]any{"contentType": "image/png", "contentUrl": c.URL + "/p.png", "thumbnailUrl": c.URL}
	page := map[string]any{"contentType": "text/html", "content": `<img src="` + c.URL + `"><link rel=stylesheet href="` + c.URL + `">`}
	if p, err := s.chat.SayWith(s.within(), s.mia, "see what is attached", map[string]any{"attachments": []any{file, picture, page}}); err != nil || !p.OK() {
		t.Errorf("attachments: %+v, %v", p, err)
	}
	if err := s.snow.Send(s.within(), s.live.ID, snowtest.Post{AgentChat: true, Items: []map[string]any{
		{"uiType": "OutputImage", "value": c.URL + "/a.png", "messageId": "m1", "agentInfo": map[string]any{"agentName": "Sam Ortiz", "sentFromAgent": true, "agentAvatar": c.URL + "/avatar"}},
		{"uiType": "OutputLink", "label": "a link", "value": map[string]any{"action": c.URL}, "messageId": "m2"},
		{"uiType": "OutputCard", "data": `{"title":"a card","url":"` + c.URL + `","image":"` + c.URL + `"}`, "messageId": "m3"},
		{"uiType": "OutputHtml", "value": `<img src="` + c.URL + `"><a href="` + c.URL + `">x</a>`, "messageId": "m4"},
		{"uiType": "Picker", "label": "which?", "options": []any{map[string]any{"label": "one", "value": "1", "attachment": c.URL}}, "messageId": "m5"},
	}}); err != nil {
		t.Error(err)
	}
	s.sees("which?")
	s.stands()
	s.unseen("this must not be seen")
	if n := c.calls.Load(); n != 0 {
		t.Errorf("the canary was called %d times", n)
	}
}

// TestServiceOutlastsIdleConnections: ten thousand connections that say nothing, or half of something, cost little, and who has
// something to say is heard.
func TestServiceOutlastsIdleConnections(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	const many = 10_000
	var mu sync.Mutex
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	var opening sync.WaitGroup
	var refused atomic.Int32
	for range 20 {
		opening.Go(func() {
			for i := range many / 20 {
				c, err := (&net.Dialer{}).DialContext(s.within(), "tcp", s.addr)
				if err != nil {
					refused.Add(1)
					continue
				}
				if i%2 == 0 { // and half of them begin a request
					_, err = io.WriteString(c, "POST /api/messages HTTP/1.1\r\nHost: x\r\nX: ")
				}
				if err != nil && errors.Is(err, io.ErrClosedPipe) {
					t.Error(err)
				}
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
			}
		})
	}
	s.says("served while they come")
	opening.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d connections could not be opened", n)
	}
	s.says("served when they are there")
	s.hears(s.live, "served when they are there")
	s.stands()
}
