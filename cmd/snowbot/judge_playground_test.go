package main

import (
	"bufio"
	"bytes"
	"context"
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
	"snowbot/snow/snowtest"
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
	port := p.run(dir, playListening, "--require", filepath.Join(judges(t), "loopback.cjs"),
		filepath.Join(judges(t), "node_modules/@microsoft/m365agentsplayground/cli.js"),
		"start", "-e", gate.URL+"/api/messages", "-c", "msteams", "-p", strconv.Itoa(freePort(t)), "--dt")
	p.url = "http://127.0.0.1:" + port
	p.run(dir, `{"action":"open"}`, "--experimental-websocket", "--no-warnings", filepath.Join(judges(t), "watch.mjs"),
		"ws://127.0.0.1:"+port+"/_ws_conversation/v1/conversations/stream")
	return p
}

const playListening = "Listening on "

// run starts a program of Node, waits for a line that begins with ready, and returns the rest of that line. Later lines
// are taken as news of the Playground.
func (p *playground) run(dir, ready string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command("node", args...) //nolint:gosec,noctx // our own; ended below
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
	return found
}

func (p *playground) post(path string, body any) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: the Playground answers %d %s", path, res.StatusCode, answer)
	}
}

// says writes in the personal chat.
func (p *playground) says(text string) {
	p.t.Helper()
	p.post("/_conversation/v1/conversations/"+url.PathEscape(playPersonal)+"/messages",
		map[string]any{"from": map[string]any{"id": playUser}, "text": text, "textFormat": "plain"})
}

// mentions writes in the group chat, to the bot or to everybody.
func (p *playground) mentions(bot bool, text string) {
	p.t.Helper()
	body := map[string]any{"from": map[string]any{"id": playUser}, "text": text, "textFormat": "plain"}
	if bot {
		body["text"] = "<at>Help desk</at> " + text
		body["mentions"] = []any{map[string]any{"mentioned": map[string]any{"id": p.teams.BotID()}, "text": "<at>Help desk</at>"}}
	}
	p.post("/_conversation/v1/conversations/"+url.PathEscape(playGroup)+"/messages", body)
}

func (p *playground) install(in string) {
	p.t.Helper()
	p.post("/_debug/conversation/"+url.PathEscape(in)+"/installation", map[string]any{})
}

// presses presses the button with the title on a card.
func (p *playground) presses(m playMessage, title string) {
	p.t.Helper()
	for _, a := range m.Attachments {
		var card struct {
			Actions []struct {
				Title string
				Data  map[string]any
			}
		}
		if json.Unmarshal(a.Content, &card) != nil {
			continue
		}
		for _, b := range card.Actions {
			if b.Title == title {
				p.post("/_conversation/v1/submit", map[string]any{
					"conversation": map[string]any{"id": m.in}, "from": map[string]any{"id": playUser}, "replyToId": m.MessageID, "value": b.Data,
				})
				return
			}
		}
	}
	p.t.Fatalf("no button %q in %s", title, m.Attachments)
}

// A play is the whole of it: the Playground, the binary and an instance.
type play struct {
	*playground
	snow *snowtest.Instance
	proc *binary
}

// start starts the binary, or starts it again.
func (y *play) start() {
	y.t.Helper()
	at, err := y.proc.Start(y.t.Context())
	if err != nil {
		y.t.Fatalf("%v\n%s", err, y.proc.logs.String())
	}
	y.bot.Store(&at.Bot)
	y.snow.SetWebhook(at.Webhook, at.WebhookSecret)
}

func (y *play) within() context.Context {
	ctx, cancel := context.WithTimeout(y.t.Context(), 20*time.Second)
	y.t.Cleanup(cancel)
	return ctx
}

func (y *play) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *play) hears(c snowtest.Chat, text string) {
	y.t.Helper()
	if _, err := y.snow.WaitLine(y.within(), c.ID, text); err != nil {
		y.t.Fatalf("the agent never saw %q: %v\n%s", text, err, y.proc.logs.String())
	}
}

// queued waits for a chat in the queue.
func (y *play) queued() snowtest.Chat {
	y.t.Helper()
	c, err := y.snow.WaitChat(y.within(), func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
	if err != nil {
		y.t.Fatalf("nobody in the queue: %v\n%s", err, y.proc.logs.String())
	}
	return c
}

const wish = "Can I talk to a person, please?"

// TestJudgePlayground has an employee chat in Microsoft's own emulator of Teams with an agent, through the real binary.
func TestJudgePlayground(t *testing.T) {
	t.Parallel()
	judges(t)
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	inst, err := snowtest.New(snowtest.Options{AgentNames: true, WaitTime: "2 Minutes"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Close)
	y := &play{playground: newPlayground(t, teams), snow: inst, proc: newBinary(t, teams, inst, nil)}
	y.start()
	t.Cleanup(func() { _ = y.proc.Kill() })

	y.greets()
	c := y.escalates()
	y.talks(c)
	y.restarts(c)
	y.survivesAnOutage(c)
	at := y.mark()
	y.must(inst.End(y.within(), c.ID, "bye"))
	y.sees(playPersonal, at, "has ended the chat")
	y.cancels()
	y.leaves()
	y.findsNobody()
	y.talksInAGroup()

	if n := y.refused.Load(); n != 0 {
		t.Errorf("%d activities of the Playground were refused", n)
	}
	if n := strings.Count(y.proc.logs.String(), `"level":"ERROR"`); n != 0 {
		t.Errorf("%d errors in the log:\n%s", n, y.proc.logs.String())
	}
}

func (y *play) greets() {
	y.install(playPersonal)
	y.sees(playPersonal, 0, "Hi! I'm here to help.")
	// Nothing but the gateway's token lets an activity in.
	req, err := http.NewRequestWithContext(y.within(), http.MethodPost, *y.bot.Load(), strings.NewReader(`{"type":"message"}`))
	y.must(err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	y.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		y.t.Errorf("without a token the binary answers %d", res.StatusCode)
	}
}

func (y *play) escalates() snowtest.Chat {
	at := y.mark()
	y.says(wish)
	y.sees(playPersonal, at, "Expected wait: 2 Minutes")
	c := y.queued()
	if c.Email != playEmail {
		y.t.Errorf("the agent sees the address %q", c.Email)
	}
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playPersonal, at, "has joined the chat")
	return c
}

func (y *play) talks(c snowtest.Chat) {
	at := y.mark()
	y.says("my payslip *is* wrong & <b>late</b>")
	y.hears(c, "my payslip *is* wrong & <b>late</b>")
	_, err := y.snow.Say(y.within(), c.ID, "looking at *it* & <you>")
	y.must(err)
	if m := y.sees(playPersonal, at, "looking at *it* & <you>"); m.TextFormat != "plain" {
		y.t.Errorf("the agent's words are shown as %q", m.TextFormat)
	}
	y.typesUntilSeen(c)
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputImage", "value": "https://cdn.example.com/p.png", "altText": "the form"})
	y.must(err)
	y.sees(playPersonal, at, "https://cdn.example.com/p.png")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{"uiType": "OutputLink", "label": "The page", "value": map[string]any{"action": "https://example.com/page"}})
	y.must(err)
	y.sees(playPersonal, at, "[The page](https://example.com/page)")
	_, err = y.snow.SendItem(y.within(), c.ID, map[string]any{
		"uiType": "Picker", "label": "Which one?", "options": []any{map[string]any{"label": "Laptop", "value": "lap"}, map[string]any{"label": "Phone", "value": "pho"}},
	})
	y.must(err)
	y.presses(y.sees(playPersonal, at, "Which one?"), "Laptop")
	y.hears(c, "lap")
}

// typesUntilSeen has the agent go on typing: what is shown of it gives way to everything else.
func (y *play) typesUntilSeen(c snowtest.Chat) {
	y.t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for within := y.within(); ; {
		y.must(y.snow.Typing(within, c.ID, true))
		y.mu.Lock()
		seen, change := y.typing > 0, y.change
		y.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-change:
		case <-tick.C:
		case <-within.Done():
			y.t.Fatal("the Playground never showed that the agent types")
		}
	}
}

func (y *play) restarts(c snowtest.Chat) {
	y.must(y.proc.Kill())
	y.start()
	at := y.mark()
	y.says("still there?")
	y.hears(c, "still there?")
	_, err := y.snow.Say(y.within(), c.ID, "yes, still here")
	y.must(err)
	y.sees(playPersonal, at, "yes, still here")
}

func (y *play) survivesAnOutage(c snowtest.Chat) {
	at := y.mark()
	y.must(y.snow.SetDown(snowtest.Down503))
	y.says("said while it is down")
	y.sees(playPersonal, at, "The service desk can't be reached right now")
	y.must(y.snow.SetDown(snowtest.DownOff))
	y.hears(c, "said while it is down")
	y.sees(playPersonal, at, "can be reached again")
}

func (y *play) cancels() {
	at := y.mark()
	y.says(wish)
	card := y.sees(playPersonal, at, "Expected wait: 2 Minutes")
	c := y.queued()
	y.presses(card, "Cancel")
	y.sees(playPersonal, at, "Your request has ended")
	y.over(c)
}

func (y *play) leaves() {
	c := y.escalates()
	at := y.mark()
	y.says("end chat")
	y.sees(playPersonal, at, "You have ended the chat")
	y.over(c)
}

// over waits until the desk has a chat no longer.
func (y *play) over(c snowtest.Chat) {
	y.t.Helper()
	_, err := y.snow.WaitChat(y.within(), func(now snowtest.Chat) bool { return now.ID == c.ID && !now.EndedAt.IsZero() })
	if err != nil {
		y.t.Fatalf("the chat never ended at the desk: %v", err)
	}
}

func (y *play) findsNobody() {
	at := y.mark()
	y.must(y.snow.SetNoAgents(snowtest.NoAgentsCompleted))
	y.says(wish)
	y.presses(y.sees(playPersonal, at, "Shall I create a ticket"), "Create a ticket")
	y.sees(playPersonal, at, "Your ticket is INC")
	y.must(y.snow.SetNoAgents(snowtest.NoAgentsOff))
}

func (y *play) talksInAGroup() {
	at := y.mark()
	y.install(playGroup)
	y.sees(playGroup, at, "Hi! I'm here to help.")
	y.mentions(true, wish)
	y.sees(playGroup, at, "Expected wait: 2 Minutes")
	c := y.queued()
	y.must(y.snow.Accept(y.within(), c.ID, "Sam Ortiz"))
	y.sees(playGroup, at, "has joined the chat")
	y.mentions(false, "not for the bot")
	y.mentions(true, "in front of everybody")
	y.hears(c, "in front of everybody")
	_, err := y.snow.Say(y.within(), c.ID, "hello, all")
	y.must(err)
	y.sees(playGroup, at, "hello, all")
	y.must(y.snow.End(y.within(), c.ID, ""))
	y.sees(playGroup, at, "has ended the chat")
}
