package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

// TestServiceRefusesADamagedFile starts the service on what a power cut or a bad copy may have left of its database.
func TestServiceRefusesADamagedFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	c := r.connect()
	for range 5 {
		r.says("words to be found again")
	}
	r.hears(c, "words to be found again")
	r.kill()
	path := ""
	for _, v := range r.env {
		if rest, ok := strings.CutPrefix(v, "DATABASE_URL=bbolt:"); ok {
			path = rest
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	used := len(bytes.TrimRight(whole, "\x00"))
	pages := func(damage func(page []byte)) []byte { // one of them may not be in use
		b := bytes.Clone(whole)
		for at := 2 * page; at < used; at += page {
			damage(b[at : at+page])
		}
		return b
	}
	for name, file := range map[string][]byte{
		"cut short":                whole[:used/2],
		"cut within the meta page": whole[:100],
		"torn pages":               pages(func(page []byte) { clear(page[512:]) }),
		"nothing but the meta":     pages(func(page []byte) { clear(page) }),
	} {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(r.within(), "snowbot", "serve")
		cmd.Env = r.env
		out, err := printed(t, cmd)
		if err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: exit %v, want 1\n%s", name, err, out)
		}
		if lines := strings.Count(string(out), "\n"); lines != 1 || !bytes.Contains(out, []byte("restore the last backup")) || !bytes.Contains(out, []byte(path)) {
			t.Errorf("%s: it says\n%s", name, out)
		}
	}
	// The backup, which is the file as it was, goes on where that ended.
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.says("after the backup")
	r.hears(c, "after the backup")
}
