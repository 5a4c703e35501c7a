package bot

import (
	"slices"
	"time"
)

// A limit allows n sends in any stretch of time of length d.
type limit struct {
	n int
	d time.Duration
}

// conversationLimits are the sliding windows of one bot in one conversation of Teams, each kept one below what is
// documented ("Optimize your bot with rate limiting": 7 in 1 s, 8 in 2 s, 60 in 30 s). The last is the longest.
var conversationLimits = []limit{{6, time.Second}, {7, 2 * time.Second}, {59, 30 * time.Second}}

// The window of an hour is counted by the minute, which takes little room and errs on the safe side.
const (
	hourLimit   = 1799
	minute      = int64(time.Minute / time.Millisecond)
	minutesKept = 61
)

// clockSlack is how far in the future a send may lie before the clock is taken to have been set back.
const clockSlack = 2 * time.Second

// A window knows the recent sends to one conversation. A send is counted when its answer came, which is not before
// Teams counted it, and until then as if it came now.
type window struct {
	recent []int64 // Unix milliseconds of the last half minute, the earliest first
	past   []tally // of the last hour, the earliest first
	flying int     // sends without an answer yet
}

// A tally is how many sends fell into a minute.
type tally struct {
	minute int64 // since 1970
	n      int
}

// sends are the recent sends to a conversation as its state keeps them.
type sends struct {
	// Last is when the last one was, in Unix milliseconds, and Ago how long before it the others of its half minute were.
	Last int64   `json:"last"`
	Ago  []int64 `json:"ago,omitempty"`
	// Minutes are how many there were in the minute of the last one, the one before, and so on.
	Minutes []int `json:"minutes,omitempty"`
}

// add counts sends that were answered at a time.
func (w *window) add(at time.Time, n int) {
	if n <= 0 {
		return
	}
	w.forget(at)
	ms := at.UnixMilli() + 1 // rounded up
	for range n {
		w.recent = append(w.recent, ms)
	}
	slices.Sort(w.recent)
	w.count(ms/minute, n, func(a, b int) int { return a + b })
}

// count combines n with what is known of a minute.
func (w *window) count(m int64, n int, combine func(a, b int) int) {
	i, found := slices.BinarySearchFunc(w.past, m, func(t tally, m int64) int { return int(t.minute - m) })
	if found {
		w.past[i].n = combine(w.past[i].n, n)
	} else {
		w.past = slices.Insert(w.past, i, tally{m, n})
	}
}

// forget drops what no limit asks for any more, and what the clock says has not been yet.
func (w *window) forget(now time.Time) {
	ms := now.UnixMilli()
	longest := conversationLimits[len(conversationLimits)-1].d.Milliseconds()
	future := ms + clockSlack.Milliseconds()
	w.recent = slices.DeleteFunc(w.recent, func(t int64) bool { return t <= ms-longest || t > future })
	w.past = slices.DeleteFunc(w.past, func(t tally) bool { return t.minute <= ms/minute-minutesKept || t.minute > future/minute })
}

// next returns when a send may begin: now, or later.
func (w *window) next(now time.Time) time.Time {
	w.forget(now)
	next := now
	for _, l := range conversationLimits {
		n := l.n - w.flying // so many of the answered ones may lie in the window
		if n <= 0 {
			return now.Add(l.d) // or earlier, when an answer comes
		}
		if len(w.recent) >= n {
			next = later(next, time.UnixMilli(w.recent[len(w.recent)-n]).Add(l.d))
		}
	}
	sum := w.flying
	for i := len(w.past) - 1; i >= 0; i-- {
		if sum += w.past[i].n; sum >= hourLimit {
			next = later(next, time.UnixMilli((w.past[i].minute+1)*minute).Add(time.Hour))
			break
		}
	}
	return next
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// free returns how many sends may begin at once.
func (w *window) free(now time.Time) int {
	w.forget(now)
	free := hourLimit - w.flying
	for _, t := range w.past {
		free -= t.n
	}
	for _, l := range conversationLimits {
		free = min(free, l.n-w.flying-w.within(now, l.d))
	}
	return max(free, 0)
}

// within returns how many sends of the last stretch of time were answered.
func (w *window) within(now time.Time, d time.Duration) int {
	after := now.Add(-d).UnixMilli()
	i, _ := slices.BinarySearch(w.recent, after+1)
	return len(w.recent) - i
}

// busy reports whether the sends are worth a write of their own, so that they are known after a restart.
func (w *window) busy(now time.Time) bool {
	return w.within(now, 2*time.Second) >= 4 || w.within(now, 30*time.Second) >= 30
}

// idle reports whether there is nothing to know.
func (w *window) idle(now time.Time) bool {
	w.forget(now)
	return w.flying == 0 && len(w.past) == 0
}

// pack returns the sends for the state, or nil when there are none.
func (w *window) pack(now time.Time) *sends {
	w.forget(now)
	if len(w.past) == 0 {
		return nil
	}
	s := &sends{Last: w.past[len(w.past)-1].minute * minute}
	for i := len(w.recent) - 1; i >= 0; i-- {
		if i == len(w.recent)-1 {
			s.Last = w.recent[i]
		} else if len(s.Ago) < conversationLimits[len(conversationLimits)-1].n {
			s.Ago = append(s.Ago, s.Last-w.recent[i])
		}
	}
	if len(w.recent) == 0 {
		s.Ago = nil
	}
	last := s.Last / minute
	s.Minutes = make([]int, last-w.past[0].minute+1)
	for _, t := range w.past {
		if t.minute <= last {
			s.Minutes[last-t.minute] = t.n
		}
	}
	return s
}

// learn adds the sends of a state: those before a restart, or of another replica.
func (w *window) learn(s *sends, now time.Time) {
	if s == nil {
		return
	}
	known := map[int64]int{}
	for _, t := range w.recent {
		known[t]++
	}
	for _, ago := range append([]int64{0}, s.Ago...) {
		t := s.Last - ago
		if known[t]--; known[t] < 0 {
			w.recent = append(w.recent, t)
		}
	}
	slices.Sort(w.recent)
	for i, n := range s.Minutes {
		if n > 0 {
			w.count(s.Last/minute-int64(i), n, func(a, b int) int { return max(a, b) })
		}
	}
	w.forget(now)
}

// A rate limits the sends to one tenant: n in any second.
type rate struct {
	n      int
	recent []time.Time // of the last second, the earliest first
	flying int
}

func (r *rate) forget(now time.Time) {
	i := 0
	for i < len(r.recent) && (now.Sub(r.recent[i]) >= time.Second || r.recent[i].After(now.Add(clockSlack))) {
		i++
	}
	r.recent = r.recent[i:]
}

// idle reports whether there is nothing to know.
func (r *rate) idle(now time.Time) bool {
	r.forget(now)
	return r.flying == 0 && len(r.recent) == 0
}

// free returns how many sends may begin at once.
func (r *rate) free(now time.Time) int {
	r.forget(now)
	return r.n - r.flying - len(r.recent)
}

// next returns when a send may begin: now, or later.
func (r *rate) next(now time.Time) time.Time {
	r.forget(now)
	n := r.n - r.flying
	switch {
	case n <= 0:
		return now.Add(time.Second) // or earlier, when an answer comes
	case len(r.recent) >= n:
		return later(now, r.recent[len(r.recent)-n].Add(time.Second))
	}
	return now
}

// add counts sends that were answered at a time.
func (r *rate) add(at time.Time, n int) {
	r.forget(at)
	for range n {
		r.recent = append(r.recent, at)
	}
}
