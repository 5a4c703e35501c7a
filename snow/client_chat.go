package snow

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"
)

const botPath = "/api/sn_va_as_service/bot/integration"

// agentWish is what is said when an employee asks for a person without words: the name of the topic that leads there.
const agentWish = "Live Agent Support."

var errNoIdentity = errors.New("chat without session or user id")

// A Chat says in each request whose conversation it belongs to. Email is the address as ServiceNow spells it: the
// instance compares it with case, and takes anybody else for a guest.
type Chat struct {
	SessionID string // clientSessionId
	UserID    string
	Email     string
	Variables Variables // SessionID is filled in
}

// An AgentRequest asks for a live agent.
type AgentRequest struct {
	RequestID string
	MessageID string // clientMessageId
	// Text is the employee's wish. An empty one is replaced, since the instance does not take it.
	Text string
	// Context are the contextVariables that queues and topics look at.
	Context map[string]string
	// History is what was said before. ServiceNow shows it to the agent; it takes none later, as a rule.
	History  []HistoryLine
	NowBotID string
	Timezone string // "Europe/Berlin"
	// Locale is a BCP 47 tag such as "de-DE". Its language goes along as context variable requester_session_language,
	// unless Context has one.
	Locale string
}

// Words are something the employee says.
type Words struct {
	RequestID string
	MessageID string // clientMessageId
	Text      string
	// Selected says that Text is the value of a chosen option, and not to be interpreted.
	Selected bool
	// Attachment is a file that the employee sent. Text may be empty then.
	Attachment *Attachment
}

// An Attachment is a file that the instance is to fetch. It does so only where the host of URL is one of its trusted media domains
// (sys_cs_provider_application), and tells nobody when it is not. What it has fetched it scans for viruses.
type Attachment struct {
	ContentType string
	Name        string
	URL         string // absolute; whoever has it has the file, so it should end soon
	ClientID    string // clientAttachmentId; may be empty
}

func (a *Attachment) wire() *botAttachment {
	if a == nil {
		return nil
	}
	return &botAttachment{a.ContentType, a.Name, a.URL, a.ClientID}
}

// A HistoryLine is one message of the transcript. At may be zero, which stands for now.
type HistoryLine struct {
	Name string
	Bot  bool
	Text string
	At   time.Time
}

// A Receipt tells the agent what became of a message.
type Receipt struct {
	MessageID string // messageId, as ServiceNow gave it
	Status    ReceiptStatus
}

// A ReceiptStatus is what the agent sees next to a message.
type ReceiptStatus string

// The values of ReceiptStatus.
const (
	SentToUser    ReceiptStatus = "sent_to_user"   // two ticks
	ExternalError ReceiptStatus = "external_error" // "Failed"
)

// RequestAgent asks for a live agent. Success says that the instance took the request, not that anybody is there.
// A refusal ([Error.Refused]) means that nobody is.
//
// A repeat has to carry the same RequestID and MessageID, here and in Say: the instance ignores what it has seen.
func (c *Client) RequestAgent(ctx context.Context, chat Chat, r AgentRequest) error {
	text := r.Text
	if strings.TrimSpace(text) == "" {
		text = agentWish
	}
	return c.post(ctx, opAgent, chat, botRequest{
		RequestID:        r.RequestID,
		Action:           actionAgent,
		SilentMessage:    new(bool), // false ends a silence that an earlier request began
		NowBotID:         r.NowBotID,
		Message:          &botMessage{Text: text, Typed: true, ClientMessageID: r.MessageID},
		ContextVariables: withLanguage(r.Context, r.Locale),
		History:          botLines(r.History, c.now()),
		Timezone:         r.Timezone,
	})
}

// Say sends words of the employee to whom they are talking to.
func (c *Client) Say(ctx context.Context, chat Chat, w Words) error {
	return c.post(ctx, "message", chat, botRequest{
		RequestID: w.RequestID,
		Message: &botMessage{
			Text: w.Text, Typed: !w.Selected, ClientMessageID: w.MessageID, Attachment: w.Attachment.wire(),
		},
	})
}

// End ends the conversation, or the wait for an agent. The instance may know nothing of it any more; what it says
// then makes no difference to us.
func (c *Client) End(ctx context.Context, chat Chat, requestID string) error {
	return c.post(ctx, "end", chat, botRequest{
		RequestID: requestID,
		Action:    actionEnd,
		Message:   &botMessage{Typed: true},
	})
}

// Typing shows the agent that the employee types, or has stopped.
func (c *Client) Typing(ctx context.Context, chat Chat, requestID string, typing bool) error {
	action := actionViewing
	if typing {
		action = actionTyping
	}
	return c.post(ctx, "typing", chat, botRequest{RequestID: requestID, Action: action})
}

// Report tells the agent what became of messages. The error wraps [ErrNotEnabled] when the instance does not take that.
func (c *Client) Report(ctx context.Context, chat Chat, requestID string, receipts []Receipt) error {
	if len(receipts) == 0 {
		return nil
	}
	list := make([]botReceipt, len(receipts))
	for i, r := range receipts {
		list[i] = botReceipt{r.MessageID, r.Status}
	}
	return c.post(ctx, opReport, chat, botRequest{RequestID: requestID, Action: actionReceipt, Message: list})
}

// SendHistory adds to the transcript that the agent sees, on instances that take it later than the first request.
func (c *Client) SendHistory(ctx context.Context, chat Chat, requestID string, lines []HistoryLine) error {
	if len(lines) == 0 {
		return nil
	}
	return c.post(ctx, "history", chat, botRequest{
		RequestID: requestID,
		Action:    actionHistory,
		History:   botLines(lines, c.now()),
	})
}

// post completes r, sends it, and judges the answer.
func (c *Client) post(ctx context.Context, op string, chat Chat, r botRequest) error {
	if chat.SessionID == "" || chat.UserID == "" {
		return &Error{Op: op, Err: errNoIdentity}
	}
	r.Token = c.messageToken
	r.AppInboundID = c.appInboundID
	r.ClientSessionID = chat.SessionID
	r.UserID = chat.UserID
	r.EmailID = chat.Email
	r.ClientVariables = chat.Variables
	r.ClientVariables.SessionID = chat.SessionID
	r.Timestamp = c.now().UnixMilli()
	body, err := encode(r)
	if err != nil {
		return &Error{Op: op, Err: err}
	}
	a, err := c.exchange(ctx, call{op: op, method: http.MethodPost, url: c.bot, body: body, bot: true})
	if err != nil {
		return err
	}
	event, failed := judge(op, a, c.now())
	if failed != nil {
		return failed
	}
	if event != nil {
		c.hand(ctx, op, chat, event)
	}
	return nil
}

// hand gives an answer that is an event to who takes them. It is of the chat that the request was of, also when it does not say so.
func (c *Client) hand(ctx context.Context, op string, chat Chat, event []byte) {
	if c.accept == nil {
		c.log.Warn("answer holds items, and nobody takes them: is the channel synchronous?", "op", op)
		return
	}
	e, err := DecodeEvent(event)
	if err == nil {
		if e.SessionID == "" {
			e.SessionID = chat.SessionID
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptLimit)
		defer cancel()
		err = c.accept(ctx, e)
	}
	if err != nil {
		c.log.Error("answer holds items that could not be taken", "op", op, "session", chat.SessionID, "err", err)
	}
}

// languageKey is the context variable that carries the employee's language.
const languageKey = "requester_session_language"

// withLanguage returns the context variables with the language of locale, leaving the caller's map alone.
func withLanguage(vars map[string]string, locale string) map[string]string {
	language, _, _ := strings.Cut(strings.ReplaceAll(locale, "_", "-"), "-")
	if language == "" || vars[languageKey] != "" {
		return vars
	}
	out := map[string]string{languageKey: strings.ToLower(language)}
	maps.Copy(out, vars)
	return out
}
