package adaptertest

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxMessage   = 100 << 10 // bytes of the activity as UTF-16, pictures in it apart
	adaptiveCard = "application/vnd.microsoft.card.adaptive"
)

// dataPicture is a picture within an activity: it does not count for the size.
var dataPicture = regexp.MustCompile(`"data:image/[^"]*"`)

// An activity is what the emulator reads of what the bot sends.
type activity struct {
	Type             string            `json:"type"`
	ID               string            `json:"id"`
	Text             string            `json:"text"`
	TextFormat       string            `json:"textFormat"`
	Speak            string            `json:"speak"`
	Summary          string            `json:"summary"`
	Locale           string            `json:"locale"`
	Name             string            `json:"name"`
	InputHint        string            `json:"inputHint"`
	AttachmentLayout string            `json:"attachmentLayout"`
	ReplyToID        string            `json:"replyToId"`
	ServiceURL       string            `json:"serviceUrl"`
	ChannelID        string            `json:"channelId"`
	From             *account          `json:"from"`
	Recipient        *account          `json:"recipient"`
	Conversation     *account          `json:"conversation"`
	Attachments      []Attachment      `json:"attachments"`
	Entities         []entity          `json:"entities"`
	SuggestedActions *suggestedActions `json:"suggestedActions"`
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type entity struct {
	Type string `json:"type"`
}

type suggestedActions struct {
	To      []string `json:"to"`
	Actions []struct {
		Type  string `json:"type"`
		Title string `json:"title"`
	} `json:"actions"`
}

// An Attachment is a card, a picture or a file of a message.
type Attachment struct {
	ContentType string          `json:"contentType"`
	ContentURL  string          `json:"contentUrl,omitempty"`
	Content     json.RawMessage `json:"content,omitempty"`
	Name        string          `json:"name,omitempty"`
}

// readActivity decodes and checks an activity of the bot. A refusal is a response with a status.
func readActivity(r *request) (*activity, response) {
	if refusal := readJSON(r); refusal.status != 0 {
		return nil, refusal
	}
	if tooBig(r.body) {
		return nil, fail(http.StatusRequestEntityTooLarge, "MessageSizeTooBig", "Message size too large.")
	}
	a := new(activity)
	if err := json.Unmarshal(r.body, a); err != nil {
		return nil, badSyntax("Error converting value: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return a, a.check()
}

// readJSON checks what holds for every body: its content type, and that it is a JSON object.
func readJSON(r *request) response {
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return badSyntax("The content type has to be application/json.")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(r.body, " \t\r\n"), []byte("{")) || !utf8.Valid(r.body) {
		return badSyntax("Invalid or missing activity: the body has to be a JSON object.")
	}
	return response{}
}

// tooBig measures an activity as Teams does: in UTF-16, without the pictures in it.
func tooBig(body []byte) bool {
	if len(body) <= maxMessage/2 {
		return false // no character takes more bytes in UTF-16 than twice those in UTF-8
	}
	size := 0
	for _, r := range string(dataPicture.ReplaceAll(body, nil)) {
		size += 2
		if r > 0xffff {
			size += 2
		}
	}
	return size > maxMessage
}

func (a *activity) check() response {
	switch a.Type {
	case "":
		return badSyntax("Activity type is missing.")
	case "message", "typing":
	default:
		return badArgument("Unknown activity type")
	}
	if a.Type == "message" && strings.TrimSpace(a.Text) == "" && len(a.Attachments) == 0 && a.SuggestedActions == nil {
		return badSyntax("A message has to have text or attachments.")
	}
	switch {
	case !oneOf(a.TextFormat, "plain", "markdown", "xml", "extendedMarkdown"):
		return badArgument("Unknown textFormat")
	case !oneOf(a.AttachmentLayout, "list", "carousel", "grid"):
		return badArgument("Unknown attachmentLayout")
	case !oneOf(a.InputHint, "acceptingInput", "ignoringInput", "expectingInput"):
		return badArgument("Unknown inputHint")
	}
	for _, e := range a.Entities {
		if e.Type == "" {
			return badSyntax("An entity has no type.")
		}
	}
	if s := a.SuggestedActions; s != nil {
		if s.To == nil || len(s.Actions) == 0 {
			return badSyntax("Suggested actions need 'to' and 'actions'.")
		}
		for _, action := range s.Actions {
			if action.Type == "" || action.Title == "" {
				return badSyntax("A suggested action needs a type and a title.")
			}
		}
	}
	for i := range a.Attachments {
		if refusal := a.Attachments[i].check(); refusal.status != 0 {
			return refusal
		}
	}
	return response{}
}

func (t *Attachment) check() response {
	switch {
	case t.ContentType == "":
		return badSyntax("An attachment has no contentType.")
	case (len(t.Content) == 0 || string(t.Content) == "null") && t.ContentURL == "":
		return badSyntax("An attachment has neither content nor contentUrl.")
	case !strings.HasPrefix(t.ContentType, "application/vnd.microsoft.card."):
		return response{}
	}
	var card map[string]json.RawMessage
	if json.Unmarshal(t.Content, &card) != nil || card == nil {
		return badArgument("The content of a card has to be an object.")
	}
	if t.ContentType != adaptiveCard {
		return response{}
	}
	var kind, version string
	if json.Unmarshal(card["type"], &kind) != nil || kind != "AdaptiveCard" {
		return badArgument("The type of an Adaptive Card has to be AdaptiveCard.")
	}
	if json.Unmarshal(card["version"], &version) != nil {
		return badArgument("An Adaptive Card has to have a version.")
	}
	major, minor, ok := strings.Cut(version, ".")
	x, err := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	if !ok || err != nil || err2 != nil || x < 1 || x > 1 || y < 0 || y > 5 {
		return badArgument("The version of the Adaptive Card is not supported.")
	}
	return response{}
}

// belongs checks that an activity does not say that it is for another conversation or of somebody else.
func (a *activity) belongs(v *Conversation) response {
	switch {
	case a.From != nil && a.From.ID != "" && a.From.ID != v.channel.BotID() && a.From.ID != v.channel.AppID():
		return badArgument("The sender is not the bot.")
	case a.Conversation != nil && a.Conversation.ID != "" && a.Conversation.ID != v.id:
		return badArgument("The conversation of the activity is not that of the address.")
	case a.Recipient != nil && a.Recipient.ID != "" && v.kind == Personal && !v.has(a.Recipient.ID):
		// A group is addressed as a whole: Microsoft's framework answers somebody who has left by their id.
		return badArgument("The recipient is not in the conversation.")
	case a.ChannelID != "" && a.ChannelID != "msteams":
		return badArgument("Unknown channel.")
	}
	return response{}
}

func oneOf(got string, want ...string) bool { return got == "" || slices.Contains(want, got) }

func badSyntax(why string) response   { return fail(http.StatusBadRequest, "BadSyntax", why) }
func badArgument(why string) response { return fail(http.StatusBadRequest, "BadArgument", why) }

// A window allows n requests in any stretch of time of length d.
type window struct {
	n int
	d time.Duration
}

// The sliding windows of one bot in one conversation, as Teams documents them.
var (
	sendWindows   = []window{{7, time.Second}, {8, 2 * time.Second}, {60, 30 * time.Second}, {1800, time.Hour}}
	memberWindows = []window{{14, time.Second}, {16, 2 * time.Second}, {120, 30 * time.Second}, {3600, time.Hour}}
)

// A meter remembers when the latest requests were let through. Refused ones do not count.
type meter struct {
	at   []int64 // a ring once it holds as many as the widest window allows
	next int
}

// take records a request and returns 0, or returns how long to wait when a window is full.
func (m *meter) take(now time.Time, windows []window) time.Duration {
	var wait time.Duration
	t := now.UnixNano()
	for _, w := range windows {
		if len(m.at) < w.n {
			continue
		}
		// The n-th latest request has to have left the window.
		i := m.next - w.n
		if i < 0 {
			i += len(m.at)
		}
		wait = max(wait, time.Duration(m.at[i]+int64(w.d)-t))
	}
	if wait > 0 {
		return wait
	}
	if widest := windows[len(windows)-1].n; len(m.at) < widest {
		m.at = append(m.at, t)
		m.next = len(m.at) % widest
		return 0
	}
	m.at[m.next] = t
	m.next = (m.next + 1) % len(m.at)
	return 0
}

// A tenantMeter is the meter of all requests of the app in the tenant.
type tenantMeter struct {
	mu sync.Mutex
	meter
}

func (m *tenantMeter) take(now time.Time, perSecond int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meter.take(now, []window{{perSecond, time.Second}})
}
