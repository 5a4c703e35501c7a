package bot

import (
	"time"

	"snowbot/store"
)

// A rank orders the lanes that compete for the rate of a tenant.
type rank int

// The ranks, the first ones first. Typing comes after all of them; see room.typing.
const (
	rankEnd rank = iota
	rankWords
	rankCard
)

func rankOf(kind string) rank {
	switch kind {
	case kindEnd:
		return rankEnd
	case kindCard:
		return rankCard
	default:
		return rankWords
	}
}

// A claim is a lane in hand: its lease, and what decides when its head may be sent.
type claim struct {
	lease *store.Lease
	since time.Time // just before it was claimed, monotonic: the lease cannot be shorter than it looks
	state *state    // of the conversation when it was claimed; nil when there is none
	// unread is why the conversation could not be read.
	unread error
	rank   rank      // the best of its run: an end is not held up by what goes before it
	old    time.Time // when its head is given up rather than waited for

	window *window    // of the conversation, unless it is not paced
	tenant *rate      // of the tenant, unless it is not paced
	host   *host      // where it goes, unless that is here
	limit  *callLimit // of the calls that it is one of, if it is

	waited bool
	report func(error) // to the host's breaker
	trial  bool        // it finds out whether the limit is over

	group *group
	wake  time.Time // of a sleeper
	at    [heaps]int
}

// Times of a claim. It is let go while there is still time for a send, so that a fresh lease has it.
const (
	holdTime = 7 * time.Second
	roomLane = 4096     // so many lanes of a direction wait in memory at most
	roomSize = 64 << 20 // and so many bytes of bodies
)

// expires is when a waiting claim has to be looked at.
func (c *claim) expires() time.Time {
	if end := c.since.Add(holdTime); c.old.After(end) {
		return end
	}
	return c.old
}

// free reports whether neither its tenant nor its conversation holds the claim back now.
func (c *claim) free(now time.Time) bool {
	return (c.tenant == nil || !c.tenant.next(now).After(now)) && (c.window == nil || !c.window.next(now).After(now))
}

// ask asks for the claim's call. Either answered has to follow, or the answer may be another one after wait.
func (c *claim) ask() (ok bool, wait time.Duration) {
	if c.limit != nil {
		if c.trial, wait = c.limit.turn(time.Now()); wait > 0 {
			return false, wait
		}
	}
	if c.report, wait = c.host.ask(); c.report == nil {
		c.hear(errNoCall)
	}
	return c.report != nil, wait
}

// answered ends what ask began, with the error of the call, errNoCall if it was not made.
func (c *claim) answered(err error) {
	if c.report == nil { // it was not asked for, or is over
		return
	}
	c.hear(err)
	c.report(health(err))
	c.report = nil
}

func (c *claim) hear(err error) {
	if c.limit != nil {
		c.limit.hear(time.Now(), c.trial, err)
		c.trial = false
	}
}

// subjectTo has a claim that has gone on without a limit, to fetch a file, ask for its call, and reports whether it may make it.
func (c *claim) subjectTo(l *callLimit) bool {
	if c.limit == l {
		return true
	}
	c.answered(errNoCall)
	c.limit = l
	ok, _ := c.ask()
	return ok
}

// away reports whether the claim waits because ServiceNow is out of reach, or takes no calls.
func (c *claim) away() bool {
	return c.host != nil && c.host.down.Load() || c.limit != nil && c.limit.known()
}

// begin counts the claim's send as under way.
func (c *claim) begin() {
	if c.tenant != nil {
		c.tenant.flying++
	}
	if c.window != nil {
		c.window.flying++
	}
}

// sendBy is when a send of the claim, the first of which has that body, has to be over.
func (c *claim) sendBy(first body) time.Time {
	end := c.since.Add(leaseTime - leaseMargin)
	if limit := time.Now().Add(sendLimit); first.File == nil && first.Media == nil && limit.Before(end) {
		return limit
	}
	return end
}

func (c *claim) size() (n int) {
	for _, d := range c.lease.Deliveries {
		n += len(d.Body)
	}
	return n
}

// A course says what is to be done with a claim.
type course int

const (
	wait   course = iota
	goOn          // send; finish has to follow
	letGo         // it cannot be sent within its lease
	giveUp        // it cannot be sent, and has become too old
)
