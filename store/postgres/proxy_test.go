package postgres_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store/postgres/postgrestest"
)

// A cut says what happens to the next commit.
type cut int32

const (
	cutNothing cut = iota
	cutRequest     // it does not arrive
	cutAnswer      // its answer does not
	cutLate        // it arrives after the client has been told that the connection is gone
)

// A proxy stands between the store and the server.
type proxy struct {
	url    string
	target string
	l      net.Listener
	next   atomic.Int32
	late   sync.WaitGroup
	isDown atomic.Bool
	hush   atomic.Pointer[hush]
	mu     sync.Mutex
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	p := &proxy{
		url: postgrestest.With(t, u.String(), "sslmode", "disable"), target: net.JoinHostPort(c.Host, fmt.Sprint(c.Port)),
		l: l, conns: map[net.Conn]bool{},
	}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		l.Close()
		p.cutAll()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) arm(c cut)    { p.next.Store(int32(c)) }
func (p *proxy) sprung() bool { return p.next.Load() == int32(cutNothing) }
func (p *proxy) settle()      { p.late.Wait() }
func (p *proxy) up()          { p.isDown.Store(false) }

// A hush makes a connection silent: from the first words on that hold a text, nothing comes through any more, and nobody is told.
type hush struct {
	text       string
	fell, left chan struct{} // closed when it is silent, and when the client has given it up
}

// silence makes one connection silent: the next one on which a statement is sent. The store has to send statements' texts.
func (p *proxy) silence(sql string) *hush {
	h := &hush{text: sql, fell: make(chan struct{}), left: make(chan struct{})}
	p.hush.Store(h)
	return h
}

func (p *proxy) down() {
	p.isDown.Store(true)
	p.cutAll()
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
}

func (p *proxy) serve() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.isDown.Load() {
			client.Close()
			continue
		}
		remote, err := (&net.Dialer{}).Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.keep(client)
		p.keep(remote)
		a := &answers{client: client, swallowed: make(chan struct{})}
		p.wg.Go(func() { p.requests(client, remote, a) })
		p.wg.Go(func() {
			_, _ = io.Copy(a, remote)
			client.Close()
		})
	}
}

// requests forwards what the client says, up to the commit that is to be cut.
func (p *proxy) requests(client, remote net.Conn, a *answers) {
	defer remote.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if h := p.hush.Load(); h != nil && bytes.Contains(b[:n], []byte(h.text)) && p.hush.CompareAndSwap(h, nil) {
			close(h.fell)
			_, _ = io.Copy(io.Discard, client)
			close(h.left)
			return
		}
		// The statement's text, and the message that executes it: text alone is there to be described.
		if bytes.Contains(b[:n], []byte("COMMIT\x00")) && bytes.Contains(b[:n], []byte("E\x00\x00\x00\x09\x00\x00\x00\x00\x00")) {
			switch cut(p.next.Swap(int32(cutNothing))) {
			case cutRequest:
				client.Close()
				return
			case cutAnswer:
				a.mute.Store(true)
				_, _ = remote.Write(b[:n])
				<-a.swallowed
				client.Close()
				return
			case cutLate:
				p.late.Add(1)
				defer p.late.Done()
				client.Close()
				timer := time.NewTimer(500 * time.Millisecond)
				defer timer.Stop()
				<-timer.C
				finish(remote, b[:n])
				return
			}
		}
		if _, err := remote.Write(b[:n]); err != nil {
			return
		}
	}
}

// answers go to the client until they are muted.
type answers struct {
	client    net.Conn
	mute      atomic.Bool
	once      sync.Once
	swallowed chan struct{}
}

func (a *answers) Write(b []byte) (int, error) {
	if a.mute.Load() {
		a.once.Do(func() { close(a.swallowed) })
		return len(b), nil
	}
	return a.client.Write(b)
}

// finish says the last words to the server, and lets it do what they ask for. Its answer goes nowhere, since
// the client is gone.
func finish(remote net.Conn, words []byte) {
	_, _ = remote.Write(words)
	if half, ok := remote.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, remote)
}
