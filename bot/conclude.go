package bot

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

// A conclusion is what came of the first deliveries of a lane: one send, or none.
type conclusion struct {
	sent []*sentEvent // one for each delivery
	err  error
	v    decision

	since   time.Time
	refused int // settles that failed; under the lock of unsettled
}

// conclude settles a claim of which the first deliveries were sent, or were not. When that fails, the lane is in hand again once the
// lease has run out, and the settle is tried again, not the send.
func (b *Bot) conclude(ctx context.Context, c *claim, x *conclusion) {
	lane := c.lease.Lane
	b.unsettled.keep(lane, x, b.now())
	err := b.concludeWhole(ctx, c, x)
	if err == nil {
		b.unsettled.forget(lane, x)
		return
	}
	n := b.unsettled.failed(x)
	b.log.Error("cannot settle delivery; will try again", "delivery", c.lease.Deliveries[0].ID, "lane", lane.String(), "failed", n, "err", err)
	if n == 1 && x.v.fate == done && lane.Direction == store.ToTeams {
		b.metrics.repeats("settle failed", len(x.sent)) // if this process does not live to settle it
	}
	if n >= settleTries && !errors.Is(err, store.ErrClosed) {
		b.park(ctx, c, x)
	}
}

// concludeWhole settles with all that follows from what came of the deliveries.
func (b *Bot) concludeWhole(ctx context.Context, c *claim, x *conclusion) (err error) {
	defer func() {
		if recover() != nil {
			b.log.Error("settle failed in an unforeseen way", "delivery", c.lease.Deliveries[0].ID, "stack", string(debug.Stack()))
			b.metrics.add([]count{{"panics", ""}})
			err = errSettlePanic
		}
	}()
	l, d, to, now := c.lease, c.lease.Deliveries[0], c.lease.Lane.Direction, b.now()
	log := func() *slog.Logger { return b.log.With("delivery", d.ID, "kind", d.Kind, "lane", l.Lane.String()) }
	sent, v, first := x.sent, x.v, b.unsettled.first(x)
	sort, _ := classify(to, x.err)
	unsure := sort.fate == unclear
	merged := to == store.ToTeams && len(sent) > 1
	split := merged && unsure
	if merged && v.fate == never && !v.why.shutOut() && !unsure {
		v, split = decision{fate: again, at: now}, true // perhaps only one of them is refused
	}
	var r store.Result
	var evs events
	repeats := 0
	if v.fate == done {
		r.Done = len(sent)
		for _, e := range sent {
			if b.changes(c.state, e) {
				evs = append(evs, e)
			}
		}
	} else {
		if r.Outcome = string(v.why); x.err != nil {
			r.Outcome = outcomeText(to, x.err)
		}
		if split {
			evs = append(evs, apartEvent{N: len(sent), Unclear: sort.once})
		}
	}
	switch v.fate {
	case never:
		log().Warn("delivery given up", "why", v.why, "attempts", d.Failed+1, "err", x.err)
		r.Next, r.Reason = store.Bury, string(v.why)
		evs = append(evs, &failedEvent{to: to, delivery: d, body: sent[0].body, why: v.why})
		if split { // the others are sent again without it
			repeats = len(sent) - 1
		}
	case again:
		log().Info("delivery will be tried again", "at", v.at, "attempts", d.Failed+1, "err", x.err)
		r.Next, r.At = store.Again, v.at
		if unsure && to == store.ToTeams {
			repeats = len(sent)
		}
		if se := (*snow.Error)(nil); to == store.ToServiceNow && errors.As(x.err, &se) && v.at.Sub(d.Accepted) > b.rules.OutageAfter {
			b.told.Store(true)
			evs = append(evs, outageEvent{d.ID})
		}
	}
	if first {
		if repeats > 0 {
			b.metrics.repeats("unclear outcome", repeats)
		}
		for i, e := range sent {
			if v.fate == done || i == 0 {
				b.metrics.delivered(to, e.delivery.Kind, v, now.Sub(e.delivery.Accepted))
			}
		}
	}
	if recent, busy := b.room.recent(c); recent != nil && (busy || len(evs) > 0) {
		evs = append(evs, pacedEvent{recent})
	}
	limit := settleLimit
	if v.fate == done || unsure {
		limit = settleSent
	}
	settling, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if len(evs) == 0 {
		return b.settle(settling, l, r, nil)
	}
	return b.settle(settling, l, r, evs)
}

// park buries the last of the deliveries without what follows from it, which no commit takes. Somebody is told, if a commit takes that,
// unless the delivery itself was done.
func (b *Bot) park(ctx context.Context, c *claim, x *conclusion) {
	l, e := c.lease, x.sent[0]
	to := l.Lane.Direction
	r := store.Result{Next: store.Bury, Outcome: string(failUnsettled), Reason: string(failUnsettled)}
	tell := to == store.ToBot // of an answer that was not kept
	if x.v.fate == done {
		r.Done = len(x.sent) - 1
	} else {
		tell = true
	}
	settling, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	err := errSettlePanic
	if tell {
		err = b.settle(settling, l, r, events{&failedEvent{to: to, delivery: l.Deliveries[0], body: e.body, why: failUnsettled}})
	}
	if err != nil {
		if err = b.settle(settling, l, r, nil); err == nil {
			b.metrics.add([]count{{"given up", string(failUnsettled)}})
		}
	}
	if err != nil {
		b.log.Error("a delivery that cannot be settled cannot be buried either; will try again", "lane", l.Lane.String(), "err", err)
		return
	}
	b.unsettled.forget(l.Lane, x)
	b.log.Error("a delivery that could not be settled is a dead letter; its lane goes on", "delivery", l.Deliveries[r.Done].ID, "lane", l.Lane.String())
}

// errSettlePanic is a settle that a mistake of ours broke off.
var errSettlePanic = errors.New("panic while settling")

// settleTries is how many settles may fail, over a minute at least, until a delivery is buried without what follows from it: a store
// that takes the one and not the other will not do better later.
const settleTries = 4

// unsettled are the conclusions that are not settled yet. Whoever has such a lane in hand again tries to settle it, and does not send
// again: that would be shown each time. They are lost with the process, and counted then as after any unclean end.
type unsettled struct {
	mu     sync.Mutex
	byLane map[store.Lane]*conclusion
}

// Bounds of what is remembered: so many lanes, and for so long when there are more.
const (
	unsettledMost = 4096
	unsettledFor  = 10 * time.Minute
)

// keep remembers what came of a lane's first deliveries.
func (u *unsettled) keep(lane store.Lane, x *conclusion, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if x.since.IsZero() {
		x.since = now
	}
	if u.byLane == nil {
		u.byLane = map[store.Lane]*conclusion{}
	}
	if len(u.byLane) >= unsettledMost {
		for lane, x := range u.byLane {
			if now.Sub(x.since) > unsettledFor {
				delete(u.byLane, lane)
			}
		}
	}
	if len(u.byLane) < unsettledMost {
		u.byLane[lane] = x
	}
}

// forget is called when a lane is settled.
func (u *unsettled) forget(lane store.Lane, x *conclusion) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byLane[lane] == x {
		delete(u.byLane, lane)
	}
}

// failed counts a settle that failed, and returns how many did.
func (u *unsettled) failed(x *conclusion) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	x.refused++
	return x.refused
}

// first reports whether no settle has failed so far.
func (u *unsettled) first(x *conclusion) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return x.refused == 0
}

// recall returns what came of a lane's first deliveries, if that is not settled, or nil.
func (u *unsettled) recall(l *store.Lease) *conclusion {
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.byLane[l.Lane]
	if x == nil {
		return nil
	}
	for i, e := range x.sent {
		if i >= len(l.Deliveries) || !sameTry(&l.Deliveries[i], &e.delivery) {
			delete(u.byLane, l.Lane) // it was settled, and the answer lost
			return nil
		}
	}
	return x
}

// sameTry reports whether a delivery stands as it did: it may have been settled, to be tried again or as a dead letter that was put back.
func sameTry(a, b *store.Delivery) bool {
	return a.ID == b.ID && a.Failed == b.Failed && a.Accepted.Equal(b.Accepted)
}
