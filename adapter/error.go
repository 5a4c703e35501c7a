package adapter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// CodeNotConnector is the Error.Code of an answer that says 2xx but is a web page, and of a redirect: a proxy or a login
// page has answered in the Connector's place, and nothing was done.
const CodeNotConnector = "NotConnector"

// An Error is a failed call of the Bot Connector or of the token endpoint. It holds no words of a
// person and nothing of a token.
type Error struct {
	Op         string // "send", "reply", "typing", "update", "delete", "create", "member", "file"; "token"
	StatusCode int    // 0 when there was no answer
	// Code is error.code of the answer. With Op "token" it is the number of the AADSTS error.
	Code string
	// SubCode is the subCode, as in 403 MessageWritesBlocked. With Op "token" it is the OAuth error.
	SubCode    string
	RetryAfter time.Duration // from the answer, between 0 and an hour
	// Written reports that the request may have been written, wholly or in part, when the call failed: without an answer
	// the other side may have acted on it. False means that it surely has not.
	Written bool
	Err     error
}

func (e *Error) Error() string {
	s := "bot connector: " + e.Op
	if e.StatusCode != 0 {
		s += fmt.Sprintf(": status %d", e.StatusCode)
	}
	if e.Code != "" {
		s += " "
		if e.Op == opToken && e.Code[0] >= '0' && e.Code[0] <= '9' {
			s += "AADSTS"
		}
		s += e.Code
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

// errBrokenAnswer stands in for errors of the HTTP client that quote the answer.
var errBrokenAnswer = errors.New("the answer is not HTTP")

// safeCause returns err, or what stands in for it, such that its text holds neither the URL, which
// can name a person, nor bytes of the answer, which the HTTP client quotes when it cannot read them.
func safeCause(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	var (
		op          *net.OpError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &op):
		return op
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &authority):
		return authority
	case errors.As(err, &alert):
		return alert
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return errBrokenAnswer
}

// safeCode returns a code from an answer if it looks like one, and else "". Codes go into logs and
// metrics, where words that someone wrote have no place.
func safeCode(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
		return ""
	}
	return s
}
