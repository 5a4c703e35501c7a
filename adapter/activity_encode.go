package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// MarshalJSON writes the typed fields that are not zero and then those of Extra, sorted. A typed
// field that is not zero wins over an entry of Extra with its name; an entry without a value is left
// out. Slices that are empty but not nil are written as [].
func (a Activity) MarshalJSON() ([]byte, error) { return marshal(&a) }

// MarshalJSON follows the rules of [Activity.MarshalJSON].
func (c ChannelAccount) MarshalJSON() ([]byte, error) { return marshal(&c) }

// MarshalJSON follows the rules of [Activity.MarshalJSON].
func (c ConversationAccount) MarshalJSON() ([]byte, error) { return marshal(&c) }

// MarshalJSON follows the rules of [Activity.MarshalJSON].
func (t Attachment) MarshalJSON() ([]byte, error) { return marshal(&t) }

// MarshalJSON follows the rules of [Activity.MarshalJSON].
func (e Entity) MarshalJSON() ([]byte, error) { return marshal(&e) }

// MarshalJSON follows the rules of [Activity.MarshalJSON], save that To and Actions are always
// written, since Teams wants both; only an object that came without one of them keeps that.
func (s SuggestedActions) MarshalJSON() ([]byte, error) { return marshal(&s) }

// MarshalJSON follows the rules of [Activity.MarshalJSON].
func (c CardAction) MarshalJSON() ([]byte, error) { return marshal(&c) }

// marshal also checks what callers have put in the raw fields.
func marshal(v appender) ([]byte, error) {
	b := v.appendJSON(make([]byte, 0, 1024))
	if bytes.IndexByte(b, invalid) >= 0 {
		return nil, errors.New("a raw field is not valid JSON")
	}
	return b, nil
}

func (a *Activity) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, a.Extra)
	o.str("type", a.Type)
	o.str("id", a.ID)
	o.str("timestamp", a.Timestamp)
	o.str("localTimestamp", a.LocalTimestamp)
	o.str("serviceUrl", a.ServiceURL)
	o.str("channelId", a.ChannelID)
	writeObject(&o, "from", a.From)
	writeObject(&o, "conversation", a.Conversation)
	writeObject(&o, "recipient", a.Recipient)
	o.str("text", a.Text)
	o.str("textFormat", a.TextFormat)
	o.str("speak", a.Speak)
	o.str("summary", a.Summary)
	o.str("locale", a.Locale)
	o.str("inputHint", a.InputHint)
	o.str("replyToId", a.ReplyToID)
	o.str("name", a.Name)
	o.str("action", a.Action)
	o.raw("value", a.Value)
	o.str("valueType", a.ValueType)
	o.raw("channelData", a.ChannelData)
	o.str("attachmentLayout", a.AttachmentLayout)
	writeArray(&o, "attachments", a.Attachments)
	writeObject(&o, "suggestedActions", a.SuggestedActions)
	writeArray(&o, "entities", a.Entities)
	writeArray(&o, "membersAdded", a.MembersAdded)
	writeArray(&o, "membersRemoved", a.MembersRemoved)
	return o.end()
}

func (c *ChannelAccount) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, c.Extra)
	o.str("id", c.ID)
	o.str("name", c.Name)
	o.str("aadObjectId", c.AADObjectID)
	o.str("role", c.Role)
	o.str("tenantId", c.TenantID)
	o.str("email", c.Email)
	o.str("userPrincipalName", c.UserPrincipalName)
	o.str("givenName", c.GivenName)
	o.str("surname", c.Surname)
	o.str("userRole", c.UserRole)
	return o.end()
}

func (c *ConversationAccount) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, c.Extra)
	o.str("id", c.ID)
	o.str("name", c.Name)
	o.str("conversationType", c.ConversationType)
	o.str("tenantId", c.TenantID)
	if c.IsGroup {
		o.key("isGroup")
		o.b = append(o.b, "true"...)
	}
	return o.end()
}

func (t *Attachment) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, t.Extra)
	o.str("contentType", t.ContentType)
	o.str("contentUrl", t.ContentURL)
	o.raw("content", t.Content)
	o.str("name", t.Name)
	o.str("thumbnailUrl", t.ThumbnailURL)
	return o.end()
}

func (e *Entity) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, e.Extra)
	o.str("type", e.Type)
	writeObject(&o, "mentioned", e.Mentioned)
	o.str("text", e.Text)
	return o.end()
}

func (s *SuggestedActions) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, s.Extra)
	if _, known := s.Extra["to"]; s.To != nil || !known {
		o.key("to")
		o.b = append(o.b, '[')
		for i, id := range s.To {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			o.b = appendString(o.b, id)
		}
		o.b = append(o.b, ']')
	}
	actions := s.Actions
	if _, known := s.Extra["actions"]; actions == nil && !known {
		actions = []CardAction{}
	}
	writeArray(&o, "actions", actions)
	return o.end()
}

func (c *CardAction) appendJSON(b []byte) []byte {
	o := newObjectWriter(b, c.Extra)
	o.str("type", c.Type)
	o.str("title", c.Title)
	o.raw("value", c.Value)
	return o.end()
}

// Clone returns a copy that shares no memory with a.
func (a *Activity) Clone() *Activity {
	if a == nil {
		return nil
	}
	c := *a
	c.From = clone(a.From, (*ChannelAccount).detach)
	c.Conversation = clone(a.Conversation, (*ConversationAccount).detach)
	c.Recipient = clone(a.Recipient, (*ChannelAccount).detach)
	c.Value = slices.Clone(a.Value)
	c.ChannelData = slices.Clone(a.ChannelData)
	c.Attachments = cloneAll(a.Attachments, (*Attachment).detach)
	c.SuggestedActions = clone(a.SuggestedActions, (*SuggestedActions).detach)
	c.Entities = cloneAll(a.Entities, (*Entity).detach)
	c.MembersAdded = cloneAll(a.MembersAdded, (*ChannelAccount).detach)
	c.MembersRemoved = cloneAll(a.MembersRemoved, (*ChannelAccount).detach)
	c.Extra = cloneExtra(a.Extra)
	return &c
}

// The detach methods replace what a shallow copy still shares with its original.

func (c *ChannelAccount) detach()      { c.Extra = cloneExtra(c.Extra) }
func (c *ConversationAccount) detach() { c.Extra = cloneExtra(c.Extra) }

func (t *Attachment) detach() {
	t.Content = slices.Clone(t.Content)
	t.Extra = cloneExtra(t.Extra)
}

func (e *Entity) detach() {
	e.Mentioned = clone(e.Mentioned, (*ChannelAccount).detach)
	e.Extra = cloneExtra(e.Extra)
}

func (s *SuggestedActions) detach() {
	s.To = slices.Clone(s.To)
	s.Actions = cloneAll(s.Actions, (*CardAction).detach)
	s.Extra = cloneExtra(s.Extra)
}

func (c *CardAction) detach() {
	c.Value = slices.Clone(c.Value)
	c.Extra = cloneExtra(c.Extra)
}

func clone[T any](p *T, detach func(*T)) *T {
	if p == nil {
		return nil
	}
	c := *p
	detach(&c)
	return &c
}

func cloneAll[T any](list []T, detach func(*T)) []T {
	list = slices.Clone(list)
	for i := range list {
		detach(&list[i])
	}
	return list
}

func cloneExtra(extra map[string]json.RawMessage) map[string]json.RawMessage {
	if extra == nil {
		return nil
	}
	c := make(map[string]json.RawMessage, len(extra))
	for k, v := range extra {
		c[k] = slices.Clone(v)
	}
	return c
}
