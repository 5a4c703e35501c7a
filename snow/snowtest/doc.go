// Package snowtest is an emulator of a ServiceNow instance with the Virtual Agent API and an agent desk. It serves unit
// tests, history checks, benchmarks and demonstrations alike, so it is stateful, strict where a real instance is strict,
// and silent where a real instance is silent.
//
// # What it stands for
//
// An Instance listens on a loopback address and offers the OAuth endpoint, the Bot Integration API, the part of the Table
// API that a chat needs, and the attachment APIs. What a real instance would say to the chat client, it posts to one
// webhook, in the documented dialect or in the one that adds a status (see Dialect).
//
// The Bot Integration API answers 200 before anything is processed, and a request that is then found wrong (a bad message
// token, a missing userId, a second request while the virtual agent works on the first) vanishes without a callback. The
// reason is in Exchange.Note of Log.
//
// # The desk
//
// Chats, Accept, Say, Typing, Transfer, End and their siblings are what an agent does. Each of them posts to the webhook
// and returns when the webhook has answered. The posts of one person are sent one at a time, in order.
//
// # Time
//
// Idle limits follow Options.Now and are looked at when RunTimers is called, so that a test decides when time passes.
package snowtest
