package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
)

// Who chats in the Playground.
const (
	playUser     = "29:1alex"
	playEmail    = "alex.wilber@example.com"
	playPersonal = "a:1playground"
	playGroup    = "19:playground@thread.v2"
)

// A playground is the Microsoft 365 Agents Playground, Microsoft's own emulator of Teams, between a person who is played
// here and the real binary. It sends no tokens, so a gateway before the binary signs each activity as the Connector does,
// and the binary checks them as ever.
type playground struct {
	hand
	t       *testing.T
	url     string
	teams   *adaptertest.Channel // its identity provider only
	bot     atomic.Pointer[string]
	refused atomic.Int64 // activities that the binary did not take

	mu     sync.Mutex
	change chan struct{}
	said   []*playMessage
	typing int
}

// A playMessage is a message as the Playground's page shows it.
type playMessage struct {
	MessageID string `json:"messageId"`
	From      struct {
		ID string `json:"id"`
	} `json:"from"`
	Text        string `json:"text"`
	TextFormat  string `json:"textFormat"`
	Attachments []struct {
		ContentType string          `json:"contentType"`
		Content     json.RawMessage `json:"content"`
	} `json:"attachments"`
	in string // the conversation
}

func (m *playMessage) shows(words string) bool {
	for _, a := range m.Attachments {
		if strings.Contains(string(a.Content), words) {
			return true
		}
	}
	return strings.Contains(m.Text, words)
}

func newPlayground(t *testing.T, teams *adaptertest.Channel) *playground {
	t.Helper()
	p := &playground{t: t, teams: teams, change: make(chan struct{})}
	p.hand = apiHand{p}
	gate := httptest.NewServer(http.HandlerFunc(p.gate))
	t.Cleanup(gate.Close)
	dir := t.TempDir()
	person := func(id, name, email string) map[string]any {
		given, family, _ := strings.Cut(name, " ")
		return map[string]any{
			"id": id, "name": name, "userPrincipleName": email, "aadObjectId": "00000000-0000-4000-8000-" + fmt.Sprintf("%012d", len(id)*100+len(name)),
			"givenName": given, "surname": family, "email": email,
		}
	}
	config, err := json.Marshal(map[string]any{ // which is YAML, too
		"version": "0.1.1", "tenantId": teams.TenantID(), "bot": map[string]any{"id": teams.BotID(), "name": "Help desk"},
		"currentUser": person(playUser, "Alex Wilber", playEmail),
		"users": []any{
			person("29:1m", "Megan Bowen", "megan@example.com"), person("29:1ad", "Adele Vance", "adele@example.com"),
			person("29:1isa", "Isaiah Langer", "isaiah@example.com"), person("29:1patt", "Patti Fernandez", "patti@example.com"),
			person("29:1lynn", "Lynne Robbins", "lynne@example.com"),
		},
		"personalChat": map[string]any{"id": playPersonal}, "groupChat": map[string]any{"id": playGroup, "name": "Group Chat"},
		"team": map[string]any{"id": "19:team@thread.tacv2", "name": "My Team", "aadGroupId": "00000000-0000-4000-8000-000000000031", "channels": []any{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".m365agentsplayground.yml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	port := p.run(dir, "Listening on ", "--require", filepath.Join(judges(t), "loopback.cjs"),
		filepath.Join(judges(t), "node_modules/@microsoft/m365agentsplayground/cli.js"),
		"start", "-e", gate.URL+"/api/messages", "-c", "msteams", "-p", strconv.Itoa(freePort(t)), "--dt")
	p.url = "http://127.0.0.1:" + port
	p.run(dir, `{"action":"open"}`, filepath.Join(judges(t), "watch.mjs"),
		"ws://127.0.0.1:"+port+"/_ws_conversation/v1/conversations/stream")
	return p
}

// run starts a program of Node, waits for a line that begins with ready, and returns the rest of that line. Later lines
// are taken as news of the Playground.
func (p *playground) run(dir, ready string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(nodeProgram(p.t), args...) //nolint:noctx // our own; ended below
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TEAMSAPPTESTER_BROWSER=none"}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	up, done := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), ready); ok && len(up) == 0 {
				select {
				case up <- rest:
				default:
				}
				continue
			}
			p.hear(lines.Bytes())
		}
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	select {
	case rest := <-up:
		return rest
	case <-done:
		p.t.Fatalf("%v ended:\n%s", args, complaints.String())
	case <-time.After(60 * time.Second):
		p.t.Fatalf("%v does not start:\n%s", args, complaints.String())
	}
	return ""
}

// freePort is a port of the loopback interface that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// gate adds what the Connector would: a token for the service URL of the activity.
func (p *playground) gate(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // asked before the binary runs
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	var a struct {
		ServiceURL string `json:"serviceUrl"`
	}
	at := p.bot.Load()
	if json.Unmarshal(body, &a) != nil || at == nil {
		p.refused.Add(1)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	to, err := url.Parse(*at)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+p.teams.Token(a.ServiceURL))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	proxy := httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) },
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode >= 300 {
				p.refused.Add(1)
			}
			return nil
		},
	}
	proxy.ServeHTTP(w, r)
}

// hear takes a line of news.
func (p *playground) hear(line []byte) {
	var news struct {
		Action       string      `json:"action"`
		Conversation string      `json:"actionConversationId"`
		Message      playMessage `json:"message"`
	}
	if json.Unmarshal(line, &news) != nil {
		return // what it logs
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &news.Message
	m.in = news.Conversation
	switch news.Action {
	case "createMessage":
		p.said = append(p.said, m)
	case "updateMessage":
		for _, old := range p.said {
			if old.MessageID == m.MessageID {
				*old = *m
			}
		}
	case "typing":
		p.typing++
	}
	close(p.change)
	p.change = make(chan struct{})
}

// until waits until something is true of what the page shows.
func (p *playground) until(what string, holds func() bool) {
	p.t.Helper()
	end := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		ok, change := holds(), p.change
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-change:
		case <-end:
			p.mu.Lock()
			defer p.mu.Unlock()
			var shown []string
			for _, m := range p.said[max(0, len(p.said)-6):] {
				shown = append(shown, fmt.Sprintf("%s %s %s", m.From.ID, m.Text, m.Attachments))
			}
			p.t.Fatalf("never %s; last the Playground shows\n%s", what, strings.Join(shown, "\n"))
		}
	}
}

// mark is a point in what was said so far, for sees.
func (p *playground) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.said)
}

// sees waits for words of the bot in a conversation, in what came after a mark, and returns the message.
func (p *playground) sees(in string, after int, words string) (found playMessage) {
	p.t.Helper()
	p.until("shown: "+words, func() bool {
		for _, m := range p.said[after:] {
			if m.in == in && m.From.ID == p.teams.BotID() && m.shows(words) {
				found = *m
				return true
			}
		}
		return false
	})
	p.looks(found, words)
	return found
}
