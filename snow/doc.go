// Package snow is the ServiceNow side of snowbot: the login, the client of the Virtual Agent Bot
// Integration API, and the webhook that takes what ServiceNow posts, in both dialects. It knows
// nothing of Teams and keeps nothing on disk.
//
// # Sending
//
// A [Client] calls one instance. [Client.RequestAgent], [Client.Say] and [Client.End] carry a chat;
// the instance answers when it has taken a request, and tells later, by its posts, what came of it.
// A repeat under the same ids has no second effect there, so a call whose outcome is not known may
// be made again. The client itself repeats nothing but a call that was answered 401, once, under a
// new token. [Error] tells what surely was not sent from what may have been. On an instance in
// synchronous mode the answer is an event itself; [ClientOptions.Accept] takes it.
//
// The token is shared by all calls and renewed before it ends. It goes to the instance alone.
//
// # Receiving
//
// [NewWebhook] serves what ServiceNow posts. ServiceNow waits 5 s for an answer and, as a rule, posts
// nothing twice: what is not taken is lost, unless [Client.ReadBack] gets it. So [DecodeEvent] is as
// tolerant as it can be, and an [Item] that nobody has seen before is kept with its text. An event
// says what was posted; what that means for a session is for the caller to decide.
//
// # Tables and files
//
// [Client.FindUser], [Client.CreateIncident] and [Client.ReadBack] use the Table API, each with the
// rights that its comment names. [Client.FetchMedia] gets a file, and only from where an instance
// keeps files.
//
// # Logs
//
// Errors and log lines of this package hold ids, statuses and codes; never the words of a message, a
// person's name or address, a token or a secret.
package snow
