package snow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// What Accept returns for an event that belongs nowhere. The webhook answers 400.
var (
	// ErrUnknownSession means that there is no such session, nor one that ended a short while ago.
	ErrUnknownSession = errors.New("unknown session")
	// ErrMismatch means that the session is not of the bot, tenant, conversation or request that the event names.
	ErrMismatch = errors.New("event does not fit its session")
)

const (
	defaultReadTimeout = 10 * time.Second
	defaultMaxBody     = 1 << 20
	acceptLimit        = 4 * time.Second // for the commit; ServiceNow itself waits 5 s
	unavailableFor     = "5"             // seconds
)

// WebhookOptions is what NewWebhook needs. Secrets and Accept are required.
type WebhookOptions struct {
	// Secrets are all accepted alike, so that one can be replaced by the next without a gap.
	Secrets []string
	// BasicUser makes Basic authentication with this user and a secret as the password good too.
	BasicUser string
	// Header makes a secret in the header of this name good too, bare or after "Bearer".
	Header string
	// Accept takes an event and returns when that is durable. A wrapped ErrUnknownSession or ErrMismatch is answered 400,
	// any other error and a panic 503. Its context does not end when ServiceNow hangs up, since it sends nothing twice.
	Accept func(ctx context.Context, e *Event) error
	// ReadTimeout is how long a body may take to be complete. 0 means 10 s.
	ReadTimeout time.Duration
	// MaxBody is in bytes. 0 means 1 MiB.
	MaxBody int64
	Log     *slog.Logger // nil discards
}

type webhook struct {
	guard       guard
	credentials credentials
	accept      func(ctx context.Context, e *Event) error
	readTimeout time.Duration
	maxBody     int64
	log         *slog.Logger
}

// NewWebhook makes the handler of what ServiceNow posts. It answers
//
//	200 accepted, and durable       413 body over MaxBody
//	400 not a JSON object,          415 a Content-Encoding
//	    ErrUnknownSession,          408 body not complete within ReadTimeout
//	    ErrMismatch                 503 with Retry-After: any other error of Accept
//	401 no secret, or a wrong one   405 any method but POST
//
// and reads no byte of the body before the secret was found right. The Content-Type does not matter, since ServiceNow
// has been seen to send several. It never logs a body. The time-out needs a ResponseWriter that can set a read
// deadline, as those of net/http can; below one that cannot the server's own is all there is.
func NewWebhook(o WebhookOptions) (http.Handler, error) {
	c, err := newCredentials(o.Secrets, o.BasicUser, o.Header)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	switch {
	case o.Accept == nil:
		return nil, errors.New("webhook: nothing accepts the events")
	case o.ReadTimeout < 0:
		return nil, errors.New("webhook: the read time-out is negative")
	case o.MaxBody < 0:
		return nil, errors.New("webhook: the limit of the body is negative")
	}
	h := &webhook{credentials: c, accept: o.Accept, readTimeout: o.ReadTimeout, maxBody: o.MaxBody, log: o.Log}
	if h.readTimeout == 0 {
		h.readTimeout = defaultReadTimeout
	}
	if h.maxBody == 0 {
		h.maxBody = defaultMaxBody
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// A refusal is an answer other than 200. The code is fixed text, never anything that was received.
type refusal struct {
	status int
	code   string
	// unread means that some of the body was not read and is not worth reading: the connection is closed.
	unread bool
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if no := h.serve(w, r); no != nil {
		h.refuse(w, no)
		return
	}
	reply(w, http.StatusOK, []byte(`{"status":"success"}`))
}

// serve takes one event. It returns nil when that was accepted.
func (h *webhook) serve(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return &refusal{http.StatusMethodNotAllowed, "method not allowed", true}
	}
	if !h.credentials.match(r) {
		return h.unauthorized(w, r)
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &refusal{http.StatusUnsupportedMediaType, "encoding not supported", true}
	}
	raw, no := h.read(w, r)
	if no != nil {
		return no
	}
	e, err := DecodeEvent(raw)
	if err != nil {
		h.log.Warn("webhook: event refused", "bytes", len(raw), "err", err)
		return &refusal{http.StatusBadRequest, "not a JSON object", false}
	}
	return h.hand(context.WithoutCancel(r.Context()), e)
}

// read reads the whole body within the time-out. A byte a second is as late as none.
func (h *webhook) read(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	if r.ContentLength > h.maxBody {
		return nil, tooLarge()
	}
	// It ends with the body, and the next request sets its own. The error says that there are no deadlines here, which
	// NewWebhook tells.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.readTimeout))
	raw, err := readAll(http.MaxBytesReader(w, r.Body, h.maxBody), r.ContentLength)
	var large *http.MaxBytesError
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return raw, nil
	case errors.As(err, &large):
		return nil, tooLarge()
	case errors.As(err, &late) && late.Timeout():
		return nil, &refusal{http.StatusRequestTimeout, "body not complete in time", true}
	default:
		return nil, &refusal{http.StatusBadRequest, "body not complete", true}
	}
}

func tooLarge() *refusal { return &refusal{http.StatusRequestEntityTooLarge, "body too large", true} }

// hand gives e to Accept and turns what comes back into an answer.
func (h *webhook) hand(ctx context.Context, e *Event) *refusal {
	ctx, cancel := context.WithTimeout(ctx, acceptLimit)
	defer cancel()
	log := func() *slog.Logger {
		return h.log.With("session", e.SessionID, "request", e.RequestID, "conversation", e.Variables.ConversationID)
	}
	err := h.guarded(ctx, e, log)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnknownSession):
		log().Warn("webhook: event refused", "err", err)
		return &refusal{http.StatusBadRequest, "unknown session", false}
	case errors.Is(err, ErrMismatch):
		log().Warn("webhook: event refused", "err", err)
		return &refusal{http.StatusBadRequest, "session mismatch", false}
	default:
		log().Error("webhook: event not accepted", "err", err)
		return &refusal{http.StatusServiceUnavailable, "unavailable", false}
	}
}

// guarded calls Accept. A panic is an error like any other; what was panicked with may hold words, so only that of the
// runtime is logged.
func (h *webhook) guarded(ctx context.Context, e *Event, log func() *slog.Logger) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err = fmt.Errorf("panic: %T", v)
		if fault, ok := v.(runtime.Error); ok {
			err = fmt.Errorf("panic: %w", fault)
		}
		log().Error("webhook: panic", "err", err, "stack", string(debug.Stack()))
	}()
	return h.accept(ctx, e)
}

// unauthorized answers who has no secret: the first of a minute at once, and further ones after a delay.
func (h *webhook) unauthorized(w http.ResponseWriter, r *http.Request) *refusal {
	f := h.guard.failed(time.Now())
	if f.logged {
		h.log.Warn("webhook: wrong or missing secret", "remote", r.RemoteAddr, "unlogged", f.unlogged)
	}
	if f.delayed {
		h.guard.delay(r.Context())
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	return &refusal{http.StatusUnauthorized, "unauthorized", true}
}

// refuse is the one place that answers anything but 200.
func (h *webhook) refuse(w http.ResponseWriter, no *refusal) {
	if no.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", unavailableFor)
	}
	if no.unread {
		// Without this the server would read on, as slowly as the other side likes to send.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	body := struct {
		Status string `json:"status"`
		Error  struct {
			Message string `json:"message"`
		} `json:"error"`
	}{Status: "failure"}
	body.Error.Message = no.code
	b, err := json.Marshal(body)
	if err != nil { // two strings can be encoded
		h.log.Error("webhook: cannot encode an answer", "err", err)
	}
	reply(w, no.status, b)
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone does not hear it; what was accepted stays so
}
