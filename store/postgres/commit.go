package postgres

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"snowbot/store"
)

// committers is how many transactions of Apply, Settle and Begin a replica has under way at most.
const committers = 4

// States of a call.
const (
	waiting   int32 = iota
	running         // the committer is at its function
	staged          // which has run, and may have to run again
	abandoned       // its caller left
)

// A call is a change of one conversation on its way to a committer.
type call struct {
	conversation string
	create       bool // if there is no such conversation
	whole        bool // run needs the record
	state        atomic.Int32
	// reads gathers or queues what has to be read, with the conversation locked. It may be nil.
	reads func(t *tx)
	// run decides and queues what is to be written. When it returns an error, it must have queued nothing.
	run  func(ctx context.Context, t *tx, c *conversation) error
	err  error
	done chan struct{}
	told bool // the committer's
}

// do has a call run in a transaction that it may share, and waits until it is durable.
func (s *Store) do(ctx context.Context, c *call) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	c.done = make(chan struct{})
	if !s.queue.add(c) {
		return store.ErrClosed
	}
	return c.wait(ctx)
}

// wait returns the outcome, or early when ctx ends, but not while the function is running.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	for {
		if c.state.CompareAndSwap(waiting, abandoned) || c.state.CompareAndSwap(staged, abandoned) {
			return ctx.Err()
		}
		select {
		case <-c.done:
			return c.err
		default:
			runtime.Gosched() // running takes microseconds
		}
	}
}

// ran notes that the function of a call has run. What follows may take long, and needs nothing of its caller.
func (c *call) ran() { c.state.CompareAndSwap(running, staged) }

// A queue is what the committers have to do.
type queue struct {
	pace
	calls []*call
	swept int             // how many calls there were when it was last looked whose callers have left
	busy  map[string]bool // conversations of the transactions under way
}

func newQueue() *queue {
	return &queue{pace: pace{kick: make(chan struct{}, 1)}, busy: map[string]bool{}}
}

func (q *queue) add(c *call) bool {
	q.mu.Lock()
	ok := !q.closing
	if ok {
		if len(q.calls) >= 2*q.swept+batchLimit { // every committer may be at something that takes long
			q.sweep()
		}
		q.calls = append(q.calls, c)
	}
	need := q.hurry(len(q.calls))
	q.mu.Unlock()
	if need {
		q.wake()
	}
	return ok
}

// take takes the next calls off the queue, one of each conversation, and waits until there are some that should not wait.
// [queue.release] has to follow. It returns none when the queue is closed and empty.
func (q *queue) take() (out []*call) {
	q.await(func() (bool, int) {
		out = q.next()
		return len(out) > 0, len(q.calls)
	})
	return out
}

// sweep lets the calls go whose callers have left. The lock is held.
func (q *queue) sweep() {
	q.calls = slices.DeleteFunc(q.calls, func(c *call) bool { return c.state.Load() == abandoned })
	q.swept = len(q.calls)
}

// next takes calls unless it is better to wait.
func (q *queue) next() []*call {
	q.sweep()
	if q.quick > 0 && len(q.calls) < batchLimit {
		return nil
	}
	var out, rest []*call
	seen := map[string]bool{}
	for _, c := range q.calls {
		if len(out) < batchLimit && !seen[c.conversation] && !q.busy[c.conversation] {
			out = append(out, c)
		} else {
			rest = append(rest, c)
		}
		seen[c.conversation] = true
	}
	if len(out) == 0 || q.quick > 0 && len(out) < batchLimit {
		return nil
	}
	for _, c := range out {
		q.busy[c.conversation] = true
	}
	q.calls = rest
	return out
}

// release lets the conversations of calls that were taken go on.
func (q *queue) release(calls []*call, late *time.Timer) {
	q.mu.Lock()
	for _, c := range calls {
		delete(q.busy, c.conversation)
	}
	q.mu.Unlock()
	q.end(late)
}

// commits is a committer. It ends when the queue is closed and empty.
func (s *Store) commits(ctx context.Context) {
	var calls []*call
	var late *time.Timer
	again := true
	defer func() {
		if again { // a function ended the goroutine, as testing.T.FailNow does
			conclude(calls, errGoexit)
			s.queue.release(calls, late)
			s.wg.Go(func() { s.commits(ctx) })
			return
		}
		s.queue.members.Done()
	}()
	for {
		if calls = s.queue.take(); len(calls) == 0 {
			again = false
			return
		}
		late = s.queue.begin()
		s.commitAll(ctx, calls)
		s.queue.release(calls, late)
	}
}

var errGoexit = errors.New("a turn ended the committer's goroutine")

// conclude tells the callers the outcome.
func conclude(calls []*call, err error) {
	for _, c := range calls {
		if c.told {
			continue
		}
		if err != nil {
			c.err = err
		}
		c.told = true
		close(c.done)
	}
}

// commitAll runs calls in one transaction. If that is refused, each gets one of its own, so that it is clear
// whose fault it is.
func (s *Store) commitAll(ctx context.Context, calls []*call) {
	err := s.transact(ctx, func(ctx context.Context, t *tx) error { return s.stageAll(ctx, t, calls) })
	if len(calls) > 1 && err != nil && kindOf(err) != lost && !errors.As(err, new(*UnclearError)) {
		for _, c := range calls {
			one := []*call{c}
			conclude(one, s.transact(ctx, func(ctx context.Context, t *tx) error { return s.stageAll(ctx, t, one) }))
		}
		return
	}
	conclude(calls, err)
}

// stageAll locks the conversations of the calls, runs the calls and queues their writes.
func (s *Store) stageAll(ctx context.Context, t *tx, calls []*call) error {
	conversations, err := s.lockAll(ctx, t, calls)
	if err != nil {
		return err
	}
	relaxed := true
	t.settles = len(calls) // of which it matters only when all are settles
	for _, c := range calls {
		if !c.state.CompareAndSwap(waiting, running) && !c.state.CompareAndSwap(staged, running) {
			continue // abandoned
		}
		before := t.changed
		t.changed, t.relaxed = false, false
		c.err = c.run(ctx, t, conversations[c.conversation])
		c.ran()
		relaxed = relaxed && (t.relaxed || !t.changed)
		t.changed = t.changed || before
		if errors.As(c.err, new(*databaseError)) {
			return c.err
		}
	}
	t.relaxed = relaxed
	if t.changed {
		for _, c := range conversations {
			if c.new && !c.written {
				t.do(sqlRemovePlaceholder, c.no)
			}
		}
	}
	return nil
}

// runTurn calls f and turns a panic into an error.
func runTurn(f func(*store.Turn) error, t *store.Turn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &store.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(t)
}

// lockAll locks the conversations of calls, makes those that are missing and wanted, and hands out what the
// calls want to read.
func (s *Store) lockAll(ctx context.Context, t *tx, calls []*call) (map[string]*conversation, error) {
	found := map[string]*conversation{}
	for todo := calls; ; {
		lockConversations(t, todo, found)
		t.ask(sqlNow, s.moment()).QueryRow(scanTime(&t.now))
		for _, c := range todo {
			if c.reads != nil {
				c.reads(t)
			}
		}
		t.reads.ask(t)
		if err := t.send(ctx); err != nil {
			return nil, err
		}
		todo = slices.DeleteFunc(slices.Clone(todo), func(c *call) bool { return !c.create || found[c.conversation] != nil })
		if len(todo) == 0 {
			return found, nil
		}
		var ids []string
		for _, c := range todo {
			ids = append(ids, c.conversation)
		}
		makePlaceholders(t, ids, found)
		if err := t.send(ctx); err != nil {
			return nil, err
		}
		todo = slices.DeleteFunc(todo, func(c *call) bool { return found[c.conversation] != nil })
		if len(todo) == 0 {
			return found, nil
		}
		// Another replica was first: theirs are there now.
	}
}
