// Package bot carries a conversation between an employee in Teams and a ServiceNow live agent. It is
// the only package that knows both sides.
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
// # Owners
//
// A conversation is owned by the bot or by an agent, and the answer of a bot turn that was asked
// under an earlier owner is dropped. While a session is live, the employee's words go to the agent and never
// to the bot; commands ([DetectCommand]) and buttons are the only exception.
package bot
