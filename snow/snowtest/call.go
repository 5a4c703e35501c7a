package snowtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The actions of the Bot Integration API that the emulator knows.
const (
	actionAgent        = "AGENT"
	actionStart        = "START_CONVERSATION"
	actionCreate       = "CREATE_CONVERSATION"
	actionStartCreated = "START_CREATED_CONVERSATION"
	actionEnd          = "END_CONVERSATION"
	actionSwitch       = "SWITCH"
	actionTyping       = "TYPING"
	actionViewing      = "VIEWING"
	actionTimezone     = "SET_USER_TIMEZONE"
	actionFault        = "FAULT_CONVERSATION"
	actionHistory      = "SEND_HISTORY"
	actionUpdate       = "UPDATE_MESSAGES"
)

// A call is a request of the Bot Integration API. Names are case-sensitive, as they are in JavaScript.
type call struct {
	requestID, sessionID, userID, email string
	action, token, appInboundID         string
	message, variables, context         json.RawMessage
	text, clientMessageID               string
	typed                               bool
	hasAttachment                       bool // the key is there, whatever its value
	attachments                         []attachment
	silent                              *bool
	history                             []HistoryLine
	topicName, topicID, intentID        string
	updates                             []update
	updatesOK                           bool
}

// An attachment is a file that the instance is to fetch.
type attachment struct {
	ContentType string            `json:"contentType"`
	FileName    string            `json:"fileName"`
	URL         string            `json:"url"`
	Headers     map[string]string `json:"headers"`
}

// An update is what UPDATE_MESSAGES says of one agent message.
type update struct {
	ID, Status string
	Text       *string
}

var errNotObject = errors.New("body is no JSON object")

// decodeCall reads a request. It fails only when the body is no JSON object; wrong types are read as absent.
func decodeCall(body []byte) (*call, error) {
	if !json.Valid(body) || object(bytes.TrimLeft(body, " \t\r\n")) == nil {
		return nil, errNotObject
	}
	c := &call{}
	var history json.RawMessage
	for name, v := range members(body) {
		switch name {
		case "requestId":
			c.requestID = str(v)
		case "clientSessionId":
			c.sessionID = str(v)
		case "userId":
			c.userID = str(v)
		case "emailId":
			c.email = str(v)
		case "action":
			c.action = str(v)
		case "token":
			c.token = str(v)
		case "appInboundId":
			c.appInboundID = str(v)
		case "message":
			c.message = v
		case "clientVariables":
			c.variables = object(v)
		case "contextVariables":
			c.context = object(v)
		case "silentMessage":
			c.silent = boolean(v)
		case "history":
			history = v
		case "topic":
			c.topicName, c.topicID = str(member(v, "name")), str(member(v, "id"))
		case "intent":
			c.intentID = str(member(v, "id"))
		}
	}
	if c.action == actionUpdate {
		c.readUpdates()
	} else {
		c.readMessage()
	}
	c.readHistory(history)
	return c, nil
}

func (c *call) readMessage() {
	c.typed = object(c.message) != nil
	for name, v := range members(c.message) {
		switch name {
		case "text":
			c.text = str(v)
		case "clientMessageId":
			c.clientMessageID = str(v)
		case "typed":
			typed := boolean(v)
			c.typed = typed == nil || *typed
		case "attachment":
			c.hasAttachment = true
			var one attachment
			if json.Unmarshal(v, &c.attachments) != nil && json.Unmarshal(v, &one) == nil {
				c.attachments = []attachment{one}
			}
		}
	}
}

func (c *call) readUpdates() {
	var list []map[string]json.RawMessage
	c.updatesOK = json.Unmarshal(c.message, &list) == nil && list != nil
	for _, m := range list {
		u := update{ID: str(m["id"]), Status: strings.ToLower(str(m["status"]))}
		if raw, ok := m["text"]; ok {
			text := str(raw)
			u.Text = &text
		}
		c.updates = append(c.updates, u)
	}
}

// readHistory takes lines of type text; the type is case-sensitive, and a time stamp is a string of 13 digits.
func (c *call) readHistory(raw json.RawMessage) {
	var list []map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return
	}
	for _, m := range list {
		if str(m["type"]) != "text" {
			continue
		}
		l := HistoryLine{Name: str(m["displayName"]), Text: str(m["value"])}
		if bot := boolean(m["isBotMessage"]); bot != nil {
			l.Bot = *bot
		}
		if stamp := str(m["timestamp"]); len(stamp) == 13 {
			if ms, err := strconv.ParseInt(stamp, 10, 64); err == nil {
				l.At = time.UnixMilli(ms).UTC()
			}
		}
		c.history = append(c.history, l)
	}
}

// value reads one of the context variables, whose names are compared without case.
func (c *call) value(name string) string { return contextValue(c.context, name) }

func contextValue(raw json.RawMessage, name string) string {
	for key, v := range members(raw) {
		if strings.EqualFold(key, name) {
			return str(v)
		}
	}
	return ""
}

// isSelection reports a value the user chose rather than words.
func (c *call) isSelection(value string) bool {
	return strings.EqualFold(strings.TrimSpace(c.text), value)
}
