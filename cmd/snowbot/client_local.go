package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"

	"snowbot/store"
	"snowbot/store/bolt"
)

// openLocal opens the store itself and serves the admin API on it, to this process only.
func (s *storeSettings) openLocal() (*adminClient, error) {
	var e settingsError
	path, err := (&settings{DatabaseURL: s.DatabaseURL}).boltPath()
	if err != nil {
		e.problems = append(e.problems, "DATABASE_URL "+err.Error())
	}
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		e.problems = append(e.problems, "DATA_ENCRYPTION_KEY: "+err.Error()+" (no service runs at ADMIN_LISTEN_ADDR, so the database has to be opened)")
	}
	if len(e.problems) > 0 {
		return nil, &e
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // opening would make one
		return nil, fmt.Errorf("no service runs, and there is no database at %s", path)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := bolt.Open(bolt.Options{Path: path, Keys: keys, Log: log})
	if err != nil {
		return nil, err
	}
	return &adminClient{
		base:  "http://local",
		http:  &http.Client{Transport: localTransport{newAdminAPI(st, log)}},
		close: st.Close,
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
