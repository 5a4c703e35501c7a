package adapter

import (
	"bytes"
	"encoding/json"
	"strings"
)

// teamsChannel is the channelId of Microsoft Teams.
const teamsChannel = "msteams"

// threadMark stands between the id of a channel and the id of the post that a thread hangs from.
const threadMark = ";messageid="

// A Reference is a conversation reference: what is needed to speak to a conversation later. It is
// taken anew from every authenticated activity, because Microsoft may change the service URL.
type Reference struct {
	ServiceURL       string `json:"serviceUrl"`
	ChannelID        string `json:"channelId,omitempty"`
	ConversationID   string `json:"conversationId"` // with ";messageid=" in a channel thread
	ConversationType string `json:"conversationType,omitempty"`
	TenantID         string `json:"tenantId,omitempty"`
	UserID           string `json:"userId,omitempty"`    // 29:…
	UserAADID        string `json:"userAadId,omitempty"` // Entra object id
	UserName         string `json:"userName,omitempty"`
	BotID            string `json:"botId,omitempty"` // 28:<app id>
	BotName          string `json:"botName,omitempty"`
	Locale           string `json:"locale,omitempty"`
}

// Reference returns the reference of the conversation that a, which came in, belongs to. A message at
// the top level of a channel starts a thread: its own id becomes the root, so that an answer lands
// under it and what is said there later has the same conversation id.
func (a *Activity) Reference() Reference {
	r := Reference{ServiceURL: a.ServiceURL, ChannelID: a.ChannelID, TenantID: a.TenantID(), Locale: a.Locale}
	if c := a.Conversation; c != nil {
		r.ConversationID, r.ConversationType = c.ID, c.ConversationType
		if c.ConversationType == Channel && a.Type == TypeMessage && !strings.Contains(c.ID, threadMark) && isRoot(a.ID) {
			r.ConversationID += threadMark + a.ID
		}
	}
	if u := a.From; u != nil {
		r.UserID, r.UserAADID, r.UserName = u.ID, u.AADObjectID, u.Name
	}
	if b := a.Recipient; b != nil {
		r.BotID, r.BotName = b.ID, b.Name
	}
	return r
}

// isRoot reports whether id can be the root of a channel thread, which is a number but never zero.
func isRoot(id string) bool {
	return id != "" && strings.Trim(id, "0123456789") == "" && strings.Trim(id, "0") != ""
}

// TenantID returns the Entra tenant that a comes from: conversation.tenantId, else
// channelData.tenant.id, else "". Names match exactly, as in [DecodeActivity].
func (a *Activity) TenantID() string {
	if a.Conversation != nil && a.Conversation.TenantID != "" {
		return a.Conversation.TenantID
	}
	if !json.Valid(a.ChannelData) {
		return ""
	}
	var id string
	readString(&id, member(member(bytes.TrimSpace(a.ChannelData), "tenant"), "id"))
	return id
}
