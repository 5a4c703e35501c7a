package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// toTeams sends an activity, or several as one.
func (b *Bot) toTeams(ctx context.Context, c *claim, sent []*sentEvent, call *call) (err error) {
	e, s := sent[0], c.state
	if e.delivery.Kind == kindAnswered {
		return b.toQuestion(ctx, c, e, call)
	}
	if e.body.Activity == nil {
		return errBroken
	}
	if e.delivery.Kind == kindCard {
		return b.toCard(ctx, s, e, call)
	}
	a := e.body.Activity
	if e.body.Media != nil {
		if a, err = b.withMedia(ctx, c, e); err != nil {
			return err
		}
	}
	if len(sent) > 1 {
		bodies := make([]body, 0, len(sent))
		for _, e := range sent {
			bodies = append(bodies, e.body)
		}
		a = merge(bodies)
	}
	call.made = true
	call.teams++
	e.activityID, err = b.teams.Send(ctx, s.Ref, a)
	if err == nil && e.body.Asks {
		b.keepQuestion(ctx, c.lease.Lane.Conversation, e.activityID, a)
	}
	return err
}

// toCard sends the status card, or updates it in place once it has an id.
func (b *Bot) toCard(ctx context.Context, s *state, e *sentEvent, call *call) (err error) {
	var now card
	if s.live(e.delivery.Session) {
		now = s.Session.Card
	} else if p := s.past(e.delivery.Session); p != nil {
		now = p.Card
	}
	if now.Version > e.body.Version {
		return nil // a newer one is behind it in the lane
	}
	call.made = true
	call.teams++
	if now.ActivityID != "" {
		err := b.teams.Update(ctx, s.Ref, now.ActivityID, e.body.Activity)
		if !gone(err) {
			return err
		}
		call.teams++
	}
	e.activityID, err = b.teams.Send(ctx, s.Ref, e.body.Activity)
	return err
}

// chat is how ServiceNow knows the session, and whether it is known to it at all.
func (b *Bot) chat(s *state, id string) (chat snow.Chat, known bool) {
	chat = snow.Chat{SessionID: id, Variables: snow.Variables{
		TenantID: s.Ref.TenantID, BotID: b.appID, ConversationID: s.Ref.ConversationID, SessionID: id,
	}}
	if s.live(id) {
		chat.UserID, chat.Email = s.Session.UserID, s.Session.Email
	} else if p := s.past(id); p != nil {
		chat.UserID, chat.Email = p.UserID, p.Email
	}
	return chat, chat.UserID != ""
}

func (b *Bot) toServiceNow(ctx context.Context, c *claim, e *sentEvent, call *call) error {
	conversation, s, id := c.lease.Lane.Conversation, c.state, e.delivery.Session
	chat, known := b.chat(s, id)
	request := requestID(id, e.delivery.ID)
	if !known && e.delivery.Kind != kindAgent && e.delivery.Kind != kindTicket {
		// The session has ended, or the process, before the answer to the request for an agent was settled.
		var err error
		if chat, err = b.identify(ctx, s, chat, call); err != nil {
			return err
		}
	}
	overtaken, err := b.overtaken(ctx, conversation, s, id)
	if err != nil {
		return err
	}
	switch e.delivery.Kind {
	case kindAgent:
		if !s.live(id) {
			return nil // cancelled before it was sent
		}
		return b.requestAgent(ctx, conversation, s, chat, request, e, call)
	case kindWords, kindFile, kindRemark:
		if overtaken || s.over(&e.delivery) {
			return errOver
		}
		if e.delivery.Kind == kindFile {
			return b.fileToAgent(ctx, c, chat, request, e, call)
		}
		call.made = true
		return b.snow.Say(ctx, chat, snow.Words{
			RequestID: request, MessageID: e.delivery.ID, Text: e.body.Text, Selected: e.body.Selected,
		})
	case kindEnd:
		if overtaken {
			b.log.Info("the end of a session is not sent: it would end the next chat of the person", "session", id)
			return nil
		}
		call.made = true
		err := b.snow.End(ctx, chat, request)
		if o, _ := classify(store.ToServiceNow, err); o.fate == never {
			b.log.Info("ServiceNow did not take the end of a session; it is over anyway", "session", id, "err", err)
			return nil
		}
		return err
	case kindTicket:
		return b.ticket(ctx, conversation, s, id, e, call)
	default:
		return errBroken
	}
}

// over reports whether words would reach nobody, because their session is over, or its agent has closed it after they were said. Those
// said before the employee ended it are still for the agent.
func (s *state) over(d *store.Delivery) bool {
	switch p := s.past(d.Session); {
	case s.live(d.Session):
		return !s.Session.Closed.IsZero() && !d.Accepted.After(s.Session.Closed)
	case slices.Contains(s.Forced, d.ID):
		return false
	default:
		return p == nil || !p.ByEmployee
	}
}

// historyLines is how many lines of the transcript an agent or a ticket gets.
const historyLines = 100

// identify looks up in the roster what the employee is announced by.
func (b *Bot) identify(ctx context.Context, s *state, chat snow.Chat, call *call) (snow.Chat, error) {
	person := s.person(chat.SessionID)
	call.teams++
	m, err := b.teams.Member(ctx, s.Ref, person)
	if err != nil {
		var ae *adapter.Error
		if o, _ := classify(store.ToTeams, err); !errors.As(err, &ae) || o.fate != never {
			// Nothing has been asked of ServiceNow, whatever became of the look-up.
			return chat, fmt.Errorf("look up the employee: %w", errLookup)
		}
		b.log.Warn("the roster does not give the employee's address; the agent will see a guest", "session", chat.SessionID, "err", err)
	}
	chat.Email = firstOf(m.Email, m.UserPrincipalName)
	chat.UserID = firstOf(chat.Email, m.AADObjectID, person)
	return chat, nil
}

// requestAgent announces the employee and asks for an agent.
func (b *Bot) requestAgent(ctx context.Context, conversation string, s *state, chat snow.Chat, request string, e *sentEvent, call *call) error {
	chat, err := b.identify(ctx, s, chat, call)
	if err != nil {
		return err
	}
	e.userID, e.email = chat.UserID, chat.Email
	if !s.Session.Heard.IsZero() {
		return nil // the answer to an earlier try was lost, but ServiceNow has spoken since
	}
	// The wish and what is written after it go as messages, so that every try of the request is the same.
	lines, err := b.transcript(ctx, conversation, s.Since, s.Session.Started)
	if err != nil {
		return err
	}
	call.made = true
	chat.Email = b.spelling(ctx, chat.Email)
	e.email = chat.Email
	topic, more := b.rules.topic(e.body.Text)
	variables := map[string]string{"request_on_behalf_of": chat.Email, "request_topic": topic}
	for _, set := range []map[string]string{b.rules.Context, more} {
		for k, v := range set {
			variables[k] = v
		}
	}
	return b.snow.RequestAgent(ctx, chat, snow.AgentRequest{
		RequestID: request, MessageID: e.delivery.ID, Text: e.body.Text, Context: variables, History: lines, Locale: s.Ref.Locale,
	})
}

// spellingLimit is how long a request for an agent may be held up by the question how the instance spells an address.
const spellingLimit = 2 * time.Second

// spelling is an address as the instance spells it. It links accounts by address, with case, and takes anybody else for
// a guest. Where it does not say, the address stays as Teams spells it.
func (b *Bot) spelling(ctx context.Context, email string) string {
	if email == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, spellingLimit)
	defer cancel()
	users, err := b.snow.FindUser(ctx, email)
	if err != nil {
		b.log.Info("the instance does not say how it spells an address", "err", err)
	}
	if err != nil || len(users) != 1 {
		return email
	}
	return firstOf(users[0].Email, email)
}

// errLookup is a look-up that failed before anything was sent. It is tried again.
var errLookup = errors.New("the look-up failed")

// transcript reads what was said from one time until before another, as ServiceNow takes it. A zero time is no limit.
func (b *Bot) transcript(ctx context.Context, conversation string, from, until time.Time) ([]snow.HistoryLine, error) {
	rows, err := b.store.Lines(ctx, conversation, historyLines)
	if err != nil {
		return nil, fmt.Errorf("read transcript: %w", err)
	}
	lines := make([]snow.HistoryLine, 0, len(rows))
	for _, r := range rows {
		var l line
		at := r.At.Truncate(time.Microsecond) // as the store keeps it
		if at.Before(from.Truncate(time.Microsecond)) || !until.IsZero() && !at.Before(until.Truncate(time.Microsecond)) || json.Unmarshal(r.Data, &l) != nil {
			continue
		}
		lines = append(lines, snow.HistoryLine{
			Name: firstOf(l.Name, l.From), Bot: l.From == fromBot, Text: l.Text, At: r.At,
		})
	}
	return lines, nil
}

// ticket creates the incident that stands in for an agent.
func (b *Bot) ticket(ctx context.Context, conversation string, s *state, id string, e *sentEvent, call *call) error {
	lines, err := b.transcript(ctx, conversation, s.Since, time.Time{})
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "[%s] %s: %s\n", l.At.UTC().Format("2006-01-02 15:04:05Z"), l.Name, l.Text)
	}
	incident := snow.Incident{
		CorrelationID:    "snowbot-" + id,
		ShortDescription: b.rules.texts(s.Ref.Locale).Say(TextTicketTitle),
		Description:      text.String(),
	}
	chat, _ := b.chat(s, id)
	if chat.Email == "" {
		call.teams++
		if m, err := b.teams.Member(ctx, s.Ref, s.person(id)); err == nil {
			chat.Email = firstOf(m.Email, m.UserPrincipalName)
		}
	}
	call.made = true
	if chat.Email != "" {
		users, err := b.snow.FindUser(ctx, chat.Email)
		if err != nil {
			return err
		}
		if len(users) == 1 {
			incident.CallerSysID = users[0].SysID
		}
	}
	e.ticket, err = b.snow.CreateIncident(ctx, incident)
	return err
}

// toTicks reports what became of messages of an agent, all in one call. The last of them names the request, so that a
// repeat with more of them is another request.
func (b *Bot) toTicks(ctx context.Context, s *state, sent []*sentEvent, call *call) error {
	chat, known := b.chat(s, sent[0].delivery.Session)
	if b.ticksOff() {
		return nil
	}
	if !known {
		var err error
		if chat, err = b.identify(ctx, s, chat, call); err != nil {
			return err
		}
	}
	receipts := make([]snow.Receipt, 0, len(sent))
	for _, e := range sent {
		r := snow.Receipt{MessageID: e.body.MessageID, Status: snow.SentToUser}
		if e.body.Failed {
			r.Status = snow.ExternalError
		}
		receipts = append(receipts, r)
	}
	call.made = true
	err := b.snow.Report(ctx, chat, requestID(chat.SessionID, sent[len(sent)-1].delivery.ID), receipts)
	if errors.Is(err, snow.ErrNotEnabled) {
		b.refuseTicks()
		return nil
	}
	return err
}

// toBot asks the bot's handler. What it answers is checked before it is kept.
func (b *Bot) toBot(ctx context.Context, e *sentEvent) error {
	if e.body.Activity == nil {
		return errBroken
	}
	replies, err := b.handler(withIntent(ctx, e.body.Intent), e.body.Activity)
	if err != nil {
		return fmt.Errorf("bot handler: %w", err)
	}
	for _, a := range replies {
		if a == nil {
			continue
		}
		raw, err := json.Marshal(a)
		if err != nil {
			return errors.New("bot handler: answer is no JSON")
		}
		if len(raw) > store.MaxData-envelopeBytes { // no commit would take it, and the bot be asked for ever
			return errors.New("bot handler: answer is too large")
		}
		e.replies = append(e.replies, a)
	}
	e.ask = b.describe(e.body.Activity)
	return nil
}
