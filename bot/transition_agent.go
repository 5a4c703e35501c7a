package bot

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

// A postEvent is one post of ServiceNow, known to belong to the session.
type postEvent struct {
	session string
	post    *snow.Event
	// readBack says that the post was made up of what ServiceNow keeps of the session.
	readBack bool
}

func (e *postEvent) raw() []byte { return e.post.Raw }

func (e *postEvent) apply(c *change) {
	if !c.state.live(e.session) {
		e.late(c)
		return
	}
	s, p := c.state.Session, e.post
	if s.Heard.IsZero() {
		s.Heard = c.now
	}
	if s.Requested.IsZero() {
		s.Requested = c.now // whatever became of the answer: the request has been taken
	}
	switch {
	case e.takesOver():
		c.join(e.agent(c))
	case p.Status == snow.StatusWaiting, p.AgentChat && s.Phase == connecting:
		c.wait("")
	}
	over, last := false, e.ends()
	for i, it := range p.Items {
		switch {
		case !c.turn.Fresh[i] && e.readBack:
			continue // as it should be
		case !c.turn.Fresh[i]:
			c.count("repeats", "servicenow")
			continue
		case e.readBack:
			c.count("repair", "missed")
		case it.FromAgent && it.Hashed:
			s.Unnamed = true
		}
		if last && asks(it) { // nobody could answer it any more
			it = asWords(it)
		}
		over = c.item(it, e) || over
	}
	// The end comes after every item of its post.
	switch {
	case p.Status == snow.StatusFail:
		c.end(ending{reason: endFailed, text: c.texts().Say(TextNoticeFailed), ticket: true})
	case over, e.closes():
		c.over(e)
	}
}

// closes reports whether the post says as a whole that the conversation is over.
func (e *postEvent) closes() bool {
	p := e.post
	return p.Completed || p.Status == snow.StatusCompleted || p.Status == snow.StatusCancelled || p.TakeControl && !e.takesOver()
}

// late takes a post of a session that is over. Nothing of it is shown, and an agent who wrote sees that it was not. When it says that
// ServiceNow has closed the chat too, words of the employee that still wait are given up, which their writer is told: ServiceNow
// would take them and show them to nobody.
func (e *postEvent) late(c *change) {
	c.count("late", "")
	switch p := c.state.past(e.session); {
	case p == nil:
	case e.over(c.rules):
		p.ByEmployee = false
	case c.state.Session == nil && p.Live != "" && !p.Ending && p.Again < againMost && c.now.Sub(p.Ended) >= crossing && e.goesOnAfterAll():
		p.Again++
		p.Untold++
		c.count("ended again", "")
		c.send(store.ToServiceNow, kindEnd, e.session, body{})
	}
	e.report(c)
}

// ends reports whether the session is over with the post, whatever is in it.
func (e *postEvent) ends() bool {
	return e.closes() || e.post.Status == snow.StatusFail ||
		slices.ContainsFunc(e.post.Items, func(it snow.Item) bool { return it.Kind == snow.KindEnded })
}

// A request for an agent that was slow on its way may take effect after the end that followed it, and ServiceNow go on as if it had not
// heard of that.
const (
	againMost = 3               // how often ServiceNow is told once more
	crossing  = 5 * time.Second // how long after the end there may come what was posted before it
)

// goesOnAfterAll reports whether the post says that somebody waits for an agent, or that one is there.
func (e *postEvent) goesOnAfterAll() bool {
	return e.takesOver() || e.post.Status == snow.StatusWaiting || slices.ContainsFunc(e.post.Items, func(it snow.Item) bool {
		return it.Kind == snow.KindWait || it.Kind == snow.KindJoined || it.FromAgent
	})
}

// over reports whether anything in the post says that the chat is over.
func (e *postEvent) over(r *Rules) bool {
	return e.ends() || slices.ContainsFunc(e.post.Items, func(it snow.Item) bool {
		return it.Kind == snow.KindSystem && says(it.Text, r.Closed)
	})
}

// report tells the agent of every new item that it was not shown.
func (e *postEvent) report(c *change) {
	for i, it := range e.post.Items {
		if c.turn.Fresh[i] {
			c.tick(store.Delivery{Session: e.session}, body{MessageID: receiptID(it)}, true)
		}
	}
}

// receiptID is the id by which the agent can be told what became of an item, or "".
func receiptID(it snow.Item) string {
	if !it.FromAgent || it.Hashed || strings.ContainsAny(it.ID, "#/") { // not an id of ServiceNow's own
		return ""
	}
	return it.ID
}

// takesOver reports whether the post says as a whole that an agent has the conversation.
func (e *postEvent) takesOver() bool { return e.post.Status == snow.StatusConnected || e.joins() }

func (e *postEvent) joins() bool {
	for _, it := range e.post.Items {
		if it.Kind == snow.KindJoined && it.Name == agentControl {
			return true
		}
	}
	return false
}

// agentControl is the item by which one dialect says that an agent takes the conversation.
const agentControl = "ActionMsg/AgentControl"

// agent is who the post says has joined; a later item often knows the name. An item that repeats is no news.
func (e *postEvent) agent(c *change) (id, name string) {
	for i, it := range e.post.Items {
		if it.Agent.Name != "" && c.turn.Fresh[i] {
			return it.Agent.ID, it.Agent.Name
		}
	}
	return "", ""
}

// item shows one item, and reports whether it ends the session.
func (c *change) item(it snow.Item, e *postEvent) (over bool) {
	s := c.state.Session
	switch it.Kind {
	case snow.KindEnded:
		c.show(it)
		return true
	case snow.KindJoined:
		if s.Phase != connected {
			c.join(e.agent(c))
		}
		c.show(it)
	case snow.KindWait:
		c.wait(it.WaitTime)
		if it.Text != "" && s.System != fingerprint(it.Text) {
			s.System = fingerprint(it.Text)
			c.show(snow.Item{Kind: snow.KindSystem, Text: it.Text, ID: it.ID, Hashed: true})
		}
	case snow.KindWaitEnd, snow.KindNothing, snow.KindTyping, snow.KindTypingEnd:
	case snow.KindSystem:
		c.nobody(it)
		if s.Phase != connected && says(it.Text, c.rules.Joined) {
			c.join(e.agent(c))
		}
		if s.Phase == connected && says(it.Text, c.rules.Closed) {
			s.Closing, s.Closed = c.now, c.now
		}
		if s.Phase == connected || s.System != fingerprint(it.Text) {
			s.System = fingerprint(it.Text)
			if s.Phase == connected && s.AgentName == "" {
				s.Announced = cut(it.Text, 200)
			}
			c.show(it)
		}
	default:
		if c.acknowledges(it) {
			c.count("files", "acknowledged")
			break
		}
		if it.FromAgent || it.Agent.Name != "" {
			c.join(it.Agent.ID, it.Agent.Name)
			s.Closing, s.Closed, s.Asked = time.Time{}, time.Time{}, false // whatever was said: the agent is there
		} else if s.Phase != connected || !s.Closing.IsZero() {
			s.Asked = s.Asked || asks(it)
			c.nobody(it)
		}
		if !s.Closing.IsZero() {
			s.Closing = c.now
		}
		c.show(it)
	}
	return false
}

// says reports whether text has one of the phrases in it.
func says(text string, phrases []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(phrases, func(p string) bool { return p != "" && strings.Contains(text, strings.ToLower(p)) })
}

// nobody notes that ServiceNow says that there is no agent. In the queue that is no news: somebody may come.
func (c *change) nobody(it snow.Item) {
	if s := c.state.Session; s.Phase == connecting && says(it.Text, c.rules.NoAgents) {
		s.Nobody = c.now
	}
}

// acknowledges reports whether an item says that a file has arrived, and nothing else: the employee is told only when one has not.
func (c *change) acknowledges(it snow.Item) bool {
	is := func(text string) bool { return strings.EqualFold(strings.TrimSpace(it.Text), text) }
	return it.Kind == snow.KindText && !it.FromAgent && it.Agent.Name == "" && slices.ContainsFunc(c.rules.FileGot, is)
}

// asks reports whether an item waits for an answer.
func asks(it snow.Item) bool {
	return it.Kind == snow.KindPicker || it.Kind == snow.KindInput || len(it.Options) > 0
}

// asWords is a question as words, with its options.
func asWords(it snow.Item) snow.Item {
	it.Text = it.Readable()
	it.Kind, it.Input, it.Options = snow.KindText, "", nil
	return it
}

// wait notes that the employee is in the queue, and how long it may take.
func (c *change) wait(waitTime string) {
	s := c.state.Session
	waitTime = cut(waitTime, nameMost)
	if s.Phase == connected { // handed on to another queue; the agent's name will change
		return
	}
	if s.Phase == waiting && (waitTime == "" || waitTime == s.WaitTime) {
		return
	}
	s.Phase, s.WaitTime, s.Asked = waiting, firstOf(waitTime, s.WaitTime), false
	c.showCard()
}

// show sends an item to Teams. It is ticked with its last part, and failed with any.
func (c *change) show(it snow.Item) {
	s := c.state.Session
	activities := render(c.texts(), c.rules.Resolve, s.ID, it)
	if len(activities) == 0 && it.FromAgent { // a control that Teams has no form for, and without words
		c.count("not shown", "")
		c.tick(store.Delivery{Session: s.ID}, body{MessageID: receiptID(it)}, true)
	}
	for i, a := range activities {
		b := body{Activity: a, MessageID: receiptID(it), Part: i < len(activities)-1, Agent: it.FromAgent, Asks: asks(it) && len(a.Attachments) > 0}
		if len(activities) == 1 {
			b.Media = c.rules.mediaOf(it)
		}
		c.send(store.ToTeams, kindText, s.ID, b)
	}
}

// over ends the session because ServiceNow says so.
func (c *change) over(e *postEvent) {
	if s := c.state.Session; s.Warned && s.Phase == connected && !e.spoken(c) && !c.now.Before(s.Spoke.Add(c.rules.IdleCancel-idleSlack)) {
		// ServiceNow's own limit on silence.
		c.end(ending{reason: endTimedOut, text: c.texts().Say(TextNoticeTimedOut), theirs: true, tell: e.goesOn()})
		c.state.Lapsed = c.now
		return
	}
	if c.state.Session.Phase == connected {
		c.left(e.goesOn())
		return
	}
	c.end(ending{reason: endNoAgents, text: c.texts().Say(TextNoticeNoAgents), theirs: true, tell: e.goesOn(), ticket: true})
}

// goesOn reports whether the post ends the chat, but not ServiceNow's conversation.
func (e *postEvent) goesOn() bool {
	return !e.post.Completed && !e.post.TakeControl && e.post.Status == ""
}

// left ends the session because the agent did. Where ServiceNow's own bot would go on, with a survey say, it is told that
// nobody answers: it would take the next wish for an agent for an answer.
func (c *change) left(goesOn bool) {
	c.end(ending{reason: endByAgent, text: c.texts().Say(TextNoticeEndedByAgent), theirs: true, tell: goesOn})
}

// idleSlack allows for two clocks and a slow post when the end of a chat is taken for ServiceNow's limit on silence.
const idleSlack = 30 * time.Second

// spoken reports whether an agent says something new in the post.
func (e *postEvent) spoken(c *change) bool {
	for i, it := range e.post.Items {
		if it.FromAgent && c.turn.Fresh[i] {
			return true
		}
	}
	return false
}

func fingerprint(text string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return strconv.FormatUint(h.Sum64(), 36)
}
