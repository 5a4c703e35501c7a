package adapter

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	refreshMargin = 5 * time.Minute
	minFetchDelay = 250 * time.Millisecond
	maxFetchDelay = 30 * time.Second
	forgetDelay   = 10 * time.Second // between two tokens fetched because the one before was refused
)

// A sharedToken keeps one token for all callers.
type sharedToken struct {
	fetch func(context.Context) (grant, error)
	now   func() time.Time
	log   *slog.Logger

	mu        sync.Mutex
	token     string
	refreshAt time.Time
	expires   time.Time
	call      *tokenCall // the request under way

	failure   error // of the last request
	failures  int   // in a row
	retryAt   time.Time
	forgotten time.Time
}

// A tokenCall is one request that several callers may wait for. Its results are set before done closes.
type tokenCall struct {
	done  chan struct{}
	token string
	err   error
}

// Token returns the token, and waits only when there is none that is valid.
func (s *sharedToken) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := s.now()
	valid := s.token != "" && now.Before(s.expires)
	if s.call == nil && !now.Before(s.retryAt) && (!valid || !now.Before(s.refreshAt)) {
		s.start(ctx, valid)
	}
	token, call, err := s.token, s.call, s.failure
	wait := s.retryAt.Sub(now)
	s.mu.Unlock()
	switch {
	case valid:
		return token, nil
	case call == nil:
		return "", withRetryAfter(err, wait)
	}
	select {
	case <-call.done:
		return call.token, call.err
	case <-ctx.Done():
		return "", &Error{Op: opToken, Err: safeCause(ctx.Err())}
	}
}

// Forget drops token. It does nothing if another token has taken its place, or if the last token was
// dropped moments ago: a token that is refused as soon as it is fetched will not get better, and the token
// endpoint is not to be asked for each message that fails.
func (s *sharedToken) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if token == "" || token != s.token || now.Sub(s.forgotten) < forgetDelay {
		return
	}
	s.token, s.forgotten = "", now
}

// start begins a request that no caller's end cuts short. The mutex is held.
func (s *sharedToken) start(ctx context.Context, background bool) {
	call := &tokenCall{done: make(chan struct{})}
	s.call = call
	ctx = context.WithoutCancel(ctx)
	go func() {
		g, err := s.ask(ctx)
		s.finish(call, g, err)
		if err != nil && background {
			s.log.Warn("cannot refresh the bot's token; the old one still serves", "err", err)
		}
	}()
}

// errPanic is a request that a mistake of ours broke off.
var errPanic = errors.New("failed in an unforeseen way")

// ask makes one request. A panic in it is a request that failed, rather than the end of a process that has other things to do. Its
// value is not logged, since it may hold a secret.
func (s *sharedToken) ask(ctx context.Context) (g grant, err error) {
	defer func() {
		if recover() != nil {
			s.log.Error("request for a token failed in an unforeseen way", "stack", string(debug.Stack()))
			g, err = grant{}, &Error{Op: opToken, Err: errPanic}
		}
	}()
	return s.fetch(ctx)
}

// finish keeps what a request brought.
func (s *sharedToken) finish(call *tokenCall, g grant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(call.done)
	now := s.now()
	call.token, call.err = g.token, err
	s.call, s.failure = nil, err
	if err != nil {
		delay := min(minFetchDelay<<min(s.failures, 16), maxFetchDelay)
		var e *Error
		if errors.As(err, &e) {
			delay = max(delay, min(e.RetryAfter, 10*maxFetchDelay))
		}
		s.failures++
		s.retryAt = now.Add(delay)
		return
	}
	s.failures, s.retryAt = 0, time.Time{}
	s.token = g.token
	s.expires = now.Add(g.life - min(g.life/10, 30*time.Second)) // a request takes time, too
	s.refreshAt = now.Add(max(g.life-refreshMargin, g.life/2))
}

// withRetryAfter returns a copy of err that says when the endpoint is asked again.
func withRetryAfter(err error, wait time.Duration) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.RetryAfter = max(0, wait)
	return &c
}
