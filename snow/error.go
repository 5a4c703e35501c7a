package snow

import (
	"errors"
	"fmt"
	"time"
)

// Reasons that an [Error] can wrap.
var (
	// ErrCredentials means that the instance does not accept the login of the service. Its token endpoint gives the
	// same answer for every cause: a wrong secret, a locked user, a grant that is switched off.
	ErrCredentials = errors.New("credentials rejected")
	// ErrNotEnabled means that the instance does not take delivery receipts: it is too old for UPDATE_MESSAGES, or
	// its property third_party_chat is off. Asking again is of no use until an administrator changes that.
	ErrNotEnabled = errors.New("not enabled on the instance")
	// ErrNotMedia means that an address is not that of a file of the instance, so that it was not called; see [Client.IsMedia].
	ErrNotMedia = errors.New("not a file of the instance")
	// ErrMediaGone means that the instance has no such file, or hides it from us.
	ErrMediaGone = errors.New("the file is not there")
	// ErrMediaTooLarge means that a file has more bytes than asked for.
	ErrMediaTooLarge = errors.New("the file is too large")
)

// opToken is the Op of an error that happened before the call itself: no token could be had.
const opToken = "token"

// An Error is a failed call of the instance. It holds no words of a person and nothing of a credential.
//
// An error whose Op is "token" comes from the login that a call needs. The call itself was not sent, so that
// nothing has happened, whatever the status; Written is false.
type Error struct {
	Op         string // "agent", "message", "end", "typing", "report", "history", "token", "user", "incident", "media", …
	StatusCode int    // 0 when there was no answer
	// Refused reports an answer whose JSON said "status": "failure" under a 2xx, or under any status that nobody could
	// be found to take the chat: the instance took the request and said no.
	Refused bool
	// NotJSON reports a 2xx with a page instead of JSON or of a file, or a redirect to one: the instance sleeps, is upgraded, or
	// asks for a login.
	NotJSON bool
	// RetryAfter is how long the instance asks us to wait, at most 24 hours; 0 when it does not say.
	RetryAfter time.Duration
	// Written reports that the request had been written, wholly or in part, when the call failed: without an answer the
	// instance may have acted on it. False means that it surely has not.
	Written bool
	Err     error
}

func (e *Error) Error() string {
	s := "servicenow: " + e.Op
	if e.StatusCode != 0 {
		s += fmt.Sprintf(": status %d", e.StatusCode)
	}
	switch {
	case e.Refused:
		s += ": refused"
	case e.NotJSON:
		s += ": answer is not JSON"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
