package snow

import "encoding/json"

// Status is the state of a chat as one dialect spells it out. The other never sends it.
type Status string

// The values of status. Anything else is read as "".
const (
	StatusActive    Status = "active"
	StatusWaiting   Status = "waiting"
	StatusConnected Status = "connected"
	StatusCompleted Status = "completed"
	StatusFail      Status = "fail"
	StatusCancelled Status = "cancelled"
)

// Variables are our clientVariables, echoed by ServiceNow. Nothing in them is trusted.
type Variables struct {
	TenantID       string `json:"tenantId,omitempty"`
	BotID          string `json:"botId,omitempty"`
	ConversationID string `json:"conversationId,omitempty"`
	SessionID      string `json:"sessionId,omitempty"`
}

// An Event is one post of ServiceNow, both dialects decoded into one shape. An empty string means
// that the field was absent.
type Event struct {
	SessionID     string // clientSessionId
	RequestID     string
	UserID        string
	InteractionID string
	Variables     Variables
	Status        Status
	ErrorMessage  string
	Items         []Item
	// AgentChat says that the words go to or come from an agent, or will: it is true in the queue already.
	AgentChat bool
	// TakeControl means a live agent with StatusConnected or an AgentControl item, else that ServiceNow gives up.
	TakeControl bool
	// Completed means that the conversation is over, after all items. It is false when the post is a notification card.
	Completed bool
	// Raw is the post as it came, for a dead letter. It may hold words and credentials, and is not to be logged.
	Raw []byte
}

// Kind says what an item is to the employee.
type Kind string

// The kinds of items.
const (
	KindText      Kind = "text"    // Text
	KindHTML      Kind = "html"    // HTML, not sanitised; Text is its plain text
	KindImage     Kind = "image"   // URL, Text is the alternative text
	KindLink      Kind = "link"    // URL, Text is the label
	KindCard      Kind = "card"    // Card
	KindTable     Kind = "table"   // Table
	KindPicker    Kind = "picker"  // Text is the prompt, Options
	KindInput     Kind = "input"   // Text is the prompt, Input says of what
	KindLinks     Kind = "links"   // Text is the header, Links
	KindSystem    Kind = "system"  // Text: what ServiceNow itself says ("Sam has entered the chat.")
	KindWait      Kind = "wait"    // queued; WaitTime and Text may be empty
	KindWaitEnd   Kind = "waitEnd" // the wait is over
	KindJoined    Kind = "joined"  // a live agent has accepted; Text may be what was said about it
	KindEnded     Kind = "ended"   // the live session is over; Text may be what was said about it
	KindTyping    Kind = "typing"  // the agent types
	KindTypingEnd Kind = "typingEnd"
	KindUnknown   Kind = "unknown" // Text is what could be found, maybe nothing; Name is the type
	KindNothing   Kind = "nothing" // documented, and of no interest to a person
)

// An Item is one element of body[].
type Item struct {
	// ID is messageId, or, when there is none, "hash:" and a hash of the item. It differs from that of every other item
	// of the post: where elements share one, and where one element makes two items, the later get "#2", "#3" and so on.
	ID string
	// Hashed reports that ID is a hash: a repeat within a short time is a duplicate, later it is not.
	Hashed bool
	Kind   Kind
	Name   string // uiType, or uiType/actionType: at most 64 printable characters, but of any number of values
	Text   string
	HTML   string
	URL    string // as sent; may be relative to the instance
	// FromAgent says that a person wrote it. Such a Text is the words exactly as they were written.
	FromAgent bool
	Agent     Agent
	WaitTime  string // display text, to be shown as it is
	Options   []Option
	Multi     bool   // several options may be chosen
	Input     string // "text", "secret", "boolean", "date", "time", "datetime", "file", "picture"
	Card      *Card
	Table     *Table
	Links     []Link // also the sources that a text cites
}

// An Agent is what an item says of the person behind it. All may be empty.
type Agent struct {
	ID        string
	Name      string
	AvatarURL string // as sent; may be relative to the instance
}

// An Option is one choice of a picker. Value is what is sent back, or Label when there is none.
type Option struct {
	Label       string
	Value       string
	Description string
	ImageURL    string
}

// A Link is a labelled address.
type Link struct {
	Label       string
	URL         string
	Description string
}

// A Card is an OutputCard. Raw is its data, always valid JSON, when that could not be read.
type Card struct {
	Template    string
	Title       string
	Subtitle    string
	Description string
	ImageURL    string
	URL         string
	Fields      []Field
	Raw         json.RawMessage
}

// A Field is one labelled value of a card.
type Field struct{ Label, Value string }

// A Table is an OutputTable.
type Table struct {
	Headers []string
	Rows    [][]string
}
