package bot

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// A fate is what is known of a send that was tried.
type fate int

const (
	done    fate = iota // it has taken effect
	again               // it surely has not; trying again is safe
	unclear             // it may have taken effect
	never               // it has not, and will not
)

// teamsStatus classes the answers of the Bot Connector. A status that is not listed is classed by its hundred.
var teamsStatus = map[int]fate{
	http.StatusBadRequest:            never,
	http.StatusUnauthorized:          never, // after one fresh token
	http.StatusForbidden:             never, // after one try of the government host, if that is what it says
	http.StatusNotFound:              never,
	http.StatusMethodNotAllowed:      never,
	http.StatusRequestEntityTooLarge: never,
	http.StatusRequestTimeout:        unclear,
	http.StatusPreconditionFailed:    again,
	http.StatusTooManyRequests:       again,
	http.StatusInternalServerError:   unclear,
	http.StatusBadGateway:            unclear,
	http.StatusServiceUnavailable:    unclear,
	http.StatusGatewayTimeout:        unclear,
}

// serviceNowStatus classes the answers of the instance.
var serviceNowStatus = map[int]fate{
	http.StatusBadRequest:            never,
	http.StatusUnauthorized:          again, // a login that is refused now may be mended by the admin in time
	http.StatusForbidden:             never,
	http.StatusNotFound:              never,
	http.StatusMethodNotAllowed:      never,
	http.StatusRequestEntityTooLarge: never,
	http.StatusRequestTimeout:        unclear,
	http.StatusPreconditionFailed:    again,
	http.StatusTooManyRequests:       again,
	http.StatusInternalServerError:   unclear,
	http.StatusBadGateway:            unclear,
	http.StatusServiceUnavailable:    unclear,
	http.StatusGatewayTimeout:        unclear,
}

func byStatus(table map[int]fate, status int) fate {
	if c, ok := table[status]; ok {
		return c
	}
	if status >= 500 {
		return unclear
	}
	return never
}

// An answer is what is known of one send.
type answer struct {
	fate       fate
	why        failure       // if it is given up
	retryAfter time.Duration // the other side's wish
	once       bool          // an unclear one is repeated once only
}

// Sends that are not made, because nobody would want them any more.
var (
	errOver   = errors.New("the session is over")
	errBroken = errors.New("the delivery is not readable")
)

// classify says what err, of a send in the direction, means.
func classify(to store.Direction, err error) answer {
	var ae *adapter.Error
	var se *snow.Error
	var he *adapter.HostError
	switch {
	case err == nil:
		return answer{fate: done}
	case errors.Is(err, errOver):
		return answer{fate: never, why: failOver}
	case errors.Is(err, errBegun):
		return answer{fate: never, why: failUnclear}
	case errors.Is(err, errBroken), errors.As(err, &he):
		return answer{fate: never, why: failBroken}
	case to == store.ToBot:
		return answer{fate: again, why: failRefused}
	case errors.As(err, &ae):
		return teamsAnswer(ae)
	case errors.As(err, &se):
		return serviceNowAnswer(se)
	case errors.Is(err, context.DeadlineExceeded):
		return answer{fate: unclear, why: failUnclear, once: to == store.ToTeams}
	default:
		return answer{fate: again, why: failRefused}
	}
}

func teamsAnswer(e *adapter.Error) answer {
	a := answer{why: failRefused, retryAfter: e.RetryAfter}
	switch {
	case e.StatusCode == 0 && !e.Written, e.Op == "token":
		a.fate, a.why = again, failTooOld
	case e.StatusCode == 0:
		a.fate, a.why, a.once = unclear, failUnclear, true
	case e.Code == adapter.CodeNotConnector: // a page of something in between
		a.fate, a.why = again, failTooOld
	default:
		a.fate = byStatus(teamsStatus, e.StatusCode)
		a.once = e.StatusCode == http.StatusInternalServerError || e.StatusCode == http.StatusRequestTimeout
	}
	if e.StatusCode == http.StatusForbidden && gone[e.Code] || gone[e.SubCode] {
		a.why = failBlocked
	}
	return a
}

// gone are the codes that say that the conversation is closed to us until the employee does something.
var gone = map[string]bool{
	"BotDisabledByAdmin":         true,
	"BotNotInConversationRoster": true,
	"ConversationBlockedByUser":  true,
	"MessageWritesBlocked":       true,
}

func serviceNowAnswer(e *snow.Error) answer {
	a := answer{why: failRefused, retryAfter: e.RetryAfter}
	switch {
	case e.Op == "token":
		a.fate, a.why = again, failTooOld
	case e.Refused:
		a.fate = never
		if e.Op == "agent" {
			a.why = failNobody
		}
	case e.NotJSON:
		a.fate, a.why = again, failTooOld
	case e.StatusCode == 0 && !e.Written:
		a.fate, a.why = again, failTooOld
	case e.StatusCode == 0:
		a.fate, a.why = unclear, failUnclear
	default:
		a.fate = byStatus(serviceNowStatus, e.StatusCode)
	}
	return a
}

// Backoff between the tries of one delivery: exponential, with full jitter.
const (
	backoffBase = 200 * time.Millisecond
	backoffCap  = 10 * time.Second
)

func backoff(failed int) time.Duration {
	most := backoffCap
	if failed < 6 {
		most = min(backoffCap, backoffBase<<failed)
	}
	return rand.N(most) + time.Millisecond
}

// A decision is what is done about a send.
type decision struct {
	fate fate      // done, again or never
	at   time.Time // again: when
	why  failure   // never: why
}

// unclearMark begins the outcome of an attempt that may have taken effect.
const unclearMark = "unclear: "

// judge decides on a delivery after a send.
func (r *Rules) judge(to store.Direction, d store.Delivery, err error, now time.Time) decision {
	a := classify(to, err)
	if to == store.ToTeams && a.fate == unclear {
		if r.NeverRepeat || a.once && unclearAttempts(d) > 0 {
			return decision{fate: never, why: failUnclear}
		}
	}
	switch a.fate {
	case done:
		return decision{fate: done}
	case never:
		return decision{fate: never, why: a.why}
	}
	at := now.Add(max(backoff(d.Failed), min(a.retryAfter, time.Hour)))
	if at.Sub(d.Accepted) > r.ageLimit(to, d.Kind) {
		if a.fate == unclear {
			return decision{fate: never, why: failUnclear}
		}
		return decision{fate: never, why: failTooOld}
	}
	return decision{fate: again, at: at}
}

// ageLimit is how old a delivery may be when it is tried again.
func (r *Rules) ageLimit(to store.Direction, kind string) time.Duration {
	switch {
	case kind == kindEnd, kind == kindTicket:
		return r.EndMaxAge
	case to == store.ToTicks:
		return time.Minute
	case to == store.ToBot:
		return min(r.MaxAge, time.Minute)
	default:
		return r.MaxAge
	}
}
