package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/mux"

	"snowbot/store"
)

func TestFilesAreHandedOutSafely(t *testing.T) {
	t.Parallel()
	kept := map[string]store.File{
		"png":     {Name: "photo.png", ContentType: "image/png", Data: []byte("PNG bytes")},
		"html":    {Name: "page.html", ContentType: "text/html", Data: []byte("<script>")},
		"svg":     {Name: "x.svg", ContentType: "image/svg+xml", Data: []byte("<svg onload=x>")},
		"hostile": {Name: "Ü\"\r\nSet-Cookie: a=b\r\n日本.pdf", ContentType: "application/pdf", Data: []byte("%PDF")},
		"empty":   {Name: "empty.txt", ContentType: "text/plain"},
	}
	broken := errors.New("the database is away")
	files := newFileServer(func(_ context.Context, token string) (store.File, error) {
		f, ok := kept[token]
		switch {
		case token == "broken":
			return f, broken
		case !ok:
			return f, store.ErrNotFound
		}
		return f, nil
	}, slog.New(slog.DiscardHandler))
	routes := mux.NewRouter()
	routes.Handle(filesPath+"/{token}", files)
	for _, tt := range []struct {
		name, method, token string
		part                string // a Range
		status              int
		contentType, how    string
		body                string
	}{
		{"a picture is shown", "GET", "png", "", 200, "image/png", `inline; filename=photo.png`, "PNG bytes"},
		{"its head", "HEAD", "png", "", 200, "image/png", `inline; filename=photo.png`, ""},
		{"a part of it", "GET", "png", "bytes=4-8", 206, "image/png", `inline; filename=photo.png`, "bytes"},
		{"a page is saved", "GET", "html", "", 200, "text/html", `attachment; filename=page.html`, "<script>"},
		{"a picture in which something may run is saved", "GET", "svg", "", 200, "image/svg+xml", `attachment; filename=x.svg`, "<svg onload=x>"},
		{"a hostile name is quoted", "GET", "hostile", "", 200, "application/pdf", `attachment; filename*=utf-8''%C3%9C%22%0D%0ASet-Cookie%3A%20a%3Db%0D%0A%E6%97%A5%E6%9C%AC.pdf`, "%PDF"},
		{"an empty file is one", "GET", "empty", "", 200, "text/plain", `attachment; filename=empty.txt`, ""},
		{"nothing there", "GET", "unknown", "", 404, "text/plain; charset=utf-8", "", "There is no file here, or not any more: links to files work for a while only.\n"},
		{"no writing", "POST", "png", "", 405, "text/plain; charset=utf-8", "", "files can be read, and nothing else\n"},
		{"no deleting", "DELETE", "unknown", "", 405, "text/plain; charset=utf-8", "", "files can be read, and nothing else\n"},
		{"not to be read now", "GET", "broken", "", 503, "text/plain; charset=utf-8", "", "the file cannot be read at the moment\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, filesPath+"/"+tt.token, nil)
			if tt.part != "" {
				r.Header.Set("Range", tt.part)
			}
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, r)
			res := w.Result()
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || string(body) != tt.body {
				t.Errorf("status %d and %q, %v, want %d and %q", res.StatusCode, body, err, tt.status, tt.body)
			}
			want := map[string]string{
				"Content-Type": tt.contentType, "Content-Disposition": tt.how,
				"Cache-Control": "private, no-store", "Content-Security-Policy": "sandbox; default-src 'none'",
				"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			}
			for name, value := range want {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			if res.Header.Get("Set-Cookie") != "" {
				t.Error("a name has made a header of its own")
			}
		})
	}
}

// What is nobody's and what was somebody's are answered alike.
func TestFilesTellNothingOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	files := newFileServer(func(context.Context, string) (store.File, error) { return store.File{}, store.ErrNotFound }, slog.New(slog.DiscardHandler))
	routes := mux.NewRouter()
	routes.Handle(filesPath+"/{token}", files)
	first := ""
	for _, token := range []string{"a", strings.Repeat("A", 43), strings.Repeat("x", 4000), "%2e%2e%2fetc%2fpasswd"} {
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, filesPath+"/"+token, nil))
		if w.Code == http.StatusMovedPermanently { // the router tidies the path up first
			continue
		}
		got := w.Body.String()
		if first == "" {
			first = got
		}
		if w.Code != http.StatusNotFound || got != first {
			t.Errorf("%.10s: status %d, %q", token, w.Code, got)
		}
	}
}

// Whoever has one link, and reads it slowly and often, does not keep the others from theirs.
func TestFilesOfOneLinkLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	read, goOn := make(chan struct{}), make(chan struct{})
	files := newFileServer(func(_ context.Context, token string) (store.File, error) {
		if token == "mine" {
			read <- struct{}{}
			<-goOn
		}
		return store.File{Name: "a.txt", ContentType: "text/plain"}, nil
	}, slog.New(slog.DiscardHandler))
	routes := mux.NewRouter()
	routes.Handle(filesPath+"/{token}", files)
	get := func(token string) int {
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, filesPath+"/"+token, nil))
		return w.Code
	}
	var slow sync.WaitGroup
	for range filesOfOne {
		slow.Go(func() {
			if code := get("mine"); code != http.StatusOK {
				t.Errorf("status %d of one that was read slowly", code)
			}
		})
		<-read
	}
	for range filesServed {
		if code := get("mine"); code != http.StatusServiceUnavailable {
			t.Errorf("status %d once more, want 503", code)
		}
	}
	if code := get("another"); code != http.StatusOK {
		t.Errorf("status %d of another link", code)
	}
	close(goOn)
	slow.Wait()
	go func() { <-read }()
	if code := get("mine"); code != http.StatusOK {
		t.Errorf("status %d when they were done", code)
	}
}

func TestOnlyWholeFilesCountAsFetched(t *testing.T) {
	t.Parallel()
	kept := map[string]store.File{
		"doc":   {ID: "1", Name: "a.txt", ContentType: "text/plain", Data: bytes.Repeat([]byte("words "), 10_000)},
		"empty": {ID: "2", Name: "b.txt", ContentType: "text/plain"},
	}
	var noted []string
	files := newFileServer(func(_ context.Context, token string) (store.File, error) {
		f, ok := kept[token]
		if !ok {
			return f, store.ErrNotFound
		}
		return f, nil
	}, slog.New(slog.DiscardHandler))
	files.fetched = func(ctx context.Context, token string, f store.File) error {
		noted = append(noted, token+" "+f.ID)
		return ctx.Err()
	}
	routes := mux.NewRouter()
	routes.Handle(filesPath+"/{token}", files)
	for _, tt := range []struct {
		name, method, token, part string
		breaks                    bool
		want                      []string
	}{
		{"a whole one", "GET", "doc", "", false, []string{"doc 1"}},
		{"one without a byte", "GET", "empty", "", false, []string{"empty 2"}},
		{"all of it as a part", "GET", "doc", "bytes=0-", false, []string{"doc 1"}},
		{"its head", "HEAD", "doc", "", false, nil},
		{"the head of one without a byte", "HEAD", "empty", "", false, nil},
		{"a part", "GET", "doc", "bytes=0-9", false, nil},
		{"no part of it", "GET", "doc", "bytes=70000-", false, nil},
		{"broken off", "GET", "doc", "", true, nil},
		{"nothing there", "GET", "unknown", "", false, nil},
		{"not read", "POST", "doc", "", false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noted = nil
			r := httptest.NewRequestWithContext(t.Context(), tt.method, filesPath+"/"+tt.token, nil)
			if tt.part != "" {
				r.Header.Set("Range", tt.part)
			}
			var w http.ResponseWriter = httptest.NewRecorder()
			if tt.breaks {
				w = brokenWriter{w}
			}
			routes.ServeHTTP(w, r)
			if !slices.Equal(noted, tt.want) {
				t.Errorf("noted %q, want %q", noted, tt.want)
			}
		})
	}
}

// A brokenWriter is to somebody who hangs up.
type brokenWriter struct{ http.ResponseWriter }

func (w brokenWriter) Write(p []byte) (int, error) { return len(p) / 2, io.ErrClosedPipe }
