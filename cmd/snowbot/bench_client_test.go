package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPlainTransport(t *testing.T) {
	t.Parallel()
	var dialed atomic.Int64
	hang := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/close":
			w.Header().Set("Connection", "close")
		case "/flush":
			_ = http.NewResponseController(w).Flush() // what follows comes in chunks
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		_, _ = w.Write(append([]byte(r.Header.Get("X-Word")+" "), body...))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialed.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(hang) })
	client := newPlainClient(time.Minute)
	t.Cleanup(client.CloseIdleConnections)
	ask := func(ctx context.Context, client *http.Client, path, body string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("X-Word", "said")
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		return string(answer), err
	}
	expect := func(path, body string, dials int64) {
		t.Helper()
		if got, err := ask(t.Context(), client, path, body); err != nil || got != "said "+body {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if n := dialed.Load(); n != dials {
			t.Errorf("%s: %d connections so far, want %d", path, n, dials)
		}
	}
	long := strings.Repeat("long ", 4000)
	expect("/", "one", 1)
	expect("/", long, 1)
	expect("/flush", long, 1)
	expect("/close", "two", 1)
	expect("/", "three", 2)

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got, err := ask(t.Context(), client, "/", "at once"); err != nil || got != "said at once" {
					t.Errorf("at once: %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if n := dialed.Load(); n > 2+8 {
		t.Errorf("%d connections for 8 at once", n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := ask(ctx, client, "/hang", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	hasty := newPlainClient(time.Millisecond)
	if _, err := ask(t.Context(), hasty, "/hang", ""); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beyond the limit: %v", err)
	}
}
