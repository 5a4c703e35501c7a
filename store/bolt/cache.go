package bolt

import (
	"bytes"
	"slices"
	"sync"

	"snowbot/store"
)

// recordsKept bounds the records remembered. One takes about 3 KB.
const recordsKept = 1024

// A recordCache remembers the records of conversations that had a commit lately, opened: a message has its conversation
// read several times, and each reading of the file costs a transaction, a search and an unsealing. It holds what is
// committed, since only a commit puts something in, and nothing that a commit under way changes: whoever reads the file
// may see that a moment before the commit has ended. It has two generations: when the young one is full it becomes the
// old one, and what was not used since is forgotten.
type recordCache struct {
	mu         sync.Mutex
	young, old map[string]*record // by conversation; nobody edits them
}

func (c *recordCache) get(conversation string) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.young[conversation]; r != nil {
		return r
	}
	r := c.old[conversation]
	if r != nil {
		c.insert(conversation, r)
	}
	return r
}

// forget is told of the records that a commit is about to change.
func (c *recordCache) forget(written map[string]*record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conversation := range written {
		delete(c.old, conversation)
		delete(c.young, conversation)
	}
}

// publish notes what a commit has made of them; nil is one that has to be read from the file again.
func (c *recordCache) publish(written map[string]*record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conversation, r := range written {
		if r != nil {
			c.insert(conversation, r)
		}
	}
}

func (c *recordCache) insert(conversation string, r *record) {
	if c.young == nil || len(c.young) >= recordsKept/2 {
		c.old, c.young = c.young, make(map[string]*record)
	}
	c.young[conversation] = r
}

// kept returns a copy of a row that shares nothing with whoever made it, and holds its data opened.
func (r *record) kept(data []byte) *record {
	k := *r
	k.keys, k.people = slices.Clone(r.keys), slices.Clone(r.people)
	k.sealed, k.opened, k.data = nil, true, bytes.Clone(data)
	return &k
}

// load returns a record that is remembered.
func (c *recordCache) load(conversation string) (rec store.Record, ok bool) {
	r := c.get(conversation)
	if r == nil {
		return rec, false
	}
	rec, err := r.open(nil, conversation)
	return rec, err == nil
}

const (
	// deliveriesKept bounds the deliveries remembered, and bodyKept the body of each in bytes: 2 MiB together.
	deliveriesKept = 512
	bodyKept       = 4 << 10
)

// A deliveryCache remembers the deliveries that were committed lately, opened, until they are claimed, which most are at
// once: the first claim need not look for them in the file and open them. It holds what is committed. When it is full,
// as with a backlog, newer ones are read from the file.
type deliveryCache struct {
	mu  sync.Mutex
	all map[uint64]*store.Delivery // by place
}

// kept returns a delivery as it is read from its row, sharing nothing with whoever made it.
func (r *delivery) kept() *store.Delivery {
	d := r.Delivery
	d.Accepted, d.NotBefore = fromMicros(micros(d.Accepted)), fromMicros(micros(d.NotBefore))
	d.Body = append([]byte(nil), d.Body...)
	return &d
}

// publish notes what a commit has made of deliveries; nil is one that is not as it was, or gone.
func (c *deliveryCache) publish(pushed map[uint64]*store.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[uint64]*store.Delivery)
	}
	for place, d := range pushed {
		switch {
		case d == nil:
			delete(c.all, place)
		case len(c.all) < deliveriesKept && len(d.Body) <= bodyKept:
			c.all[place] = d
		}
	}
}

// take forgets the deliveries in these places, and returns those of them, from the first on, that were remembered. They
// are the caller's.
func (c *deliveryCache) take(places []uint64) []*store.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*store.Delivery
	for i, place := range places {
		if d := c.all[place]; d != nil && len(out) == i {
			out = append(out, d)
		}
		delete(c.all, place)
	}
	return out
}
