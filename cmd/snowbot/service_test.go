package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/cmd/leaktest"
	"snowbot/snow/snowtest"
)

// A rig is the real binary between both emulators.
type rig struct {
	t     *testing.T
	teams *adaptertest.Channel
	snow  *snowtest.Instance
	mia   adaptertest.User
	chat  *adaptertest.Conversation
	env   []string
	proc  *exec.Cmd
	addr  string // of the public listener
	admin string
	logs  *lockedBuffer
}

// A lockedBuffer keeps what the processes logged, and has it looked at.
type lockedBuffer struct {
	watch *leaktest.Watch // nil: nobody looks
	mu    sync.Mutex
	b     strings.Builder
}

// watched returns a buffer for the logs of a process between two emulators. What they see on the wire, and every secret that they know, must not be in it.
func watched(t *testing.T, teams *adaptertest.Channel, instance *snowtest.Instance) *lockedBuffer {
	t.Helper()
	w := leaktest.New(t)
	_, secret, _, password := instance.Credentials()
	w.Secret(teams.AppPassword(), secret, password, rigSecret, complete()["DATA_ENCRYPTION_KEY"])
	refusal := func(status int, body string) {
		if status >= http.StatusBadRequest {
			fmt.Fprintln(w.To(leaktest.Refusal), body)
		}
	}
	wire := func(body string) { w.Wire(body); postgresLogs.Wire(body) }
	t.Cleanup(teams.Subscribe(func(x adaptertest.Exchange) {
		wire(x.RequestBody)
		if x.Direction == adaptertest.In {
			wire(x.ResponseBody)
		} else {
			refusal(x.Status, x.ResponseBody)
		}
	}))
	t.Cleanup(instance.Subscribe(func(x snowtest.Exchange) {
		wire(x.RequestBody)
		if x.Direction == snowtest.Out {
			refusal(x.Status, x.ResponseBody)
		}
	}))
	return &lockedBuffer{watch: w}
}

func (l *lockedBuffer) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.WriteString(line)
	l.b.WriteByte('\n')
	if l.watch != nil {
		fmt.Fprintln(l.watch, line)
	}
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch != nil {
		_, _ = l.watch.Write(p)
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const rigSecret = "rig-webhook-secret"

// newRig starts everything. Variables given come on top.
func newRig(t *testing.T, o snowtest.Options, more ...string) *rig {
	t.Helper()
	r := &rig{t: t}
	var err error
	if r.teams, err = adaptertest.New(adaptertest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.teams.Close() })
	o.AgentNames = true
	if r.snow, err = snowtest.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.snow.Close)
	id, secret, user, password := r.snow.Credentials()
	for k, v := range map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "ADMIN_LISTEN_ADDR": "127.0.0.1:0",
		"MICROSOFT_APP_ID": r.teams.AppID(), "MICROSOFT_APP_PASSWORD": r.teams.AppPassword(), "MICROSOFT_APP_TENANT_ID": r.teams.TenantID(),
		"BOT_OPENID_METADATA": r.teams.MetadataURL(), "BOT_TOKEN_URL": r.teams.TokenURL(),
		"SERVICENOW_INSTANCE": r.snow.URL(), "SERVICENOW_CLIENT_ID": id, "SERVICENOW_CLIENT_SECRET": secret,
		"SERVICENOW_USERNAME": user, "SERVICENOW_PASSWORD": password,
		"WEBHOOK_SECRET": rigSecret, "DATA_ENCRYPTION_KEY": complete()["DATA_ENCRYPTION_KEY"],
		"DATABASE_URL": "bbolt:" + filepath.Join(t.TempDir(), "snowbot.db"),
		"PATH":         os.Getenv("PATH"), "HOME": t.TempDir(),
	} {
		r.env = append(r.env, k+"="+v)
	}
	r.env = append(r.env, more...)
	r.logs = watched(t, r.teams, r.snow)
	r.start()
	t.Cleanup(func() {
		r.logs.watch.Fetch(leaktest.Metrics, "http://"+r.admin+"/metrics")
		r.kill()
	})
	r.mia = r.teams.AddUser(adaptertest.User{Name: "Mia Khan", Email: "mia.khan@example.com"})
	r.chat = r.teams.Personal(r.mia)
	return r
}

// start starts the binary and waits until it is ready.
func (r *rig) start() {
	r.t.Helper()
	r.proc = exec.Command("snowbot", "serve") //nolint:noctx // ended by kill and stop
	r.proc.Env = r.env
	out, err := r.proc.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.proc.Start(); err != nil {
		r.t.Fatal(err)
	}
	listening := make(chan struct{ Msg, Addr, Admin string }, 1)
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r.logs.add(lines.Text())
			var l struct{ Msg, Addr, Admin string }
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
				listening <- l
			}
		}
		close(listening)
	}()
	select {
	case l, ok := <-listening:
		if !ok {
			r.t.Fatalf("the service did not start:\n%s", r.logs.String())
		}
		r.addr, r.admin = l.Addr, l.Admin
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the service does not listen:\n%s", r.logs.String())
	}
	r.teams.SetBot("http://" + r.addr + "/api/messages")
	r.snow.SetWebhook("http://"+r.addr+"/api/v1/snowBot/receiveMessage", rigSecret)
	r.until("ready", func() bool { return r.get("http://"+r.addr+"/readyz") == http.StatusOK })
}

// file writes a file and returns its path.
func (r *rig) file(name, content string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// kill ends the process as a power cut would.
func (r *rig) kill() {
	_ = r.proc.Process.Kill()
	_ = r.proc.Wait()
}

// stop ends the process in good order.
func (r *rig) stop() {
	r.t.Helper()
	if err := r.proc.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := r.proc.Wait(); err != nil {
		r.t.Fatalf("stop: %v\n%s", err, r.logs.String())
	}
}

// until asks again and again; only for what has no signal to wait for.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("never %s:\n%s", what, r.logs.String())
		}
	}
}

func (r *rig) get(url string) int {
	res, err := http.Get(url) //nolint:noctx // loopback
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (r *rig) within() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) says(text string) {
	r.t.Helper()
	if p, err := r.chat.Say(r.within(), r.mia, text); err != nil || p.Status != http.StatusOK {
		r.t.Fatalf("say %q: status %d, %v\n%s", text, p.Status, err, r.logs.String())
	}
}

func (r *rig) sees(text string) {
	r.t.Helper()
	if _, err := r.teams.WaitText(r.within(), r.chat, text); err != nil {
		r.t.Fatalf("Teams never showed %q: %v\n%s", text, err, r.logs.String())
	}
}

func (r *rig) hears(c snowtest.Chat, text string) {
	r.t.Helper()
	if _, err := r.snow.WaitLine(r.within(), c.ID, text); err != nil {
		r.t.Fatalf("the agent never saw %q: %v\n%s", text, err, r.logs.String())
	}
}

func (r *rig) connect() snowtest.Chat {
	r.t.Helper()
	r.says("Can I talk to a person, please?")
	c, err := r.snow.WaitChat(r.within(), func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
	if err != nil {
		r.t.Fatalf("nobody in the queue: %v\n%s", err, r.logs.String())
	}
	if err := r.snow.Accept(r.within(), c.ID, "Sam Ortiz"); err != nil {
		r.t.Fatal(err)
	}
	r.sees("has joined the chat")
	return c
}

func TestServiceKilledBetweenAcceptanceAndDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	c := r.connect()
	r.hears(c, "Can I talk to a person, please?")

	// ServiceNow is out of reach while the employee writes, Teams while the agent does.
	if err := r.snow.SetDown(snowtest.Down503); err != nil {
		t.Fatal(err)
	}
	var words, answers []string
	for i := range 10 {
		words = append(words, "word "+strconv.Itoa(i))
		r.says(words[i])
	}
	r.kill()
	if err := r.snow.SetDown(snowtest.DownOff); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.hears(c, "word 9")
	chat, err := r.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := chat.Said(snowtest.FromUser); !slices.Equal(got[len(got)-10:], words) {
		t.Errorf("after the kill the agent sees %q, want %q", got, words)
	}

	clear := r.teams.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: http.StatusTooManyRequests, RetryAfter: time.Second, PathContains: "/activities"})
	for i := range 10 {
		answers = append(answers, "answer "+strconv.Itoa(i))
		if _, err := r.snow.Say(r.within(), c.ID, answers[i]); err != nil {
			t.Fatal(err)
		}
	}
	r.kill()
	clear()
	r.start()
	r.sees("answer 9")
	var shown []string
	for _, m := range r.chat.Messages() {
		if strings.HasPrefix(m.Text, "answer ") { // those that had to wait may go out as one
			shown = append(shown, strings.Split(m.Text, "\n\n")...)
		}
	}
	if !slices.Equal(shown, answers) { // nothing was sent unclearly before the kill, so nothing may show twice
		t.Errorf("after the kill Teams shows %q, want %q", shown, answers)
	}
}

func TestServiceDrainsOnTerm(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	c := r.connect()
	for i := range 20 {
		r.says("drain " + strconv.Itoa(i))
	}
	began := time.Now()
	if err := r.proc.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.proc.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, r.logs.String())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutdown took %v", took)
	}
	r.start()
	r.hears(c, "drain 19")
}

func TestServiceRefusesAttacks(t *testing.T) {
	t.Parallel()
	// Otherwise garbage is collected when there are up to 60 MB of it (garbage.go), and how far that has come says nothing of attacks.
	r := newRig(t, snowtest.Options{}, "GOMEMLIMIT=32MiB")
	r.connect()
	before := r.memory()
	good := "Bearer " + r.teams.Token(r.teams.ServiceURL())
	webhook, messages := "/api/v1/snowBot/receiveMessage", "/api/messages"
	for _, tt := range []struct {
		name, path, auth string
		body             string
		want             int
	}{
		{"webhook without secret", webhook, "", `{}`, 401},
		{"webhook with a wrong secret", webhook, "Bearer nope", `{}`, 401},
		{"webhook, no JSON", webhook, "Bearer " + rigSecret, `hello`, 400},
		{"webhook, null", webhook, "Bearer " + rigSecret, `null`, 400},
		{"webhook, an array", webhook, "Bearer " + rigSecret, `[]`, 400},
		{"webhook, nothing", webhook, "Bearer " + rigSecret, ``, 400},
		{"webhook, unknown session", webhook, "Bearer " + rigSecret, `{"clientSessionId":"nobody","body":[]}`, 400},
		{"webhook, 10 MB", webhook, "Bearer " + rigSecret, `{"x":"` + strings.Repeat("x", 10<<20) + `"}`, 413},
		{"webhook, a million brackets", webhook, "Bearer " + rigSecret, strings.Repeat("[", 1_000_000), 400},
		{"messages without token", messages, "", `{"type":"message"}`, 401},
		{"messages with junk", messages, "Bearer a.b.c", `{"type":"message"}`, 401},
		{"messages, no JSON", messages, good, `hello`, 400},
		{"messages, no type", messages, good, `{}`, 400},
		{"messages, 10 MB", messages, good, `{"type":"message","text":"` + strings.Repeat("x", 10<<20) + `"}`, 413},
		{"messages, many brackets", messages, good, strings.Repeat("[", 200_000), 400},
		{"messages, a million brackets", messages, good, strings.Repeat("[", 1_000_000), 413},
	} {
		for range 3 {
			if got := r.post(tt.path, tt.auth, tt.body); got != tt.want && (got != 0 || tt.want != 413) { // a server may hang up on what is too large
				t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
			}
		}
	}
	// A sender of one byte a second is cut off, and others are served meanwhile.
	slow := map[string]func() (int, time.Duration){
		webhook: r.slowSender(webhook, "Bearer "+rigSecret), messages: r.slowSender(messages, good),
	}
	r.says("served meanwhile")
	for path, answer := range slow {
		if status, took := answer(); status != http.StatusRequestTimeout || took > 15*time.Second {
			t.Errorf("slow sender to %s: status %d after %v, want 408 after 10 s", path, status, took)
		}
	}
	if after := r.memory(); after > before+48<<20 {
		t.Errorf("memory went from %d MB to %d MB", before>>20, after>>20)
	}
}

func (r *rig) post(path, auth, body string) int {
	req, err := http.NewRequestWithContext(r.within(), http.MethodPost, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(r.logs.watch.To(leaktest.Refusal), res.Body)
	return res.StatusCode
}

// slowSender begins a request whose body comes a byte a second; the result waits for the answer.
func (r *rig) slowSender(path, auth string) func() (status int, took time.Duration) {
	r.t.Helper()
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(r.within(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path, auth)
	answered := make(chan int, 1)
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	return func() (int, time.Duration) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case status := <-answered:
				return status, time.Since(began)
			case <-tick.C:
				fmt.Fprint(conn, " ")
			case <-r.within().Done():
				return 0, time.Since(began)
			}
		}
	}
}

// memory is what the process holds, in bytes.
func (r *rig) memory() int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.proc.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				r.t.Fatal(err)
			}
			return kb << 10
		}
	}
	r.t.Fatal("no RssAnon")
	return 0
}

func TestServiceStartNamesEveryProblem(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "snowbot", "serve")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := printed(t, cmd)
	if err == nil || cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("exit %v, want 2", err)
	}
	for _, name := range []string{"MICROSOFT_APP_ID", "SERVICENOW_INSTANCE", "WEBHOOK_SECRET", "DATA_ENCRYPTION_KEY"} {
		if !strings.Contains(string(out), name) {
			t.Errorf("the message does not name %s:\n%s", name, out)
		}
	}
}
