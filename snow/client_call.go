package snow

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxAnswer     = 1 << 20        // bytes that are read of an answer
	maxRetryAfter = 24 * time.Hour // that is believed
)

var (
	errTooLong = errors.New("answer is too long")
	errBroken  = errors.New("exchange failed")
)

// A call is one request as it is known before there is a token.
type call struct {
	op     string
	method string
	url    *url.URL
	body   []byte
	bot    bool  // of the Bot Integration API, which wants Message Auth
	file   bool  // what is asked for is not JSON
	limit  int64 // bytes of a file
}

// An answer is what the instance said, whatever the status.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange makes a call under the current token, and once more under a new one when that is refused. The error is a
// *Error; an answer with any status is none.
func (c *Client) exchange(ctx context.Context, k call) (answer, error) {
	timeout := c.timeout
	if k.file {
		timeout = mediaTimeout
	}
	ctx, cancel := within(ctx, timeout)
	defer cancel()
	began := c.now()
	access, err := c.login.token(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := c.send(ctx, k, access)
	if err == nil && a.status == http.StatusUnauthorized && c.login.refused(access, k.file) {
		if access, err = c.login.token(ctx); err != nil {
			return answer{}, err
		}
		if a, err = c.send(ctx, k, access); err == nil && a.status == http.StatusUnauthorized {
			c.login.hopeless(k.file)
		}
	}
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.Debug("servicenow called", "op", k.op, "status", a.status, "took", c.now().Sub(began), "err", err)
	}
	return a, err
}

// within returns a context that ends in d at the latest: ctx itself, when that ends before.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// send makes one request.
func (c *Client) send(ctx context.Context, k call, access string) (answer, error) {
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The transport takes a new connection for the same request only when nothing went out on the last.
		GetConn:      func(string) { written.Store(false) },
		WroteHeaders: func() { written.Store(true) },
	})
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	r, err := http.NewRequestWithContext(ctx, k.method, k.url.String(), body)
	if err != nil {
		return answer{}, &Error{Op: k.op, Err: errBroken}
	}
	if !k.file {
		r.Header.Set("Accept", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+access)
	if k.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if k.bot {
		c.authenticate(r.Header, k.body)
	}
	resp, err := c.transport.RoundTrip(r) // a client would look for redirects and cookies
	if err != nil {
		return answer{}, &Error{Op: k.op, Written: written.Load(), Err: exchangeError(ctx, err)}
	}
	defer resp.Body.Close()
	limit := int64(maxAnswer)
	if k.file && resp.StatusCode/100 == 2 {
		limit = k.limit
	}
	data, err := readBody(resp, limit)
	if resp.StatusCode/100 == 2 {
		// Half an answer does not say whether the instance agreed.
		if err != nil {
			return answer{}, &Error{Op: k.op, Written: true, Err: exchangeError(ctx, err)}
		}
	}
	return answer{resp.StatusCode, resp.Header, data}, nil
}

// readBody reads an answer, or of a longer one limit bytes at most. What it says of its length is believed only when that is too long.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit && resp.StatusCode/100 == 2 {
		return nil, errTooLong
	}
	data, err := readAll(io.LimitReader(resp.Body, limit+1), min(resp.ContentLength, limit))
	if err == nil && int64(len(data)) > limit {
		err = errTooLong
	}
	return data, err
}

// readAll reads r to its end, into a buffer of the size that it is said to have, so that nothing is copied. A negative size is not
// known.
func readAll(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(r)
	}
	var b bytes.Buffer
	b.Grow(int(size) + bytes.MinRead)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// exchangeError returns the cause of a failed exchange without what the transport says around it: a *url.Error
// repeats the address, which may hold an e-mail address, and some others repeat what the other side sent.
func exchangeError(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	for _, known := range []error{errTooLong, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	return errBroken
}

// askedToWait reads how long the instance asks us to wait, from Retry-After in either form, or, when it limits the rate,
// from X-RateLimit-Reset.
func askedToWait(status int, h http.Header, now time.Time) time.Duration {
	var wait time.Duration
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		wait = time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		wait = at.Sub(now)
	} else if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && status == http.StatusTooManyRequests {
		wait = time.Unix(reset, 0).Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
