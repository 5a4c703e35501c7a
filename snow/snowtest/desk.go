package snowtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Errors of the desk.
var (
	ErrNoChat    = errors.New("no such chat")
	ErrNotQueued = errors.New("the chat is not queued")
	ErrNotLive   = errors.New("the chat is not live")
	ErrEnded     = errors.New("the chat has ended")
)

// Chats returns all chats of the desk in the order in which they were queued, ended ones included.
func (i *Instance) Chats() []Chat {
	list := i.reg.all()
	chats := make([]Chat, len(list))
	for n, c := range list {
		c.person.mu.Lock()
		chats[n] = c.snapshot(true)
		c.person.mu.Unlock()
	}
	return chats
}

// ChatsSince returns the chats that came to the desk after the first n there ever were, and how many there have been in all. It is for
// those who watch a desk with many chats; see Wait.
func (i *Instance) ChatsSince(n uint64) (came []Chat, all uint64) {
	list, all := i.reg.since(n)
	for _, c := range list {
		c.person.mu.Lock()
		came = append(came, c.snapshot(true))
		c.person.mu.Unlock()
	}
	return came, all
}

// Chat returns one chat, or ErrNoChat.
func (i *Instance) Chat(chatID string) (Chat, error) {
	c := i.reg.chat(chatID)
	if c == nil {
		return Chat{}, ErrNoChat
	}
	c.person.mu.Lock()
	defer c.person.mu.Unlock()
	return c.snapshot(true), nil
}

// desk runs one action of an agent on the lane of its chat and waits for the webhook's answers. The action is carried out
// even when ctx ends while it waits, unless its turn has not come yet.
func (i *Instance) desk(ctx context.Context, chatID string, f func(c *conversation) ([]*post, error)) error {
	c := i.reg.chat(chatID)
	if c == nil {
		return ErrNoChat
	}
	result := make(chan error, 1)
	c.person.mu.Lock()
	idle, ok := i.line(c.person, func(lane context.Context) {
		if err := ctx.Err(); err != nil {
			result <- err
			return
		}
		result <- i.run(lane, c, func() ([]*post, error) { return f(c) })
	})
	c.person.mu.Unlock()
	switch {
	case !ok:
		return ErrClosed
	case idle && ctx.Done() == nil: // who cannot give up may as well do it
		if i.step(c.person) {
			go i.work(c.person)
		}
	case idle:
		go i.work(c.person)
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept gives a queued chat to an agent. An unknown name makes a new agent; an empty one means the first of
// Options.Agents. The chat is live whether or not the webhook takes the news.
func (i *Instance) Accept(ctx context.Context, chatID, agentName string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) { return i.accept(c, agentName) })
}

func (i *Instance) accept(c *conversation, agentName string) ([]*post, error) {
	if c.phase != phaseQueued {
		return nil, ErrNotQueued
	}
	now := i.o.Now()
	c.phase, c.agent = phaseLive, i.agent(agentName)
	c.chat.State, c.chat.AgentName, c.chat.AcceptedAt = StateLive, c.agent.Name, now
	c.lastUser, c.reminded = now, false
	i.note(c, i.o.Texts.Entered)
	posts := []*post{{items: i.joinItems(c), agentChat: true, status: statusConnected}}
	if i.o.Hello != "" {
		hello, err := i.say(c, textItem(i.o.Hello))
		if err != nil {
			return nil, err
		}
		posts = append(posts, hello...)
	}
	return posts, nil
}

func (i *Instance) joinItems(c *conversation) []item {
	return []item{
		actionItem("EndSpinner"), actionItem("SwitchToLiveAgent"), systemItem(named(i.o.Texts.Entered, i.display(c))),
	}
}

// agent finds an agent by name.
func (i *Instance) agent(name string) Agent {
	if name == "" {
		return i.o.Agents[0]
	}
	for _, a := range i.o.Agents {
		if a.Name == name {
			return a
		}
	}
	return Agent{ID: i.tables.id("live_profile", name), Name: name}
}

// display is the agent's name, or what stands for it when names are off.
func (i *Instance) display(c *conversation) string {
	if i.o.AgentNames {
		return c.agent.Name
	}
	return i.o.Texts.Agent
}

// note adds a system line to the chat.
func (i *Instance) note(c *conversation, text string) {
	c.add(&Line{ID: newID(), From: FromSystem, Text: named(text, i.display(c)), At: i.o.Now()}, i.o.KeepLast)
}

// Say sends words of the agent and returns their messageId. It fails with a *PostError when the webhook does not take
// them; the agent sees them all the same.
func (i *Instance) Say(ctx context.Context, chatID, text string) (messageID string, err error) {
	return i.SendItem(ctx, chatID, textItem(text))
}

// SayHTML sends words as an OutputHtml.
func (i *Instance) SayHTML(ctx context.Context, chatID, html string) (messageID string, err error) {
	return i.SendItem(ctx, chatID, item{
		"uiType": "OutputHtml", "group": "DefaultHtml", "value": html, "style": "inline",
	})
}

// SendFile sends a file as the agent: a picture as an OutputImage, anything else as an OutputLink. The address in it is
// relative, and reading it needs a login.
func (i *Instance) SendFile(ctx context.Context, chatID, name, contentType string, data []byte) (messageID string, err error) {
	path := i.AddFile(name, contentType, data)
	if strings.HasPrefix(contentType, "image/") {
		return i.SendItem(ctx, chatID, item{
			"uiType": "OutputImage", "group": "DefaultOutputImage", "value": path, "altText": name,
		})
	}
	return i.SendItem(ctx, chatID, item{
		"uiType": "OutputLink", "group": "DefaultOutputLink", "label": name, "header": name, "type": "link",
		"value": map[string]any{"action": path},
	})
}

// SendItem sends any item as the agent: a picture, a link, a picker, a card. What is missing of messageId and agentInfo is
// added; agentInfo with the value nil is left out. The item is in the official dialect.
func (i *Instance) SendItem(ctx context.Context, chatID string, it map[string]any) (messageID string, err error) {
	it = maps.Clone(it)
	if it == nil {
		it = item{}
	}
	if _, ok := it["messageId"].(string); !ok {
		it["messageId"] = newID()
	}
	messageID = it["messageId"].(string)
	return messageID, i.desk(ctx, chatID, func(c *conversation) ([]*post, error) { return i.say(c, it) })
}

// say adds a line of the agent and the post that carries it.
func (i *Instance) say(c *conversation, it item) ([]*post, error) {
	if c.phase != phaseLive {
		return nil, ErrNotLive
	}
	line := i.speak(c, it)
	return []*post{{items: []item{it}, agentChat: true, status: statusActive, line: line}}, nil
}

// speak adds a line of the agent, and the agent to its item.
func (i *Instance) speak(c *conversation, it item) *Line {
	if info, given := it["agentInfo"]; !given {
		it["agentInfo"] = c.agent
	} else if info == nil {
		delete(it, "agentInfo")
	}
	line := &Line{ID: it["messageId"].(string), From: FromAgent, AgentName: c.agent.Name, At: i.o.Now()}
	for _, name := range []string{"value", "label", "promptMsg"} {
		if text, ok := it[name].(string); ok && line.Text == "" {
			line.Text = text
		}
	}
	if it["uiType"] != "OutputText" {
		line.Item = maps.Clone(it)
		delete(line.Item, "agentInfo")
	}
	c.add(line, i.o.KeepLast)
	return line
}

// Typing tells the user that the agent types, or has stopped. DialectSpec cannot say it.
func (i *Instance) Typing(ctx context.Context, chatID string, typing bool) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		if c.phase != phaseLive {
			return nil, ErrNotLive
		}
		if i.settings().dialect == DialectSpec {
			return nil, nil
		}
		it := actionItem("EndTypingIndicator")
		if typing {
			it = actionItem("StartTypingIndicator")
		}
		it["agentInfo"] = c.agent
		return []*post{{items: []item{it}, agentChat: true, status: statusActive}}, nil
	})
}

// Transfer hands a live chat to another agent. There is no action for it on the wire: the one leaves and the other enters.
func (i *Instance) Transfer(ctx context.Context, chatID, agentName string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		if c.phase != phaseLive {
			return nil, ErrNotLive
		}
		i.note(c, i.o.Texts.Left)
		left := systemItem(named(i.o.Texts.Left, i.display(c)))
		c.agent = i.agent(agentName)
		c.chat.AgentName = c.agent.Name
		i.note(c, i.o.Texts.Entered)
		return []*post{
			{items: []item{left, i.spinner("")}, agentChat: true, status: statusActive},
			{items: i.joinItems(c), agentChat: true, status: statusConnected},
		}, nil
	})
}

// ReportWait tells a queued user another wait time.
func (i *Instance) ReportWait(ctx context.Context, chatID, waitTime string) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		if c.phase != phaseQueued {
			return nil, ErrNotQueued
		}
		c.chat.WaitTime = waitTime
		return []*post{{items: []item{i.spinner(waitTime)}, agentChat: true, status: statusWaiting}}, nil
	})
}

// A Post is a callback put together by hand, in the official dialect's meaning, for what the desk's other methods do not
// do. It changes nothing at the desk.
type Post struct {
	Items        []map[string]any
	AgentChat    bool
	Completed    bool
	TakeControl  bool
	Status       string // DialectSpec only
	ErrorMessage string // DialectSpec only
}

// Send posts p as it is, whatever the state of the chat.
func (i *Instance) Send(ctx context.Context, chatID string, p Post) error {
	return i.desk(ctx, chatID, func(*conversation) ([]*post, error) {
		return []*post{{
			items: slices.Clone(p.Items), agentChat: p.AgentChat, completed: p.Completed, takeControl: p.TakeControl,
			status: p.Status, errorMessage: p.ErrorMessage,
		}}, nil
	})
}

// SendRaw posts bytes to the webhook on the lane of a chat, whatever they are.
func (i *Instance) SendRaw(ctx context.Context, chatID string, body []byte) error {
	return i.desk(ctx, chatID, func(c *conversation) ([]*post, error) {
		return []*post{{raw: body}}, nil
	})
}
