package snowtest_test

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newSite(t, snowtest.Options{RatePerHour: 2, Now: c.Now, TokenTTL: 24 * time.Hour})
	s.get("/api/now/table/sys_user")
	s.get("/api/now/table/sys_user")
	c.advance(10 * time.Minute)
	a := s.get("/api/now/table/sys_user")
	got := []string{
		a.header.Get("X-RateLimit-Limit"), a.header.Get("X-RateLimit-Reset"), a.header.Get("Retry-After"),
	}
	if diff := cmp.Diff([]string{"2", "1772445600", "3000"}, got); diff != "" || a.status != http.StatusTooManyRequests {
		t.Errorf("status %d, %s", a.status, diff)
	}
	if !isID(a.header.Get("X-RateLimit-Rule")) || !strings.Contains(a.raw, "Rate limit exceeded") {
		t.Errorf("rule %q, %s", a.header.Get("X-RateLimit-Rule"), a.raw)
	}
	c.advance(50 * time.Minute)
	if a := s.get("/api/now/table/sys_user"); a.status != http.StatusOK {
		t.Errorf("in the next hour: status %d", a.status)
	}
}

func TestFaultsOfRequests(t *testing.T) {
	t.Parallel()
	// words sends one line of a live chat and reports whether it arrived.
	words := func(s *site, id string) (answer, error, bool) {
		raw, _ := marshal(say("1", "words"))
		a, err := s.do(http.MethodPost, integration, string(raw), "Authorization", s.bearer(), "Content-Type", "application/json")
		return a, err, len(s.chat(id).Said(snowtest.FromUser)) == 2
	}
	for _, tt := range []struct {
		name    string
		fault   snowtest.Fault
		status  int
		cut     bool
		arrives bool
		holds   func(answer) bool
	}{
		{name: "Drop", fault: snowtest.Fault{Kind: snowtest.FaultDrop}, status: 200},
		{name: "ResetBefore", fault: snowtest.Fault{Kind: snowtest.FaultReset}, cut: true},
		{name: "ResetAfter", fault: snowtest.Fault{Kind: snowtest.FaultReset, AfterEffect: true}, cut: true, arrives: true},
		{name: "Status", fault: snowtest.Fault{Kind: snowtest.FaultStatus, Status: 500}, status: 500},
		{
			name: "StatusAfter", fault: snowtest.Fault{Kind: snowtest.FaultStatus, Status: 502, Body: "<html>bad gateway", AfterEffect: true},
			status: 502, arrives: true,
			holds: func(a answer) bool {
				return a.raw == "<html>bad gateway" && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
			},
		},
		{
			name: "ThrottledForSeconds", fault: snowtest.Fault{Kind: snowtest.FaultStatus, Status: 429, RetryAfter: 1500 * time.Millisecond},
			status: 429, holds: func(a answer) bool { return a.header.Get("Retry-After") == "2" },
		},
		{
			name: "ThrottledUntil", fault: snowtest.Fault{Kind: snowtest.FaultStatus, Status: 429, RetryAfter: time.Hour, RetryAfterDate: true},
			status: 429, holds: func(a answer) bool {
				at, err := http.ParseTime(a.header.Get("Retry-After"))
				return err == nil && time.Until(at) > 59*time.Minute
			},
		},
		{
			name: "HTML", fault: snowtest.Fault{Kind: snowtest.FaultHTML}, status: 200,
			holds: func(a answer) bool {
				return strings.Contains(a.raw, "hibernating") && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
			},
		},
		{name: "Delay", fault: snowtest.Fault{Kind: snowtest.FaultDelay, Delay: time.Millisecond}, status: 200, arrives: true},
		{name: "DelayAfter", fault: snowtest.Fault{Kind: snowtest.FaultDelay, Delay: time.Millisecond, AfterEffect: true}, status: 200, arrives: true},
		{name: "OtherAction", fault: snowtest.Fault{Kind: snowtest.FaultReset, Action: "AGENT"}, status: 200, arrives: true},
		{name: "OtherPath", fault: snowtest.Fault{Kind: snowtest.FaultReset, PathContains: "table"}, status: 200, arrives: true},
		{name: "OtherMethod", fault: snowtest.Fault{Kind: snowtest.FaultReset, Method: http.MethodGet}, status: 200, arrives: true},
		{
			name: "ByMatch", status: 503,
			fault: snowtest.Fault{Kind: snowtest.FaultStatus, Status: 503, Match: func(r snowtest.FaultRequest) bool {
				return r.SessionID == "s-1" && r.Action == "message" && strings.Contains(string(r.Body), "words")
			}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			id := s.live()
			remove := s.fault(tt.fault)
			a, err, arrived := words(s, id)
			if a.status != tt.status || (err != nil) != tt.cut || arrived != tt.arrives {
				t.Errorf("status %d, %v, arrived %v", a.status, err, arrived)
			}
			if tt.holds != nil && !tt.holds(a) {
				t.Errorf("got %v %s", a.header, a.raw)
			}
			e := s.last()
			if hit := !strings.HasPrefix(tt.name, "Other"); (e.Fault == string(tt.fault.Kind)) != hit {
				t.Errorf("logged fault %q", e.Fault)
			}
			remove()
			if a := s.bot(say("2", "after")); a.status != http.StatusOK {
				t.Errorf("after the fault: status %d", a.status)
			}
		})
	}
	t.Run("ClientGivesUpDuringADelay", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.fault(snowtest.Fault{Kind: snowtest.FaultDelay, Delay: time.Hour, AfterEffect: true})
		s.http.Timeout = 30 * time.Millisecond
		if _, err, arrived := words(s, id); err == nil || !arrived {
			t.Errorf("%v, arrived %v", err, arrived)
		}
	})
	t.Run("NonsenseIsRefused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		for _, f := range []snowtest.Fault{
			{},
			{Kind: "x"},
			{Kind: snowtest.FaultStatus},
			{Kind: snowtest.FaultDelay},
			{Kind: snowtest.FaultDuplicate},
			{Kind: snowtest.FaultHTML, Direction: snowtest.Out},
			{Kind: snowtest.FaultDrop, Probability: 2},
		} {
			if _, err := s.AddFault(f); err == nil {
				t.Errorf("%+v was taken", f)
			}
		}
	})
}

func TestDown(t *testing.T) {
	t.Parallel()
	for mode, holds := range map[snowtest.DownMode]func(answer, error) bool{
		snowtest.DownRefuse: func(_ answer, err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		snowtest.Down503:    func(a answer, _ error) bool { return a.status == 503 && strings.Contains(a.raw, "<html>") },
		snowtest.DownHTML:   func(a answer, _ error) bool { return a.status == 200 && strings.Contains(a.raw, "<html>") },
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			if a := s.token(); a.status != http.StatusOK {
				t.Fatal("not up")
			}
			if err := s.SetDown(mode); err != nil {
				t.Fatal(err)
			}
			a, err := s.do(http.MethodGet, "/oauth_token.do", "")
			if !holds(a, err) {
				t.Errorf("%d %s, %v", a.status, a.raw, err)
			}
			if err := s.SetDown(snowtest.DownOff); err != nil {
				t.Fatal(err)
			}
			if a := s.token(); a.status != http.StatusOK {
				t.Errorf("up again: status %d", a.status)
			}
		})
	}
	t.Run("hang", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		if err := s.SetDown(snowtest.DownHang); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := s.do(http.MethodPost, "/oauth_token.do", "x")
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("answered: %v", err)
		case <-time.After(30 * time.Millisecond):
		}
		if err := s.SetDown(snowtest.DownOff); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("a request that hung was answered")
		}
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	t.Run("HidesCredentials", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{
			ClientSecret: "very-client", Password: "very-pass", WebhookURL: "", TrustedMedia: []string{"files.example.com"},
			MessageAuth: snowtest.MessageAuth{Kind: snowtest.MessageAuthStatic, Secret: "very-token"},
		})
		var seen []snowtest.Exchange
		cancel := s.Subscribe(func(e snowtest.Exchange) { seen = append(seen, e) })
		token := s.bearer()[len("Bearer "):]
		s.bot(say("1", "hello", object{"token": "very-token", "message": object{"text": "x", "attachment": object{
			"url": "https://nowhere.invalid/x", "headers": object{"X-Key": "very-file"},
		}}}))
		s.wait(1)
		s.must(http.MethodPost, "/oauth_revoke_token.do?token="+token, "")
		s.must(http.MethodPost, "/oauth_token.do", `{"password":"very-pass"`, "Content-Type", "application/json")
		cancel()
		all := s.Log()
		if diff := cmp.Diff(all, seen); diff != "" {
			t.Error(diff)
		}
		for n, e := range all {
			if e.Seq != uint64(n+1) {
				t.Errorf("number %d has %d", n, e.Seq)
			}
			shown := e.Path + e.RequestBody + e.ResponseBody
			for _, secret := range []string{token, "very-client", "very-pass", "very-token", "very-file", "hook-secret"} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s is shown in %s", secret, shown)
				}
			}
		}
		if !strings.Contains(all[2].RequestBody, "How can I help you?") && !strings.Contains(all[1].RequestBody, `"text":"x"`) {
			t.Errorf("words are not shown: %+v", all)
		}
	})
	t.Run("KeepsTheNewest", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{KeepLast: 3})
		for range 5 {
			s.get("/api/now/table/sys_user")
		}
		all := s.Log()
		if len(all) != 3 || all[0].Seq != 4 || all[2].Seq != 6 {
			t.Errorf("got %+v", all)
		}
	})
	t.Run("FilesAreNotShown", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		s.must(http.MethodPost, "/api/now/attachment/file?table_name=x", "PNGDATA", "Authorization", s.bearer(), "Content-Type", "image/png")
		if got := s.last().RequestBody; got != "image/png, 7 bytes" {
			t.Errorf("got %q", got)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{KeepLast: 2})
	for _, user := range []string{"u-1", "u-2", "u-3", "u-4"} {
		edits := object{"userId": user, "clientSessionId": user}
		s.bot(say("a", "a person", agentAction, edits))
		s.until(func() bool {
			for _, c := range s.Chats() {
				if c.UserID == user {
					return true
				}
			}
			return false
		})
		s.bot(say("e", "", object{"action": "END_CONVERSATION"}, edits))
	}
	s.until(func() bool { return len(s.Chats()) == 2 })
	if got := s.Chats()[0].UserID; got != "u-3" {
		t.Errorf("the oldest kept is %s", got)
	}
	id := s.live()
	for n := range 20 {
		s.bot(say(string(rune('a'+n)), string(rune('a'+n))))
	}
	lines := s.chat(id).Lines
	if len(lines) > 4 || lines[len(lines)-1].Text != "t" {
		t.Errorf("%d lines", len(lines))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]snowtest.Options{
		"not a loopback":  {Addr: "0.0.0.0:0"},
		"address":         {Addr: "nonsense"},
		"version":         {Version: "four"},
		"no retries":      {Version: "4.0", Retries: 1},
		"dialect":         {Dialect: "latin"},
		"agents":          {NoAgents: "some"},
		"needs a user":    {WebhookAuth: snowtest.WebhookAuth{Kind: snowtest.AuthBasic}},
		"needs a header":  {WebhookAuth: snowtest.WebhookAuth{Kind: snowtest.AuthHeader}},
		"unknown webhook": {WebhookAuth: snowtest.WebhookAuth{Kind: "x"}},
		"needs a secret":  {MessageAuth: snowtest.MessageAuth{Kind: snowtest.MessageAuthHash}},
		"unknown message": {MessageAuth: snowtest.MessageAuth{Kind: "x"}},
		"absolute":        {WebhookURL: "/hook"},
		"negative":        {KeepLast: -1},
		"at most 10": {WebhookHeaders: map[string]string{
			"1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": "", "9": "", "10": "", "11": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, err := snowtest.New(o)
			if err == nil {
				i.Close()
				t.Fatal("was taken")
			}
			if !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}
