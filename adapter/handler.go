package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// HandlerOptions configure the handler of POST /api/messages.
type HandlerOptions struct {
	// Verifier checks the Authorization header that came with an activity: by itself before a byte of the body is read,
	// and then against the activity. Required; usually a *Verifier. Errors that are no *AuthError are answered 503.
	Verifier interface {
		Authenticate(ctx context.Context, authorization string) error
		Verify(ctx context.Context, authorization string, a *Activity) error
	}
	// AppID is the Microsoft App ID: activities have to be for "28:<AppID>" or "<AppID>". Required.
	AppID string
	// Tenants are the Entra tenant ids that may use the bot; "*" stands for any. Required.
	Tenants []string
	// Hosts says which service URLs are believed.
	Hosts HostPolicy
	// OnActivity takes every activity that is no invoke. When it returns nil, Microsoft is told that the activity is ours
	// now and will not send it again; so it has to be on disk by then. Any error is answered 503. Required.
	// The activity is the callee's to keep.
	OnActivity func(ctx context.Context, a *Activity) error
	// OnInvoke answers an invoke, within 5 seconds, which is the deadline of its ctx. It returns ErrNotImplemented for
	// names that it does not know. When nil, every invoke is answered 501.
	OnInvoke func(ctx context.Context, a *Activity) (InvokeResponse, error)
	// OnGuess, if set, is called before a 401 is answered. It may wait, to slow down who guesses.
	OnGuess func(ctx context.Context)
	// ReadTimeout limits how long a body may take to arrive; 10 s when zero.
	ReadTimeout time.Duration
	Log         *slog.Logger
}

// NewHandler returns the HTTP handler that Microsoft posts activities to. It answers
//
//   - 200 when OnActivity took the activity, of whatever type, and to HEAD;
//   - 400 for anything but a JSON object with a type, and for an activity without conversation;
//   - 401 for a token that does not prove where the activity comes from;
//   - 403 for a channel that the key is not endorsed for, a tenant that is not allowed, another bot's activity, and a
//     service URL that is not Microsoft's;
//   - 405, 408, 413 for another method, a body not complete in time, and one over 256 KiB;
//   - 501 for an invoke that nobody knows;
//   - 503 with Retry-After when there are no keys to judge with, or the activity could not be taken.
//
// Bodies of refusals are {"error":{"code":"…"}} with a code that follows from the status.
func NewHandler(o HandlerOptions) (http.Handler, error) {
	if o.OnActivity == nil {
		return nil, errors.New("handler: OnActivity is required")
	}
	if o.ReadTimeout < 0 {
		return nil, errors.New("handler: the read timeout is negative")
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = readTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{
		receiver:   receiver{verifier: o.Verifier, appID: o.AppID, tenants: o.Tenants, hosts: o.Hosts, readTimeout: o.ReadTimeout},
		onActivity: o.OnActivity,
		onInvoke:   o.OnInvoke,
		onGuess:    o.OnGuess,
		log:        o.Log,
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("handler: %w", err)
	}
	return h, nil
}

type handler struct {
	receiver
	onActivity func(context.Context, *Activity) error
	onInvoke   func(context.Context, *Activity) (InvokeResponse, error)
	onGuess    func(context.Context)
	log        *slog.Logger
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // clients ask it to see whether anybody is there
		w.WriteHeader(http.StatusOK)
		return
	}
	a, err := h.receive(w, r)
	if err != nil {
		status := StatusOf(err)
		if status == http.StatusUnauthorized && h.onGuess != nil {
			h.onGuess(r.Context())
		}
		h.refuse(w, a, status, err)
		return
	}
	answer, err := h.handle(r.Context(), a)
	switch {
	case errors.Is(err, ErrNotImplemented):
		h.refuse(w, a, http.StatusNotImplemented, err)
	case err != nil:
		h.refuse(w, a, http.StatusServiceUnavailable, err)
	default:
		h.answer(w, a, answer)
	}
}

// StatusOf returns the HTTP status with which to answer a request that was refused: that of an *[AuthError] or
// a *[RequestError], and 503 for every other error, so that Microsoft sends the activity again.
func StatusOf(err error) int {
	var auth *AuthError
	var request *RequestError
	switch {
	case errors.As(err, &auth):
		return auth.Status
	case errors.As(err, &request):
		return request.Status
	}
	return http.StatusServiceUnavailable
}

// handle hands a to the bot. A panic there becomes an error, so that Microsoft sends the activity again.
func (h *handler) handle(ctx context.Context, a *Activity) (answer InvokeResponse, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handling the activity: %w", panicked(p))
			h.log.Error("handling an activity panicked", append(idAttrs(a), "stack", string(debug.Stack()))...)
		}
	}()
	switch {
	case a.Type != TypeInvoke:
		return InvokeResponse{}, h.onActivity(ctx, a)
	case h.onInvoke == nil:
		return InvokeResponse{}, ErrNotImplemented
	}
	ctx, cancel := context.WithTimeout(ctx, invokeBudget)
	defer cancel()
	return h.onInvoke(ctx, a)
}

// answer writes the outcome of an activity that was taken.
func (h *handler) answer(w http.ResponseWriter, a *Activity, answer InvokeResponse) {
	status := answer.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 599 {
		h.refuse(w, a, http.StatusServiceUnavailable, fmt.Errorf("status %d is none to answer an invoke with", status))
		return
	}
	if answer.Body == nil {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(answer.Body)
	if err != nil { // and err may quote it
		h.refuse(w, a, http.StatusServiceUnavailable, errors.New("answer to the invoke cannot be encoded"))
		return
	}
	writeJSON(w, status, body)
}

// refuse answers with status and logs why, with ids only. a is nil when it could not be read.
func (h *handler) refuse(w http.ResponseWriter, a *Activity, status int, err error) {
	level := slog.LevelWarn
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelError
	case a == nil || status == http.StatusNotImplemented: // the former can be caused by anybody on the internet
		level = slog.LevelDebug
	}
	h.log.Log(context.Background(), level, "activity not taken", append(idAttrs(a), "status", status, "err", err)...)

	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", "POST, HEAD")
	case http.StatusRequestTimeout:
		w.Header().Set("Connection", "close")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	code := strings.ReplaceAll(http.StatusText(status), " ", "")
	writeJSON(w, status, []byte(`{"error":{"code":"`+code+`"}}`))
}

// idAttrs are the log attributes that tell which activity a line is about. Nobody may have vouched for them yet.
func idAttrs(a *Activity) []any {
	if a == nil {
		return nil
	}
	attrs := []any{"type", logID(a.Type), "activity", logID(a.ID)}
	if a.Conversation != nil {
		attrs = append(attrs, "conversation", logID(a.Conversation.ID))
	}
	return attrs
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client is gone, and there is nobody left to tell
}
