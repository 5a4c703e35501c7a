package postgres

import (
	"sync"
	"time"
)

const (
	// slowAfter is after how long an exchange with the server is not waited for any more.
	slowAfter = 20 * time.Millisecond
	// batchLimit bounds the calls in one transaction, and the questions in one exchange.
	batchLimit = 64
)

// A pace is that of some members who take as much at a time as there is, so that one of them is the best as long as it is
// quick: another begins only when an exchange with the server takes long, because the database is far away, a row is locked or
// a connection is silent, or when there is more to do than fits into one.
type pace struct {
	mu      sync.Mutex
	quick   int // exchanges under way that do not take long yet
	closing bool
	kick    chan struct{} // for one member
	members sync.WaitGroup
}

func (p *pace) wake() {
	select {
	case p.kick <- struct{}{}:
	default: // somebody is about to look
	}
}

// hurry reports whether a member has to look, now that so much is to be done. The lock is held.
func (p *pace) hurry(left int) bool { return p.quick == 0 || left%batchLimit == 0 }

// await waits until next has taken something that should not wait, and [pace.end] has to follow; or until the pace is closed
// and nothing is left, when it returns false. next is called with the lock held, and says how much it has left.
func (p *pace) await(next func() (taken bool, left int)) bool {
	for {
		p.mu.Lock()
		taken, left := next()
		if taken {
			p.quick++
		}
		ending := p.closing && left == 0
		p.mu.Unlock()
		if taken && left >= batchLimit || !taken && ending {
			p.wake() // another member
		}
		if taken || ending {
			return taken
		}
		<-p.kick
	}
}

// begin times an exchange that was taken.
func (p *pace) begin() (late *time.Timer) { return time.AfterFunc(slowAfter, p.slow) }

// slow notes that an exchange takes long, so that it is not waited for any more.
func (p *pace) slow() {
	p.mu.Lock()
	p.quick--
	p.mu.Unlock()
	p.wake()
}

// end notes that an exchange has ended, which was quick if late has not fired. Its member looks for more by itself.
func (p *pace) end(late *time.Timer) {
	if !late.Stop() {
		return
	}
	p.mu.Lock()
	p.quick--
	p.mu.Unlock()
}

// close lets the members end when there is nothing left to do.
func (p *pace) close() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.wake()
}
