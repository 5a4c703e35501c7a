package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/cmd/leaktest"
	"snowbot/store"
	"snowbot/store/bolt"
)

// storedWords are what somebody wrote.
const storedWords = "my payslip"

// filledStore makes a store with dead letters: six events of two conversations, two reasons and six seconds, each with
// words, and returns its path.
func filledStore(t *testing.T) (path string, start time.Time) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "snowbot.db")
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	start = now
	st := openStore(t, path, func() time.Time { return now })
	for i := range 6 {
		err := st.Apply(t.Context(), "tenant/c"+strconv.Itoa(i%2), nil, func(turn *store.Turn) error {
			turn.Bury = []store.DeadLetter{{
				Reason:   []string{"too old", "refused"}[i/3],
				Delivery: store.Delivery{ID: "d" + strconv.Itoa(i), Kind: "event", Body: []byte(`{"text":"` + storedWords + `"}`)},
			}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return path, start
}

func openStore(t *testing.T, path string, now func() time.Time) *bolt.Store {
	t.Helper()
	keys, err := store.ParseKeyring(complete()["DATA_ENCRYPTION_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	st, err := bolt.Open(bolt.Options{Path: path, Keys: keys, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// onStore is a client on a store of this process.
func onStore(t *testing.T, path string) *adminClient {
	t.Helper()
	c, err := (&storeSettings{DatabaseURL: databaseURL("bbolt:" + path), DataKey: complete()["DATA_ENCRYPTION_KEY"]}).openLocal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func deliveries(views []letterView) []string {
	var ids []string
	for _, v := range views {
		ids = append(ids, v.Delivery)
	}
	return ids
}

func TestAdminListsWhatTheFilterChooses(t *testing.T) {
	t.Parallel()
	path, start := filledStore(t)
	c := onStore(t, path)
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	for _, tt := range []struct {
		name  string
		query url.Values
		want  []string
	}{
		{"all", url.Values{}, []string{"d0", "d1", "d2", "d3", "d4", "d5"}},
		{"conversation", url.Values{"conversation": {"tenant/c1"}}, []string{"d1", "d3", "d5"}},
		{"reason", url.Values{"reason": {"refused"}}, []string{"d3", "d4", "d5"}},
		{"since", url.Values{"since": {at(4)}}, []string{"d4", "d5"}},
		{"until", url.Values{"until": {at(2)}}, []string{"d0", "d1"}},
		{"window and reason", url.Values{"since": {at(2)}, "until": {at(4)}, "reason": {"too old"}}, []string{"d2"}},
		{"nothing", url.Values{"conversation": {"tenant/c9"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []string{"", "1", "2", "6"} { // pages make no difference
				q := url.Values{}
				for k, v := range tt.query {
					q[k] = v
				}
				if limit != "" {
					q.Set("limit", limit)
				}
				var got []letterView
				if err := c.letters(t.Context(), q, func(page []letterView) error { got = append(got, page...); return nil }); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, deliveries(got)); diff != "" {
					t.Errorf("limit %q (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}

func TestAdminAnswers(t *testing.T) {
	t.Parallel()
	path, _ := filledStore(t)
	st := openStore(t, path, nil)
	t.Cleanup(func() { st.Close() })
	watch := leaktest.New(t)
	watch.Secret(storedWords)
	api := newAdminAPI(st, watch.Log())
	call := func(method, target string) (int, string) {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody))
		return w.Code, w.Body.String()
	}
	_, raw := call(http.MethodGet, "/api/admin/dead-letters")
	var page letterPage
	if err := json.Unmarshal([]byte(raw), &page); err != nil || len(page.Letters) != 6 {
		t.Fatalf("list: %v\n%s", err, raw)
	}
	letter := "/api/admin/dead-letters/" + page.Letters[3].ID
	for _, tt := range []struct {
		name, method, target string
		status               int
		want                 string // in the answer
		words                bool   // of a person are in the answer
	}{
		{"list", "GET", "/api/admin/dead-letters", 200, `"bodyBytes":21`, false},
		{"show", "GET", letter, 200, `"delivery":"d3"`, false},
		{"show without words", "GET", letter + "?body=false", 200, `"kind":"event"`, false},
		{"show with words", "GET", letter + "?body=true", 200, `"body":{"text":"my payslip"}`, true},
		{"show none", "GET", "/api/admin/dead-letters/zzz", 404, codeNotFound, false},
		{"show before the first", "GET", "/api/admin/dead-letters/0", 404, codeNotFound, false},
		{"show one that is not text", "GET", "/api/admin/dead-letters/%ff", 404, codeNotFound, false},
		{"retry an event", "POST", letter + "/retry?force=true", 409, codeNotRetryable, false},
		{"retry none", "POST", "/api/admin/dead-letters/zzz/retry", 404, codeNotFound, false},
		{"drop none", "DELETE", "/api/admin/dead-letters/zzz", 404, codeNotFound, false},
		{"a filter that is misspelled", "GET", "/api/admin/dead-letters?reasn=x", 400, codeBadRequest, false},
		{"a filter given twice", "GET", "/api/admin/dead-letters?reason=x&reason=y", 400, codeBadRequest, false},
		{"no time", "GET", "/api/admin/dead-letters?since=yesterday", 400, "RFC 3339", false},
		{"no limit", "GET", "/api/admin/dead-letters?limit=0", 400, "limit", false},
		{"no text", "GET", "/api/admin/dead-letters?reason=%00", 400, "reason", false},
		{"neither true nor false", "POST", letter + "/retry?force=maybe", 400, "force", false},
		{"sessions", "GET", "/api/admin/sessions", 200, `"sessions":[]`, false},
		{"stats", "GET", "/api/admin/stats", 200, `"deadLetters":6`, false},
		{"no such page", "GET", "/api/admin/secrets", 404, codeNotFound, false},
		{"no such method", "PUT", "/api/admin/stats", 405, codeBadRequest, false},
		{"drop", "DELETE", letter, 200, resultDropped, false},
		{"drop again", "DELETE", letter, 404, codeNotFound, false},
		{"retry nothing in particular", "POST", "/api/admin/dead-letters/retry", 400, "say which", false},
		{"retry all and some", "POST", "/api/admin/dead-letters/retry?all=true&reason=refused", 400, "say which", false},
		{"retry events", "POST", "/api/admin/dead-letters/retry?reason=refused", 200, codeNotRetryable, false},
		{"drop nothing in particular", "DELETE", "/api/admin/dead-letters", 400, "say which", false},
		{"drop by an unknown filter", "DELETE", "/api/admin/dead-letters?all=true&force=true", 400, codeBadRequest, false},
		{"drop one of a page", "DELETE", "/api/admin/dead-letters?reason=refused&limit=1", 200, `"next":"` + page.Letters[4].ID, false},
		{"drop the next page", "DELETE", "/api/admin/dead-letters?reason=refused&limit=2&after=" + page.Letters[4].ID, 200, page.Letters[5].ID + `","result":"dropped"}]}`, false},
		{"drop none that is left", "DELETE", "/api/admin/dead-letters?reason=refused", 200, `{"results":[]}`, false},
		{"the others are still there", "GET", "/api/admin/stats", 200, `"deadLetters":3`, false},
		{"drop by conversation and time", "DELETE", "/api/admin/dead-letters?conversation=tenant%2Fc0&until=2026-11-22T08:00:01Z", 200, page.Letters[0].ID, false},
		{"drop all", "DELETE", "/api/admin/dead-letters?all=true", 200, page.Letters[2].ID, false},
		{"nothing is left", "GET", "/api/admin/dead-letters", 200, `"deadLetters":[]`, false},
	} {
		status, body := call(tt.method, tt.target)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d and %q in it", tt.name, status, body, tt.status, tt.want)
		}
		if strings.Contains(body, storedWords) != tt.words {
			t.Errorf("%s: words of a person are there: %v, want %v", tt.name, !tt.words, tt.words)
		}
		if !tt.words {
			fmt.Fprintln(watch.To(leaktest.Refusal), body)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := call("GET", "/api/admin/stats"); status != 503 || !strings.Contains(body, codeUnavailable) {
		t.Errorf("with the store closed: %d %s, want 503", status, body)
	}
}

func TestAdminTokenGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		var logs bytes.Buffer
		watch := leaktest.New(t)
		watch.Secret("correct-horse", "battery-staple")
		h := guarded("correct-horse", let, slog.New(slog.NewTextHandler(io.MultiWriter(&logs, watch), nil)))
		try := func(ctx context.Context, authorization string) (status int, took time.Duration) {
			began := time.Now()
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			fmt.Fprintln(watch.To(leaktest.Refusal), w.Body)
			return w.Code, time.Since(began)
		}
		for i, bad := range []string{"", "Bearer battery-staple", "correct-horse", "Basic correct-horse", "Bearer correct-horse2", "Bearer", "Bearer correct-horse extra"} {
			status, took := try(t.Context(), bad)
			if late := i >= guardFree; status != http.StatusUnauthorized || (took > 0) != late {
				t.Errorf("%q: %d after %v, want 401, late %v", bad, status, took, late)
			}
		}
		if n := strings.Count(logs.String(), "refused"); n != guardFree {
			t.Errorf("%d lines in the log, want %d", n, guardFree)
		}
		// A flood of guesses keeps nobody out, and does not pile up.
		ended := make(chan time.Duration)
		for range 3 * guardWaiting {
			go func() { _, took := try(t.Context(), "Bearer battery-staple"); ended <- took }()
		}
		synctest.Wait()
		for _, good := range []string{"Bearer correct-horse", "bearer correct-horse", " Bearer  correct-horse "} {
			if status, took := try(t.Context(), good); status != http.StatusNoContent || took > 0 {
				t.Errorf("%q: %d after %v, want 204 at once", good, status, took)
			}
		}
		late := 0
		for range 3 * guardWaiting {
			if <-ended > 0 {
				late++
			}
		}
		if late > guardWaiting {
			t.Errorf("%d guesses waited at a time, want %d at most", late, guardWaiting)
		}
		// One who gives up waiting goes, and after a while the first guess is answered at once again.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, took := try(ctx, "Bearer battery-staple"); took > 0 {
			t.Errorf("a request that was given up waited for %v", took)
		}
		time.AfterFunc(guardWindow, func() { close(ended) })
		<-ended
		if _, took := try(t.Context(), "Bearer battery-staple"); took > 0 {
			t.Errorf("the first guess of a window waited for %v", took)
		}
	})
}

func TestReachableAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ listen, want string }{
		{"127.0.0.1:3979", "127.0.0.1:3979"},
		{":3979", "127.0.0.1:3979"},
		{"0.0.0.0:3979", "127.0.0.1:3979"},
		{"[::]:3979", "[::1]:3979"},
		{"10.1.2.3:3979", "10.1.2.3:3979"},
		{"localhost:3979", "localhost:3979"},
		{"3979", ""},
		{"", ""},
	} {
		got, err := reachable(tt.listen)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("reachable(%q) = %q, %v, want %q", tt.listen, got, err, tt.want)
		}
	}
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"2026-11-22T08:00:00Z":      now.Add(-4 * time.Hour),
		"2026-11-22T09:00:00+01:00": now.Add(-4 * time.Hour),
		"2h":                        now.Add(-2 * time.Hour),
		"90m":                       now.Add(-90 * time.Minute),
		"0s":                        now,
		"-2h":                       {},
		"yesterday":                 {},
		"":                          {},
	} {
		if got, err := parseMoment(in, now); !got.Equal(want) || (err != nil) != want.IsZero() {
			t.Errorf("parseMoment(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestBulkGoesOnPastRefusals(t *testing.T) {
	t.Parallel()
	path, _ := filledStore(t)
	c := onStore(t, path)
	gone := errors.New("gone")
	var asked []string
	b := bulk{verb: resultRetried, json: true, do: func(_ context.Context, _ string) error {
		asked = append(asked, "")
		switch len(asked) {
		case 2:
			return &problem{Status: http.StatusConflict, Code: codeSessionOver, Text: "its session is over"}
		case 5:
			return gone
		}
		return nil
	}}
	err := b.run(t.Context(), &letterChoice{}, c)
	if !errors.Is(err, gone) || !strings.Contains(fmt.Sprint(err), "2 were not looked at") || len(asked) != 5 {
		t.Errorf("after %d: %v, want a stop at the fifth, that says that 2 are left", len(asked), err)
	}
}

func FuzzAdmin(f *testing.F) {
	f.Add("GET", "/dead-letters", "since=2026-11-22T08:00:00Z&limit=3")
	f.Add("POST", "/dead-letters/01a205a89a6700000002/retry", "force=true")
	f.Add("DELETE", "/dead-letters/%2e%2e/%ff", "a=1;b=%zz")
	f.Add("GET", "/sessions", "after=%00&limit=1001")
	keys, err := store.ParseKeyring(complete()["DATA_ENCRYPTION_KEY"])
	if err != nil {
		f.Fatal(err)
	}
	st, err := bolt.Open(bolt.Options{Path: filepath.Join(f.TempDir(), "x.db"), Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { st.Close() })
	api := newAdminAPI(st, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: adminPath + path, RawQuery: query}, Header: http.Header{}, Body: http.NoBody}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s %q ? %q: status %d: %s", method, path, query, w.Code, w.Body)
		}
	})
}
