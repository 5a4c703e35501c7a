package bot

import (
	"slices"

	"snowbot/adapter"
	"snowbot/store"
)

// A sentEvent says that a delivery was done, and what came of it.
type sentEvent struct {
	to       store.Direction
	delivery store.Delivery
	body     body
	// activityID is the id Teams gave to what was sent; it may be empty.
	activityID string
	// userID and email are what the employee was announced by.
	userID, email string
	// ticket is the number of the incident.
	ticket string
	// fetched reports that ServiceNow has fetched the file that was looked for.
	fetched bool
	// replies are what the bot's handler answered, and ask what it was asked with.
	replies []*adapter.Activity
	ask     *employeeEvent
}

func (e *sentEvent) raw() []byte { return e.delivery.Body }

func (e *sentEvent) apply(c *change) {
	if e.to == store.ToServiceNow && c.state.Outage {
		c.state.Stuck = ""
		outageOverEvent{}.apply(c)
	}
	c.leaves(e.to, &e.delivery)
	id := e.delivery.Session
	switch {
	case e.delivery.Kind == kindCard:
		if c.state.live(id) {
			c.state.Session.Card.ActivityID = firstOf(e.activityID, c.state.Session.Card.ActivityID)
		} else if p := c.state.past(id); p != nil {
			p.Card.ActivityID = firstOf(e.activityID, p.Card.ActivityID)
		}
	case e.delivery.Kind == kindAgent:
		if c.state.live(id) {
			c.state.Session.Requested = c.now
		}
		e.announced(c)
	case e.delivery.Kind == kindTicket:
		if c.state.Ticket == id {
			c.state.Ticket = ""
		}
		if c.state.Offer == id {
			c.state.Offer = ""
		}
		c.notice(c.texts().Say(TextTicketCreated, e.ticket))
	case e.delivery.Kind == kindTurn:
		e.answer(c)
	case e.delivery.Kind == kindFile:
		c.lookLater(e)
	case e.delivery.Kind == kindLook:
		e.looked(c)
	case e.to == store.ToTeams:
		if e.body.Agent && c.state.live(id) {
			c.state.Session.Explained = ""
		}
		c.tick(e.delivery, e.body, false)
	}
}

// announced notes what the employee was announced by.
func (e *sentEvent) announced(c *change) {
	if e.userID == "" { // nothing was sent
		return
	}
	if id := e.delivery.Session; c.state.live(id) {
		c.state.Session.UserID, c.state.Session.Email = e.userID, e.email
	} else if p := c.state.past(id); p != nil {
		p.UserID, p.Email = e.userID, e.email
	}
}

// answer takes what the bot's handler said, unless the conversation has changed hands meanwhile.
func (e *sentEvent) answer(c *change) {
	if e.body.Owner != c.state.Owner {
		c.count("answers dropped", "")
		return
	}
	for _, a := range e.replies {
		switch {
		case a.Type == adapter.TypeEvent && a.Name == handoff:
			if c.state.Session == nil {
				c.escalate(e.ask)
			}
		case a.Type == adapter.TypeMessage || a.Type == "":
			if a.Text != "" {
				c.say(fromBot, c.state.Ref.BotName, a.Text)
			}
			c.send(store.ToTeams, kindReply, "", body{Activity: a})
		default:
			c.send(store.ToTeams, kindReply, "", body{Activity: a})
		}
	}
}

// handoff is the name of the Bot Framework's event by which a bot asks for a person.
const handoff = "handoff.initiate"

// tick reports to the agent what became of a message.
func (c *change) tick(d store.Delivery, b body, failed bool) {
	if failed && b.Part && c.state.live(d.Session) { // what follows of it must not say that all went well
		c.state.Session.Broken = b.MessageID
	}
	broken := c.state.live(d.Session) && c.state.Session.Broken == b.MessageID
	if b.MessageID == "" || !c.rules.Ticks || !failed && (b.Part || broken) {
		return
	}
	if c.facts.ticksOff {
		c.count("ticks off", "")
		return
	}
	c.send(store.ToTicks, kindTick, d.Session, body{MessageID: b.MessageID, Failed: failed})
}

// A failure says why a delivery was given up. Stored and shown by metrics, so it does not change.
type failure string

const (
	failTooOld   failure = "too old"
	failTooBig   failure = "too big"
	failRefused  failure = "refused"
	failUnclear  failure = "unclear"
	failBlocked  failure = "bot blocked"
	failRemoved  failure = "bot removed"
	failDisabled failure = "bot disabled"
	failNobody   failure = "nobody there"
	failOver     failure = "session over"
	failBroken   failure = "not readable"
	// failUnsettled is what could not be kept of a send, whatever became of it.
	failUnsettled failure = "not settled"

	failFileTooBig failure = "file too big"
	failFileType   failure = "file type not allowed"
	failFileGone   failure = "file gone"
	failFileHost   failure = "file host refused"
	failFileRoom   failure = "no room for files"
	failFileAway   failure = "file out of reach"
	failFilesOff   failure = "files off"
)

// shutOut reports whether the conversation is closed to us until the employee or an admin does something.
func (f failure) shutOut() bool { return f == failBlocked || f == failRemoved || f == failDisabled }

// A failedEvent says that a delivery was given up. Somebody is always told.
type failedEvent struct {
	to       store.Direction
	delivery store.Delivery
	body     body
	why      failure
}

func (e *failedEvent) raw() []byte { return e.delivery.Body }

func (e *failedEvent) apply(c *change) {
	c.count("given up", string(e.why))
	c.leaves(e.to, &e.delivery)
	if e.delivery.ID == c.state.Stuck {
		c.state.Stuck = ""
	}
	id, t := e.delivery.Session, c.texts()
	switch e.delivery.Kind {
	case kindAgent:
		if !c.state.live(id) || !c.state.Session.Heard.IsZero() { // ServiceNow has it, whatever became of the answer
			return
		}
		// ServiceNow is told in any case: an earlier try may have taken effect, and its own bot may have begun to talk.
		if e.why == failNobody {
			c.end(ending{reason: endNoAgents, text: t.Say(TextNoticeNoAgents), tell: true, ticket: true})
			return
		}
		c.end(ending{reason: endFailed, text: t.Say(TextNoticeFailed), tell: true, ticket: true})
	case kindWords:
		if c.state.live(id) && c.state.Session.Phase != connected {
			c.state.Session.Asked = true // before there is an agent only answers are sent, and this one is still waited for
		}
		c.undelivered(id, e.body.Text, e.why)
	case kindFile:
		c.unfetched(id, e.body.File, e.why)
	case kindRemark:
	case kindTicket:
		c.state.Ticket, c.state.Offer = "", id
		c.offer(t.Say(TextTicketFailed), button{Verb: verbTicket, Session: id, Title: t.Say(TextButtonTicket)})
	case kindTurn:
		if e.body.Owner != c.state.Owner { // nobody waits for it any more, as in sentEvent.answer
			c.count("answers dropped", "")
			return
		}
		c.notice(t.Say(TextBotFailed))
	default:
		if e.to == store.ToTeams {
			c.tick(e.delivery, e.body, true)
			if e.body.Agent && c.state.live(id) && !e.why.shutOut() {
				e.explain(c)
			}
			if e.why.shutOut() && (id == "" || c.state.live(id)) {
				c.blocked(e.why)
			}
		}
	}
}

// explain tells the agent why a message was not delivered: once for a series of messages, whose reports say which they were,
// and each time where there is no report.
func (e *failedEvent) explain(c *change) {
	s := c.state.Session
	reported := e.body.MessageID != "" && c.rules.Ticks && !c.facts.ticksOff
	if reported && s.Explained == e.why {
		return
	}
	s.Explained = e.why
	key := TextAgentNotDelivered
	switch e.why {
	case failTooOld:
		key = TextAgentNotDeliveredTooOld
	case failTooBig:
		key = TextAgentNotDeliveredTooBig
	case failUnclear:
		key = TextAgentNotDeliveredUnclear
	default:
	}
	c.send(store.ToServiceNow, kindRemark, s.ID, body{Text: c.agentTexts().Say(key)})
}

// shownWords is how many characters of words that were not delivered their writer is shown, to know them by.
const shownWords = 1000

// undelivered tells the employee that words were not delivered, with a button that sends them again. Words that are too long
// for a button have to be written again.
func (c *change) undelivered(session, text string, why failure) {
	t := c.texts()
	told := t.Say(notDelivered(why))
	a := plain(told)
	if 2*envelopeBytes+jsonBytes(text) <= messageBytes {
		again := button{Verb: verbAgain, Session: session, Title: t.Say(TextButtonSendAgain), Text: text}
		a = cardActivity(told, elements{textBlock(told), subtle(cut(text, shownWords))}, elements{submit(again)})
	}
	c.send(store.ToTeams, kindFailure, c.sessionID(), body{Activity: a})
}

// notDelivered is what the employee is told of words that were given up.
func notDelivered(why failure) TextKey {
	switch why {
	case failTooOld:
		return TextNoticeNotDeliveredTooOld
	case failOver:
		return TextNoticeNotDeliveredOver
	case failRefused, failTooBig:
		return TextNoticeNotDeliveredRefused
	default:
		return TextNoticeNotDelivered
	}
}

// An outageEvent says that ServiceNow has not been reached for a while, and is tried on.
type outageEvent struct {
	delivery string // that waits for it, if one does
}

func (outageEvent) raw() []byte { return nil }

func (e outageEvent) apply(c *change) {
	if c.state.Session == nil {
		return
	}
	if e.delivery != "" {
		c.state.Stuck = e.delivery
	}
	if !c.state.Outage {
		c.state.Outage = true
		c.notice(c.texts().Say(TextNoticeOutage))
		c.count("outages told", "")
	}
}

// An outageOverEvent says that ServiceNow is reached again.
type outageOverEvent struct{}

func (outageOverEvent) raw() []byte { return nil }

func (outageOverEvent) apply(c *change) {
	if c.state.Outage && c.state.Stuck == "" {
		c.state.Outage = false
		c.notice(c.texts().Say(TextNoticeOutageOver))
	}
}

// leaves notes that a delivery leaves its lane.
func (c *change) leaves(to store.Direction, d *store.Delivery) {
	if p := c.state.past(d.Session); d.Kind == kindEnd && p != nil {
		p.Untold = max(0, p.Untold-1)
		p.Ending = p.Ending && to != store.ToServiceNow
	}
	if len(c.state.Forced) > 0 {
		c.state.Forced = slices.DeleteFunc(c.state.Forced, func(id string) bool { return id == d.ID })
	}
	if to != store.ToTeams || c.state.Apart == nil {
		return
	}
	if c.state.Apart.N--; c.state.Apart.N <= 0 {
		c.state.Apart = nil
	}
}

// An apartEvent says that deliveries that were sent as one message are to go one by one.
type apartEvent apart

func (apartEvent) raw() []byte { return nil }

func (e apartEvent) apply(c *change) {
	a := apart(e)
	c.state.Apart = &a
	c.count("sent apart", "")
}

// A pacedEvent says when there were sends to Teams.
type pacedEvent struct{ sent *sends }

func (pacedEvent) raw() []byte { return nil }

func (e pacedEvent) apply(c *change) { c.state.Sent = e.sent }

// events are several events of one commit, in order.
type events []event

func (e events) apply(c *change) {
	for _, ev := range e {
		ev.apply(c)
	}
}

// elsewhere returns the events as they are when the person who is to be escalated has a session in another conversation.
func (e events) elsewhere() events {
	out := slices.Clone(e)
	for i, ev := range out {
		if s, ok := ev.(*sentEvent); ok && s.ask != nil {
			s, ask := *s, *s.ask
			ask.elsewhere, s.ask = true, &ask
			out[i] = &s
		}
	}
	return out
}

// raw is that of the first one: the others come of it.
func (e events) raw() []byte {
	if len(e) == 0 {
		return nil
	}
	return e[0].raw()
}
