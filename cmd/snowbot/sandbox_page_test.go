package main

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

// quietSandbox is one whose service never starts.
func quietSandbox(t *testing.T) *sandbox {
	t.Helper()
	s, err := newSandbox(sandboxOptions{Binary: "/does/not/exist", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.teams.Close(); s.now.Close() })
	return s
}

func TestSandboxRefusesOtherPages(t *testing.T) {
	t.Parallel()
	page := quietSandbox(t).page()
	for _, tt := range []struct {
		name, method, path, host, body string
		header                         map[string]string
		want                           int
	}{
		{name: "the page", path: "/", want: http.StatusOK},
		{name: "by name", path: "/", host: "localhost:8787", want: http.StatusOK},
		{name: "over IPv6", path: "/app.js", host: "[::1]:8787", want: http.StatusOK},
		{name: "a command of the page", method: "POST", path: "/api/repair", body: "{}", header: map[string]string{"Origin": "http://127.0.0.1:8787", "Sec-Fetch-Site": "same-origin"}, want: http.StatusOK},
		{name: "a command of no browser", method: "POST", path: "/api/repair", body: "{}", want: http.StatusOK},
		{name: "a foreign name bound to this machine", path: "/", host: "evil.example:8787", want: http.StatusForbidden},
		{name: "a foreign name that begins like ours", path: "/", host: "127.0.0.1.evil.example", want: http.StatusForbidden},
		{name: "a command of another page", method: "POST", path: "/api/repair", body: "{}", header: map[string]string{"Origin": "https://evil.example"}, want: http.StatusForbidden},
		{name: "a command of another port", method: "POST", path: "/api/repair", body: "{}", header: map[string]string{"Sec-Fetch-Site": "same-site"}, want: http.StatusForbidden},
		{name: "a form of a page without an origin", method: "POST", path: "/api/repair", body: "{}", header: map[string]string{"Origin": "null"}, want: http.StatusForbidden},
		{name: "the stream for another page", path: "/events", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: http.StatusForbidden},
		{name: "a command by GET", path: "/api/repair", want: http.StatusMethodNotAllowed},
		{name: "no such command", method: "POST", path: "/api/none", body: "{}", want: http.StatusNotFound},
		{name: "no JSON", method: "POST", path: "/api/repair", body: "x", want: http.StatusBadRequest},
		{name: "too long", method: "POST", path: "/api/repair", body: strings.Repeat(" ", commandBytes+1), want: http.StatusRequestEntityTooLarge},
		{name: "no such employee", method: "POST", path: "/api/employee/say", body: `{"employee":"x","text":"y"}`, want: http.StatusConflict},
		{name: "no such chat", method: "POST", path: "/api/agent/say", body: `{"chat":"x","text":"y"}`, want: http.StatusConflict},
		{name: "a file that is not the page's", path: "/../sandbox.go", want: http.StatusMovedPermanently},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8787"+tt.path, strings.NewReader(tt.body))
			if tt.host != "" {
				r.Host = tt.host
			}
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
			if !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self'") {
				t.Error("no content security policy")
			}
		})
	}
}

// asset reads a file of the page.
func asset(t *testing.T, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(sandboxFiles, "sandbox/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSandboxPageAndServiceAgree compares what the page offers with what the program knows.
func TestSandboxPageAndServiceAgree(t *testing.T) {
	t.Parallel()
	s := quietSandbox(t)
	t.Run("everything that can be broken is, and is repaired", func(t *testing.T) {
		breaks := asset(t, "breaks.js")
		modes := regexp.MustCompile(`\['(\w+)', '(?:Nobody|Down|Asleep): `).FindAllStringSubmatch(breaks, -1)
		if len(modes) < 11 {
			t.Fatalf("found %d modes in the page", len(modes))
		}
		for _, m := range modes {
			what := breakNoAgents
			switch snowtest.DownMode(m[1]) {
			case snowtest.Down503, snowtest.DownHang, snowtest.DownHTML, snowtest.DownRefuse:
				what = breakServiceNow
			}
			if err := s.breakThing(what, m[1]); err != nil || s.state().Broken[what] != m[1] {
				t.Errorf("%s %s: %v", what, m[1], err)
			}
		}
		for _, what := range []string{
			breakServiceNowLost, breakServiceNowTwice, breakTeams, breakTeamsThrottled, breakTeamsLost, breakTeamsTwice, breakIdentity,
		} {
			if !strings.Contains(breaks, "['"+what+"',") {
				t.Errorf("the page does not offer %s", what)
			}
			if err := s.breakThing(what, "on"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if st := s.state(); len(st.Broken) != 8 || st.Throttled.IsZero() {
			t.Errorf("broken: %v, throttled until %v", st.Broken, st.Throttled)
		}
		if err := s.repair(); err != nil {
			t.Fatal(err)
		}
		if st := s.state(); len(st.Broken) != 0 || !st.Throttled.IsZero() {
			t.Errorf("still broken: %v", st.Broken)
		}
		if err := s.breakThing("the weather", "on"); err == nil {
			t.Error("the weather could be broken")
		}
	})
	t.Run("every item is in the menu", func(t *testing.T) {
		desk := asset(t, "desk.js")
		for what := range sandboxItems() {
			if !strings.Contains(desk, "['"+what+"', '") {
				t.Errorf("the menu lacks %s", what)
			}
		}
	})
	t.Run("every command that the page sends is known", func(t *testing.T) {
		known := s.actions()
		sent := regexp.MustCompile(`(?:post|send)\('([a-z/]+)'`)
		n := 0
		for _, name := range []string{"app.js", "teams.js", "desk.js", "breaks.js"} {
			for _, m := range sent.FindAllStringSubmatch(asset(t, name), -1) {
				n++
				if known[m[1]] == nil {
					t.Errorf("%s sends %s, which is no command", name, m[1])
				}
			}
		}
		if n < 15 {
			t.Errorf("found only %d commands", n)
		}
	})
	t.Run("nothing comes from elsewhere, and nothing is parsed as HTML", func(t *testing.T) {
		for _, name := range []string{"index.html", "app.js", "api.js", "teams.js", "desk.js", "breaks.js", "card.js", "wire.js"} {
			text := asset(t, name)
			for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", `src="http`, `href="http`, "import('http"} {
				if strings.Contains(text, bad) {
					t.Errorf("%s has %s", name, bad)
				}
			}
		}
	})
}

func TestWireKeepsTheLatest(t *testing.T) {
	t.Parallel()
	h := newSandboxHub()
	changed := h.changed()
	for range 3*wireKept + 7 {
		h.record(wireEntry{Request: strings.Repeat("x", wireBody+1)})
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	all := h.since(0)
	if len(all) != wireKept || all[len(all)-1].Seq != 3*wireKept+7 || all[0].Seq != 2*wireKept+8 {
		t.Errorf("%d exchanges, from %d to %d", len(all), all[0].Seq, all[len(all)-1].Seq)
	}
	if got := h.since(3*wireKept + 5); len(got) != 2 || len(h.since(3*wireKept+7)) != 0 || len(h.since(1<<40)) != 0 {
		t.Errorf("the newest are %d", len(got))
	}
	if len(all[0].Request) > wireBody+20 {
		t.Errorf("a body of %d bytes is kept", len(all[0].Request))
	}
}

func TestLogTap(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	tap := &logTap{to: &b, found: make(chan listenLine, 1)}
	text := "no JSON\n" + `{"msg":"other","addr":"x"}` + "\n" + `{"msg":"listening","addr":"127.0.0.1:1","admin":"127.0.0.1:2"}` + "\n" +
		`{"msg":"listening","addr":"127.0.0.1:3"}` + "\nrest"
	for _, part := range []string{text[:5], text[5:60], text[60:61], text[61:]} {
		if n, err := tap.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if l := <-tap.found; l.Addr != "127.0.0.1:1" || l.Admin != "127.0.0.1:2" {
		t.Errorf("found %+v", l)
	}
	if b.String() != text {
		t.Errorf("the log became %q", b.String())
	}
}
