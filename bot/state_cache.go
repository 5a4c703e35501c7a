package bot

import (
	"bytes"
	"sync"

	"snowbot/store"
)

// statesKept bounds the states remembered. A state and its record take about 3 KB together.
const statesKept = 4096

// A stateCache remembers what records say, since one message has its record read up to four times. A record that is
// not the same to the byte is decoded again, so whoever wrote it, and wherever, nothing is ever out of date. It has two
// generations: when the young one is full it becomes the old one, and what was not used since is forgotten.
type stateCache struct {
	mu         sync.Mutex
	young, old map[string]knownState // by conversation
}

// A knownState is a state and what it was read from. Nobody edits either.
type knownState struct {
	data  []byte
	state *state
}

// read returns the state in a record, which the caller must not edit.
func (c *stateCache) read(r *store.Record) (*state, error) {
	if k, ok := c.get(r.ID); ok && bytes.Equal(k.data, r.Data) {
		return k.state, nil
	}
	s, err := decodeState(r)
	if err == nil {
		c.put(r.ID, r.Data, s)
	}
	return s, err
}

// last returns the state that was seen last of a conversation, or nil. It may be out of date.
func (c *stateCache) last(conversation string) *state {
	k, _ := c.get(conversation)
	return k.state
}

func (c *stateCache) get(conversation string) (knownState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.young[conversation]; ok {
		return k, true
	}
	k, ok := c.old[conversation]
	if ok {
		c.insert(conversation, k)
	}
	return k, ok
}

// put notes what a record says. Neither its data nor the state may be edited afterwards.
func (c *stateCache) put(conversation string, data []byte, s *state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(conversation, knownState{data, s})
}

func (c *stateCache) insert(conversation string, k knownState) {
	if c.young == nil || len(c.young) >= statesKept/2 {
		c.old, c.young = c.young, make(map[string]knownState)
	}
	c.young[conversation] = k
}
