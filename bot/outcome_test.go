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
		{"disabled by admin", status(403, "BotDisabledByAdmin"), never, failDisabled, false},
		{"not in the roster", status(403, "BotNotInConversationRoster"), never, failRemoved, false},
		{"blocked by the user", status(403, "ConversationBlockedByUser"), never, failBlocked, false},
		{"writes blocked", status(403, "209", "MessageWritesBlocked"), never, failBlocked, false},
		{"wrong host, after the other one", status(403, "InvalidBotApiHost"), never, failRefused, false},
		{"not enough permissions", status(403, "NotEnoughPermissions"), never, failRefused, false},
		{"activity not found", status(404, "ActivityNotFoundInConversation"), never, failRefused, false},
		{"conversation not found", status(404, "ConversationNotFound"), never, failRefused, false},
		{"wrong method", status(405), never, failRefused, false},
		{"precondition failed", status(412, "PreconditionFailed"), again, "", false},
		{"too big", status(413, "MessageSizeTooBig"), never, failTooBig, false},
		{"throttled", status(429, "Throttled"), again, "", false},
		{"service error", status(500, "ServiceError"), unclear, "", true},
		{"bad gateway", status(502, "ServiceError"), unclear, "", false},
		{"unavailable", status(503), unclear, "", false},
		{"gateway time-out", status(504), unclear, "", false},
		{"another 5xx", status(507), unclear, "", false},
		{"another 4xx", status(418), never, failRefused, false},
		{"another 403", status(403, "SomethingNew"), never, failRefused, false},
		{"request time-out", status(408), unclear, "", true},
		{"connection refused", &adapter.Error{Op: "send", Err: errors.New("refused")}, again, "", false},
		{"time-out after the body", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, unclear, "", true},
		{"a page instead of an answer", status(200, adapter.CodeNotConnector), again, "", false},
		{"no token", &adapter.Error{Op: "token", StatusCode: 500}, again, "", false},
		{"host not allowed", fmt.Errorf("send: %w", &adapter.HostError{Host: "example.com"}), never, failBroken, false},
		{"our own limit", context.DeadlineExceeded, unclear, "", true},
		{"look-up failed", errLookup, again, "", false},
		{"panic before the call", errPanic, again, "", false},
		{"panic after it", errPanicSent, unclear, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := classify(store.ToTeams, tt.err)
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
		{"a page instead of an answer", &snow.Error{Op: "message", StatusCode: 200, NotJSON: true, Written: true}, again, ""},
		{"malformed", status(400), never, failRefused},
		{"login refused", status(401), again, ""},
		{"not permitted", status(403), never, failRefused},
		{"not found", status(404), never, failRefused},
		{"disabled", status(405), never, failRefused},
		{"not acceptable", status(406), never, failRefused},
		{"wrong type", status(415), never, failRefused},
		{"too many", status(429), again, ""},
		{"error", status(500), unclear, ""},
		{"busy", status(502), unclear, ""},
		{"unavailable", status(503), unclear, ""},
		{"gateway time-out", status(504), unclear, ""},
		{"too big", status(413), never, failTooBig},
		{"precondition failed", status(412), again, ""},
		{"request time-out", status(408), unclear, ""},
		{"another 5xx", status(507), unclear, ""},
		{"another 4xx", status(418), never, failRefused},
		{"no answer", &snow.Error{Op: "message", Written: true, Err: context.DeadlineExceeded}, unclear, ""},
		{"no connection", &snow.Error{Op: "message", Err: errors.New("refused")}, again, ""},
		{"no token", &snow.Error{Op: "token", StatusCode: 401}, again, ""},
		{"session over", errOver, never, failOver},
		{"not readable", errBroken, never, failBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := classify(store.ToServiceNow, tt.err); got.fate != tt.want || tt.want != done && got.why != tt.why {
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
	gate := []store.Attempt{{At: now, Outcome: outcomeText(store.ToTeams, gateway)}}
	once := []store.Attempt{{At: now, Outcome: outcomeText(store.ToTeams, timeout)}}
	for _, tt := range []struct {
		name     string
		rules    Rules
		to       store.Direction
		delivery store.Delivery
		state    *state
		err      error
		want     fate
		why      failure
		least    time.Duration // until the next try
	}{
		{"throttled waits as asked", Rules{}, store.ToTeams, store.Delivery{Accepted: now}, nil, throttled, again, "", 20 * time.Second},
		{"throttled beyond the age limit", Rules{}, store.ToTeams, store.Delivery{Accepted: now.Add(-4*time.Minute - 50*time.Second)}, nil, throttled, never, failTooOld, 0},
		{"gateway is tried again and again", Rules{}, store.ToTeams, store.Delivery{Accepted: now, Attempts: once, Failed: 1}, nil, gateway, again, "", 0},
		{"gateway beyond the age limit is unclear", Rules{}, store.ToTeams, store.Delivery{Accepted: now.Add(-time.Hour)}, nil, gateway, never, failUnclear, 0},
		{"time-out is repeated once", Rules{}, store.ToTeams, store.Delivery{Accepted: now}, nil, timeout, again, "", 0},
		{"and not twice", Rules{}, store.ToTeams, store.Delivery{Accepted: now, Attempts: once, Failed: 1}, nil, timeout, never, failUnclear, 0},
		{"never-repeat gives up what is unclear", Rules{NeverRepeat: true}, store.ToTeams, store.Delivery{Kind: kindText, Accepted: now}, nil, gateway, never, failUnclear, 0},
		{"never-repeat is not for what only we say", Rules{NeverRepeat: true}, store.ToTeams, store.Delivery{Kind: kindEnd, Accepted: now}, nil, gateway, again, "", 0},
		{"never-repeat goes on with what is sure", Rules{NeverRepeat: true}, store.ToTeams, store.Delivery{Kind: kindText, Accepted: now}, nil, throttled, again, "", 0},
		{"ServiceNow's repeats are harmless", Rules{NeverRepeat: true}, store.ToServiceNow, store.Delivery{Accepted: now, Attempts: once}, nil, &snow.Error{Op: "message", StatusCode: 500}, again, "", 0},
		{"a time-out after a gateway's error has its repeat too", Rules{}, store.ToTeams, store.Delivery{Accepted: now, Attempts: gate, Failed: 1}, nil, timeout, again, "", 0},
		{"the end holds up no newer session for long", Rules{}, store.ToServiceNow, store.Delivery{Kind: kindEnd, Session: "old", Accepted: now.Add(-time.Hour)}, &state{Session: &session{ID: "new"}}, &snow.Error{Op: "end", StatusCode: 500}, never, failUnclear, 0},
		{"nor does a ticket", Rules{}, store.ToServiceNow, store.Delivery{Kind: kindTicket, Session: "old", Accepted: now.Add(-time.Hour)}, &state{Session: &session{ID: "new"}}, &snow.Error{Op: "incident", StatusCode: 429}, never, failTooOld, 0},
		{"a ticket is tried for a day", Rules{}, store.ToServiceNow, store.Delivery{Kind: kindTicket, Accepted: now.Add(-time.Hour)}, nil, &snow.Error{Op: "incident", StatusCode: 429}, again, "", 0},
		{"that words were not delivered is told for a day", Rules{}, store.ToTeams, store.Delivery{Kind: kindFailure, Accepted: now.Add(-time.Hour)}, &state{Session: &session{ID: "new"}}, gateway, again, "", 0},
		{"the end is given up after a day", Rules{}, store.ToTeams, store.Delivery{Kind: kindEnd, Accepted: now.Add(-24 * time.Hour)}, nil, throttled, never, failTooOld, 0},
		{"a bot's turn is tried for a minute", Rules{}, store.ToBot, store.Delivery{Kind: kindTurn, Accepted: now.Add(-2 * time.Minute)}, nil, errors.New("bot"), never, failTooOld, 0},
		{"the end is tried for a day", Rules{}, store.ToTeams, store.Delivery{Kind: kindEnd, Accepted: now.Add(-time.Hour)}, nil, gateway, again, "", 0},
		{"a tick for a minute", Rules{}, store.ToTicks, store.Delivery{Kind: kindTick, Accepted: now.Add(-2 * time.Minute)}, nil, &snow.Error{Op: "report", StatusCode: 429}, never, failTooOld, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules, err := tt.rules.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			got := rules.judge(tt.to, tt.delivery, tt.state, tt.err, now)
			if got.fate != tt.want || got.why != tt.why || got.fate == again && got.at.Sub(now) < tt.least {
				t.Errorf("judge = %+v, want fate %d, why %q, not before %v", got, tt.want, tt.why, tt.least)
			}
		})
	}
}

func TestBackoffGrowsToItsCap(t *testing.T) {
	t.Parallel()
	for failed := range 40 {
		most := min(backoffCap, backoffBase<<min(failed, 10))
		var low, high int
		for range 200 {
			d := backoff(failed)
			if d <= 0 || d > most+time.Millisecond {
				t.Fatalf("backoff(%d) = %v, want within (0, %v]", failed, d, most)
			}
			if d < most/4 {
				low++
			} else if d > most/2 {
				high++
			}
		}
		if low < 20 || high < 50 { // a quarter and a half of them are expected
			t.Errorf("backoff(%d): of 200 there are %d under a quarter of %v and %d over a half: no full jitter", failed, low, most, high)
		}
	}
}

func TestARequestToWaitIsHeededAndSpread(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		d := politely(20 * time.Second)
		if d < 20*time.Second || d > 25*time.Second {
			t.Fatalf("asked for 20 s, waits for %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 who were asked at once come back at %d times", len(seen))
	}
	if d := politely(24 * time.Hour); d > mostWait+mostWait/4 {
		t.Errorf("waits for %v", d)
	}
	if d := politely(0); d != 0 {
		t.Errorf("nobody asked, and it waits for %v", d)
	}
}
