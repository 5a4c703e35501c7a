package main

import (
	queue "container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// mostWaiting is how many connections of a listener may be open without a request being handled on them. Each takes about 20 KB.
const mostWaiting = 1024

// A lobby keeps idle connections from piling up on a server: above a limit, the one that has waited longest is closed, so that who
// opens many loses theirs, and whoever comes new is let in. A connection on which only a part of a header has come waits, too.
type lobby struct {
	most int

	mu      sync.Mutex
	waiting queue.List // of net.Conn, the longest first
	places  map[net.Conn]*queue.Element
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// guard puts the lobby in front of the handlers of a server that does not serve yet.
func (l *lobby) guard(s *http.Server) {
	l.places = map[net.Conn]*queue.Element{}
	next := s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.ConnState = l.changed
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			l.leave(c)
		}
		if len(r.TransferEncoding) > 0 {
			// A length beside the encoding is ignored, as it has to be. What somebody in front of us, who went by the length, took for
			// the rest of the body must not become a request (RFC 9112, section 6.3).
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// changed is told of every connection's state.
func (l *lobby) changed(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew, http.StateIdle:
		l.enter(c)
	case http.StateClosed, http.StateHijacked:
		l.leave(c)
	case http.StateActive: // a byte of a request has come, which is not a request
	}
}

func (l *lobby) enter(c net.Conn) {
	l.mu.Lock()
	if place, ok := l.places[c]; ok {
		l.waiting.Remove(place)
	}
	l.places[c] = l.waiting.PushBack(c)
	var longest net.Conn
	if l.waiting.Len() > l.most {
		longest, _ = l.waiting.Remove(l.waiting.Front()).(net.Conn)
		delete(l.places, longest)
	}
	l.mu.Unlock()
	if longest != nil {
		longest.Close()
	}
}

func (l *lobby) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if place, ok := l.places[c]; ok {
		l.waiting.Remove(place)
		delete(l.places, c)
	}
}
