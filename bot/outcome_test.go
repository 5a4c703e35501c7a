package bot

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

func TestTeamsOutcomes(t *testing.T) {
	t.Parallel()
	status := func(code int, sub ...string) error {
		e := &adapter.Error{Op: "send", StatusCode: code, Written: true}
		if len(sub) > 0 {
			e.Code = sub[0]
		}
		if len(sub) > 1 {
			e.SubCode = sub[1]
		}
		return e
	}
	for _, tt := range []struct {
		name string
		err  error
		want fate
		why  failure
		once bool
	}{
		{"delivered", nil, done, "", false},
		{"bad argument", status(400, "BadArgument"), never, failRefused, false},
		{"not registered, after a fresh token", status(401, "BotNotRegistered"), never, failRefused, false},
		{"disabled by admin", status(403, "BotDisabledByAdmin"), never, failBlocked, false},
		{"not in the roster", status(403, "BotNotInConversationRoster"), never, failBlocked, false},
		{"blocked by the user", status(403, "ConversationBlockedByUser"), never, failBlocked, false},
		{"writes blocked", status(403, "209", "MessageWritesBlocked"), never, failBlocked, false},
		{"wrong host, after the other one", status(403, "InvalidBotApiHost"), never, failRefused, false},
		{"not enough permissions", status(403, "NotEnoughPermissions"), never, failRefused, false},
		{"activity not found", status(404, "ActivityNotFoundInConversation"), never, failRefused, false},
		{"conversation not found", status(404, "ConversationNotFound"), never, failRefused, false},
		{"wrong method", status(405), never, failRefused, false},
		{"precondition failed", status(412, "PreconditionFailed"), again, failRefused, false},
		{"too big", status(413, "MessageSizeTooBig"), never, failRefused, false},
		{"throttled", status(429, "Throttled"), again, failRefused, false},
		{"service error", status(500, "ServiceError"), unclear, failRefused, true},
		{"bad gateway", status(502, "ServiceError"), unclear, failRefused, false},
		{"unavailable", status(503), unclear, failRefused, false},
		{"gateway time-out", status(504), unclear, failRefused, false},
		{"another 5xx", status(507), unclear, failRefused, false},
		{"another 4xx", status(418), never, failRefused, false},
		{"connection refused", &adapter.Error{Op: "send", Err: errors.New("refused")}, again, failTooOld, false},
		{"time-out after the body", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, unclear, failUnclear, true},
		{"a page instead of an answer", status(200, adapter.CodeNotConnector), again, failTooOld, false},
		{"no token", &adapter.Error{Op: "token", StatusCode: 500}, again, failTooOld, false},
		{"host not allowed", fmt.Errorf("send: %w", &adapter.HostError{Host: "example.com"}), never, failBroken, false},
		{"our own limit", context.DeadlineExceeded, unclear, failUnclear, true},
		{"look-up failed", errLookup, again, failRefused, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := classify(store.ToTeams, tt.err)
			if got.fate != tt.want || tt.want != done && got.why != tt.why || got.once != tt.once {
				t.Errorf("classify(%v) = %+v, want fate %d, why %q, once %t", tt.err, got, tt.want, tt.why, tt.once)
			}
		})
	}
}

func TestServiceNowOutcomes(t *testing.T) {
	t.Parallel()
	status := func(code int) error { return &snow.Error{Op: "message", StatusCode: code, Written: true} }
	for _, tt := range []struct {
		name string
		err  error
		want fate
		why  failure
	}{
		{"taken", nil, done, ""},
		{"nobody there", &snow.Error{Op: "agent", StatusCode: 200, Refused: true, Written: true}, never, failNobody},
		{"words refused", &snow.Error{Op: "message", StatusCode: 200, Refused: true, Written: true}, never, failRefused},
		{"a page instead of an answer", &snow.Error{Op: "message", StatusCode: 200, NotJSON: true, Written: true}, again, failTooOld},
		{"malformed", status(400), never, failRefused},
		{"login refused", status(401), again, failRefused},
		{"not permitted", status(403), never, failRefused},
		{"not found", status(404), never, failRefused},
		{"disabled", status(405), never, failRefused},
		{"not acceptable", status(406), never, failRefused},
		{"wrong type", status(415), never, failRefused},
		{"too many", status(429), again, failRefused},
		{"error", status(500), unclear, failRefused},
		{"busy", status(502), unclear, failRefused},
		{"unavailable", status(503), unclear, failRefused},
		{"no answer", &snow.Error{Op: "message", Written: true, Err: context.DeadlineExceeded}, unclear, failUnclear},
		{"no connection", &snow.Error{Op: "message", Err: errors.New("refused")}, again, failTooOld},
		{"no token", &snow.Error{Op: "token", StatusCode: 401}, again, failTooOld},
		{"session over", errOver, never, failOver},
		{"not readable", errBroken, never, failBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := classify(store.ToServiceNow, tt.err); got.fate != tt.want || tt.want != done && got.why != tt.why {
				t.Errorf("classify(%v) = %+v, want fate %d, why %q", tt.err, got, tt.want, tt.why)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	gateway := &adapter.Error{Op: "send", StatusCode: 502, Written: true}
	timeout := &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}
	throttled := &adapter.Error{Op: "send", StatusCode: 429, RetryAfter: 20 * time.Second, Written: true}
	once := []store.Attempt{{At: now, Outcome: unclearMark + "time-out"}}
	for _, tt := range []struct {
		name     string
		rules    Rules
		to       store.Direction
		delivery store.Delivery
		err      error
		want     fate
		why      failure
		least    time.Duration // until the next try
	}{
		{"throttled waits as asked", Rules{}, store.ToTeams, store.Delivery{Accepted: now}, throttled, again, "", 20 * time.Second},
		{"throttled beyond the age limit", Rules{}, store.ToTeams, store.Delivery{Accepted: now.Add(-4*time.Minute - 50*time.Second)}, throttled, never, failTooOld, 0},
		{"gateway is tried again and again", Rules{}, store.ToTeams, store.Delivery{Accepted: now, Attempts: once, Failed: 1}, gateway, again, "", 0},
		{"gateway beyond the age limit is unclear", Rules{}, store.ToTeams, store.Delivery{Accepted: now.Add(-time.Hour)}, gateway, never, failUnclear, 0},
		{"time-out is repeated once", Rules{}, store.ToTeams, store.Delivery{Accepted: now}, timeout, again, "", 0},
		{"and not twice", Rules{}, store.ToTeams, store.Delivery{Accepted: now, Attempts: once, Failed: 1}, timeout, never, failUnclear, 0},
		{"never-repeat gives up what is unclear", Rules{NeverRepeat: true}, store.ToTeams, store.Delivery{Accepted: now}, gateway, never, failUnclear, 0},
		{"never-repeat goes on with what is sure", Rules{NeverRepeat: true}, store.ToTeams, store.Delivery{Accepted: now}, throttled, again, "", 0},
		{"ServiceNow's repeats are harmless", Rules{NeverRepeat: true}, store.ToServiceNow, store.Delivery{Accepted: now, Attempts: once}, &snow.Error{Op: "message", StatusCode: 500}, again, "", 0},
		{"the end is tried for a day", Rules{}, store.ToTeams, store.Delivery{Kind: kindEnd, Accepted: now.Add(-time.Hour)}, gateway, again, "", 0},
		{"a tick for a minute", Rules{}, store.ToTicks, store.Delivery{Kind: kindTick, Accepted: now.Add(-2 * time.Minute)}, &snow.Error{Op: "report", StatusCode: 429}, never, failTooOld, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules, err := tt.rules.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			got := rules.judge(tt.to, tt.delivery, tt.err, now)
			if got.fate != tt.want || got.why != tt.why || got.fate == again && got.at.Sub(now) < tt.least {
				t.Errorf("judge = %+v, want fate %d, why %q, not before %v", got, tt.want, tt.why, tt.least)
			}
		})
	}
}

func TestBackoffGrowsToItsCap(t *testing.T) {
	t.Parallel()
	for failed := range 40 {
		for range 50 {
			most := min(backoffCap, backoffBase<<min(failed, 10))
			if d := backoff(failed); d <= 0 || d > most+time.Millisecond {
				t.Fatalf("backoff(%d) = %v, want within (0, %v]", failed, d, most)
			}
		}
	}
}
