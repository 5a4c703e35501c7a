package snow

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// How tokens are renewed. ServiceNow answers a request for a token within the life of the last one with that same token
// and what is left of its life, so that a new token may be good for seconds only. Renewing at the half of such a
// life, and never more often than every leastLife, comes to about six requests for the last minute of a token.
const (
	renewEarly  = time.Minute     // before the end of a token's life
	leastLife   = 2 * time.Second // how long a token is used at least; a 401 corrects an error of that size
	unknownLife = 5 * time.Minute // of a token that does not say
	retryPause  = 3 * time.Second // between requests for a token when one failed
	rejectPause = time.Minute     // the longest, when credentials were rejected: some instances lock users
	filePause   = 5 * time.Minute // between tokens that are given up because a file was refused
)

// errClosed is the error of a call after Close.
var errClosed = errors.New("client is closed")

// A credential is a token and when to ask for the next.
type credential struct {
	access, refresh string
	renew, expiry   time.Time
}

// A login holds the token that all calls share. At most one request for a token is under way; it belongs to
// nobody, and a caller's context only ends that caller's wait for it.
//
// It starts a goroutine for each request, which golang.org/x/oauth2's sources do not: theirs hold a lock while they ask,
// cannot renew in the background, and know neither an end of the wait nor a token that was refused. Only the
// wire part is that library's.
type login struct {
	endpoint *tokenEndpoint
	now      func() time.Time
	log      *slog.Logger
	ctx      context.Context // of the requests; ends with close
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	have     credential
	rejected string  // the token that a call was last refused with
	flight   *flight // nil when none is under way
	failed   *Error  // of the last request
	failures int     // in a row, of rejected credentials
	asking   time.Time
	holding  time.Time // no renewal because of a 401 before this
	files    time.Time // nor because of a file's before this
}

// A flight is one request for a token. access and err are set when done is closed.
type flight struct {
	done   chan struct{}
	access string
	err    error
}

func newLogin(e *tokenEndpoint, now func() time.Time, log *slog.Logger) *login {
	ctx, stop := context.WithCancel(context.Background())
	return &login{endpoint: e, now: now, log: log, ctx: ctx, stop: stop}
}

// close ends the request under way, if any, and refuses further ones.
func (l *login) close() {
	l.mu.Lock()
	l.stop()
	l.mu.Unlock()
	l.running.Wait()
}

// token returns a token that is good as far as we know, and asks for one if need be.
func (l *login) token(ctx context.Context) (string, error) {
	l.mu.Lock()
	now := l.now()
	if l.have.access != "" && now.Before(l.have.expiry) {
		access := l.have.access
		if !now.Before(l.have.renew) && l.flight == nil && !now.Before(l.asking) {
			l.ask(true)
		}
		l.mu.Unlock()
		return access, nil
	}
	if l.flight == nil && now.Before(l.asking) {
		e := *l.failed
		e.RetryAfter = max(e.RetryAfter, l.asking.Sub(now))
		l.mu.Unlock()
		return "", &e
	}
	if l.flight == nil {
		l.ask(false)
	}
	f := l.flight
	l.mu.Unlock()

	select {
	case <-f.done:
		return f.access, f.err
	case <-ctx.Done():
		return "", &Error{Op: opToken, Err: ctx.Err()}
	}
}

// refused tells that a call, of a file or another, was answered 401 under the given token, and reports whether to try another.
func (l *login) refused(access string, file bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Before(l.holding) || file && now.Before(l.files) {
		return false
	}
	if l.have.access == access {
		l.have.access = ""
		l.rejected = access
	}
	return true
}

// hopeless tells that a new token was refused as well: the next ones will be, for the time being. A file that refuses every token
// speaks for files alone.
func (l *login) hopeless(file bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if file {
		l.files = l.now().Add(filePause)
		return
	}
	l.holding = l.now().Add(retryPause)
}

// ask starts a flight. The caller holds the lock. When nobody waits for it, a failure is logged.
func (l *login) ask(background bool) {
	f := &flight{done: make(chan struct{})}
	l.flight = f
	if l.ctx.Err() != nil {
		f.err = &Error{Op: opToken, Err: errClosed}
		close(f.done)
		return
	}
	refresh, rejected := l.have.refresh, l.rejected
	l.running.Go(func() {
		asked := l.now()
		g, err := l.obtain(refresh, rejected)
		l.land(f, asked, g, err)
		if err != nil && background {
			l.log.Warn("token not renewed", "err", err)
		}
	})
}

// errPanic is a request that a mistake of ours broke off.
var errPanic = errors.New("failed in an unforeseen way")

// obtain makes one request. A panic in it is a request that failed, rather than the end of a process that has other things to do. Its
// value is not logged, since it may hold a secret.
func (l *login) obtain(refresh, rejected string) (g grant, err *Error) {
	defer func() {
		if recover() != nil {
			l.log.Error("request for a token failed in an unforeseen way", "stack", string(debug.Stack()))
			g, err = grant{}, &Error{Op: opToken, Err: errPanic}
		}
	}()
	return l.endpoint.obtain(l.ctx, refresh, rejected)
}

// land ends a flight.
func (l *login) land(f *flight, asked time.Time, g grant, err *Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight = nil
	defer close(f.done)
	if err != nil {
		f.err = err
		l.fail(err)
		return
	}
	life := max(g.life, leastLife)
	l.have = credential{
		access:  g.access,
		refresh: g.refresh,
		renew:   asked.Add(max(life-renewEarly, life/2, leastLife)),
		expiry:  asked.Add(life),
	}
	l.rejected, l.failed, l.failures, l.asking = "", nil, 0, time.Time{}
	f.access = g.access
}

// fail remembers a failed request, and until when there is to be no other.
func (l *login) fail(err *Error) {
	l.failed = err
	pause := retryPause
	if errors.Is(err, ErrCredentials) {
		l.have.refresh = "" // refused too, or there was none
		pause = min(retryPause<<min(l.failures, 8), rejectPause)
		l.failures++
	}
	l.asking = l.now().Add(max(pause, min(err.RetryAfter, rejectPause)))
}
