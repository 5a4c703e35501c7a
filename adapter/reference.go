package adapter

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
