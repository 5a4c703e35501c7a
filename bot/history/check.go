package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Promise is what a [Violation] broke.
type Promise string

// The promises. Their names are part of reports.
const (
	Lost      Promise = "lost"      // accepted, and neither shown nor told
	Duplicate Promise = "duplicate" // shown again without a reason
	Unflagged Promise = "unflagged" // more repeats than the service's metric covers
	Reordered Promise = "reordered" // shown after a message that was accepted later
	AfterEnd  Promise = "after end" // shown or sent although the session was over
	Unticked  Promise = "unticked"  // a message of an agent without a tick or a "Failed"
	Open      Promise = "open"      // a session that did not end on both sides
	Invented  Promise = "invented"  // shown, and never written
)

// A Violation is a broken promise. Mark names the message; for a session only its conversation is set.
type Violation struct {
	Promise Promise
	Mark    Mark
	Session int32
	Detail  string
}

// String is one line of a report.
func (v Violation) String() string {
	where := fmt.Sprintf("conversation %d session %d", v.Mark.Conversation, v.Session)
	if v.Mark.Number > 0 {
		where = v.Mark.String()
	}
	return fmt.Sprintf("%s %s: %s", v.Promise, where, v.Detail)
}

// inFlight is how long a request that was decided on before an end may take to show up at the instance.
const inFlight = 2 * time.Second

// Check returns every broken promise in a record of a run that is over, in the order of conversations. It has no effect and no
// memory: the same record has always the same violations.
func Check(r *Record) []Violation { return judge(r.Events()).found }

func judge(events []Event) *history {
	h := read(events)
	for _, id := range slices.Sorted(maps.Keys(h.conversations)) {
		c := h.conversations[id]
		h.order(c)
		h.repeats(c)
		h.delivery(c)
		h.ends(c)
	}
	h.flags()
	return h
}

type history struct {
	conversations map[int32]*conversation
	killed        []stretch       // kills and outages
	killing       []time.Duration // and when it began
	started       []time.Duration // when a start began
	cuts          []time.Duration // when a process ended, in whatever way
	flagged       int
	readings      []time.Duration // when the metric was read
	unclear       []time.Duration // sends of unclear outcome, by time
	repeated      int
	found         []Violation
}

type conversation struct {
	id       int32
	messages map[Mark]*message
	shown    map[Direction][]Event // in the order of their times
	sessions map[int32]*session
}

// A message is what became of one test message. A time that is zero has not come.
type message struct {
	session         int32
	began, accepted time.Duration
	offered, ok     bool
	shown, reached  []time.Duration // when the sends began
	landed          time.Duration   // when the last request with it had reached the instance
	told            bool
	ticked, failed  bool // what the agent sees at it
}

type session struct {
	asked                          bool
	joined, ending, accepted, left *time.Duration
	ended, closed                  *time.Duration
}

// A stretch is from one time to another.
type stretch struct{ from, to time.Duration }

func read(events []Event) *history {
	h := &history{conversations: map[int32]*conversation{}}
	for _, e := range events {
		switch e.Kind {
		case Killed:
			h.killed = append(h.killed, stretch{e.End, e.End})
			h.killing = append(h.killing, e.At)
			h.cuts = append(h.cuts, e.End)
		case Outage: // sends under way in it could not be settled; some work again before all does
			h.killed = append(h.killed, stretch{e.At, e.End})
		case Stopped:
			h.cuts = append(h.cuts, e.End)
		case Started:
			h.started = append(h.started, e.At)
		case Flagged:
			h.flagged += int(e.Count)
			h.readings = append(h.readings, e.At)
		default:
			h.conversation(e.Mark.Conversation).add(e)
			if e.Kind == Shown && e.Unclear {
				h.unclear = append(h.unclear, e.At)
			}
		}
	}
	return h
}

func (h *history) conversation(id int32) *conversation {
	c := h.conversations[id]
	if c == nil {
		c = &conversation{id: id, messages: map[Mark]*message{}, shown: map[Direction][]Event{}, sessions: map[int32]*session{}}
		h.conversations[id] = c
	}
	return c
}

func (c *conversation) add(e Event) {
	if e.Mark.Number == 0 {
		c.session(e.Session).add(e)
		return
	}
	m := c.messages[e.Mark]
	if m == nil {
		m = &message{}
		c.messages[e.Mark] = m
	}
	switch e.Kind {
	case Offered:
		if !m.offered {
			m.offered, m.began, m.session = true, e.At, e.Session
		}
		if e.OK && (!m.ok || e.End < m.accepted) {
			m.ok, m.accepted = true, e.End
		}
	case Shown:
		m.shown = append(m.shown, e.At)
		c.shown[e.Mark.Direction] = append(c.shown[e.Mark.Direction], e)
	case Reached:
		m.reached = append(m.reached, e.At)
		m.landed = max(m.landed, e.End)
	case Told:
		m.told = true
	case Ticked:
		m.ticked = true
	case Failed:
		m.failed = true
	}
}

func (c *conversation) session(n int32) *session {
	s := c.sessions[n]
	if s == nil {
		s = &session{}
		c.sessions[n] = s
	}
	return s
}

// add notes the first of each kind.
func (s *session) add(e Event) {
	first := func(t **time.Duration) {
		if *t == nil {
			*t = &e.At
		}
	}
	switch e.Kind {
	case Asked:
		s.asked = true
	case Joined:
		first(&s.joined)
	case Ending:
		first(&s.ending)
	case Accepted:
		first(&s.accepted)
	case Left:
		first(&s.left)
	case Ended:
		first(&s.ended)
	case Closed:
		first(&s.closed)
	}
}

func (h *history) violate(p Promise, m Mark, session int32, format string, args ...any) {
	h.found = append(h.found, Violation{Promise: p, Mark: m, Session: session, Detail: fmt.Sprintf(format, args...)})
}

// order: a message is not shown after one that was written when it had been accepted already. For a repeat only what came after
// the send that it repeats counts, since a merged activity may be repeated in parts.
func (h *history) order(c *conversation) {
	for _, d := range []Direction{FromEmployee, FromAgent} {
		shown := c.shown[d]
		latest := -1               // the index of the message that was written last, of those shown so far
		before := map[Mark]int32{} // the send that showed a message last
		for i, e := range shown {
			m := c.messages[e.Mark]
			if !m.offered {
				h.violate(Invented, e.Mark, 0, "shown to the other side, and nobody wrote it")
				continue
			}
			rival := latest
			if send, again := before[e.Mark]; again {
				rival = -1
				for j := i - 1; j >= 0 && shown[j].Send != send; j-- {
					if rival < 0 || c.began(shown[j]) > c.began(shown[rival]) {
						rival = j
					}
				}
			}
			if rival >= 0 && m.ok && c.began(shown[rival]) > m.accepted {
				h.violate(Reordered, e.Mark, m.session, "shown after %s, which was written %v after this one had been accepted",
					shown[rival].Mark, c.began(shown[rival])-m.accepted)
			}
			before[e.Mark] = e.Send
			if latest < 0 || m.began > c.began(shown[latest]) {
				latest = i
			}
		}
	}
}

// began is when the message of an event was written.
func (c *conversation) began(e Event) time.Duration { return c.messages[e.Mark].began }

// linger is how long after the end of a process what it had written may still be read: a request that lay in a socket
// is shown a moment later. It excuses no more than the one repeat that a kill may cost a lane.
const linger = 500 * time.Millisecond

// repeats: a send is repeated because its outcome was unclear, or because it was the last one of its lane before a kill. The
// parts of a merged activity may be repeated one by one; that is one repeated send all the same.
func (h *history) repeats(c *conversation) {
	for _, d := range []Direction{FromEmployee, FromAgent} {
		last := map[Mark]Event{}
		excused := map[int32]bool{} // sends whose repeat was accounted for
		spent := map[stretch]bool{} // kills that have cost this lane its one repeat
		for _, e := range c.shown[d] {
			before, again := last[e.Mark]
			last[e.Mark] = e
			if !again || excused[before.Send] {
				continue
			}
			excused[before.Send] = true
			h.repeated++
			if before.Unclear && d == FromAgent {
				continue
			}
			kill := slices.IndexFunc(h.killed, func(k stretch) bool { return before.At <= k.to+linger && k.from <= e.At && !spent[k] })
			switch {
			case d == FromEmployee:
				h.violate(Duplicate, e.Mark, c.messages[e.Mark].session, "the agent saw it twice; the instance knows repeats by their ids")
			case kill < 0:
				h.violate(Duplicate, e.Mark, c.messages[e.Mark].session, "shown again after %v, although the first send was answered", e.At-before.At)
			default:
				spent[h.killed[kill]] = true
			}
		}
	}
}

// delivery: what was accepted while its session was on is shown, or its writer knows that it was not.
func (h *history) delivery(c *conversation) {
	marks := slices.SortedFunc(maps.Keys(c.messages), func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Number, b.Number))
	})
	for _, mark := range marks {
		m := c.messages[mark]
		s := c.session(m.session)
		if !m.ok || s.ending != nil && m.accepted > *s.ending || s.ended != nil && m.accepted > *s.ended {
			continue
		}
		if mark.Direction == FromAgent {
			switch {
			case len(m.shown) == 0 && m.ticked:
				h.violate(Lost, mark, m.session, "accepted %v into the run, ticked, and not shown in Teams", m.accepted)
			case len(m.shown) == 0 && !m.failed:
				h.violate(Lost, mark, m.session, "accepted %v into the run, and not shown in Teams", m.accepted)
			case !m.ticked && !m.failed:
				h.violate(Unticked, mark, m.session, "shown in Teams, and the agent sees neither a tick nor Failed")
			}
			continue
		}
		late := s.closed != nil && m.landed >= *s.closed
		// News of an agent that comes when the employee has read of the end is too late: the words were held, and went with the wish.
		joined := s.joined != nil && (s.ended == nil || *s.joined <= *s.ended)
		if len(m.shown) == 0 && !m.told && !late && joined {
			h.violate(Lost, mark, m.session, "accepted %v into the run, not shown to the agent, and the employee was not told", m.accepted)
		}
	}
}

// ends: each session ends on both sides, and nothing of it comes later.
func (h *history) ends(c *conversation) {
	for _, mark := range slices.SortedFunc(maps.Keys(c.messages), func(a, b Mark) int { return cmp.Compare(a.Number, b.Number) }) {
		m := c.messages[mark]
		s := c.session(m.session)
		after := func(times []time.Duration, end *time.Duration, grace time.Duration, what string) {
			if end != nil && slices.ContainsFunc(times, func(t time.Duration) bool { return t > *end+grace }) {
				h.violate(AfterEnd, mark, m.session, "%s", what)
			}
		}
		if mark.Direction == FromAgent {
			after(m.shown, s.ended, 0, "shown in Teams after the notice of the end")
		} else {
			after(m.reached, s.left, 0, "sent to ServiceNow after END_CONVERSATION")
			after(m.reached, s.accepted, inFlight, "sent to ServiceNow after it had said that the session was over")
		}
	}
	for _, n := range slices.Sorted(maps.Keys(c.sessions)) {
		s := c.sessions[n]
		if s.asked && s.ended == nil {
			h.violate(Open, Mark{Conversation: c.id}, n, "the employee was never told of the end")
		}
		if s.asked && s.closed == nil {
			h.violate(Open, Mark{Conversation: c.id}, n, "the agent's side never ended")
		}
	}
}

// flags: the service's own count covers every repeat. What a process counted after the last reading of its metric is gone with
// it, so unclear sends of that time are added.
func (h *history) flags() {
	unread := 0
	for _, cut := range h.cuts {
		var from time.Duration
		for _, t := range h.readings {
			if t <= cut {
				from = max(from, t)
			}
		}
		for _, t := range h.unclear {
			if t >= from && t <= cut {
				unread++
			}
		}
	}
	if h.repeated > h.flagged+unread {
		h.violate(Unflagged, Mark{}, 0, "%d sends were repeated; the service counted %d possible repeats, and at most %d were not read", h.repeated, h.flagged, unread)
	}
}

// recovered is how long it took from each kill to the first message that the next process showed, the shortest first.
func (h *history) recovered() []time.Duration {
	var shown []time.Duration
	for _, c := range h.conversations {
		for _, events := range c.shown {
			for _, e := range events {
				shown = append(shown, e.At)
			}
		}
	}
	slices.Sort(shown)
	var out []time.Duration
	for _, k := range h.killing {
		start, ok := firstFrom(h.started, k)
		if first, again := firstFrom(shown, start); ok && again {
			out = append(out, first-k)
		}
	}
	slices.Sort(out)
	return out
}

// firstFrom returns the first of some sorted times that is not before t.
func firstFrom(sorted []time.Duration, t time.Duration) (time.Duration, bool) {
	n, _ := slices.BinarySearch(sorted, t)
	if n == len(sorted) {
		return 0, false
	}
	return sorted[n], true
}
