//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A browser is a window of Chromium. Whatever it is told to do and cannot fails the test.
type browser struct {
	t       *testing.T
	in      *json.Encoder
	answers *bufio.Scanner
	shots   string // where screenshots go
	taken   int
}

// An order is what the browser does next. Selectors are Playwright's.
type order struct {
	Do       string `json:"do"`
	URL      string `json:"url,omitempty"`
	Selector string `json:"selector,omitempty"`
	Text     string `json:"text,omitempty"`
	Key      string `json:"key,omitempty"`
	Path     string `json:"path,omitempty"`
	Limit    int64  `json:"limit"` // in milliseconds
}

// openBrowser opens a window. Its screenshots are kept in a folder of the given name below bin/e2e.
func openBrowser(t *testing.T, name string, width, height int) *browser {
	t.Helper()
	chromium, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	if err != nil {
		t.Fatalf("make e2e installs a browser: %v", err)
	}
	b := &browser{t: t}
	if b.shots, err = filepath.Abs(filepath.Join("../../bin/e2e", name)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(b.shots); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.shots, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nodeProgram(t), filepath.Join(judges(t), "browser.mjs"), chromium, fmt.Sprint(width), fmt.Sprint(height)) //nolint:noctx // our own; ended below
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.in, b.answers = json.NewEncoder(in), bufio.NewScanner(out)
	b.answers.Buffer(nil, 1<<20)
	t.Cleanup(func() {
		if t.Failed() {
			b.shoot("failed")
		}
		in.Close() // which closes the browser
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser: %v\n%s", err, complaints.String())
		}
	})
	return b
}

// try does what is ordered.
func (b *browser) try(o order) error {
	if o.Limit == 0 {
		o.Limit = (30 * time.Second).Milliseconds()
	}
	if err := b.in.Encode(o); err != nil {
		return err
	}
	if !b.answers.Scan() {
		return fmt.Errorf("the browser is gone: %w", b.answers.Err())
	}
	var answer struct{ Error string }
	if err := json.Unmarshal(b.answers.Bytes(), &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s %s%s: %s", o.Do, o.Selector, o.URL, answer.Error)
	}
	return nil
}

func (b *browser) must(o order) {
	b.t.Helper()
	if err := b.try(o); err != nil {
		b.t.Fatal(err)
	}
}

// open opens a page. The first one takes a while.
func (b *browser) open(url string) {
	b.t.Helper()
	b.must(order{Do: "open", URL: url, Limit: (2 * time.Minute).Milliseconds()})
}

// see waits until the page shows something, miss until it does no longer.
func (b *browser) see(selector string) {
	b.t.Helper()
	b.must(order{Do: "see", Selector: selector})
}

func (b *browser) miss(selector string) {
	b.t.Helper()
	b.must(order{Do: "miss", Selector: selector})
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.must(order{Do: "click", Selector: selector})
}

// point moves the pointer to something that shows more then.
func (b *browser) point(selector string) {
	b.t.Helper()
	b.must(order{Do: "point", Selector: selector})
}

// write types at the end of what a box has.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.must(order{Do: "type", Selector: selector, Text: text})
}

func (b *browser) enter() {
	b.t.Helper()
	b.must(order{Do: "press", Key: "Enter"})
}

func (b *browser) choose(selector, value string) {
	b.t.Helper()
	b.must(order{Do: "choose", Selector: selector, Text: value})
}

// shoot takes the next screenshot.
func (b *browser) shoot(name string) {
	b.t.Helper()
	b.taken++
	path := filepath.Join(b.shots, fmt.Sprintf("%02d-%s.png", b.taken, strings.ReplaceAll(name, " ", "-")))
	if err := b.try(order{Do: "shoot", Path: path}); err != nil {
		b.t.Error(err)
	}
}

// finish fails the test when a page's own program failed.
func (b *browser) finish() {
	b.t.Helper()
	b.must(order{Do: "complaints"})
}
