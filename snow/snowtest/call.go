package snowtest

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
	hasText                             bool
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
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNotObject
	}
	c := &call{
		requestID: str(m["requestId"]), sessionID: str(m["clientSessionId"]), userID: str(m["userId"]),
		email: str(m["emailId"]), action: str(m["action"]), token: str(m["token"]), appInboundID: str(m["appInboundId"]),
		message: m["message"], variables: object(m["clientVariables"]), context: object(m["contextVariables"]),
		silent: boolean(m["silentMessage"]),
	}
	if c.action == actionUpdate {
		c.readUpdates()
	} else {
		c.readMessage()
	}
	c.readHistory(m["history"])
	topic, intent := members(m["topic"]), members(m["intent"])
	c.topicName, c.topicID, c.intentID = str(topic["name"]), str(topic["id"]), str(intent["id"])
	return c, nil
}

// members reads an object. Anything else has none.
func members(raw json.RawMessage) (m map[string]json.RawMessage) {
	if object(raw) == nil || json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func (c *call) readMessage() {
	m := members(c.message)
	if m == nil {
		return
	}
	_, c.hasText = m["text"]
	c.text, c.clientMessageID = str(m["text"]), str(m["clientMessageId"])
	c.typed = true
	if typed := boolean(m["typed"]); typed != nil {
		c.typed = *typed
	}
	raw, ok := m["attachment"]
	if !ok {
		return
	}
	c.hasAttachment = true
	var one attachment
	if json.Unmarshal(raw, &c.attachments) != nil && json.Unmarshal(raw, &one) == nil {
		c.attachments = []attachment{one}
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
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m)
	for key, v := range m {
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

func str(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	if n := len(raw) - 1; n > 0 && raw[0] == '"' && raw[n] == '"' && plain(raw[1:n]) {
		return string(raw[1:n])
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// plain reports whether text stands in JSON as it is.
func plain(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// boolean reads true and "true".
func boolean(raw json.RawMessage) *bool {
	var b bool
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &b) != nil {
		b = strings.EqualFold(str(raw), "true")
	}
	return &b
}

// object returns raw when it is a JSON object.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) > 0 && raw[0] == '{' {
		return raw
	}
	return nil
}
