package adapter

import "encoding/json"

// Activity types that Teams sends or takes. Others exist and more may come; an unknown one is answered 200.
const (
	TypeMessage            = "message"
	TypeMessageUpdate      = "messageUpdate"
	TypeMessageDelete      = "messageDelete"
	TypeMessageReaction    = "messageReaction"
	TypeConversationUpdate = "conversationUpdate"
	TypeInstallationUpdate = "installationUpdate"
	TypeTyping             = "typing"
	TypeInvoke             = "invoke"
	TypeEvent              = "event"
)

// Values of Activity.TextFormat.
const (
	TextPlain    = "plain"
	TextMarkdown = "markdown" // what Teams takes when nothing is said
)

// Values of ConversationAccount.ConversationType.
const (
	Personal  = "personal"
	GroupChat = "groupChat"
	Channel   = "channel"
)

// An Activity is one Bot Framework event or message, in or out. The fields that snowbot works with
// are typed; all others survive decoding and encoding unchanged, here and in every object within.
// Value, ChannelData and Attachment.Content may be any JSON.
type Activity struct {
	Type             string               `json:"type,omitempty"`
	ID               string               `json:"id,omitempty"`
	Timestamp        string               `json:"timestamp,omitempty"`
	LocalTimestamp   string               `json:"localTimestamp,omitempty"`
	ServiceURL       string               `json:"serviceUrl,omitempty"`
	ChannelID        string               `json:"channelId,omitempty"`
	From             *ChannelAccount      `json:"from,omitempty"`
	Conversation     *ConversationAccount `json:"conversation,omitempty"`
	Recipient        *ChannelAccount      `json:"recipient,omitempty"`
	Text             string               `json:"text,omitempty"`
	TextFormat       string               `json:"textFormat,omitempty"`
	Speak            string               `json:"speak,omitempty"`
	Summary          string               `json:"summary,omitempty"`
	Locale           string               `json:"locale,omitempty"`
	InputHint        string               `json:"inputHint,omitempty"`
	ReplyToID        string               `json:"replyToId,omitempty"`
	Name             string               `json:"name,omitempty"`
	Action           string               `json:"action,omitempty"`
	Value            json.RawMessage      `json:"value,omitempty"`
	ValueType        string               `json:"valueType,omitempty"`
	ChannelData      json.RawMessage      `json:"channelData,omitempty"`
	AttachmentLayout string               `json:"attachmentLayout,omitempty"`
	Attachments      []Attachment         `json:"attachments,omitempty"`
	SuggestedActions *SuggestedActions    `json:"suggestedActions,omitempty"`
	Entities         []Entity             `json:"entities,omitempty"`
	MembersAdded     []ChannelAccount     `json:"membersAdded,omitempty"`
	MembersRemoved   []ChannelAccount     `json:"membersRemoved,omitempty"`

	// Extra holds the fields that have no typed place, and known ones whose value does not fit theirs
	// (see [DecodeActivity]).
	Extra map[string]json.RawMessage `json:"-"`
}

// A ChannelAccount is a user or a bot.
type ChannelAccount struct {
	ID                string `json:"id,omitempty"`
	Name              string `json:"name,omitempty"`
	AADObjectID       string `json:"aadObjectId,omitempty"`
	Role              string `json:"role,omitempty"`
	TenantID          string `json:"tenantId,omitempty"`
	Email             string `json:"email,omitempty"`
	UserPrincipalName string `json:"userPrincipalName,omitempty"`
	GivenName         string `json:"givenName,omitempty"`
	Surname           string `json:"surname,omitempty"`
	UserRole          string `json:"userRole,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// A ConversationAccount is a personal chat, a group chat, or a channel thread.
type ConversationAccount struct {
	ID               string `json:"id,omitempty"`
	Name             string `json:"name,omitempty"`
	ConversationType string `json:"conversationType,omitempty"`
	TenantID         string `json:"tenantId,omitempty"`
	IsGroup          bool   `json:"isGroup,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// An Attachment is a file, a picture or a card.
type Attachment struct {
	ContentType  string          `json:"contentType,omitempty"`
	ContentURL   string          `json:"contentUrl,omitempty"`
	Content      json.RawMessage `json:"content,omitempty"`
	Name         string          `json:"name,omitempty"`
	ThumbnailURL string          `json:"thumbnailUrl,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// An Entity is metadata of an activity, such as a mention.
type Entity struct {
	Type string `json:"type,omitempty"`
	// Mentioned and Text belong to the type "mention".
	Mentioned *ChannelAccount `json:"mentioned,omitempty"`
	Text      string          `json:"text,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// SuggestedActions are buttons under a message, shown in personal chats only.
type SuggestedActions struct {
	To      []string     `json:"to"`
	Actions []CardAction `json:"actions"`

	Extra map[string]json.RawMessage `json:"-"`
}

// A CardAction is a button.
type CardAction struct {
	Type  string          `json:"type,omitempty"`
	Title string          `json:"title,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// ContentTypeAdaptiveCard is that of an attachment that is an Adaptive Card.
const ContentTypeAdaptiveCard = "application/vnd.microsoft.card.adaptive"
