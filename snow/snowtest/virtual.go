package snowtest

import (
	"context"
	"strings"
)

// What the virtual agent waits for.
const (
	awaitAgent   = "agent"
	awaitBye     = "bye"
	awaitRating  = "rating"
	awaitComment = "comment"
)

// The topics of the virtual agent.
const (
	liveTopic     = "Live Agent Support."
	capabilities  = "Virtual Agent Capabilities."
	passwordTopic = "Password Reset"
	liveTopicID   = "f1a0e1b2c3d4e5f60718293a4b5c6d7e"
	passwordID    = "0b5e7d1c9a8f4e6d8c7b6a5948372615"
)

// virtual processes one request with the virtual agent, on the person's lane.
func (i *Instance) virtual(ctx context.Context, c *conversation, req *call) {
	_ = i.run(ctx, c, func() ([]*post, error) { return i.think(c, req), nil })
}

// think is what comes of a request that the virtual agent processes. The caller holds the person's lock.
func (i *Instance) think(c *conversation, req *call) []*post {
	switch c.phase {
	case phaseVirtual:
		posts := i.respond(c, req)
		for _, p := range posts {
			p.virtual = true
		}
		return posts
	case phaseSurvey:
		return i.survey(c, req)
	case phaseQueued, phaseLive, phaseEnded:
	}
	return nil
}

// respond is what the virtual agent makes of a request.
func (i *Instance) respond(c *conversation, req *call) []*post {
	toLive := i.o.LiveOnly || strings.EqualFold(req.value("live_agent_only"), "true") || req.isSelection(liveTopicID) ||
		strings.TrimSuffix(strings.ToLower(req.text), ".")+"." == strings.ToLower(liveTopic) ||
		strings.EqualFold(req.topicName, liveTopic) || req.topicID == liveTopicID
	switch req.action {
	case actionAgent:
		if i.o.Unmatched {
			return i.notUnderstood(c)
		}
		return i.toQueue(c, req)
	case actionCreate:
		it := actionItem("CreateConversation")
		it["conversationId"], it["interactionId"] = c.id, c.interactionID
		return told(it)
	case actionStartCreated:
		return i.toQueue(c, req)
	case actionSwitch:
		return i.switchTopic(c, req)
	}
	if toLive {
		return i.toQueue(c, req)
	}
	if req.action == actionStart {
		return i.greet()
	}
	if c.awaiting != "" {
		return i.choose(c, req)
	}
	if req.isSelection(passwordID) || strings.EqualFold(req.text, passwordTopic) {
		return topicDone(i.o.Texts.Finished)
	}
	if req.typed {
		if posts, ok := i.keyword(c, req.text); ok {
			return posts
		}
	}
	if c.requests == 1 {
		return i.greet()
	}
	return i.notUnderstood(c)
}

func told(items ...item) []*post { return []*post{{items: items, status: statusActive}} }

// topicDone is the end of a topic, which is completed without ending anything else.
func topicDone(text string) []*post {
	return []*post{{items: []item{textItem(text)}, completed: true, status: statusActive}}
}

func (i *Instance) topics(prompt string) item {
	return picker("TopicPickerControl", prompt, [2]string{liveTopic, liveTopicID}, [2]string{passwordTopic, passwordID})
}

func (i *Instance) greet() []*post {
	return told(textItem(i.o.Texts.Greeting), i.topics(i.o.Texts.WhichItem))
}

// notUnderstood gives up after a number of tries: the other bot should take over.
func (i *Instance) notUnderstood(c *conversation) []*post {
	items := []item{textItem(i.o.Texts.NotUnderstood), i.topics(i.o.Texts.WhichItem)}
	if c.tries++; c.tries < i.o.TakeControlTries {
		return told(items...)
	}
	i.close(c, EndedFailed)
	return []*post{{items: items, takeControl: true, score: new(0), status: statusFail}}
}

// keyword acts on the words that the virtual agent knows when they are typed.
func (i *Instance) keyword(c *conversation, text string) ([]*post, bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "hi", "restart":
		c.tries = 0
		return i.greet(), true
	case "help":
		return told(textItem(i.o.Texts.Capabilities), i.topics(i.o.Texts.WhichItem)), true
	case "agent":
		c.awaiting = awaitAgent
		return told(picker("Picker", i.o.Texts.WhichItem, [2]string{liveTopic, liveTopic},
			[2]string{capabilities, capabilities}, [2]string{"I want something else", "-1"})), true
	case "bye":
		c.awaiting = awaitBye
		return told(picker("Picker", i.o.Texts.EndQuestion, [2]string{"End conversation", "1"},
			[2]string{"Cancel", "0"})), true
	}
	return nil, false
}

// choose takes the answer to a question of keyword.
func (i *Instance) choose(c *conversation, req *call) []*post {
	asked := c.awaiting
	c.awaiting = ""
	switch {
	case asked == awaitAgent && req.isSelection(capabilities):
		return told(textItem(i.o.Texts.Capabilities))
	case asked == awaitAgent && req.isSelection("-1"):
		return i.greet()
	case asked == awaitBye && req.isSelection("1"):
		i.close(c, EndedByUser)
		return told(textItem(i.o.Texts.UserEnded))
	case asked == awaitBye && req.isSelection("0"):
		return told(textItem(i.o.Texts.GoOn))
	}
	return i.notUnderstood(c)
}

// switchTopic is SWITCH: whatever is wrong with it closes the conversation.
func (i *Instance) switchTopic(c *conversation, req *call) []*post {
	var target string
	given := 0
	for _, name := range []string{req.topicName, req.topicID, req.intentID} {
		if name != "" {
			target, given = name, given+1
		}
	}
	switch {
	case given == 1 && (strings.EqualFold(target, liveTopic) || target == liveTopicID):
		return i.toQueue(c, req)
	case given == 1 && (strings.EqualFold(target, passwordTopic) || target == passwordID):
		return topicDone(i.o.Texts.Finished)
	}
	i.close(c, EndedFailed)
	return told(textItem(i.o.Texts.CannotGoOn))
}

// survey asks for a rating and a comment, and ends.
func (i *Instance) survey(c *conversation, req *call) []*post {
	if c.awaiting == awaitRating && req.text != "" {
		c.awaiting = awaitComment
		return told(item{
			"uiType": "InputText", "group": "DefaultText", "maskType": "NONE", "required": false,
			"label": i.o.Texts.SurveyComment, "messageId": newID(),
		})
	}
	i.close(c, EndedByAgent)
	return []*post{{items: []item{textItem(i.o.Texts.SurveyThanks)}, completed: true, status: statusCompleted}}
}
