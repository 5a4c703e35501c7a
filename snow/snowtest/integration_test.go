package snowtest_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

func TestIntegrationIsStrict(t *testing.T) {
	t.Parallel()
	const body = `{"requestId":"r","userId":"u","message":{"text":"hi","typed":true}}`
	for _, tt := range []struct {
		name   string
		method string
		body   string
		header []string
		status int
	}{
		{"NoLogin", http.MethodPost, body, []string{"Authorization", "Bearer wrong"}, http.StatusUnauthorized},
		{"Get", http.MethodGet, "", nil, http.StatusMethodNotAllowed},
		{"NoJSONType", http.MethodPost, body, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{"NoJSONAccepted", http.MethodPost, body, []string{"Accept", "text/html"}, http.StatusNotAcceptable},
		{"Malformed", http.MethodPost, body[:20], nil, http.StatusBadRequest},
		{"Array", http.MethodPost, "[]", nil, http.StatusBadRequest},
		{"Null", http.MethodPost, "null", nil, http.StatusBadRequest},
		{"TooLarge", http.MethodPost, strings.Repeat(" ", 11<<20), nil, http.StatusRequestEntityTooLarge},
		{"Fine", http.MethodPost, body, []string{"Accept", "application/json", "Content-Type", "application/json; charset=utf-8"}, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			header := append([]string{"Authorization", s.bearer(), "Content-Type", "application/json"}, tt.header...)
			a := s.must(tt.method, integration, tt.body, header...)
			wantStatus := "failure"
			if tt.status == http.StatusOK {
				wantStatus = "success"
			}
			if a.status != tt.status || a.object["status"] != wantStatus {
				t.Errorf("status %d %s, want %d", a.status, a.raw, tt.status)
			}
		})
	}
	t.Run("Disabled", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Disabled: true})
		if a := s.bot(say("1", "hi")); a.status != http.StatusMethodNotAllowed || a.object["status"] != "failure" {
			t.Errorf("status %d %s", a.status, a.raw)
		}
	})
}

// What is wrong beyond the transport is answered 200 and never heard of again.
func TestWrongRequestVanishesSilently(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]object{
		"userId is missing":        say("1", "hi", object{"userId": ""}),
		"message.text is missing":  say("1", ""),
		"action is unknown":        say("1", "hi", object{"action": "VIRTUAL_AGENT"}),
		"no open conversation":     say("1", "", object{"action": "END_CONVERSATION"}),
		"message.text of END_CONV": say("1", "bye", object{"action": "END_CONVERSATION"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			if a := s.bot(body); a.status != http.StatusOK || a.raw != `{"status":"success"}` {
				t.Errorf("status %d %s", a.status, a.raw)
			}
			if note := s.last().Note; !strings.HasPrefix(note, name) {
				t.Errorf("note %q, want %q", note, name)
			}
			s.bot(say("2", "hi", object{"userId": "u-2"})) // something that is answered
			s.wait(1)
			if n := len(s.seen()); n != 1 {
				t.Errorf("%d posts, want 1", n)
			}
		})
	}
}

func TestMessageAuth(t *testing.T) {
	t.Parallel()
	vanishes := func(t *testing.T, s *site, a answer, vanished bool) {
		t.Helper()
		if a.status != http.StatusOK {
			t.Errorf("status %d, want 200 always", a.status)
		}
		if got := s.last().Note == "message auth failed"; got != vanished {
			t.Errorf("vanished: %v, want %v", got, vanished)
		}
	}
	t.Run("Static", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{MessageAuth: snowtest.MessageAuth{Kind: snowtest.MessageAuthStatic, Secret: "right"}})
		right, wrong := object{"token": "right"}, object{"token": "wrong"}
		vanishes(t, s, s.bot(say("1", "hi")), true)
		vanishes(t, s, s.bot(say("2", "hi", wrong)), true)
		vanishes(t, s, s.bot(say("3", "hi", right), "token", "wrong"), true)
		if n := len(s.out()); n != 0 {
			t.Errorf("%d posts", n)
		}
		vanishes(t, s, s.bot(say("4", "hi", wrong), "token", "right"), false)
		vanishes(t, s, s.bot(say("5", "hi", right, object{"userId": "u-2"})), false)
	})
	t.Run("Hash", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{MessageAuth: snowtest.MessageAuth{Kind: snowtest.MessageAuthHash, Secret: "key"}})
		sign := func(body string) string {
			mac := hmac.New(sha1.New, []byte("key"))
			mac.Write([]byte(body))
			return hex.EncodeToString(mac.Sum(nil))
		}
		send := func(body, signature string) answer {
			return s.must(http.MethodPost, integration, body, "Authorization", s.bearer(),
				"Content-Type", "application/json", "X-B2B-Signature", signature)
		}
		const compact = `{"userId":"u","message":{"text":"a<b> & \"c\"\n` + "\u2028" + `","typed":true},"timestamp":1766000001000,"list":[1,{"a":null},"x"]}`
		vanishes(t, s, send(compact, sign(compact)), false)
		vanishes(t, s, send(strings.ReplaceAll(compact, `,"`, `, "`), sign(compact)), false)
		escaped := strings.ReplaceAll(strings.ReplaceAll(compact, "<", `\u003c`), "\u2028", `\u2028`)
		vanishes(t, s, send(escaped, sign(escaped)), true)
		vanishes(t, s, send(escaped, sign(compact)), false)
		vanishes(t, s, send(compact, ""), true)
	})
}

func TestUserIsLinkedOrGuest(t *testing.T) {
	t.Parallel()
	users := []snowtest.User{
		{Name: "Mia Khan", Email: "mia.khan@example.com"},
		{Name: "Old", Email: "old@example.com", Inactive: true},
		{Name: "Locked", Email: "locked@example.com", Locked: true},
		{Name: "One", Email: "twice@example.com"},
		{Name: "Two", Email: "twice@example.com"},
	}
	static := snowtest.MessageAuth{Kind: snowtest.MessageAuthStatic, Secret: "x"}
	for _, tt := range []struct {
		name, email, want string
		auth              snowtest.MessageAuth
	}{
		{"Linked", "mia.khan@example.com", "Mia Khan", static},
		{"OtherCase", "Mia.Khan@example.com", "Guest", static},
		{"WithoutMessageAuth", "mia.khan@example.com", "Guest", snowtest.MessageAuth{}},
		{"Inactive", "old@example.com", "Guest", static},
		{"LockedOut", "locked@example.com", "Guest", static},
		{"NotUnique", "twice@example.com", "Guest", static},
		{"NoEmail", "", "Guest", static},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{Users: users, MessageAuth: tt.auth})
			s.bot(say("1", "help", agentAction, object{"emailId": tt.email, "token": "x"}))
			posts := s.wait(2)
			presence := posts[1].items()[3]
			if got, want := presence["userDetails"], "{name="+tt.want+"}"; got != want {
				t.Errorf("userDetails %v, want %v", got, want)
			}
			chat := s.Chats()[0]
			if diff := cmp.Diff([]string{tt.want, tt.email}, []string{chat.UserName, chat.Email}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDuplicatesAndOverlapsAreDropped(t *testing.T) {
	t.Parallel()
	t.Run("SecondRequestWhileTheVirtualAgentWorks", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		release := make(chan struct{})
		arrived := make(chan struct{})
		s.answering(func(n int, _ http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				close(arrived)
				<-release
			}
		})
		s.bot(say("1", "hello"))
		<-arrived
		s.bot(say("2", "my payslip"))
		if note := s.last().Note; note != "dropped, another request is being processed" {
			t.Errorf("note %q", note)
		}
		close(release)
		s.until(func() bool { return len(s.out()) == 1 })
		s.until(func() bool { // the lane may still be finishing
			s.bot(say("2", "my payslip"))
			return s.last().Note == ""
		})
	})
	t.Run("NeverWhenQueuedOrLive", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		release := make(chan struct{})
		s.answering(func(n int, _ http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				<-release
			}
		})
		s.bot(say("1", "a person please", agentAction))
		s.until(func() bool { return len(s.Chats()) == 1 })
		s.bot(say("2", "first"))
		s.bot(say("3", "second"))
		close(release)
		want := []string{"a person please", "first", "second"}
		if diff := cmp.Diff(want, s.Chats()[0].Said(snowtest.FromUser)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("SameRequestAndMessageID", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.bot(say("1", "once"))
		s.bot(say("1", "once"))
		if note := s.last().Note; note != "duplicate" {
			t.Errorf("note %q", note)
		}
		s.bot(say("2", "once"))
		if diff := cmp.Diff([]string{"I need a person", "once", "once"}, s.chat(id).Said(snowtest.FromUser)); diff != "" {
			t.Error(diff)
		}
	})
}
