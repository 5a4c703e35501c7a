package snowtest

import (
	"encoding/json"
	"time"
)

// A State is where a chat is, as the desk sees it.
type State string

// The states of a chat.
const (
	StateQueued State = "queued"
	StateLive   State = "live"
	StateEnded  State = "ended"
)

// A Reason says why a chat ended.
type Reason string

// The reasons.
const (
	EndedByAgent  Reason = "agent"
	EndedByUser   Reason = "user"
	Cancelled     Reason = "cancelled" // by the user, while queued
	EndedNoAgents Reason = "no agents"
	EndedIdle     Reason = "idle"
	EndedFailed   Reason = "failed"
)

// A Party is who said a line.
type Party string

// The parties of a chat. What the system says is what the user was told beside the agent's words.
const (
	FromUser   Party = "user"
	FromAgent  Party = "agent"
	FromSystem Party = "system"
)

// The receipts of a line that a client may report with UPDATE_MESSAGES.
const (
	ReceiptSent  = "sent_to_user"   // the agent sees two ticks
	ReceiptError = "external_error" // the agent sees "Failed"
)

// A Line is one message of a chat, as the agent sees it.
type Line struct {
	ID              string         `json:"id"` // sys_cs_message, 32 hexadecimal digits; messageId on the wire
	From            Party          `json:"from"`
	AgentName       string         `json:"agentName,omitempty"`
	Text            string         `json:"text"`
	At              time.Time      `json:"at"`
	RequestID       string         `json:"requestId,omitempty"`       // of a user's line
	ClientMessageID string         `json:"clientMessageId,omitempty"` // of a user's line
	Selected        bool           `json:"selected,omitempty"`        // a user's line sent with typed false
	File            *File          `json:"file,omitempty"`            // of a user's line
	Item            map[string]any `json:"item,omitempty"`            // of an agent's line that is no plain text
	Answered        int            `json:"answered"`                  // status the webhook answered, 0 for none (yet)
	Receipt         string         `json:"receipt,omitempty"`         // ReceiptSent, ReceiptError or nothing
	Updated         bool           `json:"updated,omitempty"`         // the client rewrote the text
}

// A File is an attachment of a user that was fetched.
type File struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Data        []byte `json:"-"`
}

// A HistoryLine is one line of what was said before the hand-off.
type HistoryLine struct {
	Name string    `json:"name"`
	Bot  bool      `json:"bot"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// A Chat is one wish for a live agent, from the queue to the end. It is a copy.
type Chat struct {
	ID               string         `json:"id"` // sys_cs_conversation, 32 hexadecimal digits
	InteractionID    string         `json:"interactionId"`
	SessionID        string         `json:"sessionId"` // clientSessionId as last sent
	UserID           string         `json:"userId"`
	Email            string         `json:"email"`
	UserName         string         `json:"userName"` // Guest unless the account was linked
	State            State          `json:"state"`
	Reason           Reason         `json:"reason,omitempty"`
	AgentName        string         `json:"agentName,omitempty"`
	WaitTime         string         `json:"waitTime,omitempty"`
	UserTyping       bool           `json:"userTyping"`
	ContextVariables map[string]any `json:"contextVariables,omitempty"`
	ClientVariables  map[string]any `json:"clientVariables,omitempty"`
	History          []HistoryLine  `json:"history,omitempty"`
	Lines            []Line         `json:"lines"`
	QueuedAt         time.Time      `json:"queuedAt"`
	AcceptedAt       time.Time      `json:"acceptedAt,omitzero"`
	EndedAt          time.Time      `json:"endedAt,omitzero"`
}

// Said returns the texts of one party, in order.
func (c Chat) Said(by Party) []string {
	var texts []string
	for _, l := range c.Lines {
		if l.From == by {
			texts = append(texts, l.Text)
		}
	}
	return texts
}

// A phase is where a conversation is, as ServiceNow sees it.
type phase int

const (
	phaseVirtual phase = iota // with the virtual agent
	phaseQueued
	phaseLive
	phaseSurvey // ended for the desk, the virtual agent still asks
	phaseEnded
)

// A conversation is a sys_cs_conversation. Its person's lock guards it.
type conversation struct {
	person        *person
	id            string
	interactionID string
	number        uint64 // order of creation, 0 while not at the desk
	phase         phase
	chat          Chat // what the desk shows, without lines and variables
	lines         []*Line
	history       []HistoryLine
	agent         Agent
	linked        *User
	silent        bool
	requests      int // taken so far
	awaiting      string
	tries         int
	lastUser      time.Time
	reminded      bool
	changed       uint64 // value of the instance's change counter

	// echoed, as last sent
	sessionID, requestID, appInboundID string
	message, variables, context        json.RawMessage
}

// snapshot copies what the desk shows.
func (c *conversation) snapshot(withLines bool) Chat {
	chat := c.chat
	chat.SessionID = c.sessionID
	_ = json.Unmarshal(c.context, &chat.ContextVariables) // checked when it came
	_ = json.Unmarshal(c.variables, &chat.ClientVariables)
	chat.History = append([]HistoryLine(nil), c.history...)
	if withLines {
		chat.Lines = make([]Line, len(c.lines))
		for i, l := range c.lines {
			chat.Lines[i] = *l
		}
	}
	return chat
}

// add appends a line, forgetting the oldest ones beyond keep.
func (c *conversation) add(l *Line, keep int) {
	c.lines = append(c.lines, l)
	if len(c.lines) > 2*keep {
		c.lines = append([]*Line(nil), c.lines[len(c.lines)-keep:]...)
	}
}

// line finds a line by its messageId, looking at the newest first.
func (c *conversation) line(id string) *Line {
	for i := len(c.lines) - 1; i >= 0; i-- {
		if c.lines[i].ID == id {
			return c.lines[i]
		}
	}
	return nil
}

// atDesk reports whether an agent's words can reach the user or soon may.
func (c *conversation) atDesk() bool { return c.phase == phaseQueued || c.phase == phaseLive }
