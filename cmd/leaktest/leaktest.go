// Package leaktest finds what must be in no log, metric or answer of an error: what people wrote, who they are, and secrets.
//
// A [Watch] learns what that is from the wire of the emulators, and searches everything that was logged when its test ends. So each
// test that has one is a test of this, too, whatever else it is about.
package leaktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// marks are in the names and addresses of the people of the tests, and in every token.
var marks = []string{"Khan", ".khan", "Ortiz", "Bearer ", "eyJhbGci"}

// shortest is the length of the shortest words that are searched for, in bytes. Shorter ones stand in other words.
const shortest = 8

// most is how many secrets a Watch keeps, so that a run of a million messages does not fill the memory.
const most = 200_000

// A Watch is the secrets of one test, and what was written for others to see. It may be used by several goroutines.
type Watch struct {
	tb testing.TB

	mu      sync.Mutex
	secrets map[string]bool
	written bytes.Buffer
}

// New returns a Watch that fails the test at its end if a secret was written. Make it before what it watches, so that it looks after
// that has ended.
func New(tb testing.TB) *Watch {
	w := &Watch{tb: tb, secrets: map[string]bool{}}
	tb.Cleanup(func() {
		for _, leak := range w.Leaks() {
			tb.Error(leak)
		}
	})
	return w
}

// Secret adds what must not be written. It is searched for as it is, and as JSON and URLs write it.
func (w *Watch) Secret(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range secrets {
		quoted, err := json.Marshal(s)
		if err != nil {
			continue
		}
		for _, form := range []string{s, string(quoted[1 : len(quoted)-1]), url.QueryEscape(s), url.PathEscape(s)} {
			if len(form) >= shortest && len(w.secrets) < most {
				w.secrets[form] = true
			}
		}
	}
}

// Write takes what was logged.
func (w *Watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(p)
}

// Log returns a logger that writes everything, down to the last detail, to the Watch.
func (w *Watch) Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Said adds words that somebody wrote, and each line of them, unless they are as short as anybody's.
func (w *Watch) Said(words string) {
	for _, part := range append(strings.Split(words, "\n"), words) {
		if part = strings.TrimSpace(part); telling(part) {
			w.Secret(part)
		}
	}
}

// Wire reads one JSON body of a request or an answer. Words, names and addresses in it are secret from now on.
func (w *Watch) Wire(body string) {
	var v any
	if json.Unmarshal([]byte(body), &v) == nil {
		w.learn(v)
	}
}

// personal are the names of fields that hold words or say who somebody is, in the bodies of both platforms.
var personal = map[string]bool{
	"text": true, "message": true, "value": true, "label": true, "content": true, "promptMsg": true, "title": true, "summary": true, "description": true,
	"name": true, "givenName": true, "surname": true, "displayName": true, "agentName": true, "email": true, "userPrincipalName": true, "emailId": true,
	"userId": true, "request_on_behalf_of": true, "error_message": true, "short_description": true, "comments": true, "work_notes": true,
}

func (w *Watch) learn(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			w.learn(e)
		}
	case map[string]any:
		for key, e := range v {
			if s, ok := e.(string); ok && personal[key] {
				w.Said(s)
			}
			w.learn(e)
		}
	}
}

// telling reports whether s is more than a word that anybody may use: several words, or an address.
func telling(s string) bool {
	return strings.ContainsAny(s, " \n") || strings.Contains(s, "@") && strings.Contains(s, ".") && !strings.Contains(s, ":")
}

// Leaks searches what was written so far, and describes each secret once.
func (w *Watch) Leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	written := w.written.Bytes()
	var leaks []string
	found := func(secret string, at int) {
		begin, end := bytes.LastIndexByte(written[:at], '\n')+1, len(written)
		if n := bytes.IndexByte(written[at:], '\n'); n >= 0 {
			end = at + n
		}
		leaks = append(leaks, fmt.Sprintf("%q was written in %.500q", secret, written[begin:end]))
	}
	for _, mark := range marks {
		if at := bytes.Index(written, []byte(mark)); at >= 0 {
			found(mark, at)
		}
	}
	byBeginning := map[string][]string{} // what has one beginning is compared only where that is
	for s := range w.secrets {
		byBeginning[s[:shortest]] = append(byBeginning[s[:shortest]], s)
	}
	seen := map[string]bool{}
	for at := 0; at+shortest <= len(written); at++ {
		for _, s := range byBeginning[string(written[at:at+shortest])] {
			if !seen[s] && bytes.HasPrefix(written[at:], []byte(s)) {
				seen[s] = true
				found(s, at)
			}
		}
	}
	slices.Sort(leaks)
	return leaks
}
