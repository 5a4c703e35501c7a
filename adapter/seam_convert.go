package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"
)

// toSchema returns a as the library's type, without what that cannot hold.
func toSchema(a *Activity) (schema.Activity, error) {
	encoded, err := json.Marshal(a)
	if err != nil {
		return schema.Activity{}, fmt.Errorf("activity for the bot: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return schema.Activity{}, fmt.Errorf("activity for the bot: %w", err)
	}
	// A value of the wrong type is passed over by encoding/json, but a time that it cannot read ends the decoding.
	for _, name := range []string{"timestamp", "localTimestamp", "expiration"} {
		var t time.Time
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, &t) != nil {
			delete(fields, name)
		}
	}
	delete(fields, "callerId") // it is for the receiver to say who called, not for the wire (Activity Protocol A2080)
	if encoded, err = json.Marshal(fields); err != nil {
		return schema.Activity{}, fmt.Errorf("activity for the bot: %w", err)
	}
	var s schema.Activity
	var mismatch *json.UnmarshalTypeError
	if err := json.Unmarshal(encoded, &s); err != nil && !errors.As(err, &mismatch) {
		return schema.Activity{}, fmt.Errorf("activity for the bot: %w", err)
	}
	return s, nil
}

// fromSchema returns what the library would have sent for s, without the zero values that its types
// cannot help encoding and that the other side refuses. It returns nil when s says nothing.
func fromSchema(s schema.Activity) (*Activity, error) {
	if s.Type == "" {
		s.Type = schema.Message
	}
	if s.Type == schema.Message && saysNothing(s) {
		return nil, nil
	}
	encoded, err := json.Marshal(s)
	if err != nil { // and err may quote it
		return nil, errors.New("answer of the bot cannot be encoded")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, errors.New("answer of the bot cannot be encoded")
	}
	// The channel sets these.
	for _, name := range []string{"id", "timestamp", "localTimestamp", "localTimezone", "callerId"} {
		delete(fields, name)
	}
	if s.Expiration.IsZero() {
		delete(fields, "expiration")
	}
	if len(s.SuggestedActions.Actions) == 0 {
		delete(fields, "suggestedActions")
	}
	if s.RelatesTo.Conversation.ID == "" || s.RelatesTo.ChannelID == "" {
		delete(fields, "relatesTo")
	}
	if s.SemanticAction.ID == "" || s.SemanticAction.State == "" || s.SemanticAction.Entities == nil {
		delete(fields, "semanticAction")
	}
	for _, name := range []string{"from", "conversation", "recipient"} {
		if string(fields[name]) == "{}" {
			delete(fields, name)
		}
	}
	if encoded, err = json.Marshal(fields); err != nil {
		return nil, errors.New("answer of the bot cannot be encoded")
	}
	a, err := DecodeActivity(encoded)
	if err != nil {
		return nil, err
	}
	if a.SuggestedActions != nil && a.SuggestedActions.To == nil {
		a.SuggestedActions.To = []string{} // required
	}
	return a, nil
}

// saysNothing reports whether a message has nothing that a person could see, and no data for a client either.
func saysNothing(s schema.Activity) bool {
	return s.Text == "" && s.Speak == "" && s.Summary == "" && len(s.Attachments) == 0 &&
		len(s.SuggestedActions.Actions) == 0 && len(s.Value) == 0 && len(s.ChannelData) == 0
}
