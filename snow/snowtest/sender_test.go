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
		if l, err := s.line(id, "lost"); err != nil || l.Answered != http.StatusServiceUnavailable {
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
	t.Run("IsRepeatedWhenItsAnswerWasLost", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Retries: 1, RetryWait: time.Millisecond})
		id := s.live()
		s.fault(snowtest.Fault{Direction: snowtest.Out, Kind: snowtest.FaultReset, Times: 1})
		if _, err := s.Say(t.Context(), id, "twice"); err != nil {
			t.Fatal(err)
		}
		if posts := s.seen()[3:]; len(posts) != 2 || posts[0].raw != posts[1].raw {
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
