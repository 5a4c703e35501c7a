package bot

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// An event is something that happened to a conversation. Its apply is the pure transition: it edits
// the change's state, adds deliveries, and does no I/O. It may run more than once for one event.
type event interface {
	apply(c *change)
	// raw is what to keep when apply cannot take the event.
	raw() []byte
}

// A change is one run of a transition.
type change struct {
	rules *Rules
	now   time.Time
	seed  string // unique for the event, the same in every run
	state *state
	turn  *store.Turn
	facts facts
	// counts are added to the metrics once the change is committed.
	counts []count
	made   int
}

// facts are what a transition is told of the world, read before its commit.
type facts struct {
	// outage says that ServiceNow cannot be reached, so that nobody is promised an agent.
	outage bool
	// ticksOff says that the instance does not take delivery reports at present.
	ticksOff bool
}

// A count is one step of a counter of [Bot]'s metrics.
type count struct{ what, label string }

func (c *change) count(what, label string) { c.counts = append(c.counts, count{what, label}) }

func (c *change) texts() *Texts { return c.rules.texts(c.state.Ref.Locale) }

// agentTexts are what agents read, whatever the employee's language.
func (c *change) agentTexts() *Texts { return c.rules.texts(c.rules.AgentLanguage) }

// tellLost tells whoever wrote an event that no transition could take, as far as that works.
func (c *change) tellLost(ev event) {
	defer func() {
		if recover() != nil {
			c.turn.Deliver = nil
		}
	}()
	switch e := ev.(type) {
	case *employeeEvent:
		correction := e.activity.Type == adapter.TypeMessageUpdate || e.activity.Type == adapter.TypeMessageDelete
		switch {
		case e.activity.Type == adapter.TypeMessage && e.text != "":
			c.undelivered(c.sessionID(), e.text, failBroken)
		case e.press != nil, correction && c.state.Session != nil: // the card is still there, and so is the message
			c.notice(c.texts().Say(notDelivered(failBroken)))
		}
		if e.activity.Type == adapter.TypeMessage {
			e.left(c)
		}
	case *postEvent:
		e.report(c)
	}
}

// send adds a delivery. Its id is the same in every run of the transition.
func (c *change) send(to store.Direction, kind, session string, b body) (id string) {
	c.made++
	id = c.seed + "-" + strconv.Itoa(c.made)
	c.turn.Send(to, store.Delivery{
		ID:       id,
		Kind:     kind,
		Session:  session,
		Accepted: c.now,
		Body:     b.encode(),
	})
	return id
}

// notice tells the employee something, in a message of its own.
func (c *change) notice(text string) {
	c.send(store.ToTeams, kindNotice, c.sessionID(), body{Activity: plain(text)})
}

// offer is a notice with buttons.
func (c *change) offer(text string, buttons ...button) {
	c.send(store.ToTeams, kindNotice, c.sessionID(), body{Activity: withButtons(text, buttons...)})
}

func (c *change) sessionID() string {
	if c.state.Session == nil {
		return ""
	}
	return c.state.Session.ID
}

// showCard sends the status card as the session now stands.
func (c *change) showCard() {
	s := c.state.Session
	s.Card.Version++
	c.send(store.ToTeams, kindCard, s.ID, body{Activity: statusCard(c.texts(), s), Version: s.Card.Version})
}

// say adds a line to the transcript. It is kept until an agent has joined: the agent gets it as
// history, and a ticket holds it.
func (c *change) say(from, name, text string) {
	data, err := json.Marshal(line{From: from, Name: name, Text: text})
	if err != nil {
		panic("bot: transcript line: " + err.Error()) // three strings
	}
	c.turn.Lines = append(c.turn.Lines, store.Line{At: c.now, Data: data})
}

// escalate starts a session for the person who wrote e.
func (c *change) escalate(e *employeeEvent) {
	if e.elsewhere {
		c.notice(c.texts().Say(TextNoticeElsewhere))
		e.left(c)
		return
	}
	if c.facts.outage {
		e.left(c)
		c.unreachable(e.ref.UserID)
		return
	}
	c.state.Owner++
	c.state.Offer = ""
	c.state.Session = &session{
		ID:      c.seed,
		Phase:   connecting,
		Person:  e.ref.UserID,
		Live:    e.live,
		Started: c.now,
	}
	text := e.text
	if e.lost { // both sides are told, as in relay
		text += "\n\n" + c.agentTexts().Say(TextAttachmentNotRelayed)
	}
	c.send(store.ToServiceNow, kindAgent, c.seed, body{Text: text})
	c.showCard()
	if e.lost {
		c.notice(c.texts().Say(TextFileNotRelayed))
	}
	e.pass(c, store.Held, c.state.Session)
	c.count("escalations", "")
}

// unreachable answers a wish for an agent while ServiceNow cannot be reached: a ticket is what can be promised.
func (c *change) unreachable(person string) {
	t := c.texts()
	c.notice(t.Say(TextNoticeUnreachable))
	c.state.Offer, c.state.OfferTo = c.seed, person
	c.offer(t.Say(TextTicketOffer), button{Verb: verbTicket, Session: c.seed, Title: t.Say(TextButtonTicket)})
	c.count("escalations refused", "outage")
}

// nameMost is how many characters are kept of an agent's name, id, or waiting time, so that a record stays small.
const nameMost = 200

// join makes the agent the owner's voice: held words go out, and the employee is told.
func (c *change) join(id, name string) {
	s := c.state.Session
	id, name = cut(id, nameMost), cut(name, nameMost)
	if s.Phase == connected {
		c.speaker(id, name)
		return
	}
	s.Phase, s.Joined, s.Spoke, s.Asked = connected, c.now, c.now, false
	s.AgentID, s.AgentName = id, name
	c.turn.Move = append(c.turn.Move, store.Move{From: store.Held, To: store.ToServiceNow})
	t := c.texts()
	told := t.Say(TextNoticeJoinedUnnamed)
	if name != "" {
		told = t.Say(TextNoticeJoined, name)
	}
	if kind := c.state.Ref.ConversationType; kind != "" && kind != adapter.Personal {
		told += " " + t.Say(TextNoticeMention)
	}
	c.notice(told)
	c.showCard()
	c.count("joined", "")
}

// speaker notes who speaks for ServiceNow, and leads with the name when it changes.
func (c *change) speaker(id, name string) {
	s := c.state.Session
	if name == "" || name == s.AgentName {
		return
	}
	if s.AgentName != "" || !strings.Contains(s.Announced, name) {
		c.notice(c.texts().Say(TextNoticeTransferred, name))
	}
	s.AgentID, s.AgentName, s.Announced = id, name, ""
	c.showCard()
}

// An ending says how a session ends.
type ending struct {
	reason endReason
	text   string
	// theirs says that ServiceNow has ended it, so that no words go there any more.
	theirs bool
	// tell says that ServiceNow does not know yet, or that its own bot would go on.
	tell bool
	// ticket offers one.
	ticket bool
}

// end ends the live session. Everything accepted before is delivered before the notice.
func (c *change) end(e ending) {
	s := c.state.Session
	joined := s.Phase == connected
	if joined {
		c.state.Since = c.now
	} else {
		c.turn.Drop = append(c.turn.Drop, store.Held)
	}
	if e.tell {
		c.send(store.ToServiceNow, kindEnd, s.ID, body{})
	}
	untold, live := 1, ""
	if e.tell {
		untold, live = 2, s.Live
	}
	c.send(store.ToTeams, kindEnd, s.ID, body{Activity: plain(e.text)})
	s.Card.Version++
	c.send(store.ToTeams, kindCard, s.ID, body{Activity: endedCard(c.texts(), e.reason), Version: s.Card.Version})
	c.state.Past = append(c.state.Past, ended{
		ID: s.ID, Ended: c.now, Card: s.Card, Person: s.Person, UserID: s.UserID, Email: s.Email,
		ByEmployee: e.tell && !e.theirs && s.Closed.IsZero(), Joined: joined, Untold: untold, Live: live, Ending: e.tell,
	})
	c.noteFormer()
	c.state.Session = nil
	c.state.Owner++
	c.state.Outage, c.state.Stuck = false, "" // what was waited for is over
	if e.ticket {
		c.state.Offer, c.state.OfferTo = s.ID, s.Person
		t := c.texts()
		c.offer(t.Say(TextTicketOffer), button{Verb: verbTicket, Session: s.ID, Title: t.Say(TextButtonTicket)})
	}
	c.count("ended", string(e.reason))
}

// plain is an activity whose words are shown as they are.
func plain(text string) *adapter.Activity {
	return &adapter.Activity{Type: adapter.TypeMessage, Text: text, TextFormat: adapter.TextPlain}
}
