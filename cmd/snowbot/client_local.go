package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"snowbot/store"
)

// openLocal opens the store itself and serves the admin API on it, to this process only.
func (s *storeSettings) openLocal(ctx context.Context) (*adminClient, error) {
	var e settingsError
	if err := s.DatabaseURL.check(); err != nil {
		e.problems = append(e.problems, "DATABASE_URL "+err.Error())
	}
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		e.problems = append(e.problems, "DATA_ENCRYPTION_KEY: "+err.Error()+" (no service runs at ADMIN_LISTEN_ADDR, so the database has to be opened)")
	}
	if len(e.problems) > 0 {
		return nil, &e
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := s.DatabaseURL.open(ctx, databaseOptions{keys: keys, log: log})
	if errors.As(err, new(*noDatabaseError)) {
		return nil, fmt.Errorf("no service runs, and %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &adminClient{
		base:  "http://local",
		http:  &http.Client{Transport: localTransport{newAdminAPI(db.Store, log)}},
		close: db.Close,
	}, nil
}

// A localTransport answers requests with a handler in this process.
type localTransport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t localTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &localAnswer{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// A localAnswer keeps what a handler writes.
type localAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *localAnswer) Header() http.Header         { return w.header }
func (w *localAnswer) WriteHeader(status int)      { w.status = status }
func (w *localAnswer) Write(b []byte) (int, error) { return w.body.Write(b) }
