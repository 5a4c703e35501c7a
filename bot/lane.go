package bot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/store"
)

// Times of a delivery. A send has to be over leaseMargin before its lease is, since a lease that has passed on stops a
// settle but not a send.
const (
	leaseTime   = 20 * time.Second
	leaseMargin = 5 * time.Second
	sendLimit   = 8 * time.Second        // unless there is a file to be fetched: then all that the lease leaves
	leastSend   = 3 * time.Second        // what a send has to have left of its lease
	stateTime   = 100 * time.Millisecond // how long what was read with a claim is taken for what is
	settleLimit = 5 * time.Second
	settleSent  = time.Minute     // after a send that may have had an effect, and would have it again
	stopLimit   = 2 * time.Second // for letting go what waits, at the end
)

// Run works on the lanes and the timers until ctx ends, finishes what is in hand, and returns. An
// error means that the store is lost.
func (b *Bot) Run(ctx context.Context) error {
	g, working := errgroup.WithContext(ctx)
	for _, d := range []store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot, store.ToTicks} {
		for range b.workers {
			g.Go(func() error { return b.work(working, d) })
		}
		if d != store.ToBot {
			g.Go(func() error { return b.usher(working, d) })
		}
	}
	for range lookers {
		g.Go(func() error { return b.work(working, store.Links) })
	}
	g.Go(func() error { return b.keepTime(working) })
	g.Go(func() error { return b.sweep(working) })
	g.Go(func() error { return b.prune(working) })
	g.Go(func() error { return b.countLost(working) })
	g.Go(func() error { return b.watch(working) })
	g.Go(func() error { return b.typist.run(working) })
	g.Go(func() error { return b.mender.run(working) })
	err := g.Wait()
	b.letAllGo(context.WithoutCancel(ctx))
	return err
}

// work claims lanes of one direction and handles those that may go on. The others wait in the room.
func (b *Bot) work(ctx context.Context, d store.Direction) error {
	return b.rounds(ctx, "lane", func() error {
		if b.room.full(d) {
			pause(ctx, 100*time.Millisecond)
			return nil
		}
		claimed := time.Now() // monotonic, and before the claim: the lease cannot be shorter than it looks
		l, err := b.store.Claim(ctx, d, leaseTime, b.runLimit(d))
		if errors.Is(err, store.ErrEmpty) {
			err = b.store.Wait(ctx, d)
		}
		switch {
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil && ctx.Err() == nil:
			b.log.Error("cannot claim deliveries; will try again", "direction", d, "err", err)
			pause(ctx, time.Second)
		case l != nil:
			b.receive(ctx, l, claimed)
		}
		return nil
	})
}

// receive takes in a lane that was claimed, and handles what may go on now: that lane, or a more urgent one.
func (b *Bot) receive(taking context.Context, l *store.Lease, claimed time.Time) {
	x := b.unsettled.recall(l)
	l.Lapsed = l.Lapsed && x == nil // nothing is sent again
	c := b.claim(context.WithoutCancel(taking), l, claimed)
	if x != nil {
		b.conclude(context.WithoutCancel(taking), c, x)
		return
	}
	if c.host == nil {
		b.handle(context.WithoutCancel(taking), c)
		return
	}
	course := goOn
	if c.limit != nil && c.limit.outlasts(time.Now(), c.old) {
		course = giveUp // as who meets the limit does
	} else if !b.room.admit(c) {
		c, course, _ = b.room.take(l.Lane.Direction)
	}
	for c != nil {
		b.follow(taking, c, course)
		c, course, _ = b.room.take(l.Lane.Direction)
	}
}

// claim works out what a lane has to wait for.
func (b *Bot) claim(ctx context.Context, l *store.Lease, claimed time.Time) *claim {
	d := l.Deliveries[0]
	to := l.Lane.Direction
	if l.Lapsed && to == store.ToTeams {
		b.metrics.repeats("lease ran out", 1) // its holder may have died in the middle of a send
	}
	old := func(s *state) time.Time { return claimed.Add(d.Accepted.Add(b.rules.ageLimit(to, d, s)).Sub(b.now())) }
	c := &claim{lease: l, since: claimed, rank: rankOf(d.Kind), old: old(nil)}
	for _, other := range l.Deliveries[1:] {
		c.rank = min(c.rank, rankOf(other.Kind))
	}
	if to == store.ToBot || to == store.Links {
		return c
	}
	loading, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	s, err := b.loadState(loading, l.Lane.Conversation)
	if err != nil {
		c.unread = unread(err)
		return c
	}
	c.state, c.old = s, old(s)
	if to != store.ToTeams && d.Kind != kindTicket && !unfetchedFile(&d) {
		c.limit = &b.limit
	}
	switch {
	case to == store.ToTeams:
		c.host = b.hosts.get(teamsHost(s.Ref))
		b.room.pace(c, l.Lane.Conversation, s.Ref.TenantID)
	case d.Kind == kindAgent || d.Kind == kindTicket || ofConnector(&d): // which ask something of Teams
		c.host = b.hosts.get(instanceHost)
		b.room.pace(c, l.Lane.Conversation, s.Ref.TenantID)
	default:
		c.host = b.hosts.get(instanceHost)
	}
	return c
}

// errUnread is a send that was not made, because its conversation could not be read.
var errUnread = errors.New("the conversation could not be read")

// unread is errUnread with its cause in words only: that a read took too long says nothing of a send.
func unread(err error) error { return fmt.Errorf("%w: %s", errUnread, err.Error()) }

// ofConnector reports whether a delivery is a file that the Bot Connector hands out, whose calls are counted. Other hosts' are not.
func ofConnector(d *store.Delivery) bool {
	if d.Kind != kindFile {
		return false
	}
	x, err := decodeBody(d.Body)
	return err == nil && x.File != nil && x.File.Token
}

func (b *Bot) loadState(ctx context.Context, conversation string) (*state, error) {
	r, err := b.store.Load(ctx, conversation)
	if err != nil {
		return nil, fmt.Errorf("load conversation: %w", err)
	}
	return b.states.read(&r)
}

// usher hands the lanes that have waited to workers of its own, as soon as they may go on.
func (b *Bot) usher(ctx context.Context, d store.Direction) error {
	type task struct {
		c      *claim
		course course
	}
	tasks := make(chan task)
	g := errgroup.Group{}
	for range b.workers {
		g.Go(func() error {
			for t := range tasks {
				b.contain("lane that waited", func() { b.follow(ctx, t.c, t.course) })
			}
			return nil
		})
	}
	kick := b.room.doors[d].kick
	for ctx.Err() == nil {
		c, course, pause := b.room.take(d)
		if c != nil {
			tasks <- task{c, course} // a worker is free within the limit of a send
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-kick:
		case <-t.C:
		}
		t.Stop()
	}
	close(tasks)
	return g.Wait()
}

// follow does with a claim what the room says. A send is not begun any more when taking has ended: it would keep the process
// from its end.
func (b *Bot) follow(taking context.Context, c *claim, course course) {
	ctx := context.WithoutCancel(taking)
	switch course {
	case goOn:
		late := time.Until(c.since.Add(leaseTime-leaseMargin)) < leastSend // the workers were all at work
		if late || taking.Err() != nil {
			b.room.finish(c, 0, errNoCall)
			b.release(ctx, c)
			return
		}
		b.handle(ctx, c)
	case giveUp:
		b.conclude(ctx, c, &conclusion{sent: b.held(c), v: decision{fate: never, why: tooOld(c.known(c.lease.Deliveries[0]))}})
	default:
		b.release(ctx, c)
	}
}

// held is what there is to tell of a claim's head that was not sent.
func (b *Bot) held(c *claim) []*sentEvent {
	d := c.lease.Deliveries[0]
	e := &sentEvent{to: c.lease.Lane.Direction, delivery: d}
	var err error
	if e.body, err = decodeBody(d.Body); err != nil {
		e.body = body{}
	}
	return []*sentEvent{e}
}

// release gives a lane back. An employee whose words have waited for ServiceNow is told, unless it was something else that held
// them up: the rate of the tenant, for a look-up in Teams.
func (b *Bot) release(ctx context.Context, c *claim) {
	settling, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	l := c.lease
	var ev event
	head := l.Deliveries[0]
	if l.Lane.Direction == store.ToServiceNow && c.away() &&
		c.state.Session != nil && c.state.Stuck != head.ID && b.now().Sub(head.Accepted) > b.rules.OutageAfter {
		b.told.Store(true)
		ev = outageEvent{head.ID}
	}
	if err := b.settle(settling, l, store.Result{Next: store.Release}, ev); err != nil && !errors.Is(err, store.ErrFenced) {
		b.log.Error("cannot give a lane back; it is free when its lease has run out", "lane", l.Lane.String(), "err", err)
	}
}

// letAllGo gives back what waits when the workers have ended.
func (b *Bot) letAllGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	g := errgroup.Group{}
	g.SetLimit(b.workers)
	for _, c := range b.room.clear() {
		g.Go(func() (err error) {
			b.contain("end", func() { err = b.store.Settle(ctx, c.lease, store.Result{Next: store.Release}, nil) })
			return err
		})
	}
	if err := g.Wait(); err != nil && !errors.Is(err, store.ErrClosed) {
		b.log.Info("lanes that waited are free when their leases have run out", "err", err)
	}
}

// handle sends from the head of a lane and settles it.
func (b *Bot) handle(ctx context.Context, c *claim) {
	d := c.lease.Deliveries[0]
	to := c.lease.Lane.Direction
	if c.unread != nil { // nobody knows whom it would have to wait for
		b.conclude(ctx, c, &conclusion{sent: b.held(c), err: c.unread, v: b.rules.judge(to, d, nil, c.unread, b.now())})
		return
	}
	finished := false
	finish := func(calls int, err error) {
		finished = true
		if c.host != nil {
			b.room.finish(c, calls, err)
		}
	}
	defer func() {
		if !finished { // a panic: neither the breaker nor the windows may wait for its answer for ever
			finish(0, errNoCall)
		}
	}()
	if to == store.ToTeams && b.rules.neverRepeats(&d) {
		if d.Begun {
			finish(0, errNoCall)
			b.conclude(ctx, c, &conclusion{sent: b.held(c), err: errBegun, v: decision{fate: never, why: failUnclear}})
			return
		}
		beginning, cancel := context.WithTimeout(ctx, settleLimit)
		err := b.store.Begin(beginning, c.lease)
		cancel()
		if err != nil { // or it was taken away meanwhile
			finish(0, errNoCall)
			b.release(ctx, c)
			return
		}
	}
	sent, call, err := b.carry(ctx, c)
	finish(call.teams, call.came(err))
	v := b.rules.judge(to, c.known(d), c.state, err, b.now())
	b.conclude(ctx, c, &conclusion{sent: sent, err: err, v: v})
}

// errBegun is a send that was begun before a restart, under the policy that nothing is sent twice.
var errBegun = errors.New("a send was begun, and nobody knows what came of it")

// known returns the delivery with what is known of sends that it was part of.
func (c *claim) known(d store.Delivery) store.Delivery {
	if c.lease.Lane.Direction == store.ToTeams && c.state != nil && c.state.Apart != nil && c.state.Apart.Unclear {
		d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], store.Attempt{Outcome: onceMark + "sent with others"})
	}
	return d
}

// settle ends a lease, with an event of its conversation unless that is nil.
func (b *Bot) settle(ctx context.Context, l *store.Lease, r store.Result, ev event) error {
	if ev == nil {
		return b.store.Settle(ctx, l, r, nil)
	}
	var counts []count
	seed := l.Deliveries[0].ID + "+" // unique, since a delivery ends once, and the same in every run
	if r.Done == 0 && r.Next != store.Bury {
		seed += b.now().UTC().Format("150405.000000")
	}
	f := b.facts()
	again := func(t *store.Turn) error { return b.transit(t, seed, ev, f, &counts) }
	err := b.store.Settle(ctx, l, r, again)
	var taken *store.KeyTakenError
	if errors.As(err, &taken) { // the bot asked for an agent for somebody who has one in another conversation
		ev = ev.(events).elsewhere()
		err = b.store.Settle(ctx, l, r, again)
	}
	if err == nil {
		b.metrics.add(counts)
	}
	return err
}

// A call is what a send did on the way.
type call struct {
	made  bool // the host of the lane was called
	teams int  // calls of Teams that were answered, or may have been
}

// came is what came of the call of the lane's host, if err came of the send.
func (c *call) came(err error) error {
	if err == nil && !c.made {
		return errNoCall
	}
	return err
}

// carry makes one send, of one delivery or of several at once. There is an event for each, with its body even when
// there is an error. A panic is a failed attempt like any other, and one that nobody knows the effect of once the host has been
// called.
func (b *Bot) carry(ctx context.Context, c *claim) (sent []*sentEvent, call call, err error) {
	l := c.lease
	sent = []*sentEvent{{to: l.Lane.Direction, delivery: l.Deliveries[0]}}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("send failed in an unforeseen way", "delivery", l.Deliveries[0].ID, "kind", l.Deliveries[0].Kind, "stack", string(debug.Stack()))
			b.metrics.add([]count{{"panics", ""}})
			if err = errPanic; call.made {
				err = errPanicSent
			}
		}
	}()
	var bodies []body
	for _, d := range l.Deliveries {
		x, broken := decodeBody(d.Body)
		if broken != nil {
			break
		}
		bodies = append(bodies, x)
	}
	if len(bodies) == 0 {
		return sent, call, errBroken
	}
	sent[0].body = bodies[0]
	ctx, cancel := context.WithDeadline(ctx, c.sendBy(bodies[0]))
	defer cancel()
	if l.Lane.Direction == store.ToBot {
		if sent[0].delivery.Kind == kindFetch {
			return sent, call, b.ahead(ctx, c, sent[0], &call)
		}
		return sent, call, b.toBot(ctx, sent[0])
	}
	if l.Lane.Direction == store.Links && sent[0].delivery.Kind == kindFormer {
		return sent, call, b.keepFormer(ctx, l.Lane.Conversation, sent[0].delivery.Session)
	}
	if l.Lane.Direction == store.Links {
		return sent, call, b.look(ctx, l.Lane.Conversation, sent[0])
	}
	if c.state == nil || c.waited || time.Since(c.since) > stateTime { // its session may have ended meanwhile
		if c.state, err = b.loadState(ctx, l.Lane.Conversation); err != nil {
			return sent, call, unread(err)
		}
	}
	n := b.together(c, bodies)
	for i := 1; i < n; i++ {
		sent = append(sent, &sentEvent{to: l.Lane.Direction, delivery: l.Deliveries[i], body: bodies[i]})
	}
	switch l.Lane.Direction {
	case store.ToTeams:
		err = b.toTeams(ctx, c, sent, &call)
	case store.ToServiceNow:
		err = b.toServiceNow(ctx, c, sent[0], &call)
	default:
		err = b.toTicks(ctx, c.state, sent, &call)
	}
	return sent, call, err
}

// changes reports whether a delivery that was done makes any difference to its conversation, as far as is known. Most
// do not, and then their settle has no record to write. What a transition would make of it depends on the events of its
// own lane, which has none while the delivery is in hand, and on whether the employee is told of an outage, which ends for all at once.
func (b *Bot) changes(s *state, e *sentEvent) (yes bool) {
	if s == nil {
		return true
	}
	defer func() {
		if recover() != nil { // the transition is where that is dealt with
			yes = true
		}
	}()
	c := &change{rules: &b.rules, now: b.now(), state: s.clone(), turn: &store.Turn{Record: &store.Record{}}, facts: b.facts()}
	e.apply(c)
	t := c.turn
	return len(t.Deliver)+len(t.Lines)+len(t.Move)+len(t.Drop)+len(c.counts) > 0 || !c.state.equal(s)
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
