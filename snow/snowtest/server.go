package snowtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// A DownMode is a way of not working.
type DownMode string

// The ways.
const (
	DownOff    DownMode = ""       // works
	DownRefuse DownMode = "refuse" // connections are refused
	Down503    DownMode = "503"    // every request is answered 503 with a page
	DownHTML   DownMode = "html"   // every request is answered 200 with a page, as by an instance that hibernates
	DownHang   DownMode = "hang"   // no request is answered
)

// SetDown makes the instance fail, or work again. Requests that hang when the mode changes are cut off. It fails only when
// the address cannot be listened on again.
func (i *Instance) SetDown(m DownMode) error {
	switch m {
	case DownOff, DownRefuse, Down503, DownHTML, DownHang:
	default:
		return fmt.Errorf("unknown way %q of being down", m)
	}
	i.edit(func(s *settings) {
		s.down = m
		close(s.up)
		s.up = make(chan struct{})
	})
	if m == DownRefuse {
		i.server.refuse()
		return nil
	}
	return i.server.listen()
}

// A server is an HTTP server that can stop listening and start again at the same address.
type server struct {
	http *http.Server
	addr string
	wg   sync.WaitGroup

	mu     sync.Mutex
	ln     net.Listener // nil while refusing
	conns  map[net.Conn]struct{}
	gone   *sync.Cond // a connection has gone
	closed bool
}

func newServer(addr string, h http.Handler, log *slog.Logger) (*server, error) {
	s := &server{addr: addr, conns: make(map[net.Conn]struct{})}
	s.gone = sync.NewCond(&s.mu)
	s.http = &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ConnState: s.state,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.addr = s.ln.Addr().String() // listening again uses the same port
	return s, nil
}

func (s *server) state(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
		s.gone.Broadcast()
	case http.StateActive, http.StateIdle:
	}
}

func (s *server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil || s.closed {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return err
	}
	s.ln = ln
	s.wg.Go(func() {
		if err := s.http.Serve(ln); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			_ = ln.Close() // what dials now is refused, which says it
		}
	})
	return nil
}

// refuse stops listening and cuts off every connection.
func (s *server) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		_ = s.ln.Close()
		s.ln = nil
	}
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.refuse()
	_ = s.http.Close()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 { // the server itself does not wait for what serves them
		s.gone.Wait()
	}
}
