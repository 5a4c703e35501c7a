package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A plainTransport makes HTTP requests for a load generator, whose own work is in the way of what it measures: in the
// goroutine that asks, on a connection that is kept for the next request, and with the answer read whole. The one of net/http can
// do much more, and needs two goroutines a connection for it. It speaks http:// only, and repeats nothing.
type plainTransport struct {
	limit  time.Duration // for one request, answer included
	dialer net.Dialer

	mu   sync.Mutex
	idle map[string][]*plainConn // by address, the one used last at the end
}

type plainConn struct {
	net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	used time.Time
}

const (
	// connIdle is how long a connection may have been idle to be used again; servers close one sooner or later.
	connIdle = 10 * time.Second
	// connsKept bounds the idle connections to an address, each of which costs a server memory.
	connsKept = 128
)

func newPlainClient(limit time.Duration) *http.Client {
	return &http.Client{Transport: &plainTransport{limit: limit, idle: map[string][]*plainConn{}}}
}

// RoundTrip implements [http.RoundTripper].
func (t *plainTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, now := req.Context(), time.Now()
	c, err := t.conn(ctx, req.URL.Host, now)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	_ = c.SetDeadline(now.Add(t.limit))
	stop := context.AfterFunc(ctx, func() { c.Close() })
	res, err := c.exchange(req)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil || res.Close {
		c.Close()
		return res, err
	}
	c.used = now
	t.keep(req.URL.Host, c)
	return res, nil
}

// keep keeps a connection for the next request.
func (t *plainTransport) keep(addr string, c *plainConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[addr]) >= connsKept {
		c.Close()
		return
	}
	t.idle[addr] = append(t.idle[addr], c)
}

// conn returns a connection that no other request has.
func (t *plainTransport) conn(ctx context.Context, addr string, now time.Time) (*plainConn, error) {
	if c := t.idleConn(addr); c != nil {
		if now.Sub(c.used) < connIdle {
			return c, nil
		}
		c.Close()
		t.CloseIdleConnections() // the others have been idle for longer
	}
	c, err := t.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &plainConn{Conn: c, r: bufio.NewReader(c), w: bufio.NewWriter(c)}, nil
}

// idleConn takes the connection that was used last.
func (t *plainTransport) idleConn(addr string) *plainConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[addr]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	t.idle[addr] = list[:len(list)-1]
	return c
}

// exchange sends a request, which closes its body, and reads the answer.
func (c *plainConn) exchange(req *http.Request) (*http.Response, error) {
	if err := req.Write(c.w); err != nil {
		return nil, err
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.r, req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t *plainTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			c.Close()
		}
	}
	clear(t.idle)
}
