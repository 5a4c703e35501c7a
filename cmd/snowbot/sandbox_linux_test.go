package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// alive reports whether a process runs. One that has ended and is not yet collected does not.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// gone waits until a process has ended.
func gone(ctx context.Context, pid int) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// TestSandboxCommand runs the command itself: its block of text, its page, and both of its ends.
func TestSandboxCommand(t *testing.T) {
	t.Parallel()
	address := regexp.MustCompile(`Open +(http://\S+?)/\s`)
	for _, tt := range []struct {
		name    string
		signal  syscall.Signal
		leftDir int // of temporary directories
	}{
		{"Ctrl-C ends everything", syscall.SIGINT, 0},
		{"a killed parent takes the service with it", syscall.SIGKILL, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			dir := t.TempDir()
			cmd := exec.CommandContext(ctx, "snowbot", "sandbox", "--addr", "127.0.0.1:0")
			cmd.Env = append(os.Environ(), "TMPDIR="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p := &sandboxPage{t: t}
			var text strings.Builder
			for lines := bufio.NewScanner(out); p.url == "" && lines.Scan(); {
				text.WriteString(lines.Text() + "\n")
				if m := address.FindStringSubmatch(lines.Text() + "\n"); m != nil {
					p.url = m[1]
				}
			}
			if p.url == "" {
				t.Fatalf("no address of the page in:\n%s", text.String())
			}
			st := p.wait("the service is ready", func(st sandboxState) bool { return st.Service.State == serviceReady })
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if tt.signal == syscall.SIGINT && err != nil {
				t.Errorf("it ended with %v", err)
			}
			if !gone(ctx, st.Service.PID) {
				t.Errorf("the service lingers as process %d", st.Service.PID)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "snowbot-sandbox-*")); len(left) != tt.leftDir {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestSandboxStateIsForThePage pins the names that the page reads.
func TestSandboxStateIsForThePage(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(quietSandbox(t).state())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"service":`, `"dialect":"official"`, `"broken":{}`, `"employees":[]`, `"agents":["Sam Ortiz"]`, `"chats":[]`, `"more":`} {
		if !strings.Contains(string(raw), name) {
			t.Errorf("the state lacks %s: %s", name, raw)
		}
	}
}
