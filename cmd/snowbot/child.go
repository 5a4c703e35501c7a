package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// childStops is how long a child may take to end by itself: a bit longer than the service's own limit.
const childStops = 12 * time.Second

// A childProcess is another process of this program, or of a bot, from its start to its end.
type childProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func (p *childProcess) wait() error {
	_ = p.cmd.Wait() // how says what it was
	close(p.ended)
	return nil
}

func (p *childProcess) how() string { return p.cmd.ProcessState.String() }

func (p *childProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended just now
	<-p.ended
}

// stop lets the process end in its own time, within limits. A nil process has ended.
func (p *childProcess) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now
	late := time.NewTimer(childStops)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		p.kill()
	}
}

// A listenLine is the line of the service's log that says where it listens.
type listenLine struct {
	Msg   string `json:"msg"`
	Addr  string `json:"addr"`
	Admin string `json:"admin"`
}

// A logTap writes a log through and looks for the first listenLine.
type logTap struct {
	to    io.Writer
	found chan listenLine // holds one
	line  []byte
	over  bool
}

func (t *logTap) Write(p []byte) (int, error) {
	for rest := p; !t.over; {
		head, tail, whole := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, head...)
		if !whole {
			break
		}
		var l listenLine
		if json.Unmarshal(t.line, &l) == nil && l.Msg == "listening" {
			t.found <- l
			t.over = true
		}
		t.line, rest = t.line[:0], tail
	}
	return t.to.Write(p)
}

// childEnv is an environment that holds nothing of this process's, apart from what an operating system cannot do without.
func childEnv(of map[string]string) []string {
	var env []string
	for name, value := range of {
		env = append(env, name+"="+value)
	}
	for _, name := range []string{"SystemRoot", "TMPDIR", "TEMP"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	slices.Sort(env)
	return env
}
