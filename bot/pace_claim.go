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

	window *window // of the conversation, unless it is not paced
	tenant *rate   // of the tenant, unless it is not paced
	host   *host   // where it goes, unless that is here

	waited bool
	report func(error) // to the host's breaker

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
