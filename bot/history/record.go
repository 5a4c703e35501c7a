package history

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Kind says what an [Event] is.
type Kind byte

// The kinds of events. The first group has a Mark, the second a Mark of which only the conversation counts, and a Session.
const (
	// Offered is one attempt to hand us a message, from At to End. OK says that our answer was a 2xx.
	Offered Kind = iota + 1
	// Shown is a message on the other side. Send is the same for messages that came in one activity; Unclear says that
	// the answer to the send was one that leaves open whether it took effect.
	Shown
	// Told says that the writer in Teams was shown words as not delivered.
	Told
	// Ticked and Failed are what an agent sees at a message.
	Ticked
	Failed
	// Reached is a request with the employee's words that the instance answered with success.
	Reached

	// Asked is the wish for an agent, Joined the first news of an agent that we accepted.
	Asked
	Joined
	// Ending is when somebody or something began to end the session; Accepted is when we knew for certain.
	Ending
	Accepted
	// Left is our END_CONVERSATION, when the instance got it.
	Left
	// Ended is the notice of the end in Teams; Closed is the end of the chat at the agent's desk.
	Ended
	Closed

	// Killed is a kill of the process, from At to End; Stopped is an orderly stop. Started is a start, until it was ready.
	Killed
	Stopped
	Started
	// Outage is when the service was without what it needs, from At to End.
	Outage
	// Flagged is a reading of the service's metric of possible repeats: what it grew by.
	Flagged
)

var kinds = map[Kind]string{
	Offered: "offered", Shown: "shown", Told: "told", Ticked: "ticked", Failed: "failed", Reached: "reached", Asked: "asked",
	Joined: "joined", Ending: "ending", Accepted: "accepted", Left: "left", Ended: "ended", Closed: "closed", Killed: "killed",
	Stopped: "stopped", Started: "started", Outage: "outage", Flagged: "flagged",
}

// String is the kind's name in English.
func (k Kind) String() string { return kinds[k] }

// An Event is something that one of the emulators, or whoever drives them, saw. Times are counted from the start of the record.
type Event struct {
	Kind    Kind
	OK      bool
	Unclear bool
	Mark    Mark
	Session int32 // of the conversation, from 1
	Send    int32
	Count   int32 // of Flagged
	At, End time.Duration
}

// String is one line of a report.
func (e Event) String() string {
	s := fmt.Sprintf("%12v %12v %-8s", e.At.Round(time.Microsecond), max(0, e.End-e.At).Round(time.Microsecond), e.Kind)
	switch {
	case e.Mark.Number > 0:
		s += fmt.Sprintf(" %s send %d ok %t unclear %t", e.Mark, e.Send, e.OK, e.Unclear)
	case e.Mark.Conversation > 0:
		s += fmt.Sprintf(" conversation %d session %d", e.Mark.Conversation, e.Session)
	case e.Kind == Flagged:
		s += fmt.Sprintf(" %d", e.Count)
	}
	return s
}

// A Record is what was seen, in any order. It is safe for concurrent use; its zero value is empty.
type Record struct {
	mu     sync.Mutex
	events []Event
}

// Add appends events.
func (r *Record) Add(e ...Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e...)
}

// Events returns a copy of all events in the order of their times; those of one time are in the order in which they were added.
func (r *Record) Events() []Event {
	r.mu.Lock()
	events := slices.Clone(r.events)
	r.mu.Unlock()
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return events
}
