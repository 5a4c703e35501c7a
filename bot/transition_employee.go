package bot

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// An employeeEvent is an activity of Teams, with all that depends on it alone.
type employeeEvent struct {
	activity *adapter.Activity
	ref      adapter.Reference
	text     string            // the words as they are relayed
	files    []adapter.FileRef // that came along
	lost     bool              // something came along that cannot be relayed
	intent   Intent            // when interpreted
	command  Command
	press    *button // a button of ours was pressed
	live     string  // masked name of the person
	// interpreted reports that a wish was looked for, which is needed only while the bot has the conversation.
	interpreted bool
	// elsewhere reports that the person has a live session in another conversation.
	elsewhere bool
}

func (e *employeeEvent) raw() []byte {
	raw, err := json.Marshal(e.activity)
	if err != nil {
		return nil
	}
	return raw
}

func (e *employeeEvent) apply(c *change) {
	c.state.Ref = e.refresh(c.state.Ref)
	c.concerns(e.live)
	switch e.activity.Type {
	case adapter.TypeMessage:
		e.message(c)
	case adapter.TypeMessageUpdate:
		e.correct(c, c.agentTexts().Say(TextEditedPrefix)+" "+e.text)
	case adapter.TypeMessageDelete:
		e.correct(c, c.agentTexts().Say(TextDeletedNotice))
	case adapter.TypeInstallationUpdate, adapter.TypeConversationUpdate:
		e.membership(c)
	case adapter.TypeInvoke:
		if e.press != nil {
			e.pressed(c)
		}
	default:
		c.count("ignored", "")
	}
}

// peopleMost bounds the persons a record is found by; a group has more that never write.
const peopleMost = 40

// concerns notes that the conversation holds words of a person, so that they can be found, exported and erased.
func (c *change) concerns(person string) {
	r := c.turn.Record
	if person != "" && len(r.People) < peopleMost && !slices.Contains(r.People, person) {
		r.People = append(r.People, person)
	}
}

// refresh takes the conversation reference from the activity. Not every activity has a locale, and only words and
// buttons say who is speaking to us.
func (e *employeeEvent) refresh(old adapter.Reference) adapter.Reference {
	ref := e.ref
	ref.Locale = firstOf(ref.Locale, old.Locale)
	if spoken := e.activity.Type == adapter.TypeMessage || e.activity.Type == adapter.TypeInvoke; !spoken && old.UserID != "" {
		ref.UserID, ref.UserAADID, ref.UserName, ref.Locale = old.UserID, old.UserAADID, old.UserName, firstOf(old.Locale, ref.Locale)
	}
	return ref
}

// message routes the employee's words: to the agent while a session is live, else to the bot.
func (e *employeeEvent) message(c *change) {
	if c.state.Session != nil && c.state.forBot() && e.press == nil && e.command != CommandEndChat {
		c.left(true) // nobody would read the words
	}
	s := c.state.Session
	switch {
	case e.press != nil:
		e.pressed(c)
	case s == nil && e.command == CommandEndChat:
		c.notice(c.texts().Say(TextNoticeNothingToEnd))
	case s == nil && e.intent == IntentAgent:
		e.said(c, e.text)
		c.state.Lapsed = time.Time{}
		c.escalate(e)
	case s == nil && e.text != "" && c.lapsed():
		e.said(c, e.text)
		c.state.Lapsed = time.Time{}
		e.left(c) // a button holds words only
		t := c.texts()
		talk := button{Verb: verbTalk, Title: t.Say(TextButtonTalkToPerson)}
		if envelopeBytes+jsonBytes(e.text) <= messageBytes { // otherwise the transcript alone has them
			talk.Text = e.text
		}
		c.offer(t.Say(TextNoticeLapsed), talk)
	case s == nil:
		e.ask(c)
	case s.Phase != connected && e.command != CommandNone && e.own(s):
		c.cancel()
	case e.command == CommandEndChat && e.own(s):
		c.leave()
	default:
		e.relay(c, e.words(s), false)
	}
}

// lapsedFor is how long an employee who comes back to a chat that was closed for silence is offered another one.
const lapsedFor = time.Hour

// lapsed reports whether ServiceNow closed the last chat a while ago, because the employee was silent.
func (c *change) lapsed() bool {
	return !c.state.Lapsed.IsZero() && c.now.Sub(c.state.Lapsed) < lapsedFor
}

// own reports whether the session is that of the person who wrote.
func (e *employeeEvent) own(s *session) bool { return s.Person == e.ref.UserID }

// words are the text as the agent is to read it: in a group, others than the session's person are named.
func (e *employeeEvent) words(s *session) string {
	if e.text == "" || e.own(s) || e.ref.UserName == "" {
		return e.text
	}
	return e.ref.UserName + ": " + e.text
}

// ask hands the activity to the bot's own handler.
func (e *employeeEvent) ask(c *change) {
	e.said(c, e.text)
	c.send(store.ToBot, kindTurn, "", body{Activity: e.activity, Owner: c.state.Owner, Intent: e.intent})
}

// relay sends words and files to the agent, or holds them until there is one.
func (e *employeeEvent) relay(c *change, text string, selected bool) {
	s := c.state.Session
	if e.lost { // both sides are told
		c.notice(c.texts().Say(TextFileNotRelayed))
		text = strings.TrimSpace(text + "\n\n" + c.agentTexts().Say(TextAttachmentNotRelayed))
	}
	if text == "" && len(e.files) == 0 {
		return
	}
	to := store.ToServiceNow
	switch {
	case s.Phase == connected:
		s.Spoke, s.Warned = c.now, false
		if !s.Closing.IsZero() {
			s.Closing, s.Asked = c.now, false
		}
	case s.Asked && e.answers(s) || selected: // ServiceNow's own bot has asked, and nothing goes on before it is answered
		s.Asked, s.Heard, s.Nobody = false, c.now, time.Time{}
	default:
		to = store.Held
	}
	if s.Phase != connected {
		e.said(c, text)
	}
	if text != "" {
		c.send(to, kindWords, s.ID, body{Text: text, Selected: selected})
	}
	e.pass(c, to, s)
	if to == store.Held && !s.Held {
		s.Held = true
		c.notice(c.texts().Say(TextNoticeStillConnecting))
	}
}

// answers reports whether what is relayed may answer a question of ServiceNow's own bot: a correction does not, nor do words of somebody
// else in a group.
func (e *employeeEvent) answers(s *session) bool {
	return e.own(s) && e.activity.Type != adapter.TypeMessageUpdate && e.activity.Type != adapter.TypeMessageDelete
}

// correct tells the agent of a message that was edited or deleted. The bot is not asked again, and ServiceNow's own bot, which goes on
// after the agent, is not told.
func (e *employeeEvent) correct(c *change, text string) {
	if c.state.Session == nil || !c.state.Session.Closing.IsZero() {
		c.count("ignored", "")
		return
	}
	e.files, e.lost = nil, false // they came with the message itself
	e.relay(c, text, false)
}

// membership handles the bot's own coming and going. Teams sends both kinds of activity for one
// installation, in no fixed order; the first one counts.
func (e *employeeEvent) membership(c *change) {
	a := e.activity
	added := a.Type == adapter.TypeInstallationUpdate && strings.HasPrefix(a.Action, "add") || holds(a.MembersAdded, a.Recipient)
	removed := a.Type == adapter.TypeInstallationUpdate && strings.HasPrefix(a.Action, "remove") || holds(a.MembersRemoved, a.Recipient)
	switch {
	case removed:
		c.state.Installed = false
		c.blocked(failRemoved)
	case added && !c.state.Installed:
		c.state.Installed = true
		known := *a
		known.Locale = firstOf(a.Locale, c.state.Ref.Locale) // Teams gives it to installationUpdate only
		c.send(store.ToBot, kindTurn, "", body{Activity: &known, Owner: c.state.Owner})
	default:
		c.count("ignored", "")
	}
}

func holds(accounts []adapter.ChannelAccount, who *adapter.ChannelAccount) bool {
	for _, a := range accounts {
		if who != nil && a.ID == who.ID {
			return true
		}
	}
	return false
}

// pressed handles a button of ours. One of a session that is over is answered, not obeyed.
func (e *employeeEvent) pressed(c *change) {
	if p := e.press; (p.Verb == verbTalk || p.Verb == verbAgain) && c.state.Session != nil && c.state.forBot() {
		c.left(true) // its agent has closed it, and nobody would read the words
	}
	s, p := c.state.Session, e.press
	current := c.state.live(p.Session) && e.own(s)
	switch {
	case (p.Verb == verbTalk || p.Verb == verbAgain) && s == nil:
		e.text = firstOf(e.text, p.Text, c.texts().Say(TextButtonTalkToPerson))
		c.say(fromEmployee, e.ref.UserName, e.text)
		c.escalate(e)
	case p.Verb == verbTalk:
		c.notice(c.texts().Say(TextNoticeAlreadyConnected))
	case p.Verb == verbCancel && current && s.Phase != connected:
		c.cancel()
	case (p.Verb == verbEnd || p.Verb == verbCancel) && current:
		c.leave()
	case c.state.live(p.Session) && !current && (p.Verb == verbCancel || p.Verb == verbEnd || p.Verb == verbChoice):
		c.notice(c.texts().Say(TextNoticeNotYours))
	case p.Verb == verbCancel || p.Verb == verbEnd:
		c.notice(c.texts().Say(TextNoticeNothingToCancel))
	case p.Verb == verbTicket:
		c.ticket(p.Session, e.ref.UserID)
	case p.Verb == verbChoice && current:
		e.chosen(c)
	case p.Verb == verbAgain && s != nil:
		e.relay(c, p.Text, false)
	case p.Verb == verbChoice:
		c.notice(c.texts().Say(notDelivered(failOver)))
	default:
		c.count("ignored", "")
	}
}

// ticket has an incident made of a session that had no agent, for whose it was: in a group others see the button too, and a card can
// be forwarded. Asking twice gives the same one.
func (c *change) ticket(session, person string) {
	owner, known := c.state.OfferTo, session != "" && session == c.state.Offer
	if p := c.state.past(session); p != nil {
		owner, known = p.Person, true
	}
	switch {
	case !known:
		c.notice(c.texts().Say(TextTicketGone))
	case owner != "" && owner != person:
		c.notice(c.texts().Say(TextNoticeNotYours))
	case c.state.Ticket == session:
		c.notice(c.texts().Say(TextTicketPending))
	default:
		c.state.Ticket = session
		c.notice(c.texts().Say(TextTicketPending))
		c.send(store.ToServiceNow, kindTicket, session, body{})
	}
}

// cancel ends the session at the employee's wish before an agent has joined.
func (c *change) cancel() {
	c.end(ending{reason: endCancelled, text: c.texts().Say(TextNoticeCancelled), tell: true})
}

// leave ends the session at the employee's wish.
func (c *change) leave() {
	c.end(ending{reason: endByEmployee, text: c.texts().Say(TextNoticeEndedByEmployee), tell: true})
}

// shutOutTexts are what the agent is told of each way of being shut out.
var shutOutTexts = map[failure]TextKey{
	failBlocked:  TextAgentBlocked,
	failRemoved:  TextAgentRemoved,
	failDisabled: TextAgentDisabled,
}

// blocked ends the session because Teams does not let us write any more. The agent is told why.
func (c *change) blocked(why failure) {
	s := c.state.Session
	if s == nil {
		return
	}
	if s.Phase == connected {
		c.send(store.ToServiceNow, kindRemark, s.ID, body{Text: c.agentTexts().Say(shutOutTexts[why])})
	}
	c.end(ending{reason: endBotBlocked, text: c.texts().Say(TextNoticeFailed), tell: true})
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
