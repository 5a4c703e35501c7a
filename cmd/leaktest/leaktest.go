// Package leaktest finds what must be in no log, metric or answer of an error: what people wrote and sent, who they are, and secrets.
//
// A [Watch] learns what that is from the wire of the emulators, and searches everything that was written when its test ends. So each
// test that has one is a test of this, too, whatever else it is about. What all of them searched is added up at the end of a test run:
// see [Reported].
package leaktest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Mark is what tests of parts that see no person put into words, names of files and their bytes.
const Mark = "Marquardt-Khan"

// marks are in the names and addresses of the people of the tests, and in every token. In hexadecimal four bytes are too few: in the
// hundreds of megabytes that a database logs of what was sealed, they turn up by chance.
var marks = []string{
	"Khan", ".khan", hex.EncodeToString([]byte(" Khan")), hex.EncodeToString([]byte("-Khan")),
	"Ortiz", hex.EncodeToString([]byte("Ortiz")), "Bearer ", "eyJhbGci",
}

// A Kind says what was written, and for whom.
type Kind string

// What is searched.
const (
	Log     Kind = "log"     // of the service, down to the last detail
	Metrics Kind = "metrics" // with every label
	Refusal Kind = "refusal" // the body that goes with a status of 400 or more, or the text of an error
	Output  Kind = "output"  // what a command printed
	Server  Kind = "server"  // the log of PostgreSQL, with every statement and its parameters
)

// The lengths of the shortest secrets and words that are searched for, in bytes. Shorter ones stand in other words.
const (
	shortest      = 5
	shortestWords = 8
)

// most is how many secrets a Watch keeps, so that a run of a million messages does not fill the memory.
const most = 200_000

// A Watch is the secrets of one test, and what was written for others to see. It may be used by several goroutines.
type Watch struct {
	name string

	mu      sync.Mutex
	secrets map[string]bool
	written bytes.Buffer
	sizes   map[Kind]int // of what was written, in bytes
}

// New returns a Watch that fails the test at its end if a secret was written. Make it before what it watches, so that it looks after
// that has ended.
func New(tb testing.TB) *Watch {
	w := Whole(tb.Name())
	tb.Cleanup(func() {
		if err := w.End(); err != nil {
			tb.Error(err)
		}
	})
	return w
}

// Whole returns a Watch of what several tests share, whose end is that of all of them: see [Watch.End].
func Whole(name string) *Watch {
	return &Watch{name: name, secrets: map[string]bool{}, sizes: map[Kind]int{}}
}

// End reports what was searched, and says which secrets were found.
func (w *Watch) End() error {
	leaks := w.Leaks()
	errs := []error{w.report(len(leaks))}
	for _, leak := range leaks {
		errs = append(errs, errors.New(leak))
	}
	return errors.Join(errs...)
}

// Secret adds what must not be written. It is searched for as it is, and as JSON, URLs and PostgreSQL's log write it.
func (w *Watch) Secret(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range secrets {
		if s == strings.Repeat(s[:min(1, len(s))], len(s)) {
			continue // filling, which says nothing
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			continue
		}
		if len(s) < shortest {
			continue
		}
		for _, form := range []string{s, string(quoted[1 : len(quoted)-1]), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s))} {
			if len(w.secrets) < most {
				w.secrets[form] = true
			}
		}
	}
}

// Write takes what was logged.
func (w *Watch) Write(p []byte) (int, error) { return w.To(Log).Write(p) }

// To returns where to write what is of a kind.
func (w *Watch) To(k Kind) io.Writer { return &kindWriter{w, k} }

type kindWriter struct {
	watch *Watch
	kind  Kind
}

func (k *kindWriter) Write(p []byte) (int, error) {
	k.watch.mu.Lock()
	defer k.watch.mu.Unlock()
	k.watch.sizes[k.kind] += len(p)
	return k.watch.written.Write(p)
}

// Refused takes the text of an error that others may see, unless it is nil, and returns it.
func (w *Watch) Refused(err error) error {
	if err != nil {
		fmt.Fprintln(w.To(Refusal), err)
	}
	return err
}

// Serves takes what a handler answers to a GET, which is of a kind.
func (w *Watch) Serves(k Kind, h http.Handler) {
	got := httptest.NewRecorder()
	h.ServeHTTP(got, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody))
	_, _ = got.Body.WriteTo(w.To(k))
}

// Fetch takes what an address answers to a GET, which is of a kind; nothing if nobody is there any more.
func (w *Watch) Fetch(k Kind, url string) {
	res, err := http.Get(url) //nolint:noctx // loopback
	if err != nil {
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(w.To(k), res.Body)
}

// Log returns a logger that writes everything, down to the last detail, to the Watch.
func (w *Watch) Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Said adds words that somebody wrote, and each line of them, unless they are as short as anybody's.
func (w *Watch) Said(words string) {
	for _, part := range append(strings.Split(words, "\n"), words) {
		if part = strings.TrimSpace(part); len(part) >= shortestWords && telling(part) {
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
	"fileName": true, "file_name": true,
}

// What stands alone: the name of a file, and the part of an address that lets whoever knows it have a file.
var (
	fileName = regexp.MustCompile(`^[^/:]+\.[a-z0-9]{2,5}$`)
	fileLink = regexp.MustCompile(`/files/([\w-]{16,})`)
)

func (w *Watch) learn(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			w.learn(e)
		}
	case map[string]any:
		for key, e := range v {
			if s, ok := e.(string); ok {
				if personal[key] {
					w.Said(s)
				}
				if fileName.MatchString(s) && strings.HasSuffix(strings.ToLower(key), "name") || key == "downloadUrl" {
					w.Secret(s)
				}
				for _, m := range fileLink.FindAllStringSubmatch(s, -1) {
					w.Secret(m[1])
				}
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
	var maybe [1 << 16]bool              // whether one begins like that, to look the others up only where it may be
	for s := range w.secrets {
		byBeginning[s[:shortest]] = append(byBeginning[s[:shortest]], s)
		maybe[beginning(s)] = true
	}
	seen := map[string]bool{}
	for at := 0; at+shortest <= len(written); at++ {
		if !maybe[beginning(written[at:at+shortest])] {
			continue
		}
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

// beginning is a hash of the beginning of a secret.
func beginning[S string | []byte](s S) uint16 {
	return uint16((uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[4])<<24) * 0x9E3779B1 >> 16)
}
