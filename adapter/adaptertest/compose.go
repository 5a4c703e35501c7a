package adaptertest

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"time"
)

// An outgoing is an activity as Teams posts it. Its fields, and those within them, are in the order of their names: so are
// the fields that somebody sets on top.
type outgoing struct {
	Attachments    []any        `json:"attachments,omitempty"`
	ChannelData    *channelData `json:"channelData"`
	ChannelID      string       `json:"channelId"`
	Conversation   chat         `json:"conversation"`
	Entities       []any        `json:"entities,omitempty"`
	From           sender       `json:"from"`
	ID             string       `json:"id"`
	LocalTimestamp string       `json:"localTimestamp"`
	LocalTimezone  string       `json:"localTimezone"`
	Locale         *string      `json:"locale,omitempty"`
	Recipient      account      `json:"recipient"`
	ServiceURL     string       `json:"serviceUrl"`
	Text           *string      `json:"text,omitempty"`
	TextFormat     string       `json:"textFormat,omitempty"`
	Timestamp      string       `json:"timestamp"`
	Type           string       `json:"type,omitempty"`
}

type chat struct {
	ConversationType string `json:"conversationType"`
	ID               string `json:"id"`
	IsGroup          bool   `json:"isGroup,omitempty"`
	TenantID         string `json:"tenantId"`
}

type sender struct {
	AADObjectID string `json:"aadObjectId"`
	ID          string `json:"id"`
	Name        string `json:"name"`
}

type channelData struct {
	Channel   *named `json:"channel,omitempty"`
	EventType string `json:"eventType,omitempty"`
	Team      *named `json:"team,omitempty"`
	Tenant    named  `json:"tenant"`
}

// A named is something of which nothing but the id is told.
type named struct {
	ID string `json:"id"`
}

// A clientInfo is the entity that says what a person writes with.
type clientInfo struct {
	Country  string `json:"country"`
	Locale   string `json:"locale"`
	Platform string `json:"platform"`
	Timezone string `json:"timezone"`
	Type     string `json:"type"`
}

type mention struct {
	Mentioned account `json:"mentioned"`
	Text      string  `json:"text"`
	Type      string  `json:"type"`
}

// A richText is the attachment that has the HTML of a text.
type richText struct {
	Content     string `json:"content"`
	ContentType string `json:"contentType"`
}

func clientOf(u User) clientInfo {
	return clientInfo{Country: "US", Locale: u.Locale, Platform: "Web", Timezone: "Europe/Berlin", Type: "clientInfo"}
}

// words is the message that a person types. Its HTML ends with markup.
func (v *Conversation) words(u User, text, markup string) outgoing {
	c := v.channel
	entities := []any{clientOf(u)}
	rich := strings.ReplaceAll(html.EscapeString(text), "\n", "</p>\n<p>")
	plain := text
	if c.opt.LoseLineBreaks {
		plain = strings.ReplaceAll(text, "\n", " ")
	}
	if v.kind != Personal {
		at := "<at>" + html.EscapeString(c.opt.BotName) + "</at>"
		plain = at + " " + plain
		rich = `<span itemtype="http://schema.skype.com/Mention" itemscope="" itemid="0">` + html.EscapeString(c.opt.BotName) + "</span>&nbsp;" + rich
		entities = append(entities, mention{Mentioned: c.botAccount(), Text: at, Type: "mention"})
	}
	return outgoing{
		Type: "message", Text: &plain, TextFormat: "plain", Locale: &u.Locale, Entities: entities,
		Attachments: []any{richText{Content: "<p>" + rich + "</p>" + markup, ContentType: "text/html"}},
	}
}

func (c *Channel) botAccount() account { return account{ID: c.BotID(), Name: c.opt.BotName} }

// compose builds an activity: what every activity has is added to a, and the fields are set on top. The caller holds the
// lock.
func (v *Conversation) compose(u User, id string, a outgoing, fields map[string]any) (Posted, error) {
	c := v.channel
	now := c.now()
	a.ID, a.ChannelID, a.ServiceURL = id, "msteams", c.ServiceURL()
	a.Timestamp = now.UTC().Format("2006-01-02T15:04:05.0000000Z")
	a.LocalTimestamp = now.In(berlin()).Format("2006-01-02T15:04:05.0000000-07:00")
	a.LocalTimezone = "Europe/Berlin"
	a.From = sender{AADObjectID: u.AADObjectID, ID: u.ID, Name: u.Name}
	a.Recipient = c.botAccount()
	a.Conversation = chat{ConversationType: v.kind, ID: v.id, IsGroup: v.kind != Personal, TenantID: c.opt.TenantID}
	if a.ChannelData == nil {
		a.ChannelData = v.channelData("")
	}
	b, err := json.Marshal(a)
	if err == nil && len(fields) > 0 {
		b, err = overlay(b, fields)
	}
	if err != nil {
		return Posted{}, fmt.Errorf("building an activity: %w", err)
	}
	return Posted{ActivityID: id, activity: b, serviceURL: a.ServiceURL}, nil
}

// overlay sets fields of a JSON object; a nil removes one.
func overlay(object []byte, fields map[string]any) ([]byte, error) {
	var all map[string]json.RawMessage
	err := json.Unmarshal(object, &all)
	if err != nil {
		return nil, err
	}
	for name, f := range fields {
		if f == nil {
			delete(all, name)
		} else if all[name], err = json.Marshal(f); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

// berlin is a zone with the offset of a summer there, so that no time zone data is needed.
func berlin() *time.Location { return time.FixedZone("", 2*60*60) }

func (v *Conversation) channelData(event string) *channelData {
	d := &channelData{EventType: event, Tenant: named{v.channel.opt.TenantID}}
	if v.team != "" {
		d.Team, d.Channel = &named{v.team}, &named{v.team}
	}
	return d
}
