package snow

import (
	"fmt"
	"time"
)

// An Error is a failed call of the instance. It holds no words of a person and nothing of a credential.
type Error struct {
	Op         string // "agent", "message", "end", "token", …
	StatusCode int    // 0 when there was no answer
	// Refused reports a 2xx whose JSON said "status": "failure": the instance took the request and said no.
	Refused bool
	// NotJSON reports a 2xx with a page instead of JSON: the instance sleeps, is upgraded, or asks for a login.
	NotJSON    bool
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
