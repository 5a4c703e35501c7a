package snow

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Messages are read back in pages, up to a number of them.
const (
	storedPage  = 200
	storedPages = 5
)

// A StoredMessage is a message towards the employee as the instance keeps it.
type StoredMessage struct {
	ID     string // equals [Item.ID] of the callback that carried it
	Text   string // empty when the payload has none that we could find
	System bool   // ServiceNow itself says it
	At     time.Time
}

// Messages reads back what agents wrote in a session since a time, oldest first: the way to what a callback lost. Times
// are in whole seconds, so messages of the same second as since are among them; of a conversation with more than
// 1,000 messages only the first 1,000 are looked at. It needs read access to sys_cs_conversation and sys_cs_message;
// without that the error has the status 403 or 404, or nothing is found.
func (c *Client) Messages(ctx context.Context, sessionID string, since time.Time) ([]StoredMessage, error) {
	if !condition(sessionID) {
		return nil, nil
	}
	conversations, err := c.rows(ctx, "messages", "sys_cs_conversation", query{
		"sysparm_query":  "session.device_id=" + sessionID,
		"sysparm_fields": "sys_id,session.device_id",
		"sysparm_limit":  "5",
	})
	if err != nil {
		return nil, err
	}
	var all []StoredMessage
	for _, r := range conversations {
		// What cannot be checked is left alone: it may be somebody else's chat.
		if id := r.text("sys_id"); r.text("session.device_id") == sessionID && condition(id) {
			list, err := c.stored(ctx, id, since.Truncate(time.Second))
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
	}
	slices.SortStableFunc(all, func(a, b StoredMessage) int { return a.At.Compare(b.At) })
	return all, nil
}

// stored reads the messages of one conversation since a time, which is compared here: in a query, it would be of the
// time zone of our user.
func (c *Client) stored(ctx context.Context, conversation string, since time.Time) ([]StoredMessage, error) {
	var out []StoredMessage
	for page := range storedPages {
		list, err := c.rows(ctx, "messages", "sys_cs_message", query{
			"sysparm_query":                  "conversation=" + conversation + "^is_agent=true^direction=outbound^ORDERBYsys_created_on",
			"sysparm_fields":                 "sys_id,conversation,is_agent,direction,payload,sys_created_on",
			"sysparm_limit":                  strconv.Itoa(storedPage),
			"sysparm_offset":                 strconv.Itoa(page * storedPage),
			"sysparm_exclude_reference_link": "true",
		})
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			at := r.time("sys_created_on")
			if r.text("conversation") != conversation || r.text("is_agent") != "true" || at.Before(since) {
				continue
			}
			text, system := storedText(r.text("payload"))
			out = append(out, StoredMessage{ID: r.text("sys_id"), Text: text, System: system, At: at})
		}
		if len(list) < storedPage {
			break
		}
	}
	return out, nil
}

// storedText reads a payload: words as they are, or JSON that holds them in one of several places.
func storedText(payload string) (text string, system bool) {
	if !strings.HasPrefix(strings.TrimSpace(payload), "{") {
		return payload, false
	}
	var p struct {
		Message, Text, TypedText, Value, Label, Type json.RawMessage
	}
	if json.Unmarshal([]byte(payload), &p) != nil {
		return payload, false // somebody wrote a brace
	}
	var inner struct{ Text json.RawMessage }
	message, ok := jsonString(p.Message)
	if !ok && json.Unmarshal(p.Message, &inner) == nil {
		message, _ = jsonString(inner.Text)
	}
	first := func(raw ...json.RawMessage) (s string) {
		for _, r := range raw {
			v, _ := jsonString(r)
			s = cmp.Or(s, v)
		}
		return s
	}
	kind, _ := jsonString(p.Type)
	return cmp.Or(message, first(p.Text, p.TypedText, p.Value, p.Label)), strings.EqualFold(kind, "System")
}
