package adapter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
)

// Whatever is said of its length, no more is read of a body than what is allowed and a byte, by which the rest is known.
func TestFetchFileReadsNoMoreThanAllowed(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for said, most := range map[int64]int{-1: limit + 1, 0: limit + 1, 5: limit + 1, limit: limit + 1, limit + 1: 0, 1 << 62: 0} {
		body := &endless{}
		c := fileConnector(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: said, Request: r}, nil
		}))
		data, _, err := c.FetchFile(t.Context(), adapter.FileRef{Name: "a", URL: sharePoint}, limit)
		if !errors.Is(err, adapter.ErrFileTooLarge) || data != nil || body.read > most {
			t.Errorf("a length of %d: %d bytes read, %v", said, body.read, err)
		}
	}
}

func TestFetchFileBodies(t *testing.T) {
	t.Parallel()
	const limit = 100 << 10
	zipped := func(size int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.CopyN(z, &endless{}, int64(size))
		_ = z.Close()
		return b.Bytes()
	}
	raw := func(head, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s\r\n%s", head, body)
			conn.Close()
		}
	}
	chunks := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range n {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 10<<10)); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
			}
		}
	}
	packed := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(body)
		}
	}
	for _, tt := range []struct {
		name string
		page http.HandlerFunc
		size int // of the file, unless it fails
		want error
	}{
		{"in one piece", raw("Content-Length: 5\r\n", "words"), 5, nil},
		{"just as large as allowed", chunks(10), limit, nil},
		{"in pieces that come to too much", chunks(1000), 0, adapter.ErrFileTooLarge},
		{"a length that is too much, and nothing behind it", raw("Content-Length: 99999999999\r\n", "x"), 0, adapter.ErrFileTooLarge},
		{"less than was said", raw("Content-Length: 5000\r\n", "words"), 0, io.ErrUnexpectedEOF},
		{"more than was said", raw("Content-Length: 5\r\n", "words and more"), 5, nil},
		{"nothing said and much sent", raw("", strings.Repeat("x", limit+1)), 0, adapter.ErrFileTooLarge},
		{"pieces that break off", raw("Transfer-Encoding: chunked\r\n", "5\r\nwords\r\n"), 0, io.ErrUnexpectedEOF},
		{"packed", packed(zipped(limit)), limit, nil},
		{"packed small and huge unpacked", packed(zipped(30 * limit)), 0, adapter.ErrFileTooLarge},
		{"packed, and broken off", packed(zipped(limit)[:50]), 0, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.page)
			t.Cleanup(s.Close)
			data, _, err := openConnector(t, nil).FetchFile(t.Context(), adapter.FileRef{Name: "a.txt", URL: s.URL}, limit)
			if !errors.Is(err, tt.want) || len(data) != tt.size {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
}

// A server that sends a byte now and then holds nobody longer than the caller waits.
func TestFetchFileSlowly(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "w")
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	_, _, err := openConnector(t, nil).FetchFile(ctx, adapter.FileRef{Name: "a.txt", URL: s.URL}, 100)
	if e := wantError(t, err); !errors.Is(err, context.Canceled) || e.Written {
		t.Errorf("error %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, _, err := openConnector(t, nil).FetchFile(late, adapter.FileRef{Name: "a.txt", URL: s.URL}, 100); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// Whoever waits for a file that does not come waits for a minute at most.
func TestFetchFileEndsByItself(t *testing.T) {
	t.Parallel()
	var left time.Duration
	c := fileConnector(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		until, _ := r.Context().Deadline()
		left = time.Until(until)
		return nil, os.ErrDeadlineExceeded
	}))
	_, _, err := c.FetchFile(t.Context(), adapter.FileRef{Name: "a", URL: sharePoint}, 100)
	if !errors.Is(err, os.ErrDeadlineExceeded) || left > time.Minute || left < 9*time.Second {
		t.Errorf("%v left, %v", left, err)
	}
}

// A name of Microsoft's that is led elsewhere by whoever answers for names is not asked for anything: there is no certificate for it there.
func TestFetchFileWhereANameLeadsElsewhere(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 8)
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	t.Cleanup(s.Close)
	c := fileConnector(t, adapter.TransportTo(s.Listener.Addr().String()))
	for _, ref := range []adapter.FileRef{{Name: "a", URL: sharePoint}, {Name: "a", URL: teamsPicture, Token: true}} {
		if _, _, err := c.FetchFile(t.Context(), ref, 100); err == nil || strings.Contains(err.Error(), "the-token") {
			t.Errorf("error %v", err)
		}
	}
	s.Close()
	close(reached)
	for path := range reached {
		t.Errorf("%s was asked for", path)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func fileConnector(tb testing.TB, transport http.RoundTripper) *adapter.Connector {
	tb.Helper()
	c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: fixedToken("the-token"), HTTP: &http.Client{Transport: transport}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// What people send in the emulated Teams arrives, the paper clip's without a token and the clipboard's with one.
func TestFetchFileOfTeams(t *testing.T) {
	t.Parallel()
	bot := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(bot.Close)
	teams, err := adaptertest.New(adaptertest.Options{BotURL: bot.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = teams.Close() })
	chat := teams.Personal(teams.AddUser(adaptertest.User{}))
	sent, err := chat.SendFiles(t.Context(), chat.Members()[0], "", adaptertest.File{Name: "a.docx", Data: []byte("PK\x03\x04")})
	if err != nil {
		t.Fatal(err)
	}
	pasted, err := chat.Paste(t.Context(), chat.Members()[0], "", adaptertest.File{ContentType: "image/png", Data: []byte(pngBytes)})
	if err != nil {
		t.Fatal(err)
	}
	c := openConnector(t, func(o *adapter.ConnectorOptions) { o.Tokens = fixedToken(teams.AccessToken()) })
	for _, tt := range []struct {
		sent                    adaptertest.Posted
		name, contentType, data string
	}{
		{sent, "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK\x03\x04"},
		{pasted, "image", "image/png", pngBytes},
	} {
		files := decode(t, string(tt.sent.Activity())).Files()
		if len(files) != 1 || files[0].Name != tt.name {
			t.Fatalf("Files() = %+v", files)
		}
		data, contentType, err := c.FetchFile(t.Context(), files[0], 100)
		if err != nil || string(data) != tt.data || contentType != tt.contentType {
			t.Errorf("%s: %q, %q, %v", tt.name, data, contentType, err)
		}
	}
	teams.ExpireFiles()
	for _, p := range []adaptertest.Posted{sent, pasted} {
		if _, _, err := c.FetchFile(t.Context(), decode(t, string(p.Activity())).Files()[0], 100); !errors.Is(err, adapter.ErrFileGone) {
			t.Errorf("error %v, want that it is gone", err)
		}
	}
}
