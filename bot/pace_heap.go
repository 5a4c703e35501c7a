package bot

import "container/heap"

// Places of a claim: one for each heap it may be in.
const (
	inReady  = iota // may go as far as its conversation is concerned
	inAsleep        // its conversation's windows are full
	inExpiry        // every claim that waits
	heaps
)

// A claimHeap orders claims. Each claim knows its place, so that it can leave from anywhere.
type claimHeap struct {
	which  int
	before func(a, b *claim) bool
	claims []*claim
}

func (h *claimHeap) Len() int           { return len(h.claims) }
func (h *claimHeap) Less(i, j int) bool { return h.before(h.claims[i], h.claims[j]) }

func (h *claimHeap) Swap(i, j int) {
	h.claims[i], h.claims[j] = h.claims[j], h.claims[i]
	h.claims[i].at[h.which], h.claims[j].at[h.which] = i, j
}

func (h *claimHeap) Push(x any) {
	c := x.(*claim)
	c.at[h.which] = len(h.claims)
	h.claims = append(h.claims, c)
}

func (h *claimHeap) Pop() any {
	last := len(h.claims) - 1
	c := h.claims[last]
	h.claims[last] = nil
	h.claims = h.claims[:last]
	c.at[h.which] = -1
	return c
}

func (h *claimHeap) add(c *claim) { heap.Push(h, c) }

// drop takes a claim out, if it is in.
func (h *claimHeap) drop(c *claim) {
	if i := c.at[h.which]; i >= 0 {
		heap.Remove(h, i)
	}
}

// first returns the claim that comes first, or nil.
func (h *claimHeap) first() *claim {
	if len(h.claims) == 0 {
		return nil
	}
	return h.claims[0]
}
