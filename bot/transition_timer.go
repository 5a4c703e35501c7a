package bot

import (
	"strconv"
	"time"
)

// A timerEvent says that the earliest timer of the conversation has run out.
type timerEvent struct{}

func (timerEvent) raw() []byte { return nil }

func (timerEvent) apply(c *change) {
	s, r := c.state.Session, c.rules
	if s == nil {
		return
	}
	passed := func(t time.Time) bool { return !t.IsZero() && !c.now.Before(t) }
	switch {
	case passed(s.absoluteEnd(r)):
		c.end(ending{reason: endTimedOut, text: c.texts().Say(TextNoticeTooLong), tell: true, ticket: s.Phase != connected})
	case passed(s.nobodyEnd()), passed(s.callbackEnd(r)) && !s.Heard.IsZero(): // there was an answer, but no queue
		c.end(ending{reason: endNoAgents, text: c.texts().Say(TextNoticeNoAgents), tell: true, ticket: true})
	case passed(s.callbackEnd(r)):
		c.end(ending{reason: endFailed, text: c.texts().Say(TextNoticeNoCallback), tell: true, ticket: true})
	case passed(s.waitEnd(r)):
		c.end(ending{reason: endNoAgents, text: c.texts().Say(TextNoticeNoAgents), tell: true, ticket: true})
	case passed(s.closingEnd()):
		c.left(true)
	case passed(s.idleWarning(r)):
		s.Warned = true
		c.notice(c.texts().Say(TextNoticeIdleWarning, strconv.Itoa(max(1, int((r.IdleCancel-r.IdleWarning).Minutes())))))
	}
}

// The timers of a session; a zero time is a timer that does not run.

func (s *session) absoluteEnd(r *Rules) time.Time { return s.Started.Add(r.MaxSession) }

// callbackEnd is when ServiceNow should have put the employee into a queue.
func (s *session) callbackEnd(r *Rules) time.Time {
	if s.Phase != connecting || s.Requested.IsZero() || s.Asked {
		return time.Time{}
	}
	if s.Heard.After(s.Requested) {
		return s.Heard.Add(r.NoCallback)
	}
	return s.Requested.Add(r.NoCallback)
}

// nobodyFor is how long ServiceNow may take to go on, with its queue or a question, after it said that there is no agent.
const nobodyFor = 5 * time.Second

// nobodyEnd is when that is taken for its last word.
func (s *session) nobodyEnd() time.Time {
	if s.Phase != connecting || s.Nobody.IsZero() || s.Asked {
		return time.Time{}
	}
	return s.Nobody.Add(nobodyFor)
}

func (s *session) waitEnd(r *Rules) time.Time {
	if s.Phase == connected {
		return time.Time{}
	}
	return s.Started.Add(r.MaxWait)
}

// closingFor is how long ServiceNow may take to go on, or the employee to answer, after an agent has closed the chat.
const closingFor = 2 * time.Minute

// closingEnd is when nothing more is expected of a chat that an agent has closed.
func (s *session) closingEnd() time.Time {
	if s.Closing.IsZero() {
		return time.Time{}
	}
	return s.Closing.Add(closingFor)
}

func (s *session) idleWarning(r *Rules) time.Time {
	if s.Phase != connected || s.Warned || r.IdleWarning <= 0 {
		return time.Time{}
	}
	return s.Spoke.Add(r.IdleWarning)
}

// due is when the next timer of the conversation runs out; zero means never.
func (s *state) due(r *Rules) time.Time {
	var due time.Time
	add := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if x := s.Session; x != nil {
		add(x.absoluteEnd(r))
		add(x.callbackEnd(r))
		add(x.nobodyEnd())
		add(x.waitEnd(r))
		add(x.closingEnd())
		add(x.idleWarning(r))
	}
	for _, p := range s.Past {
		add(p.Ended.Add(lateFor)) // to free its keys
		if p.Ending {
			add(p.Ended.Add(endingFor)) // likewise
		}
	}
	return due
}
