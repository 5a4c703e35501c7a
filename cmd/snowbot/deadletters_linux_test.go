package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBulkWorkShowsABar runs bulk work on a terminal, which script(1) provides, and off one.
func TestBulkWorkShowsABar(t *testing.T) {
	t.Parallel()
	path, _ := filledStore(t)
	run := func(command ...string) string {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Env = []string{
			"DATABASE_URL=bbolt:" + path, "DATA_ENCRYPTION_KEY=" + complete()["DATA_ENCRYPTION_KEY"], "ADMIN_LISTEN_ADDR=127.0.0.1:1",
			"PATH=" + os.Getenv("PATH"), "TERM=xterm",
		}
		out, err := printed(t, cmd)
		if err != nil {
			t.Errorf("%q: %v\n%s", command, err, out)
		}
		return string(out)
	}
	if out := run("snowbot", "dead-letters", "drop", "--reason", "refused", "--yes"); out != "dropped: 3\n" {
		t.Errorf("without a terminal: %q", out)
	}
	out := run("script", "-qec", "snowbot dead-letters drop --all --yes", "/dev/null")
	if !strings.Contains(out, "dead letters") || !strings.Contains(out, "/3)") || !strings.Contains(out, "dropped: 3") {
		t.Errorf("on a terminal: %q", out)
	}
}
