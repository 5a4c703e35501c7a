package bot

import (
	"context"
	"time"
)

// replicas tells how many processes work on the store, this one included, and zero while the others may not know of this
// one yet. Nil is a process on its own.
type replicas func() int

func (r replicas) count() int {
	if r == nil {
		return 1
	}
	return r()
}

// share is this replica's part of a rate that all of them have to keep together: they know no more of each other than
// their number, and any of them may be the one that has the work. While it is not known it is zero.
func (r replicas) share(all int) int {
	n := r.count()
	if n == 0 {
		return 0
	}
	return max(1, all/n)
}

// alone reports whether what this process remembers is all there is to know.
func (r replicas) alone() bool { return r.count() == 1 }

// leastBreakerCalls is how many calls a breaker counts at least, however many replicas share them.
const leastBreakerCalls = 5

// breakerCalls is how many calls of this replica open a breaker: together they need as many as one alone would. Breakers
// are not shared, since a replica that cannot reach a host may be the only one that cannot.
func (r replicas) breakerCalls() uint32 {
	n := max(r.count(), 1)
	return uint32(max(leastBreakerCalls, (breakerCalls+n-1)/n)) // a small number
}

// countLost counts settles that the store had reported and may have lost: what they settled may be sent again.
func (b *Bot) countLost(ctx context.Context) error {
	if b.lostSettles == nil {
		return nil
	}
	for ctx.Err() == nil {
		if n := b.lostSettles(); n > 0 {
			b.metrics.repeats("settle lost", n)
		}
		pause(ctx, time.Second/4)
	}
	return nil
}
