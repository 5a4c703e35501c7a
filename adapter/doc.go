// Package adapter is the Bot Framework side of a bot in Microsoft Teams: the activity model, the verification
// of what Microsoft sends, and the client of the Bot Connector through which Teams is answered. It knows
// nothing of ServiceNow and keeps nothing on disk, so that any Go bot can be built on it.
//
// # Receiving
//
// [NewHandler] serves POST /api/messages: it bounds and reads the request, lets a [Verifier] check who sent it,
// and hands an [Activity] to the bot. The bot's nil is the answer 200, after which Microsoft forgets the
// activity. Teams repeats an activity that was not answered within about 15 seconds; conversation and
// activity id tell a repeat. Nothing about the order of two activities is promised.
//
// Run the verifier's [Verifier.Run] beside the server, so that keys are at hand before the first activity comes, and
// stay fresh. Without it the requests that need keys fetch them.
//
// # Sending
//
// A [Connector] sends to where a [Reference] says; [Activity.Reference] takes one from what came in, and it
// may be kept and used later, without anybody having asked. A [TokenSource] of [NewTokenSource] has the
// bot's own token, by password, certificate, managed identity or federated token. The Connector neither
// paces nor repeats: its errors, of type [Error], tell what surely was not sent from what may have been.
// Teams takes about 7 messages a second in one conversation.
//
// The token is like a password. A [HostPolicy] says which hosts get it; its zero value is Microsoft's.
//
// # Files
//
// [Activity.Files] says which files and pictures came with a message, and [Connector.FetchFile] gets them. What the paper clip
// sent is at an address that is the permission itself; what was pasted is with the Connector, and the only thing for which the
// bot's token goes into an address that a message names.
//
// # Bots written for msbotbuilder-go
//
// [Adapter] implements that library's core.Adapter, and [HandlerBot] makes a function of a handler written
// for it, so that both sides of a program may change at their own pace.
//
// # Logs
//
// Errors and log lines of this package hold ids, statuses and codes; never the words of a message, a person's name or
// address, a token or a secret.
package adapter
