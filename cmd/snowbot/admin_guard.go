package main

import (
	"context"
	"sync"
	"time"
)

const (
	guardWindow  = time.Minute
	guardFree    = 5                      // failures a window that are answered at once, and logged
	guardDelay   = 250 * time.Millisecond // of each further one
	guardWaiting = 32                     // failures that wait at a time; what comes on top is answered at once
)

// An adminGuard slows down who guesses the admin token. It is asked after a failure only, and counts failures whoever
// they come from, so it cannot keep out who has the token.
type adminGuard struct {
	now func() time.Time

	mu       sync.Mutex
	since    time.Time // of the window
	failures int       // in it
	waiting  int
}

// failed counts a failure, waits if there were many, and says whether this one is worth a line in the log.
func (g *adminGuard) failed(ctx context.Context) (log bool) {
	log, wait := g.count()
	if !wait {
		return log
	}
	t := time.NewTimer(guardDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
	return log
}

func (g *adminGuard) count() (log, wait bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); now.Sub(g.since) >= guardWindow {
		g.since, g.failures = now, 0
	}
	g.failures++
	if g.failures <= guardFree {
		return true, false
	}
	if g.waiting >= guardWaiting {
		return false, false
	}
	g.waiting++
	return false, true
}
