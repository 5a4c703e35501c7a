package adapter_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"snowbot/adapter"
)

// An endless body, which counts what was taken of it.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.read += len(b)
	return len(b), nil
}

func TestHandlerBoundsTheBody(t *testing.T) {
	t.Parallel()
	message := doorJSON(t, newActivity(nil))
	exact := message + strings.Repeat(" ", 256<<10-len(message))
	d := newDoor(t, nil)
	wantStatus(t, d.post(t, exact, nil), 200)
	wantStatus(t, d.post(t, exact+" ", nil), 413)
	wantStatus(t, d.post(t, exact+" ", func(r *http.Request) { r.ContentLength = -1 }), 413)

	for _, tt := range []struct {
		name   string
		length int64
		most   int // bytes read
	}{{"announced", 10 << 20, 0}, {"chunked", -1, 1 << 20}} {
		body := &endless{}
		w := d.post(t, "", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(body), tt.length })
		wantStatus(t, w, 413)
		if body.read > tt.most {
			t.Errorf("%s: %d bytes were read of a body that is too large", tt.name, body.read)
		}
	}
}

// Whoever has no token of Microsoft's cannot make us hold anything of theirs.
func TestHandlerReadsNothingBeforeTheTokenIsProven(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	other := newToken(t, d.clock, func(s *tokenSpec) { s.key = 1 })
	for name, token := range map[string]string{"junk": "x", "the shape of a token": "e30.e30.AAAA", "another key's": other} {
		body := &endless{}
		w := d.post(t, "", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(body), -1
			r.Header.Set("Authorization", "Bearer "+token)
		})
		wantStatus(t, w, 401)
		if body.read != 0 {
			t.Errorf("%s: %d bytes were read", name, body.read)
		}
	}
}

func TestHandlerTellsOfGuesses(t *testing.T) {
	t.Parallel()
	told := 0
	d := newDoor(t, func(o *adapter.HandlerOptions) { o.OnGuess = func(context.Context) { told++ } })
	message := doorJSON(t, newActivity(nil))
	wantStatus(t, d.post(t, message, nil), 200)
	wantStatus(t, d.post(t, "", nil), 400)
	if told != 0 {
		t.Errorf("%d guesses with a good token", told)
	}
	wantStatus(t, d.post(t, message, func(r *http.Request) { r.Header.Set("Authorization", "Bearer a.b.c") }), 401)
	if told != 1 {
		t.Errorf("a bad token was told of %d times", told)
	}
}

func TestHandlerRefusesStrangeBodies(t *testing.T) {
	t.Parallel()
	message := doorJSON(t, newActivity(nil))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, message); err != nil {
		t.Fatal(err)
	}
	z.Close()
	var wide bytes.Buffer
	for _, u := range utf16.Encode([]rune("\ufeff" + message)) {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	for name, body := range map[string]string{
		"brackets":             strings.Repeat("[", 200_000),
		"braces":               strings.Repeat(`{"a":`, 50_000),
		"brackets in a value":  `{"type":"message","value":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"NUL bytes":            strings.Repeat("\x00", 1000),
		"NUL in a string":      `{"type":"mess` + "\x00" + `age"}`,
		"NUL after it":         message + "\x00",
		"gzip":                 packed.String(),
		"UTF-16":               wide.String(),
		"form":                 "type=message&text=x",
		"HTML":                 "<html>",
		"single quotes":        "{'type':'message'}",
		"comment":              "/* x */" + message,
		"number without end":   `{"type":"message","x":1e` + strings.Repeat("9", 1000),
		"lone surrogate names": `{"\ud800":"message"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, nil)
			wantStatus(t, d.post(t, body, nil), 400)
		})
	}
}

// What anybody can make us allocate stays in proportion to the limit. Not parallel: it looks at the whole process.
func TestHandlerMemoryStaysFlat(t *testing.T) {
	d := newDoor(t, nil)
	million := strings.Repeat("[", 1_000_000)
	dots := "Bearer " + strings.Repeat(".", 900_000)
	attacks := []func(){
		func() { d.post(t, million, func(r *http.Request) { r.ContentLength = -1 }) },
		func() {
			d.post(t, "", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(&endless{}), -1 })
		},
		func() { d.post(t, "{}", func(r *http.Request) { r.Header.Set("Authorization", dots) }) },
	}
	for _, attack := range attacks {
		attack() // what is allocated once
	}
	for i, attack := range attacks {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			attack()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / 10; each > 4<<20 {
			t.Errorf("attack %d allocates %d bytes a request", i, each)
		}
	}
}

func TestHandlerCutsSlowSenders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header string
		want   int
	}{
		{"with a length", "Authorization: %s\r\nContent-Length: 1000\r\n\r\n{", 408},
		{"chunked", "Authorization: %s\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", 408},
		{"that never send", "Authorization: %s\r\nContent-Length: 1000\r\n\r\n", 408},
		{"without a token", "Content-Length: 1000\r\n\r\n{", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, func(o *adapter.HandlerOptions) { o.ReadTimeout = 50 * time.Millisecond })
			srv := httptest.NewServer(d.handler)
			defer srv.Close()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			header := tt.header
			if strings.Contains(header, "%s") {
				header = fmt.Sprintf(header, "Bearer "+newToken(t, d.clock, nil))
			}
			if _, err := io.WriteString(conn, "POST /api/messages HTTP/1.1\r\nHost: x\r\n"+header); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			answer := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answer, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("status = %d, want %d", resp.StatusCode, tt.want)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			if _, err := answer.ReadByte(); err == nil {
				t.Error("the connection goes on")
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("the sender was cut after %v", took)
			}
		})
	}
}

// A deadlineWriter is a ResponseWriter that keeps the deadline it is given, as that of the server does.
type deadlineWriter struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *deadlineWriter) SetReadDeadline(at time.Time) error {
	w.deadline = at
	return nil
}

func TestHandlerGivesASenderTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/messages", strings.NewReader("{}"))
		w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
		d.handler.ServeHTTP(w, r)
		if got := time.Until(w.deadline); got != 10*time.Second {
			t.Errorf("a body may take %v to arrive, want 10s", got)
		}
	})
}

// The time limit is for reading: a commit may take longer, and the connection is used again.
func TestHandlerTimeLimitEndsWithTheBody(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	slow := func(ctx context.Context, _ *adapter.Activity) error {
		select {
		case <-time.After(4 * limit):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d := newDoor(t, func(o *adapter.HandlerOptions) { o.ReadTimeout, o.OnActivity = limit, slow })
	srv := httptest.NewServer(d.handler)
	defer srv.Close()
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader(doorJSON(t, newActivity(nil))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+newToken(t, d.clock, nil))
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status = %d, want 200", resp.StatusCode)
		}
	}
}
