package snow

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Actions of the Bot Integration API.
const (
	actionAgent   = "AGENT"
	actionEnd     = "END_CONVERSATION"
	actionTyping  = "TYPING"
	actionViewing = "VIEWING"
	actionReceipt = "UPDATE_MESSAGES"
	actionHistory = "SEND_HISTORY"
)

// A botRequest is the body of a call of the Bot Integration API. The order of the fields is that of the wire.
type botRequest struct {
	RequestID        string            `json:"requestId,omitempty"`
	Action           string            `json:"action,omitempty"`
	Token            string            `json:"token,omitempty"`
	AppInboundID     string            `json:"appInboundId,omitempty"`
	ClientSessionID  string            `json:"clientSessionId"`
	SilentMessage    *bool             `json:"silentMessage,omitempty"`
	NowBotID         string            `json:"nowBotId,omitempty"`
	Message          any               `json:"message,omitempty"` // *botMessage or []botReceipt
	ContextVariables map[string]string `json:"contextVariables,omitempty"`
	UserID           string            `json:"userId"`
	EmailID          string            `json:"emailId,omitempty"`
	ClientVariables  Variables         `json:"clientVariables"`
	History          []botLine         `json:"history,omitempty"`
	Timestamp        int64             `json:"timestamp"` // ms
	Timezone         string            `json:"timezone,omitempty"`
}

// A botMessage without a file has no attachment field: even an empty one loses the message before release 3.14.2 of the Store app.
type botMessage struct {
	Text            string         `json:"text"`
	Typed           bool           `json:"typed"`
	ClientMessageID string         `json:"clientMessageId,omitempty"`
	Attachment      *botAttachment `json:"attachment,omitempty"`
}

// A botAttachment has no headers field: the instance would send what is in it back in clear, with every post.
type botAttachment struct {
	ContentType        string `json:"contentType"`
	FileName           string `json:"fileName"`
	URL                string `json:"url"`
	ClientAttachmentID string `json:"clientAttachmentId,omitempty"`
}

type botReceipt struct {
	ID     string        `json:"id"`
	Status ReceiptStatus `json:"status"`
}

type botLine struct {
	DisplayName  string `json:"displayName"`
	IsBotMessage bool   `json:"isBotMessage"`
	Value        string `json:"value"`
	Type         string `json:"type"`
	Timestamp    string `json:"timestamp"` // 13 digits, ms
}

func botLines(lines []HistoryLine, now time.Time) []botLine {
	var out []botLine
	for _, l := range lines {
		at := l.At
		if at.IsZero() {
			at = now
		}
		out = append(out, botLine{l.Name, l.Bot, l.Text, "text", strconv.FormatInt(at.UnixMilli(), 10)})
	}
	return out
}

// encode returns the compact JSON of v as JavaScript's JSON.stringify would write it, because that is what the instance
// computes the signature over.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return unescape(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// unescape writes out, in place, the three characters that encoding/json escapes and JSON.stringify does not: the line
// and paragraph separators, and what it puts for bytes that are not UTF-8.
func unescape(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\u2`)) && !bytes.Contains(b, []byte(`\uf`)) {
		return b
	}
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		if i+6 <= len(b) {
			switch string(b[i : i+6]) {
			case `\u2028`:
				out, i = append(out, "\u2028"...), i+5
				continue
			case `\u2029`:
				out, i = append(out, "\u2029"...), i+5
				continue
			case `\ufffd`:
				out, i = append(out, "\ufffd"...), i+5
				continue
			}
		}
		out, i = append(out, b[i], b[i+1]), i+1 // the two belong together: \\u2028 is no escape
	}
	return out
}

// authenticate adds what Message Auth wants to a request with the given body.
func (c *Client) authenticate(h http.Header, body []byte) {
	if c.messageToken != "" {
		h.Set("token", c.messageToken)
	}
	if len(c.hashSecret) > 0 {
		mac := hmac.New(sha1.New, c.hashSecret)
		mac.Write(body)
		h.Set("x-b2b-signature", hex.EncodeToString(mac.Sum(nil)))
	}
}
