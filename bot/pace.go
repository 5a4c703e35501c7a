package bot

import (
	"sync"
	"time"

	"snowbot/store"
)

// A room is where lanes wait in memory, with their leases, for the windows of their conversation, the rate of
// their tenant, or a host that does not answer. Nobody waits with them: workers take what may go on.
type room struct {
	tenantRate int // sends a second, of all replicas; 0 is no pacing
	replicas   replicas
	now        func() time.Time

	mu      sync.Mutex
	share   int                // of the tenant rate
	windows map[string]*window // by conversation
	swept   time.Time
	tenants map[string]*rate
	doors   map[store.Direction]*door
}

// A door is the part of a room for one direction.
type door struct {
	groups map[groupKey]*group
	asleep claimHeap
	expiry claimHeap
	lanes  map[string]*claim // by conversation
	size   int
	kick   chan struct{} // something may go on
}

// A groupKey names what the claims of a group share.
type groupKey struct {
	tenant *rate
	host   *host
	limit  *callLimit
}

// A group is the claims that wait for the same.
type group struct {
	groupKey
	ready claimHeap
	n     int // claims, ready or not
}

func newRoom(tenantRate int) *room {
	r := &room{
		tenantRate: tenantRate, share: tenantRate, now: time.Now, swept: time.Now(),
		windows: map[string]*window{}, tenants: map[string]*rate{}, doors: map[store.Direction]*door{},
	}
	for _, d := range []store.Direction{store.ToTeams, store.ToServiceNow, store.ToTicks} {
		r.doors[d] = &door{
			groups: map[groupKey]*group{},
			asleep: claimHeap{which: inAsleep, before: func(a, b *claim) bool { return a.wake.Before(b.wake) }},
			expiry: claimHeap{which: inExpiry, before: func(a, b *claim) bool { return a.expires().Before(b.expires()) }},
			lanes:  map[string]*claim{}, kick: make(chan struct{}, 1),
		}
	}
	return r
}

// urgent orders what competes: by rank, then by acceptance.
func urgent(a, b *claim) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.lease.Deliveries[0].Accepted.Before(b.lease.Deliveries[0].Accepted)
}

// pace has the claim wait for its conversation's windows, which learn what the state knows of them, and for its tenant.
func (r *room) pace(c *claim, conversation, tenant string) {
	if r.tenantRate == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count()
	r.sweep()
	c.tenant = r.tenant(tenant)
	if c.lease.Lane.Direction != store.ToTeams {
		return // a look-up, which has windows of its own that are never full
	}
	c.window = r.window(conversation)
	c.window.learn(c.state.Sent, r.now())
}

func (r *room) tenant(name string) *rate {
	t := r.tenants[name]
	if t == nil {
		t = &rate{n: r.share}
		r.tenants[name] = t
	}
	return t
}

// count has this replica take its share of the tenants' rates.
func (r *room) count() {
	share := r.replicas.share(r.tenantRate)
	if r.tenantRate == 0 || share == r.share {
		return
	}
	r.share = share
	for _, t := range r.tenants {
		t.n = share
	}
}

// sweep forgets from time to time the windows and tenants with nothing in them.
func (r *room) sweep() {
	now := r.now()
	if now.Sub(r.swept) <= 10*time.Minute {
		return
	}
	r.swept = now
	for name, w := range r.windows {
		if d := r.doors[store.ToTeams].lanes[name]; d == nil && w.idle(now) {
			delete(r.windows, name)
		}
	}
	waitedFor := map[*rate]bool{}
	for _, d := range r.doors {
		for key := range d.groups {
			waitedFor[key.tenant] = true
		}
	}
	for name, t := range r.tenants {
		if !waitedFor[t] && t.idle(now) {
			delete(r.tenants, name)
		}
	}
}

// window returns that of a conversation.
func (r *room) window(conversation string) *window {
	w := r.windows[conversation]
	if w == nil {
		w = &window{}
		r.windows[conversation] = w
	}
	return w
}

// admit lets a claim go on at once when nobody waits at its door and nothing holds it back, which is so most of the time.
// Otherwise it waits with the others, and take follows.
func (r *room) admit(c *claim) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count()
	d := r.doors[c.lease.Lane.Direction]
	if len(d.lanes) == 0 && c.free(r.now()) {
		if ok, _ := c.ask(); ok {
			c.begin()
			return true
		}
	}
	r.enter(d, c)
	return false
}

// enter adds a claim to those that wait at a door.
func (r *room) enter(d *door, c *claim) {
	for i := range c.at {
		c.at[i] = -1
	}
	if old := d.lanes[c.lease.Lane.Conversation]; old != nil {
		d.remove(old) // its lease has passed on to this one
	}
	d.lanes[c.lease.Lane.Conversation] = c
	d.size += c.size()
	key := groupKey{c.tenant, c.host, c.limit}
	if c.group = d.groups[key]; c.group == nil {
		c.group = &group{groupKey: key, ready: claimHeap{which: inReady, before: urgent}}
		d.groups[key] = c.group
	}
	c.group.n++
	d.expiry.add(c)
	c.wake = r.now() // looked at next
	d.asleep.add(c)
	d.poke()
}

func (d *door) poke() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *door) remove(c *claim) {
	delete(d.lanes, c.lease.Lane.Conversation)
	d.size -= c.size()
	d.asleep.drop(c)
	d.expiry.drop(c)
	c.group.ready.drop(c)
	if c.group.n--; c.group.n == 0 {
		delete(d.groups, c.group.groupKey)
	}
}

// take returns the claim that is to be handled next and how, or wait and when to ask again at the latest.
func (r *room) take(to store.Direction) (*claim, course, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count()
	d, now := r.doors[to], r.now()
	d.awaken(now)
	pause := time.Hour
	for _, g := range d.groups {
		c, p := d.pick(g, now)
		if c != nil {
			return c, goOn, 0
		}
		pause = min(pause, p)
	}
	if c := d.expiry.first(); c != nil {
		if !c.expires().After(now) {
			d.remove(c)
			if c.old.After(now) {
				return c, letGo, 0
			}
			return c, giveUp, 0
		}
		pause = min(pause, c.expires().Sub(now))
	}
	if c := d.asleep.first(); c != nil {
		pause = min(pause, c.wake.Sub(now))
	}
	return nil, wait, max(pause, time.Millisecond)
}

// awaken makes ready what its conversation does not hold back any more.
func (d *door) awaken(now time.Time) {
	for {
		c := d.asleep.first()
		if c == nil || c.wake.After(now) {
			return
		}
		d.asleep.drop(c)
		if c.window != nil {
			if next := c.window.next(now); next.After(now) {
				c.wake, c.waited = next, true
				d.asleep.add(c)
				continue
			}
		}
		c.group.ready.add(c)
	}
}

// pick takes out the most urgent claim of a group, if it may go on, or says when to ask again.
func (d *door) pick(g *group, now time.Time) (*claim, time.Duration) {
	for {
		c := g.ready.first()
		if c == nil {
			return nil, time.Hour
		}
		if g.tenant != nil {
			if next := g.tenant.next(now); next.After(now) {
				g.hold()
				return nil, next.Sub(now)
			}
		}
		if c.window != nil {
			if next := c.window.next(now); next.After(now) { // somebody typed meanwhile
				g.ready.drop(c)
				c.wake, c.waited = next, true
				d.asleep.add(c)
				continue
			}
		}
		if g.host != nil {
			if ok, pause := c.ask(); !ok {
				g.hold()
				return nil, pause
			}
		}
		d.remove(c)
		c.begin()
		return c, 0
	}
}

// hold notes of the most urgent claim that it had to wait; the others are noted when it is their turn.
func (g *group) hold() { g.ready.first().waited = true }

// finish ends what take began: so many calls of Teams were answered now, and err, or errNoCall, came of the send.
func (r *room) finish(c *claim, calls int, err error) {
	c.answered(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if c.tenant != nil {
		c.tenant.flying--
		c.tenant.add(now, calls)
	}
	if c.window != nil {
		c.window.flying--
		c.window.add(now, calls)
	}
	for _, d := range r.doors {
		if len(d.lanes) > 0 {
			d.poke()
		}
	}
}

// aside ends for a while what take began, in which the claim calls neither Teams nor the host of its lane: others may. back follows.
func (r *room) aside(c *claim) {
	c.answered(errNoCall)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.tenant != nil {
		c.tenant.flying--
	}
	for _, d := range r.doors {
		if len(d.lanes) > 0 {
			d.poke()
		}
	}
}

// back ends aside, and reports whether the claim may go on at once. finish follows in any case.
func (r *room) back(c *claim) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, free := r.now(), true
	if c.tenant != nil {
		free = !c.tenant.next(now).After(now)
		c.tenant.flying++
	}
	if c.host != nil && free {
		free, _ = c.ask()
	}
	return free
}

// called counts calls of Teams that were answered now and did not wait for the tenant.
func (r *room) called(tenant string, calls int) {
	if r.tenantRate == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tenant(tenant).add(r.now(), calls)
}

// spare returns how many further sends the windows of the claim's conversation take at once, beside its own.
func (r *room) spare(c *claim) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.window.free(r.now())
}

// recent returns what the state is to keep of the sends to the claim's conversation, and whether it is worth a write of
// its own. Where there are other replicas it always is, since the next send may be theirs.
func (r *room) recent(c *claim) (s *sends, busy bool) {
	if c.window == nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	return c.window.pack(now), c.window.busy(now) || !r.replicas.alone()
}

// typing asks to show typing in a conversation. It is the first thing to be dropped: when anything waits for the same
// conversation or tenant, and when a third of what they may take is all that is left. A nil answer is a refusal;
// otherwise it is to be called when the answer came.
func (r *room) typing(conversation, tenant string) func() {
	if r.tenantRate == 0 {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count()
	r.sweep()
	now := r.now()
	d, t, w := r.doors[store.ToTeams], r.tenant(tenant), r.window(conversation)
	for g := range d.groups {
		if g.tenant == t && d.groups[g].ready.Len() > 0 {
			return nil
		}
	}
	if d.lanes[conversation] != nil || w.flying > 0 || w.free(now) < 3 || t.free(now) < max(1, t.n/3) {
		return nil
	}
	w.flying++
	t.flying++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		now := r.now()
		w.flying--
		t.flying--
		w.add(now, 1)
		t.add(now, 1)
		d.poke()
	}
}

// full reports whether no further lane of a direction should be claimed.
func (r *room) full(to store.Direction) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.doors[to]
	return d != nil && (len(d.lanes) >= roomLane || d.size >= roomSize)
}

// lanes returns how many lanes wait, by direction.
func (r *room) lanes() map[store.Direction]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[store.Direction]int{}
	for to, d := range r.doors {
		n[to] = len(d.lanes)
	}
	return n
}

// clear takes out everything.
func (r *room) clear() []*claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*claim
	for _, d := range r.doors {
		for _, c := range d.lanes {
			d.remove(c)
			all = append(all, c)
		}
	}
	return all
}
