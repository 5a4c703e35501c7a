package adaptertest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"github.com/google/go-cmp/cmp"
)

func TestFaultsTowardsTheBotsRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  adaptertest.Fault
		status int // 0: an error
		code   string
		retry  string
		effect bool
		check  func(t *testing.T, a answer, err error)
	}{
		{name: "reset before effect", fault: adaptertest.Fault{Kind: adaptertest.ResetBeforeEffect}, check: wantReset},
		{name: "reset after effect", fault: adaptertest.Fault{Kind: adaptertest.ResetAfterEffect}, effect: true, check: wantReset},
		{name: "truncated", fault: adaptertest.Fault{Kind: adaptertest.TruncatedBody}, effect: true, check: func(t *testing.T, _ answer, err error) {
			t.Helper()
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", err)
			}
		}},
		{name: "status", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 502}, status: 502, code: "ServiceError"},
		{name: "status after effect", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 504, Effect: true}, status: 504, code: "ServiceError", effect: true},
		{name: "status by default", fault: adaptertest.Fault{Kind: adaptertest.Status}, status: 500, code: "ServiceError"},
		{name: "its usual code", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 412}, status: 412, code: "PreconditionFailed"},
		{name: "code", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 403, Code: "BotDisabledByAdmin"}, status: 403, code: "BotDisabledByAdmin"},
		{name: "retry after", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 429, RetryAfter: 1500 * time.Millisecond}, status: 429, code: "Throttled", retry: "2"},
		{name: "body", fault: adaptertest.Fault{Kind: adaptertest.Status, Status: 503, Body: "busy"}, status: 503, check: func(t *testing.T, a answer, _ error) {
			t.Helper()
			if string(a.body) != "busy" {
				t.Errorf("body %q", a.body)
			}
		}},
		{name: "a page under 200", fault: adaptertest.Fault{Kind: adaptertest.HTML}, status: 200, check: func(t *testing.T, a answer, _ error) {
			t.Helper()
			if a.header.Get("Content-Type") != "text/html" || a.body[0] != '<' {
				t.Errorf("got %v %q", a.header, a.body)
			}
		}},
		{name: "delay", fault: adaptertest.Fault{Kind: adaptertest.Delay, Delay: time.Millisecond}, status: 201, effect: true},
		{name: "delay after effect", fault: adaptertest.Fault{Kind: adaptertest.Delay, Delay: time.Millisecond, Effect: true}, status: 201, effect: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChannel(t, adaptertest.Options{})
			v := c.Personal(c.AddUser(adaptertest.User{}))
			k := newCaller(t, c)
			tt.fault.Times = 1
			c.AddFault(tt.fault)
			got, err := k.try(http.MethodPost, activities(v), `{"type":"message","text":"x"}`)
			if tt.status != 0 && (err != nil || got.status != tt.status || got.code() != tt.code || got.header.Get("Retry-After") != tt.retry) {
				t.Errorf("got %d %q %v %v", got.status, got.body, got.header, err)
			}
			if tt.check != nil {
				tt.check(t, got, err)
			}
			if effect := len(v.Messages()) == 1; effect != tt.effect {
				t.Errorf("effect %v, want %v", effect, tt.effect)
			}
			log := c.Log()
			if len(log) != 1 || log[0].Fault != string(tt.fault.Kind) || log[0].Effect != tt.effect || log[0].Conversation != v.ID() {
				t.Errorf("log %v", log)
			}
			if got := k.say(v, "next"); got.status != 201 {
				t.Errorf("after the fault: %d", got.status)
			}
		})
	}
}

func wantReset(t *testing.T, _ answer, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestDropAnswersNothingUntilTheCallerGivesUp(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	arrived := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c.AddFault(adaptertest.Fault{Kind: adaptertest.Drop, Match: func(adaptertest.FaultRequest) bool { close(arrived); return true }, Times: 1})
	done := make(chan error)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.ServiceURL()+activities(v), http.NoBody)
		if err != nil {
			done <- err
			return
		}
		resp, err := k.client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		done <- err
	}()
	<-arrived
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.Wait(t.Context(), func() bool { return len(c.Log()) == 1 }); err != nil {
		t.Fatal(err)
	}
	if e := c.Log()[0]; e.Status != 0 || e.Fault != "drop" || e.Effect || len(v.Messages()) != 0 || v.MaxInFlight() != 0 {
		t.Errorf("log %+v", e)
	}
}

func TestCloseEndsWhatIsHeldUp(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	var arrived sync.WaitGroup
	arrived.Add(2)
	for _, kind := range []adaptertest.FaultKind{adaptertest.Drop, adaptertest.Delay} {
		c.AddFault(adaptertest.Fault{Kind: kind, Delay: time.Hour, Times: 1, Match: func(adaptertest.FaultRequest) bool {
			arrived.Done()
			return true
		}})
	}
	var failed atomic.Int64
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			if _, err := k.try(http.MethodPost, activities(v), `{"type":"message","text":"x"}`); err != nil {
				failed.Add(1)
			}
		})
	}
	arrived.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := len(c.Log()); n != 2 {
		t.Errorf("Close returned when %d of 2 had ended", n)
	}
	callers.Wait()
	if failed.Load() != 2 {
		t.Errorf("%d calls failed, want 2", failed.Load())
	}
	if err := c.Wait(t.Context(), func() bool { return false }); err == nil {
		t.Error("Wait goes on after Close")
	}
	if _, err := v.Say(t.Context(), adaptertest.User{}, "x"); !errors.Is(err, adaptertest.ErrLost) {
		t.Errorf("Say after Close: %v", err)
	}
}

func TestFaultsAreChosen(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	u := c.AddUser(adaptertest.User{})
	v, other := c.Group(u), c.Group(u)
	k := newCaller(t, c)
	statuses := func(n int, v *adaptertest.Conversation) (got []int) {
		for range n {
			got = append(got, k.say(v, "x").status)
		}
		return got
	}
	check := func(when string, got []int, want ...int) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 502, After: 1, Times: 2})
	check("after 1, times 2", statuses(5, v), 201, 502, 502, 201, 201)

	remove := c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 503, Conversation: v.ID()})
	check("of the conversation", statuses(2, v), 503, 503)
	check("of another", statuses(2, other), 201, 201)
	remove()
	check("removed", statuses(1, v), 201)

	c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 500, Method: http.MethodPut})
	c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 501, PathContains: "/members"})
	check("other method", statuses(1, v), 201)
	if got := k.do(http.MethodPut, activities(v, "1"), "{}"); got.status != 500 {
		t.Errorf("PUT: %d", got.status)
	}
	if got := k.do(http.MethodGet, "v3/conversations/"+v.ID()+"/members", ""); got.status != 501 {
		t.Errorf("members: %d", got.status)
	}
	c.ClearFaults()
	if got := k.do(http.MethodGet, "v3/conversations/"+v.ID()+"/members", ""); got.status != 200 {
		t.Errorf("cleared: %d", got.status)
	}

	c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 429, PathContains: "oauth2"})
	c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 502})
	if status, _ := askToken(t, c.TokenURL(), nil); status != 429 {
		t.Errorf("token endpoint: %d", status)
	}
	check("the first that matches", statuses(1, v), 502)
}

func TestProbabilityFollowsTheSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (got []int) {
		c := newChannel(t, adaptertest.Options{Seed: seed})
		v := c.Personal(c.AddUser(adaptertest.User{}))
		k := newCaller(t, c)
		c.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: 502, Probability: 0.5})
		for range 40 {
			got = append(got, k.say(v, "x").status)
		}
		return got
	}
	one := run(1)
	if diff := cmp.Diff(one, run(1)); diff != "" {
		t.Errorf("the same seed differs: %s", diff)
	}
	if cmp.Equal(one, run(2)) {
		t.Error("another seed is the same")
	}
	hit := 0
	for _, s := range one {
		if s == 502 {
			hit++
		}
	}
	if hit < 8 || hit > 32 {
		t.Errorf("%d of 40 were hit at one half", hit)
	}
}

func TestFaultsTowardsTheBot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault adaptertest.Fault
		lost  bool
		seen  []any // by the bot, when "one" is hit and "two" follows
		want  adaptertest.Posted
	}{
		{"drop", adaptertest.Fault{Kind: adaptertest.Drop}, true, []any{"two"}, adaptertest.Posted{}},
		{"reset before effect", adaptertest.Fault{Kind: adaptertest.ResetBeforeEffect}, true, []any{"two"}, adaptertest.Posted{}},
		{"reset after effect", adaptertest.Fault{Kind: adaptertest.ResetAfterEffect}, true, []any{"one", "two"}, adaptertest.Posted{}},
		{"duplicate", adaptertest.Fault{Kind: adaptertest.Duplicate}, false, []any{"one", "one", "two"}, adaptertest.Posted{Status: 200}},
		{"reorder", adaptertest.Fault{Kind: adaptertest.Reorder}, false, []any{"two", "one"}, adaptertest.Posted{Held: true}},
		{"delay", adaptertest.Fault{Kind: adaptertest.Delay, Delay: time.Millisecond}, false, []any{"one", "two"}, adaptertest.Posted{Status: 200}},
		{"delay after effect", adaptertest.Fault{Kind: adaptertest.Delay, Delay: time.Millisecond, Effect: true}, false, []any{"one", "two"}, adaptertest.Posted{Status: 200}},
		{"status", adaptertest.Fault{Kind: adaptertest.Status, Status: 502, Body: "-"}, false, []any{"two"}, adaptertest.Posted{Status: 502, Body: []byte("-")}},
		{"status after effect", adaptertest.Fault{Kind: adaptertest.Status, Status: 502, Body: "-", Effect: true}, false, []any{"one", "two"}, adaptertest.Posted{Status: 502, Body: []byte("-")}},
		{"for the bot's requests only", adaptertest.Fault{Kind: adaptertest.Drop, Direction: adaptertest.In}, false, []any{"one", "two"}, adaptertest.Posted{Status: 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChannel(t, adaptertest.Options{})
			b := newBot(t, c)
			u := c.AddUser(adaptertest.User{})
			v := c.Personal(u)
			if tt.fault.Direction == "" {
				tt.fault.Direction = adaptertest.Out
			}
			tt.fault.Times = 1
			c.AddFault(tt.fault)
			p, err := v.Say(t.Context(), u, "one")
			if errors.Is(err, adaptertest.ErrLost) != tt.lost || !tt.lost && err != nil {
				t.Errorf("got %v, want lost %v", err, tt.lost)
			}
			if p.Status != tt.want.Status || p.Held != tt.want.Held || string(p.Body) != string(tt.want.Body) || p.ActivityID == "" {
				t.Errorf("got %+v, want %+v", p, tt.want)
			}
			if _, err := v.Say(t.Context(), u, "two"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.seen, b.texts()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"one", "two"}, shown(v)); diff != "" {
				t.Errorf("what people wrote has to show: %s", diff)
			}
			delivered := 0
			for _, e := range c.Log() {
				if e.Effect {
					delivered++
				}
				if e.Direction != adaptertest.Out || e.Path != "/api/messages" {
					t.Errorf("log: %v", e)
				}
			}
			if delivered != len(tt.seen) {
				t.Errorf("the log tells of %d deliveries, the bot saw %d", delivered, len(tt.seen))
			}
		})
	}
	t.Run("what is held back is released", func(t *testing.T) {
		t.Parallel()
		c := newChannel(t, adaptertest.Options{})
		b := newBot(t, c)
		u := c.AddUser(adaptertest.User{})
		v := c.Personal(u)
		c.AddFault(adaptertest.Fault{Kind: adaptertest.Reorder, Direction: adaptertest.Out})
		for _, s := range []string{"one", "two"} {
			if _, err := v.Say(t.Context(), u, s); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.texts()) != 0 {
			t.Errorf("the bot saw %v", b.texts())
		}
		if err := v.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{"one", "two"}, b.texts()); diff != "" {
			t.Error(diff)
		}
	})
}
