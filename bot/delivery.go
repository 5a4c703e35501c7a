package bot

import (
	"encoding/json"

	"snowbot/adapter"
)

// Kinds of deliveries. They are stored and shown by metrics, so they do not change.
const (
	kindReply  = "reply"  // to Teams: what the bot says
	kindNotice = "notice" // to Teams: what snowbot says
	kindEnd    = "end"    // to Teams: the end of a session; to ServiceNow: END_CONVERSATION
	kindText   = "text"   // to Teams: what the agent says
	kindCard   = "card"   // to Teams: the status card
	// to Teams: that a question was answered, on its card
	kindAnswered = "answered"
	// to Teams: that words of the employee were not delivered
	kindFailure = "failure"

	kindAgent  = "agent"  // to ServiceNow: the request for an agent
	kindWords  = "words"  // to ServiceNow: what the employee says
	kindFile   = "file"   // to ServiceNow: a file that the employee sends
	kindRemark = "remark" // to ServiceNow: what snowbot says to the agent
	kindTicket = "ticket" // to ServiceNow: an incident

	kindTurn  = "turn"  // to the bot's handler
	kindFetch = "fetch" // in the bot's lane: a file that is held is fetched ahead
	kindTick  = "tick"  // to ServiceNow: what became of a message of the agent

	// among the links, since they go nowhere:
	kindLook   = "look"   // whether ServiceNow has fetched a file
	kindFormer = "former" // a session is noted, for which the record will have no room
)

// A body is the content of a delivery; the kind says which fields it has. Stored, sealed, as JSON.
type body struct {
	// Activity is what goes to Teams, or what the bot is asked.
	Activity *adapter.Activity `json:"activity,omitempty"`
	// MessageID is ServiceNow's id of the agent's message: it gets the tick.
	MessageID string `json:"messageId,omitempty"`
	// Part says that more of the message follows, and Agent that a person wrote it.
	Part  bool `json:"part,omitempty"`
	Agent bool `json:"agent,omitempty"`
	// Asks says that the activity is a card with something to choose.
	Asks bool `json:"asks,omitempty"`
	// Failed turns the tick into a failure.
	Failed bool `json:"failed,omitempty"`

	// Text is what goes to ServiceNow, and Selected says that it was chosen rather than typed.
	Text     string `json:"text,omitempty"`
	Selected bool   `json:"selected,omitempty"`
	// Question is the message in Teams with the question to which Text was chosen.
	Question string `json:"question,omitempty"`

	// File is where Teams has the file of the employee.
	File *adapter.FileRef `json:"file,omitempty"`
	// For is the delivery of the file that is fetched ahead, or that ServiceNow should have fetched by now.
	For string `json:"for,omitempty"`
	// Media is the file of the agent that Activity links to, which it does in case that the file cannot be had.
	Media *media `json:"media,omitempty"`

	// Owner is under whom the bot was asked.
	Owner int `json:"owner,omitempty"`
	// Intent is what was found in the employee's words.
	Intent Intent `json:"intent,omitempty"`
	// Version is that of the card; an older one than the session's is not sent.
	Version int `json:"version,omitempty"`
}

func (b body) encode() []byte {
	raw, err := json.Marshal(b)
	if err != nil {
		panic("bot: body of a delivery: " + err.Error()) // strings, numbers and an activity that was decoded from JSON
	}
	return raw
}

func decodeBody(raw []byte) (body, error) {
	var b body
	err := json.Unmarshal(raw, &b)
	return b, err
}

// A media is a file of the instance.
type media struct {
	URL   string `json:"url"`
	Label string `json:"label,omitempty"` // what the agent calls it
}

// A line is one line of the transcript.
type line struct {
	From string `json:"from"` // who: employee, bot, agent
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

const (
	fromEmployee = "employee"
	fromBot      = "bot"
	fromAgent    = "agent"
)
