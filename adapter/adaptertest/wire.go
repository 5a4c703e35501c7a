package adaptertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Direction says who called whom.
type Direction string

// The two directions, seen from the channel.
const (
	In  Direction = "in"  // the bot called: Connector, identity provider, token endpoint
	Out Direction = "out" // an activity was posted to the bot
)

// An Exchange is one request and its answer. Headers are not kept, and credentials in bodies are redacted.
type Exchange struct {
	Seq          int64         `json:"seq"` // 1, 2, …: the order in which the exchanges ended
	At           time.Time     `json:"at"`  // when it began
	Direction    Direction     `json:"direction"`
	Method       string        `json:"method"`
	Path         string        `json:"path"`
	Status       int           `json:"status"` // 0: there was no answer
	RequestBody  string        `json:"requestBody,omitempty"`
	ResponseBody string        `json:"responseBody,omitempty"`
	Conversation string        `json:"conversation,omitempty"`
	Fault        string        `json:"fault,omitempty"` // the kind of fault that was applied
	Effect       bool          `json:"effect"`          // whether the request was acted on, or reached the bot
	Duration     time.Duration `json:"duration"`        // in nanoseconds
}

// wire is the bounded log of exchanges and those who listen to it.
type wire struct {
	telling sync.Mutex // keeps the listeners' view in order
	mu      sync.Mutex
	size    int
	seq     int64
	ring    []Exchange
	listen  map[int64]func(Exchange)
	listens int64
}

// Log returns the latest exchanges, oldest first, as many as Options.LogSize.
func (c *Channel) Log() []Exchange {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ring) < w.size {
		return slices.Clone(w.ring)
	}
	first := int(w.seq % int64(w.size))
	return slices.Concat(w.ring[first:], w.ring[:first])
}

// Subscribe calls f with every later exchange, one at a time and in order, until cancel is called. f holds up
// the exchange it is told of, so it has to return quickly, and must not send anything itself.
func (c *Channel) Subscribe(f func(Exchange)) (cancel func()) {
	w := &c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listen == nil {
		w.listen = map[int64]func(Exchange){}
	}
	w.listens++
	id := w.listens
	w.listen[id] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listen, id)
	}
}

// record numbers an exchange, keeps it, and tells it to the listeners and to those who wait for a change.
func (c *Channel) record(e Exchange) {
	w := &c.wire
	w.telling.Lock()
	w.mu.Lock()
	w.seq++
	e.Seq = w.seq
	if len(w.ring) < w.size {
		w.ring = append(w.ring, e)
	} else {
		w.ring[(w.seq-1)%int64(w.size)] = e
	}
	var tell []func(Exchange)
	for _, f := range w.listen {
		tell = append(tell, f)
	}
	w.mu.Unlock()
	for _, f := range tell {
		f(e)
	}
	w.telling.Unlock()
	c.changed()
}

// String is for failing tests.
func (e Exchange) String() string {
	return fmt.Sprintf("%d %s %s %s -> %d %s", e.Seq, e.Direction, e.Method, e.Path, e.Status, e.Fault)
}

// A request is one that came in, read whole.
type request struct {
	method   string
	path     string   // escaped, as on the wire
	segments []string // of the path, unescaped
	query    url.Values
	header   http.Header
	body     []byte
	at       time.Time
}

// A response is what is answered. Its zero value is none yet.
type response struct {
	status      int
	contentType string // application/json when empty
	retryAfter  time.Duration
	location    string // of a redirect
	body        []byte
	file        bool // the body is a file, which is not kept in the log
	effect      bool // something changed in the world
}

func jsonResponse(status int, v any) response {
	b, err := json.Marshal(v)
	if err != nil {
		return response{status: http.StatusInternalServerError}
	}
	return response{status: status, body: b}
}

// fail is an error in the shape of the Connector.
func fail(status int, code, message string) response {
	return jsonResponse(status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

// throttled is the refusal of a request that came too early.
func throttled(wait time.Duration) response {
	r := fail(http.StatusTooManyRequests, "Throttled", "Too many requests")
	r.retryAfter = wait
	return r
}

// serve reads a request, applies the fault that is due for it, acts on it, logs it and answers.
func (c *Channel) serve(w http.ResponseWriter, hr *http.Request) {
	if !c.enter() {
		panic(http.ErrAbortHandler)
	}
	defer c.busy.Done()
	begin := time.Now()
	body, err := io.ReadAll(io.LimitReader(hr.Body, maxRequest+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the bot went away
	}
	r := &request{method: hr.Method, path: hr.URL.EscapedPath(), query: hr.URL.Query(), header: hr.Header, body: body, at: c.now()}
	for s := range strings.SplitSeq(strings.TrimPrefix(r.path, "/"), "/") {
		u, err := url.PathUnescape(s)
		if err != nil {
			u = s
		}
		r.segments = append(r.segments, u)
	}
	v := c.conversationOf(r)
	e := Exchange{At: r.at, Direction: In, Method: r.method, Path: r.path, RequestBody: string(body)}
	if v != nil {
		e.Conversation = v.id
	}
	f := c.faults.pick(FaultRequest{Direction: In, Method: r.method, Path: r.path, Conversation: e.Conversation, Body: body})
	switch {
	case f != nil:
		e.Fault = string(f.Kind)
	case v != nil && v.startWrite(r):
		defer v.endWrite()
	}
	resp, answer := c.act(hr, r, v, f)
	e.Effect, e.Duration = resp.effect, time.Since(begin)
	if strings.HasSuffix(r.path, tokenPath) {
		e.RequestBody = redactForm(e.RequestBody)
	}
	if answer != silence && answer != reset {
		e.Status, e.ResponseBody = resp.status, string(resp.body)
		if resp.file {
			e.ResponseBody = fmt.Sprintf("[%d bytes]", len(resp.body))
		}
		if strings.HasSuffix(r.path, tokenPath) {
			e.ResponseBody = redactToken(e.ResponseBody)
		}
	}
	c.record(e)
	c.reply(w, resp, answer)
}

// An answering says how an answer goes out.
type answering int

const (
	whole answering = iota
	truncated
	silence // nothing, and the connection is closed
	reset   // nothing, and the connection is reset
)

// act lets a request have its effect, or part of it, as the fault says.
func (c *Channel) act(hr *http.Request, r *request, v *Conversation, f *Fault) (response, answering) {
	if f == nil {
		return c.handle(r, v), whole
	}
	switch f.Kind {
	case Drop:
		select {
		case <-hr.Context().Done():
		case <-c.base.Done():
		}
		return response{}, silence
	case ResetBeforeEffect:
		return response{}, reset
	case ResetAfterEffect:
		return c.handle(r, v), reset
	case TruncatedBody:
		return c.handle(r, v), truncated
	case Status, HTML, Redirect:
		resp := f.answer()
		if f.Effect {
			resp.effect = c.handle(r, v).effect
		}
		return resp, whole
	case Delay:
		// A caller that has given up does not stop what is under way.
		if f.Effect {
			resp := c.handle(r, v)
			c.pause(c.base, f.Delay)
			return resp, whole
		}
		if !c.pause(c.base, f.Delay) {
			return response{}, silence
		}
	}
	return c.handle(r, v), whole
}

// reply writes an answer.
func (c *Channel) reply(w http.ResponseWriter, resp response, how answering) {
	switch how {
	case silence:
		panic(http.ErrAbortHandler)
	case reset:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // makes Close send a reset
		}
		_ = conn.Close()
		return
	}
	h := w.Header()
	if len(resp.body) > 0 {
		kind := resp.contentType
		if kind == "" {
			kind = "application/json; charset=utf-8"
		}
		h.Set("Content-Type", kind)
	}
	if resp.location != "" {
		h.Set("Location", resp.location)
	}
	if resp.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((resp.retryAfter+time.Second-1)/time.Second), 10))
	}
	if how == truncated {
		h.Set("Content-Length", strconv.Itoa(len(resp.body)+16)) // more than will come, even of an empty one
		w.WriteHeader(resp.status)
		_, _ = w.Write(resp.body[:len(resp.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body)
}

const redacted = "[redacted]"

// redactForm hides what authenticates in the body of a token request.
func redactForm(body string) string {
	form, err := url.ParseQuery(body)
	if err != nil {
		return redacted
	}
	for name := range form {
		if strings.Contains(name, "secret") || name == "client_assertion" || name == "password" {
			form.Set(name, redacted)
		}
	}
	return form.Encode()
}

// redactToken hides the access token in the answer of the token endpoint.
func redactToken(body string) string {
	before, rest, ok := strings.Cut(body, `"access_token":"`)
	if !ok {
		return body
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + `"access_token":"` + redacted + `"` + after
}
