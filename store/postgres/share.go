package postgres

import (
	"context"
	"sync"
	"sync/atomic"

	"snowbot/store"
)

// shareLimit bounds the questions that share an exchange.
const shareLimit = 64

// A share answers questions of one kind that are asked at the same time in one exchange with the server. Nobody waits
// for more to come: a question that comes while none is on its way goes at once, and those that come meanwhile go together.
type share[Q, A any] struct {
	// ask answers all questions, in their order.
	ask func(ctx context.Context, questions []Q) ([]A, error)
	// unwanted gets the answer to a question whose asker has left meanwhile. It may be nil.
	unwanted func(A)

	mu      sync.Mutex
	asked   []*question[Q, A]
	closing bool
	kick    chan struct{}
	ended   chan struct{}
}

// A question is somebody's who waits.
type question[Q, A any] struct {
	q    Q
	a    A
	err  error
	over atomic.Bool // it is answered, or its asker has left: whichever was first
	done chan struct{}
}

func newShare[Q, A any](ask func(context.Context, []Q) ([]A, error)) *share[Q, A] {
	return &share[Q, A]{ask: ask, kick: make(chan struct{}, 1), ended: make(chan struct{})}
}

// get asks a question, and waits for the answer or until ctx ends.
func (h *share[Q, A]) get(ctx context.Context, q Q) (none A, err error) {
	k := &question[Q, A]{q: q, done: make(chan struct{})}
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return none, store.ErrClosed
	}
	h.asked = append(h.asked, k)
	h.mu.Unlock()
	h.wake()
	select {
	case <-k.done:
	case <-ctx.Done():
		if k.over.CompareAndSwap(false, true) {
			return none, ctx.Err()
		}
		<-k.done // it has just been answered
	}
	return k.a, k.err
}

func (h *share[Q, A]) wake() {
	select {
	case h.kick <- struct{}{}:
	default: // it is awake
	}
}

// close lets answers end when all that was asked is answered.
func (h *share[Q, A]) close() {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	h.wake()
}

// wait waits until answers has ended.
func (h *share[Q, A]) wait() { <-h.ended }

// take takes the next questions, and waits for some. It returns none when the share is closed and nothing is left.
func (h *share[Q, A]) take() []*question[Q, A] {
	for {
		h.mu.Lock()
		var out []*question[Q, A]
		n := 0
		for ; n < len(h.asked) && len(out) < shareLimit; n++ {
			if k := h.asked[n]; !k.over.Load() {
				out = append(out, k)
			}
		}
		h.asked = append([]*question[Q, A](nil), h.asked[n:]...)
		closing := h.closing
		h.mu.Unlock()
		if len(out) > 0 || closing {
			return out
		}
		<-h.kick
	}
}

// answers answers questions until the share is closed.
func (h *share[Q, A]) answers(ctx context.Context) {
	defer close(h.ended)
	for {
		questions := h.take()
		if len(questions) == 0 {
			return
		}
		h.answer(ctx, questions)
	}
}

// answer asks the server. If it refuses what was asked together, each question is asked alone, so that it is clear whose
// fault it is.
func (h *share[Q, A]) answer(ctx context.Context, questions []*question[Q, A]) {
	list := make([]Q, len(questions))
	for i, k := range questions {
		list[i] = k.q
	}
	answers, err := h.ask(ctx, list)
	if err != nil && len(questions) > 1 && kindOf(err) == final {
		for i := range questions {
			h.answer(ctx, questions[i:i+1])
		}
		return
	}
	for i, k := range questions {
		first := k.over.CompareAndSwap(false, true)
		switch {
		case err != nil:
			k.err = err
		case first:
			k.a = answers[i]
		case h.unwanted != nil:
			h.unwanted(answers[i])
		}
		close(k.done)
	}
}
