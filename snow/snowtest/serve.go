package snowtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A request is one call of the instance, read to its end.
type request struct {
	*http.Request
	body  []byte
	query url.Values

	session string // found out while it was handled, for the log
	note    string
}

// A reply is what a handler wants answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

const (
	typeJSON = "application/json"
	typeHTML = "text/html;charset=UTF-8"
	typeText = "text/plain;charset=UTF-8"
)

func answer(status int, contentType string, body []byte) reply {
	return reply{status: status, header: http.Header{"Content-Type": {contentType}}, body: body}
}

func answerJSON(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return failure(http.StatusInternalServerError, "Internal error", "")
	}
	return answer(status, typeJSON, body)
}

// failure is an error of the REST API.
func failure(status int, message, detail string) reply {
	return answerJSON(status, map[string]any{
		"error": map[string]any{"message": message, "detail": detail}, "status": "failure",
	})
}

// page is what a browser would show, which some answers are whatever was asked for.
func page(status int, words string) reply {
	return answer(status, typeHTML, []byte("<!DOCTYPE html><html><body><h1>"+words+"</h1></body></html>"))
}

func hibernating() reply { return page(http.StatusOK, "Your instance is hibernating") }

// errReset asks for the connection to be cut off.
var errReset = errors.New("reset")

// serve handles one request: outage, fault, effect, answer, log.
func (i *Instance) serve(w http.ResponseWriter, hr *http.Request) {
	if !i.begin() {
		panic(http.ErrAbortHandler)
	}
	defer i.done()
	rec := record{Exchange: Exchange{At: i.o.Now(), Direction: In, Method: hr.Method, Path: hr.URL.RequestURI()}}
	began := time.Now()
	r := &request{Request: hr}
	rep, err := i.handle(w, r, &rec)
	if err == nil {
		rec.Status, rec.response = rep.status, rep.body
		for name, values := range rep.header {
			w.Header()[name] = values
		}
		w.WriteHeader(rep.status)
		_, _ = w.Write(rep.body)
	}
	rec.request = r.body
	if opaque(hr.Header.Get("Content-Type")) {
		rec.request = []byte(hr.Header.Get("Content-Type") + ", " + strconv.Itoa(len(r.body)) + " bytes")
	}
	rec.SessionID, rec.Duration = r.session, time.Since(began)
	if rec.Note == "" {
		rec.Note = r.note
	}
	i.log.add(rec)
	i.touch(nil)
	if err != nil {
		cut(w)
	}
}

// opaque reports whether a body of that type is of no use in the log.
func opaque(contentType string) bool {
	switch t := mediaType(contentType); {
	case t == "", t == typeJSON, t == "application/x-www-form-urlencoded", strings.HasPrefix(t, "text/"):
		return false
	}
	return true
}

// handle returns the reply to r, or an error when the connection is to be cut off.
func (i *Instance) handle(w http.ResponseWriter, r *request, rec *record) (reply, error) {
	if rep, down, err := i.outage(r.Context()); down {
		rec.Fault = "down"
		return rep, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return failure(http.StatusRequestEntityTooLarge, "Request too large", ""), nil
	case err != nil:
		return reply{}, err
	}
	r.body, r.query = body, r.URL.Query()
	f := i.faults.hit(func() FaultRequest {
		session, action := peek(r.URL.Path, body)
		return FaultRequest{
			Direction: In, Method: r.Method, Path: r.URL.Path, SessionID: session, Action: action, Body: body,
		}
	})
	if f == nil {
		return i.route(r), nil
	}
	rec.Fault = string(f.Kind)
	return i.faulty(r, f)
}

// faulty applies a fault to r.
func (i *Instance) faulty(r *request, f *Fault) (reply, error) {
	if f.Kind == FaultDrop {
		r.session, _ = peek(r.URL.Path, r.body)
		return taken(), nil
	}
	wait := func() error {
		if !i.pauseRequest(r.Context(), f.Delay) {
			return errReset
		}
		return nil
	}
	if f.Kind == FaultDelay && !f.AfterEffect {
		if err := wait(); err != nil {
			return reply{}, err
		}
		return i.route(r), nil
	}
	var rep reply
	if f.AfterEffect {
		rep = i.route(r)
	}
	switch f.Kind {
	case FaultDelay:
		return rep, wait()
	case FaultReset:
		return reply{}, errReset
	case FaultHTML:
		return hibernating(), nil
	case FaultStatus:
		rep = failure(f.Status, http.StatusText(f.Status), "")
		if f.Body != "" {
			rep.body = []byte(f.Body)
			if !json.Valid(rep.body) {
				rep.header.Set("Content-Type", typeHTML)
			}
		}
		if f.RetryAfter > 0 {
			rep.header.Set("Retry-After", retryAfter(f, time.Now()))
		}
		return rep, nil
	case FaultDrop, FaultDuplicate, FaultReorder:
	}
	return rep, nil
}

// retryAfter is by the wall clock, since it is the client who reads it.
func retryAfter(f *Fault, now time.Time) string {
	if f.RetryAfterDate {
		return now.Add(f.RetryAfter).UTC().Format(http.TimeFormat)
	}
	return strconv.Itoa(int((f.RetryAfter + time.Second - 1) / time.Second))
}

// pauseRequest waits within a request, and reports false when its client has gone or the instance stops.
func (i *Instance) pauseRequest(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	return pause(ctx, d)
}

// outage answers for an instance that is down.
func (i *Instance) outage(ctx context.Context) (rep reply, down bool, err error) {
	s := i.settings()
	switch s.down {
	case DownRefuse:
		return reply{}, true, errReset
	case Down503:
		return page(http.StatusServiceUnavailable, "Service unavailable"), true, nil
	case DownHTML:
		return hibernating(), true, nil
	case DownHang:
		select {
		case <-s.up:
		case <-ctx.Done():
		case <-i.ctx.Done():
		}
		return reply{}, true, errReset
	case DownOff:
	}
	return reply{}, false, nil
}

// cut resets the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// route finds the handler of r. The paths are those of the real instance.
func (i *Instance) route(r *request) reply {
	path := r.URL.Path
	switch path {
	case "/oauth_token.do":
		return i.token(r)
	case "/oauth_revoke_token.do":
		return i.revoke(r)
	}
	if !strings.HasPrefix(path, "/api/") && path != attachmentPage {
		return page(http.StatusNotFound, "Page not found")
	}
	if !i.loggedIn(r) {
		rep := failure(http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
		rep.header.Set("WWW-Authenticate", `BASIC realm="Service-now"`)
		return rep
	}
	if rep, limited := i.rate.limited(i.o.RatePerHour, i.o.Now()); limited {
		return rep
	}
	if path == "/api/sn_va_as_service/bot/integration" {
		return i.integration(r)
	}
	if rep, ok := i.tableRoute(r); ok {
		return rep
	}
	if rep, ok := i.mediaRoute(r); ok {
		return rep
	}
	return failure(http.StatusBadRequest, "Requested URI does not represent any resource", path)
}

// A rate counts requests by the hour, as the inbound REST rate limit does.
type rate struct {
	mu    sync.Mutex
	reset time.Time
	count int
	rule  string
}

func (l *rate) limited(limit int, now time.Time) (reply, bool) {
	if limit <= 0 {
		return reply{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.reset) {
		l.reset, l.count = now.Truncate(time.Hour).Add(time.Hour), 0
		or(&l.rule, newID())
	}
	if l.count++; l.count <= limit {
		return reply{}, false
	}
	rep := failure(http.StatusTooManyRequests, "Rate limit exceeded", "Rejected by the limit of requests an hour")
	rep.header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	rep.header.Set("X-RateLimit-Reset", strconv.FormatInt(l.reset.Unix(), 10))
	rep.header.Set("X-RateLimit-Rule", l.rule)
	rep.header.Set("Retry-After", strconv.Itoa(int((l.reset.Sub(now)+time.Second-1)/time.Second)))
	return rep, true
}

// peek reads what a fault may match from the body of a request.
func peek(path string, body []byte) (session, action string) {
	if !strings.HasSuffix(path, "/bot/integration") {
		return "", ""
	}
	var seen struct {
		Session any `json:"clientSessionId"`
		Action  any `json:"action"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &seen) != nil {
		return "", ""
	}
	session, _ = seen.Session.(string)
	if action, _ = seen.Action.(string); action == "" {
		action = "message"
	}
	return session, action
}
