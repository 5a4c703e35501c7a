package postgres

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"snowbot/store"
)

const (
	// answerers is how many exchanges of a share are under way at most.
	answerers = 4
	// grace is how long an exchange goes on for which nobody waits any more: most end by themselves, and what they bring can be
	// used or given back, and a connection is not given up for nothing.
	grace = time.Second
)

// A share answers questions of one kind that are asked at the same time in one exchange with the server. Nobody waits
// for more to come: a question that comes while none is on its way goes at once, and those that come meanwhile go together.
type share[Q, A any] struct {
	pace
	// ask answers all questions, in their order.
	ask func(ctx context.Context, questions []Q) ([]A, error)
	// unwanted gets the answer to a question whose asker has left meanwhile. It may be nil.
	unwanted func(A)

	asked []*question[Q, A]
}

// A question is somebody's who waits.
type question[Q, A any] struct {
	q    Q
	a    A
	err  error
	with *exchange[Q, A] // in which it is asked
	over atomic.Bool     // it is answered, or its asker has left: whichever was first
	done chan struct{}
}

// An exchange is some questions on their way to the server.
type exchange[Q, A any] struct {
	questions []*question[Q, A]
	waiting   int // for an answer
	cancel    context.CancelFunc
}

func newShare[Q, A any](ask func(context.Context, []Q) ([]A, error)) *share[Q, A] {
	return &share[Q, A]{pace: pace{kick: make(chan struct{}, 1)}, ask: ask}
}

// get asks a question, and waits for the answer or until ctx ends.
func (h *share[Q, A]) get(ctx context.Context, q Q) (none A, err error) {
	k, err := h.put(q)
	if err != nil {
		return none, err
	}
	select {
	case <-k.done:
	case <-ctx.Done():
		if h.leave(k) {
			return none, ctx.Err()
		}
		<-k.done // it has just been answered
	}
	return k.a, k.err
}

// put asks a question. Its answer is there when it is done.
func (h *share[Q, A]) put(q Q) (*question[Q, A], error) {
	k := &question[Q, A]{q: q, done: make(chan struct{})}
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return nil, store.ErrClosed
	}
	h.asked = append(h.asked, k)
	need := h.hurry(len(h.asked))
	h.mu.Unlock()
	if need {
		h.wake()
	}
	return k, nil
}

// leave gives a question up, and reports false when it has just been answered. The exchange ends soon when all have left.
func (h *share[Q, A]) leave(k *question[Q, A]) bool {
	if !k.over.CompareAndSwap(false, true) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if x := k.with; x != nil {
		if x.waiting--; x.waiting == 0 {
			time.AfterFunc(grace, x.cancel)
		}
	}
	return true
}

// take takes the next questions, and waits until there are some that should not wait. It returns nil when the share is closed
// and nothing is left. [pace.end] has to follow.
func (h *share[Q, A]) take(cancel context.CancelFunc) (x *exchange[Q, A]) {
	h.await(func() (bool, int) {
		if h.quick == 0 || len(h.asked) >= batchLimit {
			x = h.next(cancel)
		}
		return x != nil, len(h.asked)
	})
	return x
}

// next takes questions whose askers are there still.
func (h *share[Q, A]) next(cancel context.CancelFunc) *exchange[Q, A] {
	x := &exchange[Q, A]{cancel: cancel}
	n := 0
	for ; n < len(h.asked) && len(x.questions) < batchLimit; n++ {
		if k := h.asked[n]; !k.over.Load() {
			k.with = x
			x.questions = append(x.questions, k)
		}
	}
	h.asked = append([]*question[Q, A](nil), h.asked[n:]...)
	if x.waiting = len(x.questions); x.waiting == 0 {
		return nil
	}
	return x
}

// start starts what answers questions until the share is closed.
func (h *share[Q, A]) start(ctx context.Context) {
	for range answerers {
		h.members.Go(func() {
			for h.answerNext(ctx) {
				continue
			}
		})
	}
}

// wait waits until all that was asked is answered, and the share is closed.
func (h *share[Q, A]) wait() { h.members.Wait() }

func (h *share[Q, A]) answerNext(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := h.take(cancel)
	if x == nil {
		return false
	}
	late := h.begin()
	h.answer(ctx, x.questions)
	h.end(late)
	return true
}

// answer asks the server, and tells whoever has not left.
func (h *share[Q, A]) answer(ctx context.Context, questions []*question[Q, A]) {
	answers, err := h.guarded(ctx, questions)
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

// guarded asks the server. A panic is an error like any other: those who asked would not survive it, and others would not either.
func (h *share[Q, A]) guarded(ctx context.Context, questions []*question[Q, A]) (answers []A, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &store.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	list := make([]Q, len(questions))
	for i, k := range questions {
		list[i] = k.q
	}
	return h.ask(ctx, list)
}
