package adaptertest

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A FaultKind says what goes wrong.
type FaultKind string

// What can go wrong. In is a request of the bot, Out an activity on its way to the bot.
const (
	// Drop loses the request before it has an effect. In: it is never answered, and held until the caller
	// gives up. Out: it never reaches the bot, and the method that sent it fails with ErrLost.
	Drop FaultKind = "drop"
	// ResetBeforeEffect breaks the connection before the request has an effect.
	ResetBeforeEffect FaultKind = "reset before effect"
	// ResetAfterEffect breaks the connection instead of the answer; the request had its effect. Out: the bot
	// has the activity, and the method that sent it fails with ErrLost.
	ResetAfterEffect FaultKind = "reset after effect"
	// Status answers with Fault.Status, Code and Body instead, after the effect if Fault.Effect says so. Out:
	// a gateway before the bot answers so.
	Status FaultKind = "status"
	// HTML answers with a page, under Fault.Status or 200; otherwise it is as Status.
	HTML FaultKind = "html"
	// Redirect answers 302 to Fault.Location instead; otherwise it is as Status. It is for In only.
	Redirect FaultKind = "redirect"
	// Delay waits for Fault.Delay: before the effect or, if Fault.Effect says so, between it and the answer.
	Delay FaultKind = "delay"
	// TruncatedBody ends the connection in the middle of the answer; the request had its effect. Out: as
	// ResetAfterEffect.
	TruncatedBody FaultKind = "truncated body"
	// Duplicate posts an activity twice, one after the other. It is for Out only.
	Duplicate FaultKind = "duplicate"
	// Reorder holds an activity back until the next one of its conversation was answered, or until
	// Conversation.Release. It is for Out only.
	Reorder FaultKind = "reorder"
)

// A FaultRequest is what a fault can be chosen by.
type FaultRequest struct {
	Direction    Direction
	Method       string
	Path         string // as it was on the wire, escaped
	Conversation string // its id, or ""
	Body         []byte // not to be changed
}

// A Fault is one thing that goes wrong, with the requests it is for. Fields that are zero match everything, so
// that Fault{Kind: Drop} loses every request of the bot. Out has to be asked for.
type Fault struct {
	Direction    Direction // In when empty
	Method       string
	PathContains string
	Conversation string
	Match        func(FaultRequest) bool

	After       int     // so many matching requests are spared first
	Times       int     // then so many are hit; 0 is all
	Probability float64 // of hitting one whose turn it is, by the seed of the Options; 0 is always

	Kind       FaultKind
	Status     int    // of Status (500 by default) and HTML
	Code       string // error.code in the body of Status, as in BotDisabledByAdmin
	Body       string // the whole body of Status or HTML, in place of one with Code
	Location   string // of Redirect
	RetryAfter time.Duration
	Effect     bool
	Delay      time.Duration
}

type faults struct {
	mu     sync.Mutex
	rng    *rand.Rand
	active []*activeFault
}

type activeFault struct {
	Fault
	seen, hit int
}

// AddFault applies f from now on, until it was applied Times times or is removed. Of several that match, the
// one added first is applied, alone.
func (c *Channel) AddFault(f Fault) (remove func()) {
	f.Direction = cmp.Or(f.Direction, In)
	a := &activeFault{Fault: f}
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = append(c.faults.active, a)
	return func() {
		c.faults.mu.Lock()
		defer c.faults.mu.Unlock()
		c.faults.drop(a)
	}
}

// ClearFaults removes all faults.
func (c *Channel) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = nil
}

func (fs *faults) drop(a *activeFault) {
	kept := make([]*activeFault, 0, len(fs.active))
	for _, b := range fs.active {
		if b != a {
			kept = append(kept, b)
		}
	}
	fs.active = kept
}

// pick returns the fault for a request, or nil.
func (fs *faults) pick(r FaultRequest) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, a := range fs.active {
		if !a.matches(r) {
			continue
		}
		a.seen++
		if a.seen <= a.After || a.Probability > 0 && fs.rng.Float64() >= a.Probability {
			continue
		}
		a.hit++
		if a.Times > 0 && a.hit >= a.Times {
			fs.drop(a)
		}
		return &a.Fault
	}
	return nil
}

func (a *activeFault) matches(r FaultRequest) bool {
	return a.Direction == r.Direction &&
		(a.Method == "" || a.Method == r.Method) &&
		strings.Contains(r.Path, a.PathContains) &&
		(a.Conversation == "" || a.Conversation == r.Conversation) &&
		(a.Match == nil || a.Match(r))
}

// answer is what a fault of the kind Status, HTML or Redirect answers with.
func (f *Fault) answer() response {
	status := f.Status
	if f.Kind == Redirect {
		return response{status: http.StatusFound, location: f.Location}
	}
	if f.Kind == HTML {
		r := response{status: cmp.Or(status, http.StatusOK), contentType: "text/html", retryAfter: f.RetryAfter}
		r.body = []byte(cmp.Or(f.Body, "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"))
		return r
	}
	status = cmp.Or(status, http.StatusInternalServerError)
	r := fail(status, cmp.Or(f.Code, codeOf(status)), http.StatusText(status))
	if f.Body != "" {
		r.body = []byte(f.Body)
	}
	r.retryAfter = f.RetryAfter
	return r
}

// codeOf is the error.code that Teams uses with a status when nothing more is known.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "BadArgument"
	case http.StatusUnauthorized:
		return "BotNotRegistered"
	case http.StatusForbidden:
		return "NotEnoughPermissions"
	case http.StatusNotFound:
		return "ConversationNotFound"
	case http.StatusPreconditionFailed:
		return "PreconditionFailed"
	case http.StatusRequestEntityTooLarge:
		return "MessageSizeTooBig"
	case http.StatusTooManyRequests:
		return "Throttled"
	}
	return "ServiceError"
}
