package snowtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A FaultKind is something that goes wrong with one exchange.
type FaultKind string

// The kinds. Each says what it does to a request of the client (In) and to a post of the instance (Out).
const (
	// FaultDrop loses the exchange. In: it is answered as usual and has no effect. Out: it is never sent.
	FaultDrop FaultKind = "drop"
	// FaultReset cuts the connection. In: before anything was done or, with AfterEffect, after it. Out: the post
	// arrives, and its answer is lost.
	FaultReset FaultKind = "reset"
	// FaultStatus answers Status and Body, with Retry-After when RetryAfter is set. In only.
	FaultStatus FaultKind = "status"
	// FaultHTML answers 200 with a page instead of JSON. In only.
	FaultHTML FaultKind = "html"
	// FaultDelay waits for Delay, before the effect or, with AfterEffect, between effect and answer. Out: before the post.
	FaultDelay FaultKind = "delay"
	// FaultDuplicate sends the post twice. Out only.
	FaultDuplicate FaultKind = "duplicate"
	// FaultReorder sends the post after the next one of the same person, or after Delay (default 200 ms) when there is
	// none. The desk's call returns at once. Out only.
	FaultReorder FaultKind = "reorder"
)

// A Fault says what goes wrong, and when. Empty fields match everything.
type Fault struct {
	Kind      FaultKind
	Direction Direction // default In

	Method       string
	PathContains string
	SessionID    string
	Action       string                  // of a request of the Bot Integration API; "message" for one without
	Match        func(FaultRequest) bool // called with a lock held, so it must not call the instance
	After        int                     // matches that pass before the first is hit
	Times        int                     // hits, 0 for no limit
	Probability  float64                 // of a hit, 0 for always; see Options.Seed

	AfterEffect    bool // of FaultReset, FaultStatus, FaultHTML and FaultDelay
	Delay          time.Duration
	Status         int
	Body           string // default: an error body of the REST API
	RetryAfter     time.Duration
	RetryAfterDate bool // a date instead of seconds
}

// A FaultRequest is what a fault can match.
type FaultRequest struct {
	Direction Direction
	Method    string
	Path      string
	SessionID string
	Action    string
	Body      []byte
}

// check refuses what makes no sense.
func (f *Fault) check() error {
	or(&f.Direction, In)
	out := f.Direction == Out
	switch f.Kind {
	case FaultDrop, FaultReset:
	case FaultDelay:
		if f.Delay <= 0 {
			return errors.New("a delay needs a duration")
		}
	case FaultStatus:
		if f.Status < 200 || f.Status > 599 || out {
			return fmt.Errorf("status %d cannot be answered to a request", f.Status)
		}
	case FaultHTML:
		if out {
			return errors.New("a post has no page")
		}
	case FaultDuplicate, FaultReorder:
		if !out {
			return fmt.Errorf("fault %q is for posts of the instance", f.Kind)
		}
	default:
		return fmt.Errorf("unknown fault %q", f.Kind)
	}
	if f.Probability < 0 || f.Probability > 1 || f.After < 0 || f.Times < 0 {
		return errors.New("a fault's count or probability is out of range")
	}
	return nil
}

// faults are the scripted faults.
type faults struct {
	any  atomic.Bool
	mu   sync.Mutex
	list []*armed
	rng  *rand.Rand
}

type armed struct {
	Fault
	matched, hits int
}

func (f *faults) seed(seed uint64) { f.rng = rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }

// AddFault arms a fault until remove is called or its Times are used up. The first armed fault that hits an exchange is
// the only one applied to it.
func (i *Instance) AddFault(f Fault) (remove func(), err error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("emulated instance: %w", err)
	}
	a := &armed{Fault: f}
	fs := &i.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(fs.list, a)
	fs.any.Store(true)
	return func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.drop(a)
	}, nil
}

func (f *faults) drop(a *armed) {
	f.list = slices.DeleteFunc(f.list, func(other *armed) bool { return other == a })
	f.any.Store(len(f.list) > 0)
}

// hit returns the fault for an exchange, or nil. The request is only made when there are faults at all.
func (f *faults) hit(request func() FaultRequest) *Fault {
	if !f.any.Load() {
		return nil
	}
	r := request()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if !a.matches(r) {
			continue
		}
		if a.matched++; a.matched <= a.After {
			continue
		}
		if a.Probability > 0 && f.rng.Float64() >= a.Probability {
			continue
		}
		if a.hits++; a.Times > 0 && a.hits == a.Times {
			f.drop(a)
		}
		hit := a.Fault
		return &hit
	}
	return nil
}

func (f *Fault) matches(r FaultRequest) bool {
	return f.Direction == r.Direction &&
		(f.Method == "" || f.Method == r.Method) &&
		strings.Contains(r.Path, f.PathContains) &&
		(f.SessionID == "" || f.SessionID == r.SessionID) &&
		(f.Action == "" || f.Action == r.Action) &&
		(f.Match == nil || f.Match(r))
}
