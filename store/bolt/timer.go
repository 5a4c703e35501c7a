package bolt

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
)

// timers knows when the timer of each conversation that has one runs out. It is guarded by the store's
// mutex.
type timers struct {
	byNo map[uint64]*timer
	heap timerHeap
}

type timer struct {
	timerChange
	order int
}

// A timerChange sets the timer of a conversation, or ends it when due is zero.
type timerChange struct {
	no           uint64
	conversation string
	due          int64
}

func newTimers() *timers { return &timers{byNo: map[uint64]*timer{}} }

func (t *timers) set(c timerChange) {
	old := t.byNo[c.no]
	switch {
	case c.due == 0 && old != nil:
		heap.Remove(&t.heap, old.order)
		delete(t.byNo, c.no)
	case c.due == 0:
	case old != nil:
		old.due = c.due
		heap.Fix(&t.heap, old.order)
	default:
		n := &timer{timerChange: c}
		t.byNo[c.no] = n
		heap.Push(&t.heap, n)
	}
}

// until returns the timers that have run out, the earliest first.
func (t *timers) until(now int64) []*timer {
	var out []*timer
	var visit func(i int)
	visit = func(i int) {
		if i < len(t.heap) && t.heap[i].due <= now {
			out = append(out, t.heap[i])
			visit(2*i + 1)
			visit(2*i + 2)
		}
	}
	visit(0)
	slices.SortFunc(out, func(a, b *timer) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.conversation, b.conversation))
	})
	return out
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, limit int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var out []string
	for _, t := range s.timers.until(micros(s.now())) {
		if len(out) >= limit {
			break
		}
		out = append(out, t.conversation)
	}
	return out, nil
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].due < h[j].due }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].order, h[j].order = i, j
}

func (h *timerHeap) Push(t any) {
	t.(*timer).order = len(*h)
	*h = append(*h, t.(*timer))
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
