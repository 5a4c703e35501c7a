package snow

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
)

const (
	opAgent  = "agent"
	opReport = "report"
)

// notEnabled finds, in an answer to UPDATE_MESSAGES, that the feature is off or unknown. Its wording is not documented.
var notEnabled = regexp.MustCompile(`(?i)\b(not (been )?(enabled|supported|activated|available|allowed)|disabled|unsupported|` +
	`(invalid|unknown|unrecogni[sz]ed) action)\b|third_party_chat`)

// nobodyThere is how the instance says, under a status and in a place that are not certain, that there is nobody for the chat.
const nobodyThere = "failed to add request to queue"

// saysNobody looks for it where an instance reports an error, and in the whole answer to a wish for an agent, unless that is an event:
// then it holds the employee's own words.
func saysNobody(op string, said verdict, body []byte) bool {
	text := said.text
	if op == opAgent && said.event == nil {
		text += "\n" + string(body)
	}
	return strings.Contains(strings.ToLower(text), nobodyThere)
}

// A botAnswer is the answer of the Bot Integration API: an acknowledgement, or, in synchronous mode, an event.
type botAnswer struct {
	Status json.RawMessage `json:"status"`
	Body   json.RawMessage `json:"body"`
	Error  json.RawMessage `json:"error"`
	Result json.RawMessage `json:"result"`
}

// judge says whether the instance took a request. event is the answer when that is an event itself.
func judge(op string, a answer, now time.Time) (event []byte, failed *Error) {
	body := bytes.TrimSpace(bytes.TrimPrefix(a.body, []byte("\ufeff")))
	said := readAnswer(body)
	fail := &Error{Op: op, StatusCode: a.status, Written: true}
	ok := a.status/100 == 2
	switch {
	case ok && len(body) == 0: // 204, and what some versions say to an action without an effect
		return nil, nil
	case ok && said.refused, saysNobody(op, said, body):
		fail.Refused = true
	case ok && said.isJSON:
		if op == opReport && notEnabled.MatchString(said.text) {
			fail.Refused = true
			break
		}
		return said.event, nil
	case ok && op == opReport && body[0] != '<': // documented as plain text
		if !notEnabled.Match(body) {
			return nil, nil
		}
		fail.Refused = true
	case ok, a.status/100 == 3:
		fail.NotJSON = true
	}
	if op == opReport && fail.reportsOff(said, body) {
		fail.Err = ErrNotEnabled
	}
	fail.RetryAfter = askedToWait(a.status, a.header, now)
	return nil, fail
}

// reportsOff tells whether a failed report means that the instance does not take any.
func (e *Error) reportsOff(said verdict, body []byte) bool {
	switch {
	case e.StatusCode == http.StatusMethodNotAllowed: // the documented status of functionality that is off
		return true
	case e.NotJSON || e.StatusCode/100 == 5 || e.StatusCode == http.StatusUnauthorized:
		return false
	case said.isJSON:
		return notEnabled.MatchString(said.text)
	}
	return len(body) > 0 && body[0] != '<' && notEnabled.Match(body)
}

// A verdict is an answer of the Bot Integration API, read.
type verdict struct {
	isJSON  bool
	refused bool
	text    string // what the instance says of an error, for our patterns only
	event   []byte
}

// readAnswer reads an answer of any shape: the instance's own, one wrapped in "result" as scripted endpoints do by
// default, one whose "error" is a word, or none at all.
func readAnswer(body []byte) verdict {
	if !json.Valid(body) {
		return verdict{}
	}
	v := verdict{isJSON: true}
	if s, ok := jsonString(body); ok {
		v.text = s
		return v
	}
	for range 2 {
		var a botAnswer
		if json.Unmarshal(body, &a) != nil {
			return v
		}
		status, _ := jsonString(a.Status)
		v.refused = v.refused || strings.EqualFold(strings.TrimSpace(status), "failure")
		if len(a.Error) > 0 {
			v.text += errorText(a.Error) + "\n"
		}
		if b := bytes.TrimSpace(a.Body); len(b) > 0 && (b[0] == '[' || b[0] == '{') && v.event == nil {
			v.event = body
		}
		if r := bytes.TrimSpace(a.Result); len(r) == 0 || r[0] != '{' {
			return v
		}
		body = a.Result
	}
	return v
}

// errorText returns the words of an error member: a string, or the message and detail of an object.
func errorText(raw json.RawMessage) string {
	if s, ok := jsonString(raw); ok {
		return s
	}
	var parts struct{ Message, Detail json.RawMessage }
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	message, _ := jsonString(parts.Message)
	detail, _ := jsonString(parts.Detail)
	return message + " " + detail
}

func jsonString(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}
