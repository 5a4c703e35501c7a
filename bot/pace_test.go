package bot

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// waiting puts a lane into the room, as a worker does that claimed it.
func (r *room) waiting(conversation, kind string, accepted time.Time, h *host) {
	c := &claim{
		lease: &store.Lease{
			Lane:       store.Lane{Conversation: conversation, Direction: store.ToTeams},
			Deliveries: []store.Delivery{{ID: conversation, Kind: kind, Accepted: accepted}},
		},
		since: time.Now(), rank: rankOf(kind), old: accepted.Add(5 * time.Minute), host: h,
		state: &state{Ref: adapter.Reference{TenantID: "tenant"}},
	}
	r.pace(c, conversation, "tenant")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter(r.doors[store.ToTeams], c)
}

// next waits for what may go on, and has it answered at once.
func (r *room) next() (string, course) {
	for {
		c, course, pause := r.take(store.ToTeams)
		if c == nil {
			<-time.After(pause) // of the bubble
			continue
		}
		if course == goOn {
			r.finish(c, 1, nil)
		}
		return c.lease.Lane.Conversation, course
	}
}

func TestLanesCompeteByRankAndThenByAcceptance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRoom(2), newHost("teams")
		now := time.Now()
		r.waiting("first", kindText, now, h)
		r.waiting("second", kindText, now, h)
		for range 2 { // the rate is used up
			r.next()
		}
		r.waiting("card", kindCard, now.Add(-time.Minute), h)
		r.waiting("words 2", kindText, now.Add(-10*time.Second), h)
		r.waiting("words 1", kindNotice, now.Add(-20*time.Second), h)
		r.waiting("end", kindEnd, now, h)
		if r.typing("somebody", "tenant") != nil {
			t.Error("typing goes before what waits")
		}
		var got []string
		for range 4 {
			lane, _ := r.next()
			got = append(got, lane)
		}
		if want := []string{"end", "words 1", "words 2", "card"}; !slices.Equal(got, want) {
			t.Errorf("went in the order %q, want %q", got, want)
		}
		if took := time.Since(now); took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("six sends at two a second took %v", took)
		}
		if r.typing("somebody", "tenant") != nil {
			t.Error("typing takes the last of the rate")
		}
		pause(t.Context(), 3*time.Second)
		answered := r.typing("somebody", "tenant")
		if answered == nil {
			t.Fatal("typing is refused though nothing waits")
		}
		answered()
	})
}

func TestTypingIsDroppedForWhatMatters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(r *room, w *window, tenant *rate)
		want bool
	}{
		{"nothing else", func(*room, *window, *rate) {}, true},
		{"a lane of the conversation waits", func(r *room, _ *window, _ *rate) {
			r.waiting("chat", kindText, time.Now(), newHost("teams"))
		}, false},
		{"another lane of the tenant waits for its host", func(r *room, _ *window, _ *rate) {
			h := newHost("teams")
			for range breakerCalls {
				report, _ := h.ask()
				report(errors.New("down"))
			}
			r.waiting("other", kindText, time.Now(), h)
			r.take(store.ToTeams)
		}, false},
		{"a send is under way", func(_ *room, w *window, _ *rate) { w.flying = 1 }, false},
		{"the conversation has two left", func(_ *room, w *window, _ *rate) { w.add(time.Now(), 4) }, false},
		{"the conversation has three left", func(_ *room, w *window, _ *rate) { w.add(time.Now(), 3) }, true},
		{"the tenant has less than a third left", func(_ *room, _ *window, tenant *rate) { tenant.add(time.Now(), 21) }, false},
		{"the tenant has a third left", func(_ *room, _ *window, tenant *rate) { tenant.add(time.Now(), 20) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(30)
				w, tenant := r.window("chat"), r.tenant("tenant")
				tt.set(r, w, tenant)
				before, rest := w.free(time.Now()), tenant.free(time.Now())
				answered := r.typing("chat", "tenant")
				if got := answered != nil; got != tt.want {
					t.Fatalf("typing is shown: %t, want %t", got, tt.want)
				}
				if answered == nil {
					return
				}
				answered()
				if w.free(time.Now()) != before-1 || tenant.free(time.Now()) != rest-1 {
					t.Error("typing does not count")
				}
			})
		})
	}
}

func TestWhatCannotGoIsLetGoOrGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRoom(0), newHost("teams")
		for range breakerCalls {
			report, _ := h.ask()
			report(fmt.Errorf("down"))
		}
		now := time.Now()
		r.waiting("young", kindText, now, h)
		r.waiting("old", kindText, now.Add(-5*time.Minute), h)
		r.waiting("ageing", kindText, now.Add(-5*time.Minute+time.Second), h)
		for _, want := range []struct {
			lane   string
			course course
			after  time.Duration
		}{
			{"old", giveUp, 0},
			{"ageing", giveUp, time.Second},
			{"young", goOn, 5 * time.Second}, // the probe
		} {
			lane, course := r.next()
			if lane != want.lane || course != want.course || time.Since(now).Round(10*time.Millisecond) != want.after {
				t.Errorf("%s: course %d after %v, want %s: %d after %v", lane, course, time.Since(now), want.lane, want.course, want.after)
			}
		}
	})
}

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRoom(0), newHost("teams")
		for range breakerCalls {
			report, _ := h.ask()
			report(fmt.Errorf("down"))
		}
		if !h.out() || !h.down.Load() {
			t.Fatal("the breaker has to be open")
		}
		for i := range 10 {
			r.waiting(fmt.Sprint(i), kindText, time.Now().Add(time.Duration(i)), h)
		}
		pause(t.Context(), breakerProbe+time.Second/10)
		probe, _, _ := r.take(store.ToTeams)
		if probe == nil {
			t.Fatal("no probe")
		}
		if c, _, _ := r.take(store.ToTeams); c != nil {
			t.Fatal("a second one beside the probe")
		}
		if !h.out() {
			t.Error("the host is out until the probe has succeeded")
		}
		r.finish(probe, 1, nil)
		for i := range 9 {
			if c, _, _ := r.take(store.ToTeams); c == nil {
				t.Fatalf("after the probe only %d go on", i)
			}
		}
		if h.out() || h.down.Load() {
			t.Error("the host is well")
		}
	})
}

func TestOnlyTheHostsOwnFailuresCount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string // well, ill, or nothing
	}{
		{"delivered", nil, "well"},
		{"blocked by the user", &adapter.Error{Op: "send", StatusCode: 403, Code: "ConversationBlockedByUser", Written: true}, "well"},
		{"throttled", &adapter.Error{Op: "send", StatusCode: 429, Written: true}, "well"},
		{"conversation not found", &adapter.Error{Op: "send", StatusCode: 404, Written: true}, "well"},
		{"unavailable", &adapter.Error{Op: "send", StatusCode: 503, Written: true}, "ill"},
		{"no connection", &adapter.Error{Op: "send"}, "ill"},
		{"a page", &adapter.Error{Op: "send", StatusCode: 200, Code: adapter.CodeNotConnector, Written: true}, "ill"},
		{"no token", &adapter.Error{Op: "token", StatusCode: 400}, "ill"},
		{"host not allowed", &adapter.Error{Op: "send", Err: &adapter.HostError{Host: "example.com"}}, "nothing"},
		{"session over", errOver, "nothing"},
		{"look-up failed", errLookup, "nothing"},
		{"not sent", errNoCall, "nothing"},
		{"limited by ServiceNow", &snow.Error{Op: "message", StatusCode: 429, Written: true}, "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := "ill"
			if err := health(tt.err); err == nil {
				got = "well"
			} else if errors.Is(err, errNoCall) {
				got = "nothing"
			}
			if got != tt.want {
				t.Errorf("the host is %s, want %s", got, tt.want)
			}
		})
	}
}
