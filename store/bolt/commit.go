package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"snowbot/store"
)

const (
	// ride is how long a settle that nobody waits for may wait for a commit to share.
	ride = 50 * time.Millisecond
	// batchLimit bounds the calls in one commit, and so the time the first of them waits for the last.
	batchLimit = 1024
)

// States of a call.
const (
	queued    int32 = iota
	running         // the committer is at it
	staged          // its function will not be called any more
	abandoned       // its caller left before it ran
)

// A call is a change on its way to the committer.
type call struct {
	state atomic.Int32
	// run stages the change. When it returns an error, it must have staged nothing.
	run func(*batch) error
	// after is told the outcome with the mutex held, before the caller is. It may be nil.
	after func(err error)
	err   error
	done  chan struct{}
}

// do has the committer run a change and waits until it is durable.
func (s *Store) do(ctx context.Context, run func(*batch) error) error {
	c := &call{run: run, done: make(chan struct{})}
	s.mu.Lock()
	if err := s.usable(ctx); err != nil {
		s.mu.Unlock()
		return err
	}
	s.enqueue(c, true)
	s.mu.Unlock()
	s.wakeCommitter()
	return c.wait(ctx)
}

// enqueue adds a call. The mutex is held. The committer has to be woken afterwards.
func (s *Store) enqueue(c *call, hurry bool) {
	s.queue = append(s.queue, c)
	s.hurry = s.hurry || hurry
}

func (s *Store) wakeCommitter() {
	select {
	case s.kick <- struct{}{}:
	default: // it is awake
	}
}

// wait returns the outcome, or early when ctx ends, but not while the function is running.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	for {
		switch c.state.Load() {
		case queued:
			if c.state.CompareAndSwap(queued, abandoned) {
				return ctx.Err()
			}
		case staged:
			return ctx.Err()
		default: // running takes microseconds
			runtime.Gosched()
		}
		select {
		case <-c.done:
			return c.err
		default:
		}
	}
}

// commits is the committer. It ends when the store is closing and the queue is empty.
func (s *Store) commits() {
	defer close(s.ended)
	defer s.abandonQueue()
	timer := time.NewTimer(ride)
	defer timer.Stop()
	for riding := false; ; {
		s.mu.Lock()
		waiting, hurry, closing := len(s.queue), s.hurry, s.closing
		s.mu.Unlock()
		switch {
		case hurry, waiting > 0 && closing, waiting >= batchLimit:
		case waiting > 0:
			if !riding {
				timer.Reset(ride)
				riding = true
			}
			select {
			case <-s.kick:
				continue
			case <-timer.C:
			}
		case closing:
			return
		default:
			<-s.kick
			continue
		}
		riding = false
		calls := s.take()
		s.commitBatch(calls)
		if len(calls) > 1 {
			// Callers that come again at once, as under load all do, are then in the next commit and not
			// in the one after it.
			runtime.Gosched()
		}
	}
}

// take takes the calls of the next commit off the queue.
func (s *Store) take() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.queue
	if len(calls) > batchLimit {
		s.queue = append([]*call(nil), calls[batchLimit:]...)
		s.hurry = true // not known of the rest, and it makes no difference under such a load
		return calls[:batchLimit]
	}
	s.queue, s.hurry = nil, false
	return calls
}

// abandonQueue fails what is left in the queue when the committer ends, which is nothing after Close.
func (s *Store) abandonQueue() {
	s.mu.Lock()
	calls := s.queue
	s.queue = nil
	s.mu.Unlock()
	if len(calls) > 0 {
		s.conclude(calls, nil, errGoexit)
	}
}

// errGoexit is the failure of a batch in which a function ended its goroutine, as testing.T.FailNow does.
var errGoexit = errors.New("a turn ended the committer's goroutine")

// commitBatch runs the calls in one transaction and tells the callers.
func (s *Store) commitBatch(calls []*call) {
	var b *batch
	err := errGoexit
	defer func() { s.conclude(calls, b, err) }()
	if err = s.Err(); err == nil {
		err = errGoexit
		b, err = s.transact(calls)
	}
}

// conclude makes a committed batch visible, or fails the store, and tells the callers.
func (s *Store) conclude(calls []*call, b *batch, err error) {
	s.mu.Lock()
	news := err != nil && s.err == nil
	if news {
		s.err = &FailedError{err}
		close(s.failed)
		s.index.wakeAll()
	}
	failed := s.err
	if failed == nil {
		b.publish()
	}
	for _, c := range calls {
		if failed != nil {
			c.err = failed
		}
		if c.after != nil {
			c.after(c.err)
		}
	}
	s.mu.Unlock()
	for _, c := range calls {
		close(c.done)
	}
	if news {
		s.log.Error("the store cannot commit any more", "err", err)
		if s.fatal != nil {
			s.fatal(failed)
		}
	}
}

// transact stages the calls in a transaction and commits it. An error means that the store has failed.
func (s *Store) transact(calls []*call) (b *batch, err error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return nil, err
	}
	whole := false
	defer func() {
		if whole {
			return
		}
		// A change that breaks off in the middle must not reach the disk.
		if v := recover(); v != nil {
			err = fmt.Errorf("panic while staging a commit: %T\n%s", v, debug.Stack())
		}
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, bolterrors.ErrTxClosed) {
			err = errors.Join(err, rollback)
		}
	}()
	b = newBatch(s, tx)
	for _, c := range calls {
		if !c.state.CompareAndSwap(queued, running) {
			c.err = context.Canceled // nobody looks
			continue
		}
		c.err = c.run(b)
		c.state.Store(staged)
		if b.broken != nil {
			return nil, b.broken
		}
	}
	if !b.changed {
		whole = true
		return b, tx.Rollback()
	}
	s.records.forget(b.written)
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	s.syncs.Add(2)
	whole = true
	return b, nil
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
