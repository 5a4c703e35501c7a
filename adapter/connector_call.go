package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// A request is one call of the API. The elements of path are escaped.
type request struct {
	op         string
	method     string
	serviceURL string
	path       []string
	body       []byte
}

// call carries r out, with the two repeats that are always safe, and returns the answer's body.
func (c *Connector) call(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := within(ctx, c.timeout)
	defer cancel()
	address, err := c.address(r, r.serviceURL)
	if err != nil {
		return nil, err
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	answer, failed := c.do(ctx, r, address, token)
	if failed != nil && failed.StatusCode == http.StatusUnauthorized {
		c.tokens.Forget(token)
		fresh, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		if fresh == token && failed.Code == "" { // too early for another one: the call is not done, and worth a try later
			return nil, &Error{Op: opToken, StatusCode: http.StatusUnauthorized, RetryAfter: forgetDelay, Err: errors.New("the token was refused again")}
		}
		if fresh != token {
			token = fresh
			answer, failed = c.do(ctx, r, address, token)
		}
	}
	if failed != nil && failed.StatusCode == http.StatusForbidden && failed.Code == "InvalidBotApiHost" {
		elsewhere, err := c.address(r, c.gcc)
		if err == nil && elsewhere != address {
			answer, failed = c.do(ctx, r, elsewhere, token)
		}
	}
	if failed != nil {
		return nil, failed
	}
	return answer, nil
}

// token asks for the token and sees to it that its failure is an *Error.
func (c *Connector) token(ctx context.Context) (string, error) {
	token, err := c.tokens.Token(ctx)
	var e *Error
	if err != nil && !errors.As(err, &e) {
		err = &Error{Op: opToken, Err: err}
	}
	return token, err
}

// base returns the service URL as the start of an address, if the token may go there.
func (c *Connector) base(serviceURL string) (string, error) {
	u, err := c.hosts.check(serviceURL, isTokenHost)
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || strings.Contains(u.Path, "/..") {
		return "", &HostError{Host: u.Hostname(), Reason: "the service URL is not a plain address"}
	}
	return u.Scheme + "://" + u.Host + path, nil
}

func (c *Connector) address(r request, serviceURL string) (string, error) {
	base, err := c.base(serviceURL)
	if err != nil {
		return "", &Error{Op: r.op, Err: err}
	}
	var b strings.Builder
	b.WriteString(base)
	b.WriteString("/v3")
	for _, id := range r.path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(id))
	}
	return b.String(), nil
}

// do sends r once.
func (c *Connector) do(ctx context.Context, r request, address, token string) ([]byte, *Error) {
	// From the moment the request has a connection, it may be on its way. When a context ends, bytes may still be written
	// after the call has returned, so that nothing later tells what was surely not written. Where the transport repeats
	// a request by itself, it knows that nothing was, and asks for a connection again.
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { written.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { written.Store(true) },
	})
	var body io.Reader = http.NoBody
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, &Error{Op: r.op, Err: errors.New("the address is not a URL")}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "snowbot")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	resp, err := c.transport.RoundTrip(req) // a client would look for redirects and cookies
	if err != nil {
		return nil, &Error{Op: r.op, Written: written.Load(), Err: safeCause(err)}
	}
	defer resp.Body.Close()
	// Reading to the end lets the connection be used again. An answer that breaks off has said its status.
	answer, err := readAll(io.LimitReader(resp.Body, maxAnswer), min(resp.ContentLength, maxAnswer))
	if resp.StatusCode/100 == 2 && (err != nil || !isPage(resp.Header, answer)) {
		return answer, nil
	}
	return nil, c.refused(r, resp, answer)
}

// isPage reports whether an answer is HTML, which the Connector never sends.
func isPage(h http.Header, answer []byte) bool {
	answer = bytes.TrimSpace(answer)
	if len(answer) == 0 {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return answer[0] == '<' || strings.EqualFold(strings.TrimSpace(media), "text/html")
}

// refused describes an answer that is not a success.
func (c *Connector) refused(r request, resp *http.Response, answer []byte) *Error {
	e := &Error{Op: r.op, StatusCode: resp.StatusCode, Written: true, RetryAfter: retryAfter(resp.Header, c.now())}
	if resp.StatusCode < http.StatusBadRequest {
		e.Code = CodeNotConnector
	} else {
		readCodes(e, answer, 0)
	}
	// What Microsoft's support asks for.
	c.log.Debug("the Bot Connector refused a call", "op", r.op, "status", e.StatusCode, "code", e.Code, "subCode", e.SubCode,
		"operation", safeCode(resp.Header.Get("X-Correlating-OperationId")),
		"vector", safeCode(resp.Header.Get("MS-CV")),
		"request", safeCode(resp.Header.Get("x-ms-request-id")))
	return e
}

// readCodes takes the codes out of an error body. The body has the codes at the top, under "error", or as JSON
// in the string "message" or in an inner HTTP error's body; the outermost of each kind counts.
func readCodes(e *Error, body []byte, depth int) {
	var w struct {
		Error          json.RawMessage `json:"error"`
		Code           json.RawMessage `json:"code"`
		ErrorCode      json.RawMessage `json:"errorCode"`
		SubCode        json.RawMessage `json:"subCode"`
		ErrorSubCode   json.RawMessage `json:"errorSubCode"`
		Message        json.RawMessage `json:"message"`
		InnerHTTPError json.RawMessage `json:"innerHttpError"`
		Body           json.RawMessage `json:"body"`
	}
	if depth > 4 || len(body) == 0 || json.Unmarshal(body, &w) != nil {
		return
	}
	for _, code := range []json.RawMessage{w.Code, w.ErrorCode} {
		if e.Code == "" {
			e.Code = codeOf(code)
		}
	}
	for _, code := range []json.RawMessage{w.SubCode, w.ErrorSubCode} {
		if e.SubCode == "" {
			e.SubCode = codeOf(code)
		}
	}
	for _, inner := range []json.RawMessage{w.Error, w.Message, w.InnerHTTPError, w.Body} {
		if text := textOf(inner); text != "" {
			inner = json.RawMessage(text)
		}
		readCodes(e, inner, depth+1)
	}
}

// codeOf returns a code that is a string or a number.
func codeOf(raw json.RawMessage) string {
	if isDigits(string(raw)) {
		return safeCode(string(raw))
	}
	return safeCode(textOf(raw))
}
