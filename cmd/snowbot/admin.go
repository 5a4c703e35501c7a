package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"snowbot/bot"
	"snowbot/store"
)

// adminPath is where the admin API begins.
const adminPath = "/api/admin"

// adminLimit is how long one request of the admin API may take.
const adminLimit = 10 * time.Second

// adminRoutes adds the admin API and the console to the router of the admin listener. Without a token there is neither.
func adminRoutes(r *mux.Router, sv *service, token string) {
	if token = strings.TrimSpace(token); token != "" {
		api := newAdminAPI(sv.store.Store, sv.log)
		api.endSessions = sv.bot.EndSessions
		r.PathPrefix(adminPath + "/").Handler(guarded(token, api, sv.log))
		consoleRoutes(r)
	}
}

// guarded lets through who has the token. Failures are always answered 401, and slowly when there are many; a request
// with the token never waits, wherever it comes from.
func guarded(token string, next http.Handler, log *slog.Logger) http.Handler {
	want := sha256.Sum256([]byte(token))
	guard := &adminGuard{now: time.Now}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, got, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
		have := sha256.Sum256([]byte(strings.TrimSpace(got)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(have[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		if guard.failed(r.Context()) {
			log.Warn("admin API: refused a request without the right token", "remote", r.RemoteAddr)
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="snowbot admin"`)
		writeJSON(w, http.StatusUnauthorized, problem{Code: codeUnauthorized, Text: "the bearer token is missing or wrong"})
	})
}

// An adminAPI answers the admin API from a store. It asks for no token: whoever serves it does.
type adminAPI struct {
	store  store.Store
	log    *slog.Logger
	router *mux.Router
	// endSessions ends the live sessions of a person; nil without a service that could tell anybody of it.
	endSessions func(ctx context.Context, person string) error
}

func newAdminAPI(st store.Store, log *slog.Logger) *adminAPI {
	a := &adminAPI{store: st, log: log, router: mux.NewRouter().UseEncodedPath()}
	for _, route := range []struct {
		method, path string
		handle       func(context.Context, *http.Request) (any, error)
	}{
		{http.MethodGet, "/dead-letters", a.listLetters},
		{http.MethodPost, "/dead-letters/retry", a.retryLetters},
		{http.MethodDelete, "/dead-letters", a.dropLetters},
		{http.MethodGet, "/dead-letters/{id}", a.showLetter},
		{http.MethodPost, "/dead-letters/{id}/retry", a.retryLetter},
		{http.MethodDelete, "/dead-letters/{id}", a.dropLetter},
		{http.MethodGet, "/sessions", a.listSessions},
		{http.MethodGet, "/stats", a.stats},
		{http.MethodGet, "/people", a.exportPerson},
		{http.MethodDelete, "/people", a.erasePerson},
		{http.MethodPost, "/rekey", a.rekey},
	} {
		a.router.Handle(adminPath+route.path, a.handler(route.handle)).Methods(route.method)
	}
	a.router.NotFoundHandler = a.handler(func(context.Context, *http.Request) (any, error) {
		return nil, &problem{Status: http.StatusNotFound, Code: codeNotFound, Text: "the admin API has no such page"}
	})
	a.router.MethodNotAllowedHandler = a.handler(func(context.Context, *http.Request) (any, error) {
		return nil, &problem{Status: http.StatusMethodNotAllowed, Code: codeBadRequest, Text: "method not allowed"}
	})
	return a
}

func (a *adminAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// Codes of problems. Programs branch on them, so they do not change.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeNotFound     = "not_found"
	codeSessionOver  = "session_over"
	codeNotRetryable = "not_retryable"
	codeSessionLive  = "session_live"
	codeNotTold      = "not_told"
	codeUnavailable  = "unavailable"
)

// A problem is an answer of the admin API that is not what was asked for.
type problem struct {
	Status int    `json:"-"`
	Code   string `json:"code"`
	Text   string `json:"error"`
}

func (p *problem) Error() string { return p.Text }

// handler is the one place that writes answers.
func (a *adminAPI) handler(handle func(context.Context, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), adminLimit)
		defer cancel()
		v, err := handle(ctx, r)
		if err == nil {
			writeJSON(w, http.StatusOK, v)
			return
		}
		p := problemOf(err)
		if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
			a.log.Error("admin API: request failed", "method", r.Method, "err", err)
		}
		writeJSON(w, p.Status, p)
	})
}

// problemOf says how an error is answered.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return &problem{http.StatusNotFound, codeNotFound, "there is no such dead letter"}
	case errors.Is(err, bot.ErrSessionOver):
		return &problem{http.StatusConflict, codeSessionOver, err.Error()}
	case errors.Is(err, bot.ErrNotRetryable):
		return &problem{http.StatusConflict, codeNotRetryable, err.Error()}
	default:
		return &problem{http.StatusServiceUnavailable, codeUnavailable, "the store did not answer as it should; the service's log says why"}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a reader that has gone is no news
}

// parameters returns the query's values, each given at most once and known: a filter that is misspelled must not choose everything.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query cannot be read")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, badRequest("unknown parameter; known are: " + strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, badRequest(name + " is given more than once")
		}
		if len(values[0]) > store.MaxString || !isText(values[0]) {
			return nil, badRequest(name + " is too long, or no text")
		}
	}
	return q, nil
}

// isText reports whether a store can hold s.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func badRequest(text string) error {
	return &problem{Status: http.StatusBadRequest, Code: codeBadRequest, Text: text}
}
