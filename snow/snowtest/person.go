package snowtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Limits of what is remembered of one person.
const (
	seenRequests = 512 // for duplicates
	pastChats    = 8   // for receipts of an ended chat
)

// A person is a userId. It has at most one open conversation, and one lane: what is to be processed or posted for it, in
// order, one at a time.
type person struct {
	userID string

	mu       sync.Mutex
	gone     bool // forgotten; look it up again
	conv     *conversation
	past     []*conversation // the newest last
	busy     int             // requests the virtual agent has not finished
	running  bool
	jobs     []func(context.Context)
	seen     map[string]struct{}
	seenRing []string
	oldest   int                   // in seenRing, once it is full
	held     func(context.Context) // a post that waits to be overtaken
}

// repeated reports whether key was seen before, and remembers it.
func (p *person) repeated(key string) bool {
	if _, ok := p.seen[key]; ok {
		return true
	}
	if p.seen == nil {
		p.seen = make(map[string]struct{})
	}
	if len(p.seenRing) < seenRequests {
		p.seenRing = append(p.seenRing, key)
	} else {
		delete(p.seen, p.seenRing[p.oldest])
		p.seenRing[p.oldest] = key
		p.oldest = (p.oldest + 1) % seenRequests
	}
	p.seen[key] = struct{}{}
	return false
}

// A registry knows all people and the chats of the desk. Its lock is a leaf: nothing else is locked under it.
type registry struct {
	mu     sync.Mutex
	people map[string]*person
	chats  map[string]*conversation
	sorted []*conversation // of chats, by number; only ever appended to, or replaced
	ended  []*conversation // the oldest first
	last   uint64
}

// person returns the person of a userId, who is made when unknown.
func (r *registry) person(userID string) *person {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[userID]
	if p == nil {
		p = &person{userID: userID}
		r.people[userID] = p
	}
	return p
}

// known returns the person of a userId, or nil.
func (r *registry) known(userID string) *person {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.people[userID]
}

func (r *registry) chat(id string) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chats[id]
}

// show puts a conversation on the desk.
func (r *registry) show(c *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.number == 0 {
		r.last++
		c.number = r.last
		r.chats[c.id] = c
		r.sorted = append(r.sorted, c) // beyond the end of whatever a caller of all holds
	}
}

func (r *registry) end(c *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, c)
}

// all returns the chats of the desk in the order in which they were queued. The caller does not edit the list.
func (r *registry) all() []*conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sorted
}

// since returns the chats that came to the desk after the first n, and how many have come in all.
func (r *registry) since(n uint64) (came []*conversation, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, _ := slices.BinarySearchFunc(r.sorted, n+1, func(c *conversation, n uint64) int { return cmp.Compare(c.number, n) })
	return r.sorted[at:], r.last
}

func (r *registry) everyone() []*person {
	r.mu.Lock()
	defer r.mu.Unlock()
	people := make([]*person, 0, len(r.people))
	for _, p := range r.people {
		people = append(people, p)
	}
	return people
}

// excess takes one ended conversation beyond keep off the desk.
func (r *registry) excess(keep int) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) <= keep {
		return nil
	}
	c := r.ended[0]
	r.ended[0] = nil
	r.ended = r.ended[1:]
	delete(r.chats, c.id)
	kept := make([]*conversation, 0, len(r.sorted))
	for _, other := range r.sorted {
		if other != c {
			kept = append(kept, other)
		}
	}
	r.sorted = kept
	return c
}

func (r *registry) forget(p *person) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.people, p.userID)
}

// lock returns the person of a userId, locked.
func (i *Instance) lock(userID string) *person {
	for {
		p := i.reg.person(userID)
		p.mu.Lock()
		if !p.gone {
			return p
		}
		p.mu.Unlock()
	}
}

// sweep forgets ended chats, and people of whom nothing else is left, so that memory is bounded.
func (i *Instance) sweep() {
	for c := i.reg.excess(i.o.KeepLast); c != nil; c = i.reg.excess(i.o.KeepLast) {
		p := c.person
		p.mu.Lock()
		if at := slices.Index(p.past, c); at >= 0 {
			p.past = slices.Delete(p.past, at, at+1)
		}
		if p.conv == nil && !p.running && len(p.past) == 0 && !p.gone {
			p.gone = true
			i.reg.forget(p)
		}
		p.mu.Unlock()
	}
}

// conversation returns the open conversation of p, which is made when there is none. The caller holds p's lock.
func (i *Instance) conversation(p *person) *conversation {
	if p.conv == nil {
		now := i.o.Now()
		c := &conversation{person: p, id: newID(), interactionID: newID(), lastUser: now}
		c.chat = Chat{ID: c.id, InteractionID: c.interactionID, UserID: p.userID, UserName: guest}
		p.conv = c
	}
	return p.conv
}

// close ends a conversation in the phase it is in. The caller holds the person's lock and posts what is to be said.
func (i *Instance) close(c *conversation, why Reason) {
	if c.phase == phaseEnded {
		return
	}
	i.leaveDesk(c, why)
	c.phase = phaseEnded
	p := c.person
	if p.conv == c {
		p.conv = nil
	}
	p.past = append(p.past, c)
	if len(p.past) > pastChats {
		p.past = slices.Delete(p.past, 0, 1)
	}
	i.reg.end(c)
	i.touch(c)
}

// leaveDesk ends a chat for the agent; the virtual agent may go on with a survey.
func (i *Instance) leaveDesk(c *conversation, why Reason) {
	if c.number == 0 || c.chat.State == StateEnded {
		return
	}
	c.chat.State, c.chat.Reason, c.chat.EndedAt = StateEnded, why, i.o.Now()
	c.chat.UserTyping = false
	i.touch(c)
}

// do puts a job on the lane of p, whose lock the caller holds. After Close it does nothing and reports false.
func (i *Instance) do(p *person, job func(context.Context)) bool {
	idle, ok := i.line(p, job)
	if idle {
		go i.work(p)
	}
	return ok
}

// line is do, but for a lane that was idle: the caller has to work it then.
func (i *Instance) line(p *person, job func(context.Context)) (idle, ok bool) {
	idle = !p.running
	if idle && !i.begin() {
		return false, false
	}
	p.running = true
	p.jobs = append(p.jobs, job)
	return idle, true
}

// work runs the jobs of a person until there are none.
func (i *Instance) work(p *person) {
	for i.step(p) {
	}
}

// step runs the next job of a person and reports whether there are more. If not, the lane is idle again.
func (i *Instance) step(p *person) (more bool) {
	p.mu.Lock()
	job := p.jobs[0]
	p.jobs[0] = nil
	p.jobs = p.jobs[1:]
	p.mu.Unlock()
	job(i.ctx)
	p.mu.Lock()
	if len(p.jobs) > 0 {
		p.mu.Unlock()
		return true
	}
	p.running, p.jobs = false, nil
	p.mu.Unlock()
	i.sweep()
	i.done()
	return false
}

// pause waits, or returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
