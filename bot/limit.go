package bot

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"snowbot/snow"
)

// A callLimit is what this process knows of the limit that ServiceNow puts on the calls of its user ("inbound REST rate limit", 429).
// It is one for all chats: whoever meets it has all others wait for as long as ServiceNow asked. Then they try one at a time, the most
// urgent first, until one is answered otherwise, and all go on. Nothing of it is kept: another process, or this one after a restart,
// finds out by a call of its own.
//
// It is a limit of the interface for chats alone (chatOps). Tickets, and what is read back, are other interfaces with limits of their own.
type callLimit struct {
	log *slog.Logger

	mu     sync.Mutex
	until  time.Time // when it may be over; zero while none is known
	trying bool      // the call is under way that finds out
}

// turn asks to make a call. Either hear has to be told what came of it, or the answer may be another one after wait.
func (l *callLimit) turn(now time.Time) (trial bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.until.IsZero():
		return false, 0
	case l.until.After(now):
		return false, l.until.Sub(now)
	case l.trying:
		return false, time.Second // or less, when that call is over
	}
	l.trying = true
	return true, 0
}

// hear takes what came of a call that had its turn: its error, or errNoCall if it was not made.
func (l *callLimit) hear(now time.Time, trial bool, err error) {
	says, asked := ofLimit(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if trial {
		l.trying = false
	}
	switch {
	case says == limitHolds:
		if l.until.IsZero() {
			l.log.Warn("ServiceNow limits our calls (429); one call finds out for all chats when it takes them again", "for", asked)
		}
		if until := now.Add(asked); until.After(l.until) {
			l.until = until
		}
	case says == limitOver && trial && !l.until.After(now): // or another call, from before it was known, has met it meanwhile
		l.until = time.Time{}
		l.log.Info("ServiceNow takes our calls again")
	}
}

// known reports whether a limit is known, which may be over, but nobody has found that out.
func (l *callLimit) known() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.until.IsZero()
}

// outlasts reports whether nobody will call before a time, nor now, should it have passed.
func (l *callLimit) outlasts(now, t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until.After(now) && l.until.After(t)
}

// What the end of a call says of the limit.
type limitNews int

const (
	limitUnheard limitNews = iota // nothing: there was no answer, or not that of the interface for chats
	limitHolds
	limitOver // the call was taken, or refused for what it is
)

// chatOps are the calls of ServiceNow's interface for chats.
var chatOps = []string{"agent", "message", "end", "typing", "report"}

// limitLeast is how long ServiceNow is left alone when it does not say for how long.
const limitLeast = time.Second

// ofLimit returns what the error of a call that chats need says of the limit, and for how long it holds at least.
func ofLimit(err error) (says limitNews, asked time.Duration) {
	if err == nil {
		return limitOver, 0
	}
	var se *snow.Error
	if !errors.As(err, &se) || !slices.Contains(chatOps, se.Op) {
		return limitUnheard, 0
	}
	status := serviceNowStatus(se)
	switch {
	case status == http.StatusTooManyRequests:
		return limitHolds, min(max(se.RetryAfter, limitLeast), mostWait)
	case find(serviceNowOutcomes, status, se.Op).fate == never:
		return limitOver, 0
	default:
		return limitUnheard, 0
	}
}
