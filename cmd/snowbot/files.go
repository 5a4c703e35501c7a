package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"snowbot/store"
)

// filesPath is below which files are handed out.
const filesPath = "/files"

const (
	filesServed   = 8                // at once: each is in memory while it is sent
	filesOfOne    = 2                // at once of one link, so that whoever has it cannot keep the others from theirs
	filesPatience = 5 * time.Second  // of those who wait for their turn
	filesTime     = 60 * time.Second // for one that reads slowly
)

// A fileServer hands out what people have sent one another, to whoever has the link. It says of every other address the same: that
// nothing is there.
type fileServer struct {
	file  func(ctx context.Context, token string) (store.File, error) // [bot.Bot.File]
	log   *slog.Logger
	slots chan struct{}

	mu  sync.Mutex
	now map[string]int // how many are served of each link

	// fetched is told of each file that was handed out whole, unless it is nil: [bot.Bot.Fetched].
	fetched func(ctx context.Context, token string, f store.File) error
}

func newFileServer(file func(context.Context, string) (store.File, error), log *slog.Logger) *fileServer {
	return &fileServer{file: file, log: log, slots: make(chan struct{}, filesServed), now: map[string]int{}}
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, "files can be read, and nothing else")
		return
	}
	token := mux.Vars(r)["token"]
	if !s.begin(token) {
		s.busy(w)
		return
	}
	defer s.end(token)
	ctx, cancel := context.WithTimeout(r.Context(), filesPatience)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		s.busy(w)
		return
	}
	f, err := s.file(ctx, token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		answer(w, http.StatusNotFound, "There is no file here, or not any more: links to files work for a while only.")
	case err != nil:
		s.log.Warn("a file cannot be read", "err", err)
		s.busy(w)
	default:
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(filesTime)) // or else as long as the connection lasts
		whole := &wholeWriter{ResponseWriter: w}
		send(whole, r, f)
		if r.Method == http.MethodGet && whole.status < 300 && whole.written == len(f.Data) {
			s.note(r, f)
		}
	}
}

// begin reports whether a link may be served once more at this moment.
func (s *fileServer) begin(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[token] == filesOfOne {
		return false
	}
	s.now[token]++
	return true
}

func (s *fileServer) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[token]--; s.now[token] == 0 {
		delete(s.now, token)
	}
}

// note tells fetched, also when whoever has the file now has hung up.
func (s *fileServer) note(r *http.Request, f store.File) {
	if s.fetched == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), filesPatience)
	defer cancel()
	if err := s.fetched(ctx, mux.Vars(r)["token"], f); err != nil {
		s.log.Warn("a file was fetched, and that cannot be kept; people may be told that it was not", "err", err)
	}
}

// A wholeWriter knows how much of an answer was written.
type wholeWriter struct {
	http.ResponseWriter
	status, written int
}

func (w *wholeWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *wholeWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.written += n
	return n, err
}

func (s *fileServer) busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(filesPatience/time.Second)))
	answer(w, http.StatusServiceUnavailable, "the file cannot be read at the moment")
}

// send answers with a file, or with the part of it that is asked for.
func send(w http.ResponseWriter, r *http.Request, f store.File) {
	how := "attachment"
	if shownInline(f.ContentType) {
		how = "inline"
	}
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", cmp.Or(mime.FormatMediaType(how, map[string]string{"filename": f.Name}), how)) // RFC 5987 where it has to be
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.Data))
}

// shownInline reports whether a browser may show a file rather than save it: pictures in which nothing runs.
func shownInline(contentType string) bool {
	return contentType == "image/png" || contentType == "image/jpeg" || contentType == "image/gif"
}
