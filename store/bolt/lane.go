package bolt

import (
	"container/heap"
	"math"
	"time"

	"snowbot/store"
)

// A lanecode stands for a direction in keys and rows. Stored, so the codes do not change.
type lanecode byte

// The codes, from 1 on.
const (
	noLane lanecode = iota
	toTeams
	toServiceNow
	toBot
	toTicks
	held
	links
	lanecodes
)

func codeOf(d store.Direction) lanecode {
	switch d {
	case store.ToTeams:
		return toTeams
	case store.ToServiceNow:
		return toServiceNow
	case store.ToBot:
		return toBot
	case store.ToTicks:
		return toTicks
	case store.Held:
		return held
	case store.Links:
		return links
	}
	return noLane
}

func (c lanecode) direction() store.Direction {
	switch c {
	case toTeams:
		return store.ToTeams
	case toServiceNow:
		return store.ToServiceNow
	case toBot:
		return store.ToBot
	case toTicks:
		return store.ToTicks
	case held:
		return store.Held
	case links:
		return store.Links
	}
	return ""
}

// laneKey names a lane in memory.
type laneKey struct {
	no uint64
	to lanecode
}

// never is a moment that does not come.
const never = math.MaxInt64

// A span is what a lane holds.
type span struct {
	places    []uint64 // keys of its deliveries, in order; only ever appended to, or shortened at the front
	notBefore int64    // of the head, by the wall clock
	due       int64    // the moment from which the head may be sent
	turn      uint64   // which head of all it is; parts heads of the same moment
}

// wait returns how long the head has to wait yet.
func (s span) wait(now int64) int64 { return max(s.notBefore-now, 0) }

// A lane has deliveries or a lease; others are not in memory.
type lane struct {
	key          laneKey
	conversation string

	// The committer's: what the running transaction will have made of it.
	staged  span
	settled uint64 // the lease settled last
	erased  bool   // its conversation was

	// The rest is guarded by the store's mutex.
	span            // committed
	token  uint64   // of the lease, zero when there is none
	until  int64    // the moment in which the lease ends
	rode   uint64   // the lease whose settle was told before it is durable
	leased []uint64 // the run of the lease
	busy   int      // calls that hold it: neither to be claimed nor to be forgotten
	gone   bool     // erased
	at     int64    // the moment from which it may be claimed
	order  int      // place in the heap, -1 outside
}

// An index knows every lane with work, by name, by lease, and in the order in which they may be claimed.
// It is guarded by the store's mutex.
type index struct {
	lanes   map[laneKey]*lane
	leases  map[uint64]*lane
	ready   [lanecodes]laneHeap
	waiting [lanecodes]int // deliveries
	waiters [lanecodes]waiters
	ahead   int64 // how far the wall clock is ahead of the moment, when that was looked at last
}

func newIndex() *index {
	return &index{lanes: map[laneKey]*lane{}, leases: map[uint64]*lane{}}
}

// publish makes the staged state of a lane the committed one.
func (x *index) publish(l *lane) {
	x.waiting[l.key.to] += len(l.staged.places) - len(l.places)
	l.span = l.staged
	if l.erased {
		l.gone = true
		delete(x.lanes, l.key)
	} else {
		x.lanes[l.key] = l
	}
	x.place(l)
}

// place puts a lane where its state says, or forgets it.
func (x *index) place(l *lane) {
	at := int64(never)
	switch {
	case l.busy > 0:
	case l.gone:
		x.unlease(l)
	case l.token != 0 && len(l.places) == 0: // stays with its holder
	case l.token != 0:
		at = max(l.until, l.due)
	case len(l.places) == 0:
		if x.lanes[l.key] == l {
			delete(x.lanes, l.key)
		}
	case l.key.to != held:
		at = l.due
	}
	h := &x.ready[l.key.to]
	sooner := at < l.at
	l.at = at
	switch {
	case at == never:
		if l.order >= 0 {
			heap.Remove(h, l.order)
		}
	case l.order < 0:
		heap.Push(h, l)
		sooner = true
	default:
		heap.Fix(h, l.order)
	}
	if sooner && l.token == 0 { // waiting calls look at the end of leases by themselves
		x.waiters[l.key.to].wake()
	}
}

// unlease ends the lease of a lane, if it has one.
func (x *index) unlease(l *lane) {
	if l.token != 0 {
		delete(x.leases, l.token)
		l.token = 0
	}
}

// jump is how far the wall clock goes ahead of the moment before that counts as having been set.
const jump = int64(time.Second / time.Microsecond)

// follow looks whether the wall clock was set. Forward, heads that it has made due need not wait any
// longer. Back, they wait as long as they would have: a retry in ten seconds stays one.
func (x *index) follow(now, moment int64) {
	ahead := now - moment
	if d := ahead - x.ahead; -jump < d && d < jump {
		return
	}
	set := ahead > x.ahead
	x.ahead = ahead
	if !set {
		return
	}
	for _, l := range x.lanes {
		if due := moment + l.wait(now); due < l.due {
			l.due = due
			x.place(l)
		}
	}
}

// first returns the lane that may be claimed first, or nil.
func (x *index) first(to lanecode) *lane {
	if h := x.ready[to]; len(h) > 0 {
		return h[0]
	}
	return nil
}

// laneHeap orders lanes by when they may be claimed.
type laneHeap []*lane

func (h laneHeap) Len() int { return len(h) }

func (h laneHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].turn < h[j].turn
}

func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].order, h[j].order = i, j
}

func (h *laneHeap) Push(l any) {
	l.(*lane).order = len(*h)
	*h = append(*h, l.(*lane))
}

func (h *laneHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.order = -1
	return l
}

// waiters are the calls that wait for a direction, the longest waiting first.
type waiters []chan struct{}

// wake lets one waiter go.
func (w *waiters) wake() {
	if len(*w) > 0 {
		close((*w)[0])
		*w = (*w)[1:]
	}
}

// remove takes c out, and reports whether it was still waiting.
func (w *waiters) remove(c chan struct{}) bool {
	for i, other := range *w {
		if other == c {
			*w = append((*w)[:i:i], (*w)[i+1:]...)
			return true
		}
	}
	return false
}

// wakeAll lets all waiters go.
func (x *index) wakeAll() {
	for to := range x.waiters {
		for len(x.waiters[to]) > 0 {
			x.waiters[to].wake()
		}
	}
}
