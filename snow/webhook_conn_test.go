package snow_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"snowbot/snow"
)

// A rawConn is the client's end of a connection, below HTTP.
type rawConn struct {
	net.Conn
	r *bufio.Reader
}

// dial connects to a server that runs h, and fails the test when the exchange takes longer than 10 s.
func dial(t *testing.T, h http.Handler) rawConn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return rawConn{c, bufio.NewReader(c)}
}

// answer reads one response, and whether the connection ended after it.
func (c rawConn) answer(t *testing.T) (status int, closed bool) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if !resp.Close {
		return resp.StatusCode, false
	}
	_, err = c.r.ReadByte()
	return resp.StatusCode, err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func head(authorization string, more ...string) string {
	lines := append([]string{"POST / HTTP/1.1", "Host: bot.example", "Authorization: Bearer " + authorization}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestWebhookEndsSlowConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, secret string
		framing      string
		drip         string
		want         int
	}{
		{"body that never comes", secret, "Content-Length: 100", "", 408},
		{"a byte at a time", secret, "Content-Length: 1000000", "x", 408},
		{"a chunk at a time", secret, "Transfer-Encoding: chunked", "1\r\nx\r\n", 408},
		{"wrong secret, body that never comes", "wrong", "Content-Length: 100", "", 401},
		{"wrong secret, a byte at a time", "wrong", "Content-Length: 1000000", "x", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, newWebhook(t, snow.WebhookOptions{ReadTimeout: 100 * time.Millisecond}))
			if _, err := io.WriteString(c, head(tt.secret, tt.framing)); err != nil {
				t.Fatal(err)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for tt.drip != "" {
					if _, err := io.WriteString(c, tt.drip); err != nil {
						return
					}
					<-tick.C
				}
			}()
			status, closed := c.answer(t)
			if status != tt.want || !closed {
				t.Errorf("status %d, closed %v, want %d and closed", status, closed, tt.want)
			}
			c.Close()
			<-stopped
		})
	}
}

func TestWebhookKeepsGoodConnections(t *testing.T) {
	t.Parallel()
	// Accept outlives the read time-out, and neither its context nor the connection ends by that.
	const readTimeout = 50 * time.Millisecond
	h := newWebhook(t, snow.WebhookOptions{ReadTimeout: readTimeout, Accept: func(ctx context.Context, _ *snow.Event) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * readTimeout):
			return nil
		}
	}})
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if err := r.Context().Err(); err != nil {
			t.Errorf("to those around the webhook the client seems gone: %v", err)
		}
	}))
	for n, tt := range []struct {
		framed string
		want   int
	}{
		{head(secret, "Content-Length: 11") + `{"body":[]}`, 200},
		{head(secret, "Transfer-Encoding: chunked") + "4\r\n{\"bo\r\n7\r\ndy\":[]}\r\n0\r\n\r\n", 200},
		{head(secret, "Content-Length: 2") + `[]`, 400},
		{head(secret, "Content-Length: 2") + `{}`, 200},
	} {
		if _, err := io.WriteString(c, tt.framed); err != nil {
			t.Fatal(err)
		}
		if status, closed := c.answer(t); status != tt.want || closed {
			t.Fatalf("request %d: status %d, closed %v, want %d on an open connection", n, status, closed, tt.want)
		}
	}
}

func TestWebhookMemoryStaysFlat(t *testing.T) { // not parallel: it measures what the whole process allocates
	s := httptest.NewServer(newWebhook(t, snow.WebhookOptions{}))
	defer s.Close()
	send := func(auth string) {
		body := io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), 10<<20)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+auth)
		resp, err := s.Client().Do(r)
		if err != nil {
			return // the server closed while we were still sending, as it should
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge && resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	allocated := func(n int, auth string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			send(auth)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / uint64(n)
	}
	if each := allocated(5, secret); each > 8<<20 {
		t.Errorf("10 MB with the secret allocate %d KiB each", each>>10)
	}
	if each := allocated(5, "wrong"); each > 1<<20 {
		t.Errorf("10 MB without the secret allocate %d KiB each", each>>10)
	}
}

func BenchmarkWebhook(b *testing.B) {
	h := newWebhook(b, snow.WebhookOptions{})
	body := fmt.Sprintf(`{"clientSessionId":"ses-1","body":[{"uiType":"OutputText","value":%q,"messageId":"m"}]}`, strings.Repeat("x", 200))
	b.ReportAllocs()
	for b.Loop() {
		if w := post(h, body, nil); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
