package bot

// TextKey names a sentence that a person sees. The names are those of the configuration file, so
// they do not change.
type TextKey string

// What the bot says by itself.
const (
	TextGreeting      TextKey = "greeting"
	TextHelp          TextKey = "help"
	TextAboutAgents   TextKey = "aboutAgents"   // answers a question about agents, and offers one
	TextNotUnderstood TextKey = "notUnderstood" // offers a person
)

// The status card of a session.
const (
	TextCardConnectingTitle       TextKey = "cardConnectingTitle"
	TextCardConnecting            TextKey = "cardConnecting"
	TextCardWaitingTitle          TextKey = "cardWaitingTitle"
	TextCardWaiting               TextKey = "cardWaiting"
	TextCardWaitingTime           TextKey = "cardWaitingTime" // {time}, as ServiceNow words it
	TextCardConnectedTitle        TextKey = "cardConnectedTitle"
	TextCardConnected             TextKey = "cardConnected"        // {name}
	TextCardConnectedUnnamed      TextKey = "cardConnectedUnnamed" // the agent's name is not known
	TextCardEndedTitle            TextKey = "cardEndedTitle"
	TextCardEndedByAgent          TextKey = "cardEndedByAgent"
	TextCardEndedByEmployee       TextKey = "cardEndedByEmployee"
	TextCardEndedCancelled        TextKey = "cardEndedCancelled"
	TextCardEndedNoAgents         TextKey = "cardEndedNoAgents"
	TextCardEndedFailed           TextKey = "cardEndedFailed"
	TextCardEndedTimedOut         TextKey = "cardEndedTimedOut"
	TextCardEndedBlocked          TextKey = "cardEndedBlocked"
	TextCardEndedErased           TextKey = "cardEndedErased"
	TextButtonCancel              TextKey = "buttonCancel"
	TextButtonEnd                 TextKey = "buttonEnd"
	TextButtonSendAgain           TextKey = "buttonSendAgain"
	TextButtonTicket              TextKey = "buttonTicket"
	TextButtonTalkToPerson        TextKey = "buttonTalkToPerson"
	TextNoticeJoined              TextKey = "noticeJoined" // {name}
	TextNoticeJoinedUnnamed       TextKey = "noticeJoinedUnnamed"
	TextNoticeMention             TextKey = "noticeMention"     // a group: what does not mention the bot may not reach it
	TextNoticeTransferred         TextKey = "noticeTransferred" // {name}
	TextNoticeEndedByAgent        TextKey = "noticeEndedByAgent"
	TextNoticeEndedByEmployee     TextKey = "noticeEndedByEmployee"
	TextNoticeCancelled           TextKey = "noticeCancelled"
	TextNoticeNoAgents            TextKey = "noticeNoAgents"
	TextNoticeFailed              TextKey = "noticeFailed"
	TextNoticeTimedOut            TextKey = "noticeTimedOut"
	TextNoticeTooLong             TextKey = "noticeTooLong"     // the longest session is over
	TextNoticeErased              TextKey = "noticeErased"      // an admin erases the conversation
	TextNoticeNoCallback          TextKey = "noticeNoCallback"  // ServiceNow took the request and then stayed silent
	TextNoticeIdleWarning         TextKey = "noticeIdleWarning" // {minutes}, a number
	TextNoticeOutage              TextKey = "noticeOutage"
	TextNoticeOutageOver          TextKey = "noticeOutageOver"
	TextNoticeUnreachable         TextKey = "noticeUnreachable"  // asked for a person during an outage
	TextNoticeLapsed              TextKey = "noticeLapsed"       // back after ServiceNow closed a silent chat; offers another one
	TextNoticeNotDelivered        TextKey = "noticeNotDelivered" // the reason is not known
	TextNoticeNotDeliveredTooOld  TextKey = "noticeNotDeliveredTooOld"
	TextNoticeNotDeliveredOver    TextKey = "noticeNotDeliveredOver" // the chat had ended
	TextNoticeNotDeliveredRefused TextKey = "noticeNotDeliveredRefused"
	TextNoticeElsewhere           TextKey = "noticeElsewhere" // a live session in another chat
	TextNoticeStillConnecting     TextKey = "noticeStillConnecting"
	TextNoticeAlreadyConnected    TextKey = "noticeAlreadyConnected"
	TextNoticeNothingToCancel     TextKey = "noticeNothingToCancel"
	TextNoticeNothingToEnd        TextKey = "noticeNothingToEnd"
	TextNoticeNotYours            TextKey = "noticeNotYours"  // somebody pressed a button that another person was offered
	TextBotFailed                 TextKey = "botFailed"       // the bot's own handler gave no answer
	TextFileNotRelayed            TextKey = "fileNotRelayed"  // a file did not reach the agent
	TextFileTooBig                TextKey = "fileTooBig"      // {name}, {limit}, such as "10 MB"
	TextFileTypeRefused           TextKey = "fileTypeRefused" // {name}
	TextFileExpired               TextKey = "fileExpired"     // {name}: Teams does not have it any more
	TextFileFailed                TextKey = "fileFailed"      // {name}: for another reason
	TextFileNotFetched            TextKey = "fileNotFetched"  // {name}: ServiceNow was told of it, and did not fetch it
)

// Tickets.
const (
	TextTicketOffer   TextKey = "ticketOffer"
	TextTicketPending TextKey = "ticketPending"
	TextTicketCreated TextKey = "ticketCreated" // {number}
	TextTicketFailed  TextKey = "ticketFailed"
	TextTicketGone    TextKey = "ticketGone"  // of a chat long ago, or of another conversation
	TextTicketTitle   TextKey = "ticketTitle" // the ticket's short description, which the agent reads
)

// What stands beside an agent's pictures, files, choices and dates.
const (
	TextAgentSentPicture  TextKey = "agentSentPicture"
	TextPickerSend        TextKey = "pickerSend"
	TextPickerPlaceholder TextKey = "pickerPlaceholder"
	TextChoose            TextKey = "choose"
	TextDateSend          TextKey = "dateSend"
	TextDate              TextKey = "date" // labels an input
	TextTime              TextKey = "time" // labels an input
)

// What the agent reads.
const (
	TextEditedPrefix             TextKey = "editedPrefix" // stands before the corrected words
	TextDeletedNotice            TextKey = "deletedNotice"
	TextAgentBlocked             TextKey = "agentBlocked"      // the employee blocked or removed the bot
	TextAgentRemoved             TextKey = "agentRemoved"      // the bot is no longer in the conversation
	TextAgentDisabled            TextKey = "agentDisabled"     // by an admin
	TextAgentNotDelivered        TextKey = "agentNotDelivered" // for another reason than the next ones
	TextAgentNotDeliveredTooOld  TextKey = "agentNotDeliveredTooOld"
	TextAgentNotDeliveredTooBig  TextKey = "agentNotDeliveredTooBig"
	TextAgentNotDeliveredUnclear TextKey = "agentNotDeliveredUnclear" // it may have been shown
	TextAttachmentNotRelayed     TextKey = "attachmentNotRelayed"     // a file could not be passed on
)

// placeholders are the values of each sentence that has any, in the order of [Texts.Say].
var placeholders = map[TextKey][]string{
	TextCardWaitingTime:   {"time"},
	TextCardConnected:     {"name"},
	TextNoticeJoined:      {"name"},
	TextNoticeTransferred: {"name"},
	TextNoticeIdleWarning: {"minutes"},
	TextTicketCreated:     {"number"},
	TextFileTooBig:        {"name", "limit"},
	TextFileTypeRefused:   {"name"},
	TextFileExpired:       {"name"},
	TextFileFailed:        {"name"},
	TextFileNotFetched:    {"name"},
}
