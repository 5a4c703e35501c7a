package bot

import (
	"encoding/json"
	"strings"

	"snowbot/adapter"
)

// A verb is what a button of ours does. It comes back in the value of a message, as "snowbot".
type verb string

const (
	verbTalk   verb = "talk"   // ask for a person
	verbCancel verb = "cancel" // stop waiting for one
	verbEnd    verb = "end"    // end the chat with one
	verbTicket verb = "ticket" // create an incident
	verbAgain  verb = "again"  // send words again that were not delivered
	verbChoice verb = "choice" // answer a question of the agent
)

// A button is what a card of ours sends back. Nothing in it is trusted but the employee's own words.
type button struct {
	Verb    verb   `json:"snowbot"`
	Session string `json:"session,omitempty"`
	Text    string `json:"text,omitempty"`
	Title   string `json:"-"`

	// Choice and Time are the inputs of a question's card.
	Choice string `json:"choice,omitempty"`
	Time   string `json:"time,omitempty"`
}

// pressedButton returns the button of ours that an activity carries, or nil.
func pressedButton(a *adapter.Activity) *button {
	value := a.Value
	if a.Type == adapter.TypeInvoke { // Action.Execute wraps the data
		var wrapped struct {
			Action struct {
				Data json.RawMessage `json:"data"`
			} `json:"action"`
		}
		if json.Unmarshal(value, &wrapped) != nil {
			return nil
		}
		value = wrapped.Action.Data
	}
	var b button
	if len(value) == 0 || json.Unmarshal(value, &b) != nil || b.Verb == "" {
		return nil
	}
	b.Choice = strings.TrimSpace(b.Choice + " " + b.Time)
	return &b
}
