package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snowbot/snow/snowtest"
)

// A sandboxPage is a sandbox with its real service, as a browser would use it.
type sandboxPage struct {
	t   *testing.T
	url string
	dir string
	box *sandbox
	end func() error // ends the sandbox and returns what run returned
}

func openSandbox(t *testing.T) *sandboxPage {
	t.Helper()
	binary, err := exec.LookPath("snowbot")
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &sandboxPage{t: t, dir: t.TempDir()}
	if p.box, err = newSandbox(sandboxOptions{Binary: binary, Dir: p.dir, Addr: l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	logs := watched(t, p.box.teams, p.box.now)
	logs.watch.Secret(secretSettings(p.box.child.env)...)
	p.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.box.run(ctx, l) }()
	p.end = func() error { cancel(); err := <-ended; ended <- err; return err }
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Errorf("the sandbox ended with %v", logs.watch.Refused(err))
		}
		log, err := os.ReadFile(filepath.Join(p.dir, "service.log"))
		if err != nil {
			t.Error(err)
		}
		if _, _ = logs.Write(log); t.Failed() {
			t.Logf("the service's log:\n%s", log)
		}
	})
	p.wait("the first employee is greeted", func(st sandboxState) bool { return len(st.Employees) == 1 && len(st.Employees[0].Messages) > 0 })
	return p
}

// secretSettings are the values of those variables that nobody may see.
func secretSettings(env []string) (values []string) {
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if strings.Contains(name, "SECRET") || strings.Contains(name, "PASSWORD") || strings.Contains(name, "KEY") || strings.Contains(name, "TOKEN") && !strings.Contains(name, "URL") {
			values = append(values, value)
		}
	}
	return values
}

// do sends a command and returns the status and the answer.
func (p *sandboxPage) do(name string, c map[string]any) (int, map[string]any) {
	p.t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/api/"+name, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return resp.StatusCode, answer
}

// must is do for a command that has to work.
func (p *sandboxPage) must(name string, c map[string]any) {
	p.t.Helper()
	if status, answer := p.do(name, c); status != http.StatusOK {
		p.t.Fatalf("%s: status %d, %v", name, status, answer)
	}
}

// An sseEvent is one event of the stream.
type sseEvent struct{ name, data string }

// stream opens the stream of events. next returns one event after the other, and io.EOF at the end.
func (p *sandboxPage) stream(ctx context.Context) (next func() (sseEvent, error)) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/events", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // with the context, which the caller ends
	if err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (sseEvent, error) {
		var e sseEvent
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return e, err
			}
			switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					return e, nil
				}
			}
		}
	}
}

// wait reads the stream until the state is as wanted.
func (p *sandboxPage) wait(what string, ok func(sandboxState) bool) sandboxState {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 40*time.Second)
	defer cancel()
	var last string
	for next := p.stream(ctx); ; {
		e, err := next()
		if err != nil {
			p.t.Fatalf("%s: not seen: %v; last state:\n%s", what, err, last)
		}
		if e.name != "state" {
			continue
		}
		last = e.data
		var st sandboxState
		if err := json.Unmarshal([]byte(e.data), &st); err != nil {
			p.t.Fatal(err)
		}
		if ok(st) {
			return st
		}
	}
}

// shown waits until an employee's Teams shows words in a message or a card.
func (p *sandboxPage) shown(employee, words string) {
	p.t.Helper()
	p.wait(employee+" sees "+words, func(st sandboxState) bool { return count(st, employee, words) > 0 })
}

func count(st sandboxState, employee, words string) int {
	n := 0
	for _, e := range st.Employees {
		for _, m := range e.Messages {
			if raw, _ := json.Marshal(m); e.Key == employee && m.FromBot && strings.Contains(string(raw), words) {
				n++
			}
		}
	}
	return n
}

// line finds a line of the newest chat.
func line(st sandboxState, by snowtest.Party, text string) *snowtest.Line {
	for _, c := range st.Chats[:min(1, len(st.Chats))] {
		for _, l := range c.Lines {
			if l.From == by && l.Text == text {
				return &l
			}
		}
	}
	return nil
}

// chat lets Mia ask for a person and Sam accept, and returns the chat's id.
func (p *sandboxPage) chat() string {
	p.t.Helper()
	p.must("employee/say", map[string]any{"employee": "mia", "text": "I want to talk to a person"})
	st := p.wait("a queued chat", func(st sandboxState) bool { return len(st.Chats) > 0 && st.Chats[0].State == snowtest.StateQueued })
	p.must("agent/accept", map[string]any{"chat": st.Chats[0].ID, "agent": "Sam"})
	p.shown("mia", "has joined the chat")
	return st.Chats[0].ID
}

func TestSandboxWholeChat(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	id := p.chat()
	p.must("agent/typing", map[string]any{"chat": id, "on": true})
	p.must("agent/say", map[string]any{"chat": id, "text": "What does it say?"})
	p.shown("mia", "What does it say?")
	p.must("employee/say", map[string]any{"employee": "mia", "text": "line one\n<b>line two</b>"})
	st := p.wait("the employee's words at the desk", func(st sandboxState) bool {
		said := line(st, snowtest.FromAgent, "What does it say?")
		return line(st, snowtest.FromUser, "line one\n<b>line two</b>") != nil && said != nil && said.Receipt == snowtest.ReceiptSent
	})
	if c := st.Chats[0]; c.UserName != "Mia Khan" || c.AgentName != "Sam Ortiz" || c.Email != "mia.khan@example.com" {
		t.Errorf("the desk shows %s (%s) with %s", c.UserName, c.Email, c.AgentName)
	}
	for what := range sandboxItems() {
		p.must("agent/item", map[string]any{"chat": id, "what": what})
	}
	p.shown("mia", "Send date")
	p.must("agent/transfer", map[string]any{"chat": id, "agent": "Priya Nair"})
	p.must("agent/end", map[string]any{"chat": id, "text": "Bye"})
	p.shown("mia", "has ended")
	st = p.wait("the end", func(st sandboxState) bool { return st.Chats[0].State == snowtest.StateEnded })
	if st.Chats[0].Reason != snowtest.EndedByAgent || count(st, "mia", "Bye") != 1 {
		t.Errorf("ended by %s, last words seen %d times", st.Chats[0].Reason, count(st, "mia", "Bye"))
	}
	if status, answer := p.do("agent/say", map[string]any{"chat": id, "text": "too late"}); status != http.StatusConflict || answer["error"] == "" {
		t.Errorf("words after the end: status %d, %v", status, answer)
	}
}

func TestSandboxKilledServiceLosesNothing(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	id := p.chat()
	p.must("break", map[string]any{"what": breakTeams, "mode": "on"})
	p.must("agent/say", map[string]any{"chat": id, "text": "before the power cut"})
	st := p.wait("the words are taken", func(st sandboxState) bool {
		l := line(st, snowtest.FromAgent, "before the power cut")
		return l != nil && l.Answered == http.StatusOK
	})
	if st.Broken[breakTeams] == "" {
		t.Error("the page does not say that Teams is down")
	}
	first := st.Service.PID
	p.must("service", map[string]any{"what": childKill})
	if status, _ := p.do("service", map[string]any{"what": childKill}); status != http.StatusConflict {
		t.Errorf("killing a dead service: status %d, want 409", status)
	}
	p.must("employee/say", map[string]any{"employee": "mia", "text": "into the void"})
	st = p.wait("the loss is shown", func(st sandboxState) bool {
		m := st.Employees[0].Messages
		return st.Service.State == serviceDead && m[len(m)-1].Lost
	})
	lost := st.Employees[0].Messages[len(st.Employees[0].Messages)-1]
	p.must("repair", map[string]any{})
	p.must("service", map[string]any{"what": childStart})
	p.shown("mia", "before the power cut")
	p.wait("the service is ready", func(st sandboxState) bool { return st.Service.State == serviceReady && st.Service.PID != first })
	p.must("employee/again", map[string]any{"employee": "mia", "message": lost.ID})
	st = p.wait("everything is told", func(st sandboxState) bool {
		l := line(st, snowtest.FromAgent, "before the power cut")
		return line(st, snowtest.FromUser, "into the void") != nil && l.Receipt == snowtest.ReceiptSent
	})
	if n := count(st, "mia", "before the power cut"); n != 1 || len(st.Broken) != 0 || st.Service.Starts != 2 {
		t.Errorf("shown %d times, broken %v, started %d times", n, st.Broken, st.Service.Starts)
	}
}

func TestSandboxChild(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	t.Run("a service that ends by itself is shown as such", func(t *testing.T) {
		st := p.box.child.status()
		proc, err := os.FindProcess(st.PID)
		if err != nil {
			t.Fatal(err)
		}
		if err := proc.Kill(); err != nil {
			t.Fatal(err)
		}
		st = p.wait("its end", func(st sandboxState) bool { return st.Service.State == serviceDead }).Service
		if !strings.Contains(st.Detail, "by itself") || st.PID != 0 {
			t.Errorf("status %+v", st)
		}
	})
	t.Run("nothing of our environment reaches it", func(t *testing.T) {
		for _, e := range p.box.child.env {
			if strings.HasPrefix(e, "HOME=") || strings.HasPrefix(e, "HTTP_PROXY=") || strings.HasPrefix(e, "PATH=") {
				t.Errorf("inherited %s", e)
			}
		}
	})
	t.Run("it ends with the sandbox", func(t *testing.T) {
		p.must("service", map[string]any{"what": childStart})
		st := p.wait("it is ready", func(st sandboxState) bool { return st.Service.State == serviceReady }).Service
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(st.Log)
		if err != nil || !strings.Contains(string(log), "shutting down") {
			t.Errorf("the service was not ended in order: %v\n%s", err, log)
		}
		if err := p.box.child.order(t.Context(), childStart); err == nil {
			t.Error("a service could be started after the end")
		}
	})
}

func TestSandboxChildThatCannotStart(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("snowbot")
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"no program": "/does/not/exist", "settings missing": binary} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSandboxChild(path, filepath.Join(t.TempDir(), "log"), nil)
			if err := c.run(t.Context()); err == nil || c.status().State != serviceDead {
				t.Errorf("err %v, status %+v", err, c.status())
			}
		})
	}
}

// A command of a page in another tab is a further employee, in another language, with an agent of their own.
func TestSandboxMorePeople(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	if _, answer := p.do("employee/open", map[string]any{"employee": "jonas"}); answer["employee"] != "jonas" {
		t.Fatalf("opened %v", answer)
	}
	p.must("employee/open", map[string]any{"employee": "jonas"}) // once more, as after a reload
	if _, answer := p.do("employee/open", map[string]any{}); answer["employee"] != "camille" {
		t.Errorf("the next one is %v", answer)
	}
	if status, _ := p.do("employee/open", map[string]any{"employee": "nobody"}); status != http.StatusConflict {
		t.Errorf("an unknown employee: status %d", status)
	}
	if _, answer := p.do("agent/open", map[string]any{"agent": "priya"}); answer["agent"] != "Priya Nair" {
		t.Errorf("opened %v", answer)
	}
	p.must("employee/say", map[string]any{"employee": "jonas", "text": "Ich möchte mit einem Menschen sprechen"})
	p.shown("jonas", "Warteschlange")
	p.must("employee/block", map[string]any{"employee": "jonas", "on": true})
	if status, _ := p.do("employee/say", map[string]any{"employee": "jonas", "text": "hallo"}); status != http.StatusConflict {
		t.Errorf("words to a blocked bot: status %d", status)
	}
	st := p.wait("three employees", func(st sandboxState) bool { return len(st.Employees) == 3 && st.Employees[1].Blocked })
	if len(st.More.Employees) != len(sandboxPeople)-3 {
		t.Errorf("still to open: %v", st.More.Employees)
	}
}

func TestSandboxStreamBeginsWhole(t *testing.T) {
	t.Parallel()
	p := openSandbox(t)
	for range 2 { // a page that connects again is as good as new
		ctx, cancel := context.WithCancel(t.Context())
		next := p.stream(ctx)
		first, err := next()
		if err != nil {
			t.Fatal(err)
		}
		second, err := next()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		var wire []wireEntry
		if err := json.Unmarshal([]byte(first.data), &wire); err != nil || first.name != "reset" || len(wire) == 0 {
			t.Errorf("first event %q with %d exchanges, %v", first.name, len(wire), err)
		}
		if second.name != "state" || !strings.Contains(second.data, "Mia Khan") {
			t.Errorf("second event %q: %.200s", second.name, second.data)
		}
		if strings.Contains(first.data+second.data, p.box.teams.AppPassword()) {
			t.Error("the stream holds a secret")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next := p.stream(ctx)
	p.must("employee/say", map[string]any{"employee": "mia", "text": "on the wire"})
	for {
		e, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if e.name == "wire" && strings.Contains(e.data, "on the wire") {
			break
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); !errors.Is(err, io.EOF); { // the end of the sandbox ends the stream
		if _, err = next(); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("the stream ended with %v", err)
		}
	}
}

func TestSandboxAnnouncement(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l, err := listenNear(t.Context(), taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var b strings.Builder
	announce(&b, l.Addr().String(), &sandboxCommand{Addr: taken.Addr().String()}, "/var/log/service.log")
	for _, want := range []string{fmt.Sprintf("http://%s/", l.Addr()), taken.Addr().String() + " is in use", "/var/log/service.log", "Ctrl-C"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the announcement lacks %q:\n%s", want, b.String())
		}
	}
	if _, err := listenNear(t.Context(), "no address"); err == nil {
		t.Error("listened on no address")
	}
}
