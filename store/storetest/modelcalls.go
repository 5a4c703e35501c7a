package storetest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"snowbot/store"
)

func (m *machine) apply(r *rapid.T) {
	id := drawConversation.Draw(r, "conversation")
	names := rapid.SliceOfN(drawEvent, 0, 2).Draw(r, "events")
	s := m.drawStep(r)
	c := m.all[id]
	if c == nil {
		c = newConversation(id)
	}
	var fresh []bool
	news := false
	for i, n := range names {
		f := !m.w.clock.now().Before(c.events[n]) && !slices.Contains(names[:i], n)
		fresh = append(fresh, f)
		news = news || f
	}
	var got []bool
	called := false
	err := m.w.Apply(m.t.Context(), id, events(names...), func(turn *store.Turn) error {
		called = true
		got = slices.Clone(turn.Fresh)
		return s.turn(turn)
	})
	if len(names) > 0 && !news {
		if err != nil || called {
			r.Fatalf("Apply of known events: called %t, %v", called, err)
		}
		return
	}
	m.equal(r, "Fresh", got, fresh)
	want := m.model(c, s)
	m.sameError(r, "Apply", err, want)
	if want == nil {
		for _, n := range names {
			if !m.w.clock.now().Before(c.events[n]) {
				c.events[n] = m.w.clock.now().Add(store.KeepMax)
			}
		}
	}
}

func (m *machine) claim(r *rapid.T) {
	d := drawDirection.Draw(r, "direction")
	limit := rapid.IntRange(1, 3).Draw(r, "limit")
	now := m.w.clock.now()
	runs := map[string][]store.Delivery{}
	for id, c := range m.all {
		l := c.lanes[d]
		if d == store.Held || l.lease != nil && now.Before(l.lease.lease.Until) {
			continue
		}
		for _, v := range l.deliveries {
			if v.NotBefore.After(now) || len(runs[id]) == limit {
				break
			}
			runs[id] = append(runs[id], v)
		}
	}
	got, err := m.w.Claim(m.t.Context(), d, modelTTL, limit)
	if errors.Is(err, store.ErrEmpty) && len(runs) == 0 {
		return
	}
	if err != nil {
		r.Fatalf("Claim %s: %v, with these due: %v", d, err, slices.Sorted(maps.Keys(runs)))
	}
	m.equal(r, "run", got.Deliveries, runs[got.Lane.Conversation])
	lane := m.all[got.Lane.Conversation].lanes[d]
	if lane.lease != nil {
		lane.lease.lane = nil
	}
	lane.lease = &modelLease{lease: got, lane: lane}
	m.held = append(m.held, lane.lease)
}

// drawLease chooses a lease, be it good or not.
func (m *machine) drawLease(r *rapid.T) *modelLease {
	if len(m.held) == 0 {
		r.Skip("no lease")
	}
	return m.held[rapid.IntRange(max(0, len(m.held)-4), len(m.held)-1).Draw(r, "lease")]
}

func (m *machine) settle(r *rapid.T) {
	l := m.drawLease(r)
	res := store.Result{
		Done: rapid.IntRange(0, len(l.lease.Deliveries)).Draw(r, "done"),
		Next: rapid.SampledFrom([]store.Next{store.Release, store.Again, store.Bury}).Draw(r, "next"),
		At:   m.w.clock.now().Add(5 * time.Second), Outcome: "o", Reason: "r",
	}
	var f func(*store.Turn) error
	s := m.drawStep(r)
	if rapid.Bool().Draw(r, "turn") {
		f = s.turn
	}
	err := m.w.Settle(m.t.Context(), l.lease, res, f)
	if l.lane == nil {
		m.sameError(r, "Settle", err, store.ErrFenced)
		return
	}
	c := m.all[l.lease.Lane.Conversation]
	undo := *l.lane
	undo.deliveries = slices.Clone(undo.deliveries)
	dead := len(m.dead)
	m.settleRun(c, l, res)
	var want error
	if f != nil {
		if want = m.model(c, s); want != nil {
			*l.lane = undo
			m.dead = m.dead[:dead]
		}
	}
	m.sameError(r, "Settle", err, want)
	if want == nil {
		l.lane.lease, l.lane = nil, nil
	}
}

func (m *machine) settleRun(c *modelConversation, l *modelLease, res store.Result) {
	has := func(i int) bool {
		return i < len(l.lease.Deliveries) && len(l.lane.deliveries) > 0 && l.lane.deliveries[0].ID == l.lease.Deliveries[i].ID
	}
	for i := range res.Done {
		if has(i) {
			l.lane.deliveries = slices.Delete(l.lane.deliveries, 0, 1)
		}
	}
	if !has(res.Done) {
		return
	}
	head := &l.lane.deliveries[0]
	head.Begun = false
	if res.Next == store.Release {
		return
	}
	head.Failed++
	head.Attempts = store.AddAttempt(head.Attempts, m.w.clock.now(), res.Outcome)
	if res.Next == store.Again {
		head.NotBefore = res.At
		return
	}
	m.dead = append(m.dead, modelLetter{
		conversation: c.rec.ID, to: l.lease.Lane.Direction, delivery: *head, reason: res.Reason,
	})
	l.lane.deliveries = slices.Delete(l.lane.deliveries, 0, 1)
}

func (m *machine) begin(r *rapid.T) {
	l := m.drawLease(r)
	err := m.w.Begin(m.t.Context(), l.lease)
	if l.lane == nil || len(l.lane.deliveries) == 0 || l.lane.deliveries[0].ID != l.lease.Deliveries[0].ID {
		m.sameError(r, "Begin", err, store.ErrFenced)
		return
	}
	m.sameError(r, "Begin", err, nil)
	l.lane.deliveries[0].Begun = true
}

func (m *machine) letter(r *rapid.T) {
	if len(m.dead) == 0 {
		r.Skip("no dead letter")
	}
	i := rapid.IntRange(0, len(m.dead)-1).Draw(r, "letter")
	all, err := m.w.DeadLetters(m.t.Context(), store.DeadLetterFilter{})
	m.sameError(r, "DeadLetters", err, nil)
	if len(all) != len(m.dead) {
		r.Fatalf("%d dead letters, want %d", len(all), len(m.dead))
	}
	l := m.dead[i]
	if rapid.Bool().Draw(r, "discard") {
		m.sameError(r, "Discard", m.w.Discard(m.t.Context(), all[i].ID), nil)
	} else {
		err := m.w.Retry(m.t.Context(), all[i].ID)
		if l.to == "" || m.all[l.conversation] == nil {
			m.sameError(r, "Retry", err, store.ErrNotFound)
			return
		}
		m.sameError(r, "Retry", err, nil)
		d := l.delivery
		d.Accepted, d.NotBefore, d.Failed, d.Attempts = m.w.clock.now(), time.Time{}, 0, nil
		lane := m.all[l.conversation].lanes[l.to]
		lane.deliveries = append(lane.deliveries, d)
	}
	m.dead = slices.Delete(m.dead, i, i+1)
}

func (m *machine) erase(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "rarely") != 0 {
		r.Skip("not now")
	}
	p := drawPerson.Draw(r, "person")
	n, err := m.w.Erase(m.t.Context(), p)
	m.sameError(r, "Erase", err, nil)
	want := 0
	for id, c := range m.all {
		if !slices.Contains(c.rec.People, p) {
			continue
		}
		want++
		delete(m.all, id)
		for _, l := range c.lanes {
			if l.lease != nil {
				l.lease.lane = nil
			}
		}
		m.dead = slices.DeleteFunc(m.dead, func(l modelLetter) bool { return l.conversation == id })
	}
	m.equal(r, "erased", n, want)
}

func (m *machine) advance(r *rapid.T) { m.w.clock.advance(drawPause.Draw(r, "pause")) }

// reopen lets the leases run out, since a store may or may not keep them.
func (m *machine) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "rarely") != 0 {
		r.Skip("not now")
	}
	m.sameError(r, "Close", m.w.Close(), nil)
	m.w.clock.advance(modelTTL)
	s, err := m.w.h.Open(m.t, m.w.opts)
	m.sameError(r, "Open", err, nil)
	m.w.Store = s
	m.held = nil
	for _, c := range m.all {
		for _, l := range c.lanes {
			l.lease = nil
		}
	}
}
