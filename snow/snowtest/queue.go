package snowtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// noAgents says how a wish for a live agent fares now.
func (i *Instance) noAgents(c *call) NoAgentMode {
	if mode := i.settings().noAgents; mode != NoAgentsOff {
		return mode
	}
	if i.o.Open != nil && !i.o.Open(i.o.Now()) {
		return NoAgentsTakeControl
	}
	wanted := c.value("LiveAgent_mandatory_skills")
	if wanted == "" {
		wanted = c.value("mandatory_skills")
	}
	if wanted == "" {
		return NoAgentsOff
	}
	for _, a := range i.o.Agents {
		if hasSkills(a, strings.Split(wanted, ",")) {
			return NoAgentsOff
		}
	}
	return NoAgentsTakeControl
}

func hasSkills(a Agent, wanted []string) bool {
	for _, skill := range wanted {
		if !slices.ContainsFunc(a.Skills, func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(skill)) }) {
			return false
		}
	}
	return true
}

// toQueue places a conversation in the queue, or says that nobody is there. From the first of its posts on the client's
// words are no longer dropped.
func (i *Instance) toQueue(c *conversation, req *call) []*post {
	mode := i.noAgents(req)
	switch mode {
	case NoAgentsSilence, NoAgentsAckFailure:
		return nil
	case NoAgentsText:
		return told(textItem(i.o.Texts.NoAgents))
	case NoAgentsTakeControl, NoAgentsFail, NoAgentsCompleted:
		return i.nobody(c, req, mode)
	case NoAgentsOff, NoAgentsClose:
	}
	standBy := &post{items: []item{textItem(i.o.Texts.StandBy)}, agentChat: true, status: statusActive}
	queued := &post{items: i.queueItems(c), agentChat: true, status: statusWaiting}
	i.admit(c, req)
	if mode == NoAgentsClose {
		i.close(c, EndedNoAgents)
		return []*post{standBy, queued, {
			items:     []item{textItem(i.o.Texts.NoAgents), actionItem("EndSpinner"), actionItem("SwitchToVirtualAgent")},
			completed: true, status: statusCompleted,
		}}
	}
	if name := i.settings().autoAccept; name != "" {
		i.do(c.person, func(ctx context.Context) {
			_ = i.run(ctx, c, func() ([]*post, error) { return i.accept(c, name) })
		})
	}
	return []*post{standBy, queued}
}

// admit shows the chat at the desk. What was said to ask for the agent is its first line.
func (i *Instance) admit(c *conversation, req *call) {
	now := i.o.Now()
	c.phase, c.awaiting = phaseQueued, ""
	c.chat.State, c.chat.QueuedAt, c.chat.WaitTime = StateQueued, now, i.settings().waitTime
	if req.text != "" {
		c.add(&Line{
			ID: newID(), From: FromUser, Text: req.text, At: now, RequestID: req.requestID,
			ClientMessageID: req.clientMessageID, Selected: !req.typed,
		}, i.o.KeepLast)
	}
	i.reg.show(c)
	i.touch(c)
}

// nobody ends a conversation that never reached an agent. The desk lists it as ended.
func (i *Instance) nobody(c *conversation, req *call, mode NoAgentMode) []*post {
	i.admit(c, req)
	i.close(c, EndedNoAgents)
	p := &post{items: []item{textItem(i.o.Texts.NoAgents)}}
	if mode == NoAgentsCompleted {
		p.completed, p.status = true, statusCompleted
	} else {
		p.takeControl, p.score, p.status, p.errorMessage = true, new(0), statusFail, "no agents available"
	}
	return []*post{p}
}

// queueItems are the four action messages of a queued conversation. Two of them carry a Java map printed as text, as the
// real ones do.
func (i *Instance) queueItems(c *conversation) []item {
	start := actionItem("StartConversation")
	start["conversationId"] = c.id
	queue := actionItem("SubscribeToSupportQueue")
	queue["supportQueue"] = fmt.Sprintf("{@type=InteractionQueue, name=%s, queueAmbChannel=/cs/support_queue/%s}",
		i.o.Queue, i.tables.id("awa_queue", i.o.Queue))
	presence := actionItem("SubscribeToChatPresence")
	presence["channel"], presence["chatSessionId"] = "/sn/rp/sys_cs_conversation/"+c.id, c.id
	presence["userDetails"] = "{name=" + c.chat.UserName + "}"
	return []item{start, queue, i.spinner(i.settings().waitTime), presence}
}

// spinner shows a wait time when there is one.
func (i *Instance) spinner(waitTime string) item {
	it := actionItem("StartSpinner")
	it["spinnerType"], it["message"] = "none", i.o.Texts.Routing
	if waitTime != "" {
		it["spinnerType"], it["waitTime"] = "wait_time", waitTime
	}
	return it
}
