package adapter

import (
	"fmt"
	"time"
)

// An Error is a failed call of the Bot Connector or of the token endpoint. It holds no words of a
// person and nothing of a token.
type Error struct {
	Op         string // "send", "update", "token", …
	StatusCode int    // 0 when there was no answer
	Code       string // error.code of the answer
	SubCode    string // subCode, as in 403 MessageWritesBlocked
	RetryAfter time.Duration
	// Written reports that the request had been written, wholly or in part, when the call failed: without an answer the
	// other side may have acted on it. False means that it surely has not.
	Written bool
	Err     error
}

func (e *Error) Error() string {
	s := "bot connector: " + e.Op
	if e.StatusCode != 0 {
		s += fmt.Sprintf(": status %d", e.StatusCode)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.SubCode != "" {
		s += "/" + e.SubCode
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
