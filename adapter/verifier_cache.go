package adapter

import (
	"crypto/sha256"
	"sync"
)

// maxProven bounds the tokens remembered. Microsoft uses one for about an hour and a service URL, so that a bot sees few.
const maxProven = 10_000

// A provenCache remembers verified tokens by their SHA-256, never the tokens themselves. It has two
// generations: when the young one is full it becomes the old one, and what was in the old one and
// not used since is forgotten. So eviction costs nothing and never more than half is lost at once.
type provenCache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]proven
}

func (c *provenCache) get(id [sha256.Size]byte) (proven, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.young[id]; ok {
		return p, true
	}
	p, ok := c.old[id]
	if ok {
		c.insert(id, p)
	}
	return p, ok
}

func (c *provenCache) put(id [sha256.Size]byte, p proven) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(id, p)
}

func (c *provenCache) drop(id [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, id)
	delete(c.old, id)
}

func (c *provenCache) insert(id [sha256.Size]byte, p proven) {
	if c.young == nil || len(c.young) >= maxProven/2 {
		c.old, c.young = c.young, make(map[[sha256.Size]byte]proven)
	}
	c.young[id] = p
}
