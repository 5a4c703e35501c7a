package bot

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

func TestWhatACallSaysOfTheLimit(t *testing.T) {
	t.Parallel()
	limited := func(asked time.Duration) error {
		return &snow.Error{Op: "message", StatusCode: 429, RetryAfter: asked, Written: true}
	}
	status := func(op string, status int) error { return &snow.Error{Op: op, StatusCode: status, Written: true} }
	for _, tt := range []struct {
		name  string
		err   error
		says  limitNews
		asked time.Duration
	}{
		{"taken", nil, limitOver, 0},
		{"limited", limited(time.Minute), limitHolds, time.Minute},
		{"limited for how long it does not say", limited(0), limitHolds, time.Second},
		{"limited for a day", limited(24 * time.Hour), limitHolds, time.Hour},
		{"limited by less than nothing", limited(-time.Minute), limitHolds, time.Second},
		{"a tick is limited", status("report", 429), limitHolds, time.Second},
		{"refused as malformed", status("message", 400), limitOver, 0},
		{"forbidden", status("end", 403), limitOver, 0},
		{"not found", status("message", 404), limitOver, 0},
		{"switched off", status("report", 405), limitOver, 0},
		{"refused by the desk", &snow.Error{Op: "agent", StatusCode: 200, Refused: true, Written: true}, limitOver, 0},
		{"a token that is refused", status("message", 401), limitUnheard, 0},
		{"failed", status("message", 500), limitUnheard, 0},
		{"unavailable", status("message", 503), limitUnheard, 0},
		{"a page", &snow.Error{Op: "message", StatusCode: 200, NotJSON: true, Written: true}, limitUnheard, 0},
		{"no connection", &snow.Error{Op: "message", Err: syscall.ECONNREFUSED}, limitUnheard, 0},
		{"no answer", &snow.Error{Op: "message", Written: true, Err: syscall.ECONNRESET}, limitUnheard, 0},
		{"no token, for too many", status("token", 429), limitUnheard, 0},
		{"a ticket is limited", status("incident", 429), limitUnheard, 0},
		{"a ticket is refused", status("incident", 403), limitUnheard, 0},
		{"a person is not found", status("user", 404), limitUnheard, 0},
		{"reading back is limited", status("history", 429), limitUnheard, 0},
		{"Teams limits us", &adapter.Error{Op: "member", StatusCode: 429, Written: true}, limitUnheard, 0},
		{"the look-up failed", fmt.Errorf("look up: %w", errLookup), limitUnheard, 0},
		{"no file", &fetchError{why: failFileGone, err: errFilesOff}, limitUnheard, 0},
		{"the session is over", errOver, limitUnheard, 0},
		{"a panic", errPanicSent, limitUnheard, 0},
		{"not made", errNoCall, limitUnheard, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if says, asked := ofLimit(tt.err); says != tt.says || asked != tt.asked {
				t.Errorf("says %d for %v, want %d for %v", says, asked, tt.says, tt.asked)
			}
		})
	}
}

func TestALimitLetsOneCallTry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limited := &snow.Error{Op: "message", StatusCode: 429, RetryAfter: time.Minute, Written: true}
	l := &callLimit{log: slog.New(slog.DiscardHandler)}
	// turns expects which of three calls in a row may be made; one that may is not over yet.
	turns := func(want ...bool) {
		t.Helper()
		var got []bool
		for range want {
			_, wait := l.turn(now)
			got = append(got, wait == 0)
		}
		if !slices.Equal(got, want) {
			t.Errorf("calls may be made: %v, want %v", got, want)
		}
	}
	turns(true, true, true)
	l.hear(now, false, limited)
	l.hear(now, false, nil) // was under way when it was met
	turns(false, false)
	now = now.Add(time.Minute)
	turns(true, false, false)
	l.hear(now, true, errNoCall) // a lane whose words nobody wants any more
	turns(true, false)
	l.hear(now, true, limited)
	turns(false)
	now = now.Add(time.Minute)
	turns(true, false)
	l.hear(now, false, limited) // was under way for long
	l.hear(now, true, nil)
	turns(false)
	if !l.known() || !l.outlasts(now, now.Add(59*time.Second)) || l.outlasts(now, now.Add(time.Minute)) {
		t.Error("a limit of a minute was forgotten")
	}
	now = now.Add(time.Minute)
	if l.outlasts(now, now.Add(-time.Second)) {
		t.Error("what is late would be given up for a limit that may be over, without a try")
	}
	turns(true, false)
	l.hear(now, true, nil)
	turns(true, true, true)
	if l.known() {
		t.Error("the limit is over")
	}
}

// A thousand lanes wait for a limit without a call, and go on in the order of their age.
func TestLanesWaitForALimitInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lanes = 1000
		r, h, l := newRoom(0), newHost(instanceHost), &callLimit{log: slog.New(slog.DiscardHandler)}
		began := time.Now()
		l.hear(began, false, &snow.Error{Op: "message", StatusCode: 429, RetryAfter: 5 * time.Second, Written: true})
		for i := range lanes {
			age := time.Duration(i*379%lanes) * time.Millisecond
			r.admit(&claim{
				lease: &store.Lease{
					Lane:       store.Lane{Conversation: fmt.Sprint(age), Direction: store.ToServiceNow},
					Deliveries: []store.Delivery{{Kind: kindWords, Accepted: began.Add(-age)}},
				},
				since: began, rank: rankWords, old: began.Add(time.Minute), host: h, limit: l, state: &state{},
			})
		}
		var ages []time.Duration
		for len(ages) < lanes {
			c, course, pause := r.take(store.ToServiceNow)
			if c == nil {
				<-time.After(pause)
				continue
			}
			if course != goOn {
				t.Fatalf("a lane was told to %d", course)
			}
			if c.trial {
				if other, _, _ := r.take(store.ToServiceNow); other != nil {
					t.Fatal("two calls find out together")
				}
			}
			ages = append(ages, began.Sub(c.lease.Deliveries[0].Accepted))
			r.finish(c, 0, []error{errNoCall, errors.New("lost"), nil}[min(len(ages), 3)-1])
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("they waited for %v, want the 5 s that were asked for", waited)
		}
		if !slices.IsSortedFunc(ages, func(a, b time.Duration) int { return int(b - a) }) {
			t.Error("they went on in another order than that of their age")
		}
	})
}
