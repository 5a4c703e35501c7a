// Package bot carries a conversation between an employee in Teams and a ServiceNow live agent. It is
// the only package that knows both sides.
//
// # Wiring
//
// A program makes a store (package store/bolt or store/postgres), an [adapter.Connector] and a [snow.Client], gives them to
// [New], and serves two handlers: that of [adapter.NewHandler], whose OnActivity and OnInvoke are [Bot.Activity] and
// [Bot.Invoke], and that of [snow.NewWebhook], whose Accept is [Bot.ServiceNow]. [Bot.Run] does the rest until its context
// ends, removal of what has been kept long enough included. The example does all of it between two emulated platforms.
// Files pass when [FileRules] have a Base and [Bot.File] is served below it; addresses of the instance are shown as such when
// [Rules] have its Resolve and Media.
//
// # Events and turns
//
// An activity, a ServiceNow event, a timer and a settled delivery are all events of one conversation.
// [Bot.Activity] and [Bot.ServiceNow] take the first two. Each is handled by a pure transition of the
// conversation's state (files transition*.go), inside one durable commit of the store; when they
// return nil, the event and everything that follows from it survive a crash. No network call is made
// before that.
//
// # Lanes
//
// What a transition decides to send is a delivery in a lane: to Teams, to ServiceNow, to the bot's
// own handler, or a delivery report for the agent. [Bot.Run] works on the lanes. The deliveries of one
// lane are sent one at a time, in the order in which they were accepted; lanes do not wait for each
// other. A delivery may be sent twice after a crash or an unclear answer; it is never sent twice at
// once. Outcomes are classed in outcome.go, and what is given up is always told to somebody.
//
// # Pace
//
// A lane that may not send yet is not worked on, and nobody waits with it: it stays in memory with its lease (pace.go) until
// the sliding windows of its conversation, the rate of its tenant and the breaker of its host let it go on. Where lanes compete,
// the end of a session goes first, then words, then cards, and typing is dropped. Words of an agent that have to wait go out as
// one message. What has waited past its age is given up, and its writer is told.
//
// # Owners
//
// A conversation is owned by the bot or by an agent, and the answer of a bot turn that was asked
// under an earlier owner is dropped. While a session is live, the employee's words go to the agent and never
// to the bot; commands ([DetectCommand]) and buttons are the only exception.
package bot
