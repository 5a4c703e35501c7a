package history

import (
	"context"
	"time"
)

// progress is what is known of a message of the session that is on.
type progress struct {
	accepted time.Duration
	late     time.Duration // when it last reached the instance
	told     bool
}

func (t *talk) wake() {
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// accept notes the first acceptance of a message. A copy that comes after its session is nothing to wait for.
func (t *talk) accept(m Mark, end time.Duration) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.message(m)
	if p == nil {
		return false
	}
	first = p.accepted == 0
	if first {
		p.accepted = end
	}
	t.wake()
	return first
}

// message returns what is known of a message, or nil for one of a session that is over.
func (t *talk) message(m Mark) *progress {
	if m.Number <= t.past[m.Direction] {
		return nil
	}
	p := t.messages[m]
	if p == nil {
		p = &progress{}
		t.messages[m] = p
	}
	return p
}

func (t *talk) took(activity string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken[activity] = true
	t.wake()
}

func (t *talk) reached(m Mark, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.message(m); p != nil {
		p.late = at
	}
}

// left notes that a session that nobody accepted has ended at ServiceNow.
func (t *talk) left(clientSession string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone[clientSession] = true
}

// joins notes the first news of an agent. After the end it comes too late, as in the check.
func (t *talk) joins(session int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.joined[session] = t.joined[session] || !t.ended[session]
}

// saw takes what the bot wrote.
func (t *talk) saw(told []Mark, ended, reply bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range told {
		if p := t.message(m); p != nil {
			p.told = true
		}
	}
	if ended {
		t.ended[t.session.Load()] = true
	}
	t.shown++
	if reply {
		t.replies++
	}
	t.wake()
}

// holds asks under the lock.
func (t *talk) holds(f func() bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f()
}

// await returns nil when f holds.
func (t *talk) await(ctx context.Context, limit time.Duration, f func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for !f() {
		select {
		case <-t.signal:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// forget drops what is known of a session that is over.
func (t *talk) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.taken)
	clear(t.messages)
	for d, n := range t.said {
		t.past[d] = *n
	}
}
