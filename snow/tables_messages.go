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

// A StoredChat is what the instance keeps of a session.
type StoredChat struct {
	// Found reports that there is a record of it that we may see.
	Found bool
	// Over reports that the instance takes it for ended.
	Over     bool
	Messages []StoredMessage // of agents, the oldest first
}

// A StoredMessage is a message of an agent as the instance keeps it.
type StoredMessage struct {
	At time.Time
	// Items are what the callback had that carried the message, as far as the record tells: their ids are the same. One that
	// nothing could be read of is KindUnknown without text.
	Items []Item
}

// ReadBack reads what agents wrote in a session since a time, and whether it is over: the way to what a callback lost. Times
// are in whole seconds, so messages of the same second as since are among them; of a conversation with more than
// 1,000 messages only the first 1,000 are looked at. It needs read access to sys_cs_conversation and sys_cs_message;
// without that the error has the status 403 or 404, or nothing is found.
func (c *Client) ReadBack(ctx context.Context, sessionID string, since time.Time) (StoredChat, error) {
	var chat StoredChat
	if !condition(sessionID) {
		return chat, nil
	}
	conversations, err := c.rows(ctx, opReadBack, "sys_cs_conversation", query{
		"sysparm_query":  "session.device_id=" + sessionID,
		"sysparm_fields": "sys_id,session.device_id,state",
		"sysparm_limit":  "5",
	})
	if err != nil {
		return chat, err
	}
	for _, r := range conversations {
		// What cannot be checked is left alone: it may be somebody else's chat.
		id := r.text("sys_id")
		if r.text("session.device_id") != sessionID || !condition(id) {
			continue
		}
		list, err := c.stored(ctx, id, since.Truncate(time.Second))
		if err != nil {
			return StoredChat{}, err
		}
		chat.Found = true
		chat.Over = chat.Over || over[strings.ToLower(r.text("state"))]
		chat.Messages = append(chat.Messages, list...)
	}
	slices.SortStableFunc(chat.Messages, func(a, b StoredMessage) int { return a.At.Compare(b.At) })
	return chat, nil
}

const opReadBack = "read back"

// over are the states of sys_cs_conversation that it does not leave any more.
var over = map[string]bool{"completed": true, "canceled": true, "cancelled": true, "faulted": true}

// stored reads the messages of one conversation since a time, which is compared here: in a query, it would be of the
// time zone of our user.
func (c *Client) stored(ctx context.Context, conversation string, since time.Time) ([]StoredMessage, error) {
	var out []StoredMessage
	for page := range storedPages {
		list, err := c.rows(ctx, opReadBack, "sys_cs_message", query{
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
			at, id := r.time("sys_created_on"), r.text("sys_id")
			if id == "" || r.text("conversation") != conversation || r.text("is_agent") != "true" || at.Before(since) {
				continue
			}
			out = append(out, StoredMessage{At: at, Items: storedItems(id, r.text("payload"))})
		}
		if len(list) < storedPage {
			break
		}
	}
	return out, nil
}

// storedItems reads the payload of a message: words as they are, the JSON of an item, or JSON that holds words in one of
// several places. An item that a payload makes besides has the id that it has in a callback.
func storedItems(id, payload string) []Item {
	it := Item{ID: id, Kind: KindText, FromAgent: true}
	o, ok := parseObject([]byte(payload))
	if !ok {
		it.Text = payload
		return []Item{it}
	}
	if scalar(o["uiType"]) != "" {
		items := decodeItem(o, it, maxNesting)
		for n := 1; n < len(items); n++ {
			items[n].ID = id + "#" + strconv.Itoa(n+1)
		}
		return items
	}
	text, system := storedText(payload)
	switch {
	case text == "":
		it.decodeUnknown(o)
		it.Name = "stored"
	case system:
		it.Kind, it.Text, it.FromAgent = KindSystem, text, false
	default:
		it.Text = text
	}
	return []Item{it}
}

// storedText finds the words in a payload that is a JSON object.
func storedText(payload string) (text string, system bool) {
	var p struct {
		Message, Text, TypedText, Value, Label, Type json.RawMessage
	}
	if json.Unmarshal([]byte(payload), &p) != nil {
		return "", false
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
