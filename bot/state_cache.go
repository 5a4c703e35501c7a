package bot

import (
	"bytes"

	"snowbot/store"
)

// A stateCache remembers what records say, since one message has its record read up to four times. A record that is
// not the same to the byte is decoded again, so whoever wrote it, and wherever, nothing is ever out of date. A state and its
// record take about 3 KB together.
type stateCache struct {
	known recent[string, knownState] // by conversation
}

// A knownState is a state and what it was read from. Nobody edits either.
type knownState struct {
	data  []byte
	state *state
}

// read returns the state in a record, which the caller must not edit.
func (c *stateCache) read(r *store.Record) (*state, error) {
	if k, ok := c.known.get(r.ID); ok && bytes.Equal(k.data, r.Data) {
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
	k, _ := c.known.get(conversation)
	return k.state
}

// put notes what a record says. Neither its data nor the state may be edited afterwards.
func (c *stateCache) put(conversation string, data []byte, s *state) {
	c.known.put(conversation, knownState{data, s})
}
