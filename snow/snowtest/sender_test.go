package snowtest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

func TestWebhookAuthentication(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		auth snowtest.WebhookAuth
		want http.Header
	}{
		{"Bearer", snowtest.WebhookAuth{}, http.Header{"Authorization": {"Bearer hook-secret"}}},
		{"Basic", snowtest.WebhookAuth{Kind: snowtest.AuthBasic, User: "snow"}, http.Header{"Authorization": {"Basic c25vdzpob29rLXNlY3JldA=="}}},
		{"Header", snowtest.WebhookAuth{Kind: snowtest.AuthHeader, Header: "X-Key"}, http.Header{"X-Key": {"hook-secret"}}},
		{"None", snowtest.WebhookAuth{Kind: snowtest.AuthNone}, http.Header{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{WebhookAuth: tt.auth, WebhookHeaders: map[string]string{"X-Extra": "1"}})
			s.bot(say("1", "hello"))
			got := s.wait(1)[0].header
			tt.want["X-Extra"], tt.want["User-Agent"] = []string{"1"}, []string{"ServiceNow/1.0"}
			tt.want["Content-Type"] = []string{"application/json"}
			for _, name := range []string{"Accept-Encoding", "Content-Length"} {
				got.Del(name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplicationsHaveWebhooksOfTheirOwn(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer other.Close()
	s := newSite(t, snowtest.Options{Apps: map[string]snowtest.App{
		"one": {WebhookURL: other.URL + "/one"}, "two": {WebhookURL: other.URL + "/two"},
	}})
	s.bot(say("1", "hello"))
	if note := s.last().Note; note != "appInboundId is missing" {
		t.Errorf("note %q", note)
	}
	s.bot(say("2", "hello", object{"appInboundId": "two"}))
	s.until(func() bool { return len(s.out()) == 1 })
	e := s.out()[0]
	var body object
	if err := json.Unmarshal([]byte(e.RequestBody), &body); err != nil {
		t.Fatal(err)
	}
	if e.Path != other.URL+"/two" || body["appInboundId"] != "two" {
		t.Errorf("posted to %s: %s", e.Path, e.RequestBody)
	}
}

func TestCallbacksOfOnePersonKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	id := s.live()
	results := make(chan error, 20)
	for range 20 {
		go func() {
			_, err := s.Say(t.Context(), id, "words")
			results <- err
		}()
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	var posted, shown []any
	for _, p := range s.seen()[3:] {
		posted = append(posted, p.items()[0]["messageId"])
	}
	for _, l := range s.chat(id).Lines {
		if l.From == snowtest.FromAgent {
			shown = append(shown, l.ID)
		}
	}
	if diff := cmp.Diff(shown, posted); diff != "" {
		t.Error(diff)
	}
}

func TestFailedCallback(t *testing.T) {
	t.Parallel()
	t.Run("IsLostWithoutRetries", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.answering(func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		_, err := s.Say(t.Context(), id, "lost")
		var failed *snowtest.PostError
		if !errors.As(err, &failed) || failed.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %v", err)
		}
		if l, err := s.WaitLine(t.Context(), id, "lost"); err != nil || l.Answered != http.StatusServiceUnavailable {
			t.Errorf("%+v, %v", l, err)
		}
		e := s.out()[3]
		if len(s.seen()) != 4 || e.Status != http.StatusServiceUnavailable || e.Note != "webhook: status 503" {
			t.Errorf("%d posts, %+v", len(s.seen()), e)
		}
	})
	t.Run("IsRepeatedUnchangedWithRetries", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Retries: 3, RetryWait: time.Millisecond})
		id := s.live()
		s.answering(func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 6 {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		if _, err := s.Say(t.Context(), id, "twice"); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()[3:]
		if len(posts) != 3 || posts[0].raw != posts[2].raw {
			t.Errorf("%d posts", len(posts))
		}
	})
	t.Run("EndsAfterTheTimeOut", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{CallbackTimeout: 30 * time.Millisecond})
		id := s.live()
		s.answering(func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		_, err := s.Say(t.Context(), id, "slow")
		var failed *snowtest.PostError
		if !errors.As(err, &failed) || failed.StatusCode != 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("WithoutWebhook", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.SetWebhook("", "")
		if _, err := s.Say(t.Context(), id, "x"); !errors.Is(err, snowtest.ErrNoWebhook) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFaultsOfCallbacks(t *testing.T) {
	t.Parallel()
	texts := func(s *site) []any {
		var got []any
		for _, p := range s.seen()[3:] {
			got = append(got, p.items()[0]["value"])
		}
		return got
	}
	say := func(t *testing.T, s *site, id string, words ...string) (errs []error) {
		t.Helper()
		for _, w := range words {
			_, err := s.Say(t.Context(), id, w)
			errs = append(errs, err)
		}
		return errs
	}
	for _, tt := range []struct {
		name  string
		fault snowtest.Fault
		want  []any
		fails bool
	}{
		{"Duplicate", snowtest.Fault{Kind: snowtest.FaultDuplicate}, []any{"a", "a", "b", "b", "c", "c"}, false},
		{"DuplicateTheSecond", snowtest.Fault{Kind: snowtest.FaultDuplicate, After: 1, Times: 1}, []any{"a", "b", "b", "c"}, false},
		{"Drop", snowtest.Fault{Kind: snowtest.FaultDrop, Times: 1}, []any{"b", "c"}, true},
		{"Reorder", snowtest.Fault{Kind: snowtest.FaultReorder, Times: 1, Delay: time.Minute}, []any{"b", "a", "c"}, false},
		{"Delay", snowtest.Fault{Kind: snowtest.FaultDelay, Times: 1, Delay: time.Millisecond}, []any{"a", "b", "c"}, false},
		{"AnswerLost", snowtest.Fault{Kind: snowtest.FaultReset, Times: 1}, []any{"a", "b", "c"}, true},
		{"OtherSession", snowtest.Fault{Kind: snowtest.FaultDrop, SessionID: "other"}, []any{"a", "b", "c"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			id := s.live()
			tt.fault.Direction = snowtest.Out
			s.fault(tt.fault)
			errs := say(t, s, id, "a", "b", "c")
			if (errs[0] != nil) != tt.fails || errs[1] != nil || errs[2] != nil {
				t.Errorf("errors %v", errs)
			}
			if diff := cmp.Diff(tt.want, texts(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("HeldPostComesByItself", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.fault(snowtest.Fault{Direction: snowtest.Out, Kind: snowtest.FaultReorder, Delay: time.Millisecond})
		say(t, s, id, "alone")
		s.wait(4)
		if diff := cmp.Diff([]any{"alone"}, texts(s)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("ProbabilityFollowsTheSeed", func(t *testing.T) {
		t.Parallel()
		run := func(seed uint64) []any {
			s := newSite(t, snowtest.Options{Seed: seed})
			id := s.live()
			s.fault(snowtest.Fault{Direction: snowtest.Out, Kind: snowtest.FaultDrop, Probability: 0.5})
			say(t, s, id, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
			return texts(s)
		}
		first := run(7)
		if diff := cmp.Diff(first, run(7)); diff != "" || len(first) == 0 || len(first) == 12 {
			t.Errorf("%v, %s", first, diff)
		}
		if slices.Equal(first, run(8)) {
			t.Error("another seed makes no difference")
		}
	})
}

func TestShapes(t *testing.T) {
	t.Parallel()
	// shaped returns what the queue, an agent's words and the end look like.
	shaped := func(t *testing.T, o snowtest.Options) []post {
		t.Helper()
		s := newSite(t, o)
		id := s.live()
		n := len(s.seen())
		if _, err := s.Say(t.Context(), id, "words"); err != nil {
			t.Fatal(err)
		}
		if err := s.End(t.Context(), id, "bye"); err != nil {
			t.Fatal(err)
		}
		return s.seen()[n:]
	}
	t.Run("OneItemPerPost", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{OneItemPerPost: true}})
		if len(posts) != 4 {
			t.Fatalf("%d posts", len(posts))
		}
		for n, p := range posts {
			if len(p.items()) != 1 || (p.object["completed"] == true) != (n == 3) {
				t.Errorf("post %d: %s", n, p.raw)
			}
		}
	})
	t.Run("BodyObject", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{BodyObject: true}})
		if it, ok := posts[0].object["body"].(object); !ok || it["value"] != "words" {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("BodyText", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{BodyText: true}})
		var items []object
		text, _ := posts[0].object["body"].(string)
		if err := json.Unmarshal([]byte(text), &items); err != nil || items[0]["value"] != "words" {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("TextsForFlagsAndScore", func(t *testing.T) {
		t.Parallel()
		shape := snowtest.Shape{FlagsAsText: true, ScoreText: true, ExplicitTakeControl: true, ContentType: "application/octet-stream"}
		posts := shaped(t, snowtest.Options{Shape: shape})
		got := []any{
			posts[0].object["agentChat"], posts[1].object["completed"], posts[0].object["score"],
			posts[0].object["takeControl"], posts[0].header.Get("Content-Type"),
		}
		if diff := cmp.Diff([]any{"true", "true", "1", false, "application/octet-stream"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("NothingOptional", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{OmitOptional: true}, AgentNames: true})
		want := object{
			"clientSessionId": "s-1", "clientVariables": variables, "agentChat": true,
			"body": []any{object{"uiType": "OutputText", "value": "words", "agentInfo": object{"sentFromAgent": true}}},
		}
		if diff := cmp.Diff(want, posts[0].object); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("NoEcho", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{NoEcho: true}})
		_, request := posts[0].object["requestId"]
		_, message := posts[0].object["message"]
		if request || message {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("FlagsOnlyWhenTrue", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{})
		for _, name := range []string{"completed", "takeControl", "status", "error_message"} {
			if v, has := posts[0].object[name]; has {
				t.Errorf("%s is %v", name, v)
			}
		}
		if _, has := posts[1].object["agentChat"]; has {
			t.Error("agentChat at the end")
		}
	})
}

func TestSpecDialect(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec, WaitTime: "2 Minutes"})
	id := s.live()
	if err := s.Typing(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Say(t.Context(), id, "Hi Mia"); err != nil {
		t.Fatal(err)
	}
	if err := s.End(t.Context(), id, "bye"); err != nil {
		t.Fatal(err)
	}
	envelope := func(edits object) object {
		e := object{"clientSessionId": "s-1", "requestId": "r-0", "userId": "u-1", "clientVariables": variables}
		for k, v := range edits {
			e[k] = v
		}
		return e
	}
	text := func(words string, more object) object {
		it := object{"uiType": "OutputText", "message": words}
		for k, v := range more {
			it[k] = v
		}
		return it
	}
	agent := object{"agentInfo": object{"agentName": "Sam Ortiz"}}
	action := func(name string, more object) object {
		it := object{"uiType": "ActionMsg", "actionType": name}
		for k, v := range more {
			it[k] = v
		}
		return it
	}
	system := func(words string) object { return action("System", object{"message": words}) }
	want := []object{
		envelope(object{"status": "active", "agentChat": true, "body": []any{
			text("Please stand by while I connect you to a live agent.", nil),
		}}),
		envelope(object{"status": "waiting", "agentChat": true, "body": []any{system("Estimated wait time: 2 Minutes")}}),
		envelope(object{"status": "connected", "agentChat": true, "takeControl": true, "body": []any{
			action("AgentControl", agent), system("Agent has entered the chat."),
		}}),
		envelope(object{"status": "active", "agentChat": true, "body": []any{text("Hi Mia", agent)}}),
		envelope(object{"status": "completed", "completed": true, "body": []any{
			text("bye", agent), system("Agent has closed the support session."), action("EndConversation", nil),
		}}),
	}
	var got []object
	for _, p := range s.seen() {
		got = append(got, p.object)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("EndByUser", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec})
		s.live()
		s.bot(say("e", "", object{"action": "END_CONVERSATION"}))
		p := s.wait(4)[3]
		if p.object["status"] != "completed" || p.object["completed"] != true || p.kinds()[1] != "EndConversation" {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("CancelledIsStatusAlone", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec})
		s.queued()
		if p := s.seen()[1]; p.object["status"] != "waiting" || len(p.items()) != 0 {
			t.Errorf("got %s", p.raw)
		}
		s.bot(say("e", "", object{"action": "END_CONVERSATION"}))
		if p := s.wait(3)[2]; p.object["status"] != "cancelled" || len(p.items()) != 0 {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("Fail", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		if err := s.SetDialect(snowtest.DialectSpec); err != nil {
			t.Fatal(err)
		}
		id := s.queued()
		if err := s.FailChat(t.Context(), id, "Sorry.", "queue error"); err != nil {
			t.Fatal(err)
		}
		want := envelope(object{"status": "fail", "error_message": "queue error", "body": []any{text("Sorry.", nil)}})
		if diff := cmp.Diff(want, s.seen()[2].object); diff != "" {
			t.Error(diff)
		}
	})
}
