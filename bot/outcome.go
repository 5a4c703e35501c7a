package bot

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
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

// What a send can come to, beside the status of an answer.
const (
	notSent    = -1 - iota // nothing was written
	noAnswer               // something was, and no answer came
	page                   // a web page under 2xx, or a redirect: something in between has answered
	refusal                // 2xx, and its JSON says no
	tokenError             // no token was to be had, so that nothing was sent
)

// An outcome is a row of a table of outcomes. Of those with the status the first counts whose code the answer has; an empty
// code is any.
type outcome struct {
	status int
	code   string
	fate   fate
	why    failure // never: what is told
	once   bool    // unclear: it is repeated once only
}

// teamsOutcomes are those of a call of the Bot Connector: "Status codes from bot conversational APIs" in Teams' documentation,
// and what happens on the way.
var teamsOutcomes = []outcome{
	{status: http.StatusBadRequest, fate: never, why: failRefused},
	{status: http.StatusUnauthorized, fate: never, why: failRefused}, // after one fresh token
	{status: http.StatusForbidden, code: "BotDisabledByAdmin", fate: never, why: failDisabled},
	{status: http.StatusForbidden, code: "BotNotInConversationRoster", fate: never, why: failRemoved},
	{status: http.StatusForbidden, code: "ConversationBlockedByUser", fate: never, why: failBlocked},
	{status: http.StatusForbidden, code: "MessageWritesBlocked", fate: never, why: failBlocked},
	{status: http.StatusForbidden, code: "InvalidBotApiHost", fate: never, why: failRefused}, // after one try of the government host
	{status: http.StatusForbidden, code: "NotEnoughPermissions", fate: never, why: failRefused},
	{status: http.StatusForbidden, fate: never, why: failRefused},
	{status: http.StatusNotFound, code: "ActivityNotFoundInConversation", fate: never, why: failRefused},
	{status: http.StatusNotFound, code: "ConversationNotFound", fate: never, why: failRefused},
	{status: http.StatusNotFound, fate: never, why: failRefused},
	{status: http.StatusMethodNotAllowed, fate: never, why: failRefused},
	{status: http.StatusRequestTimeout, fate: unclear, once: true},
	{status: http.StatusPreconditionFailed, fate: again},
	{status: http.StatusRequestEntityTooLarge, fate: never, why: failTooBig},
	{status: http.StatusTooManyRequests, fate: again},
	{status: http.StatusInternalServerError, fate: unclear, once: true},
	{status: http.StatusBadGateway, fate: unclear},
	{status: http.StatusServiceUnavailable, fate: unclear},
	{status: http.StatusGatewayTimeout, fate: unclear},
	{status: notSent, fate: again},
	{status: noAnswer, fate: unclear, once: true},
	{status: page, fate: again},
	{status: tokenError, fate: again},
}

// serviceNowOutcomes are those of a call of the instance, whose ids make a repeat harmless.
var serviceNowOutcomes = []outcome{
	{status: http.StatusBadRequest, fate: never, why: failRefused},
	{status: http.StatusUnauthorized, fate: again}, // after one fresh token; a login that is refused may be mended by the admin in time
	{status: http.StatusForbidden, fate: never, why: failRefused},
	{status: http.StatusNotFound, fate: never, why: failRefused},
	{status: http.StatusMethodNotAllowed, fate: never, why: failRefused},
	{status: http.StatusNotAcceptable, fate: never, why: failRefused},
	{status: http.StatusRequestTimeout, fate: unclear},
	{status: http.StatusPreconditionFailed, fate: again},
	{status: http.StatusRequestEntityTooLarge, fate: never, why: failTooBig},
	{status: http.StatusUnsupportedMediaType, fate: never, why: failRefused},
	{status: http.StatusTooManyRequests, fate: again},
	{status: http.StatusInternalServerError, fate: unclear},
	{status: http.StatusBadGateway, fate: unclear},
	{status: http.StatusServiceUnavailable, fate: unclear},
	{status: http.StatusGatewayTimeout, fate: unclear},
	{status: notSent, fate: again},
	{status: noAnswer, fate: unclear},
	{status: page, fate: again}, // the instance hibernates, or is upgraded
	{status: refusal, code: "agent", fate: never, why: failNobody},
	{status: refusal, fate: never, why: failRefused},
	{status: tokenError, fate: again},
}

// find returns the outcome of a status with any of the codes. A status that is in no row is judged by its hundred.
func find(table []outcome, status int, codes ...string) outcome {
	for _, o := range table {
		if o.status == status && (o.code == "" || slices.Contains(codes, o.code)) {
			return o
		}
	}
	if status >= 500 {
		return outcome{status: status, fate: unclear}
	}
	return outcome{status: status, fate: never, why: failRefused}
}

// Sends that are not made, because nobody would want them any more.
var (
	errOver   = errors.New("the session is over")
	errBroken = errors.New("the delivery is not readable")
)

// Sends that a mistake of ours broke off: before the other side was called, and after.
var (
	errPanic     = errors.New("panic before a send")
	errPanicSent = errors.New("panic while sending")
)

// classify says what err, of a send in the direction, means, and how long the other side wishes to be left alone.
func classify(to store.Direction, err error) (o outcome, retryAfter time.Duration) {
	if err == nil {
		return outcome{fate: done}, 0
	}
	var ae *adapter.Error
	var se *snow.Error
	var he *adapter.HostError
	var fe *fetchError
	switch {
	case errors.As(err, &fe) && fe.why != "":
		return outcome{fate: never, why: fe.why}, 0
	case fe != nil: // nothing has been sent yet
		return outcome{fate: again}, fe.after
	case errors.Is(err, errOver):
		return outcome{fate: never, why: failOver}, 0
	case errors.Is(err, errBegun):
		return outcome{fate: never, why: failUnclear}, 0
	case errors.Is(err, errBroken), errors.As(err, &he):
		return outcome{fate: never, why: failBroken}, 0
	case to == store.ToBot:
		return outcome{fate: again}, 0
	case errors.As(err, &ae):
		return find(teamsOutcomes, teamsStatus(ae), ae.Code, ae.SubCode), ae.RetryAfter
	case errors.As(err, &se):
		return find(serviceNowOutcomes, serviceNowStatus(se), se.Op), se.RetryAfter
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errPanicSent):
		return outcome{fate: unclear, once: to == store.ToTeams}, 0
	default:
		return outcome{fate: again}, 0
	}
}

func teamsStatus(e *adapter.Error) int {
	switch {
	case e.Op == "token":
		return tokenError
	case e.StatusCode == 0 && !e.Written:
		return notSent
	case e.StatusCode == 0:
		return noAnswer
	case e.Code == adapter.CodeNotConnector:
		return page
	default:
		return e.StatusCode
	}
}

func serviceNowStatus(e *snow.Error) int {
	switch {
	case e.Op == "token":
		return tokenError
	case e.Refused:
		return refusal
	case e.NotJSON:
		return page
	case e.StatusCode == 0 && !e.Written:
		return notSent
	case e.StatusCode == 0:
		return noAnswer
	default:
		return e.StatusCode
	}
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

// mostWait is the longest that a wish to be left alone is heeded.
const mostWait = time.Hour

// politely is when to try again after the other side asked for a time: not before, and not all who were asked at once.
func politely(asked time.Duration) time.Duration {
	asked = min(asked, mostWait)
	return asked + rand.N(asked/4+1)
}

// neverRepeats reports whether a delivery to Teams is rather given up than shown twice. Of an agent's words somebody can be told; what
// we say ourselves, the end of a chat above all, would be lost without a word.
func (r *Rules) neverRepeats(d *store.Delivery) bool { return r.NeverRepeat && d.Kind == kindText }

// A decision is what is done about a send.
type decision struct {
	fate fate      // done, again or never
	at   time.Time // again: when
	why  failure   // never: why
}

// Marks that begin the outcome of an attempt which may have taken effect. Stored, so they do not change.
const (
	unclearMark = "unclear: "
	onceMark    = unclearMark + "repeated once: "
)

// judge decides on a delivery of a conversation after a send.
func (r *Rules) judge(to store.Direction, d store.Delivery, s *state, err error, now time.Time) decision {
	o, retryAfter := classify(to, err)
	if to == store.ToTeams && o.fate == unclear && (r.neverRepeats(&d) || o.once && repeated(d)) {
		return decision{fate: never, why: failUnclear}
	}
	switch o.fate {
	case done:
		return decision{fate: done}
	case never:
		return decision{fate: never, why: o.why}
	}
	wait := politely(retryAfter)
	if says, asked := ofLimit(err); says == limitHolds {
		wait = asked // those who were asked wait for their turn
	}
	at := now.Add(max(backoff(d.Failed), wait))
	var fe *fetchError
	if errors.As(err, &fe) {
		wait, more := fe.next(&d, now)
		if !more {
			return decision{fate: never, why: failFileAway}
		}
		at = now.Add(wait)
	}
	if at.Sub(d.Accepted) > r.ageLimit(to, d, s) {
		if o.fate == unclear {
			return decision{fate: never, why: failUnclear}
		}
		return decision{fate: never, why: tooOld(d)}
	}
	return decision{fate: again, at: at}
}

// tooOld is why a delivery is given up that has become too old: an earlier try of it may have taken effect.
func tooOld(d store.Delivery) failure {
	if slices.ContainsFunc(d.Attempts, func(t store.Attempt) bool { return strings.HasPrefix(t.Outcome, unclearMark) }) {
		return failUnclear
	}
	return failTooOld
}

// repeated reports whether the one repeat is used up that some unclear outcomes allow.
func repeated(d store.Delivery) bool {
	return slices.ContainsFunc(d.Attempts, func(t store.Attempt) bool { return strings.HasPrefix(t.Outcome, onceMark) })
}

// outcomeText is what is kept of an attempt: ids and codes.
func outcomeText(to store.Direction, err error) string {
	text := err.Error()
	switch o, _ := classify(to, err); {
	case o.fate == unclear && o.once:
		text = onceMark + text
	case o.fate == unclear:
		text = unclearMark + text
	}
	return cut(text, 200)
}

// ageLimit is how old a delivery may be when it is tried again. What tells an end or a failure is tried for long, since somebody
// relies on being told; but not when it holds up a newer session, in which it is no news any more.
func (r *Rules) ageLimit(to store.Direction, d store.Delivery, s *state) time.Duration {
	overtaken := s != nil && s.Session != nil && !s.live(d.Session)
	switch {
	case d.Kind == kindFailure, (d.Kind == kindEnd || d.Kind == kindTicket) && !overtaken:
		return r.EndMaxAge
	case to == store.ToTicks:
		return time.Minute
	case to == store.Links:
		return fetchedFor
	case to == store.ToBot:
		return min(r.MaxAge, time.Minute)
	default:
		return r.MaxAge
	}
}
