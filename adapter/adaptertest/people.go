package adaptertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// errCannotWrite is what Teams tells a person who has blocked or removed the bot.
var errCannotWrite = errors.New("the bot is blocked or not installed there")

// Say posts what the user types, as Teams builds it: plain text with the HTML of it attached, and in groups and
// channels with a mention of the bot in front. The message shows in the chat even when the bot does not get it.
func (v *Conversation) Say(ctx context.Context, u User, text string) (Posted, error) {
	return v.SayWith(ctx, u, text, nil)
}

// SayWith is Say with fields set on top; a nil removes one. Attachments given come after the text/html one.
func (v *Conversation) SayWith(ctx context.Context, u User, text string, fields map[string]any) (Posted, error) {
	return v.say(ctx, u, text, fields, "")
}

// say is SayWith with more in the HTML of the text.
func (v *Conversation) say(ctx context.Context, u User, text string, fields map[string]any, markup string) (Posted, error) {
	p, err := v.write(u, text, fields, markup)
	if err != nil {
		return p, err
	}
	v.channel.changed()
	return v.deliver(ctx, p)
}

func (v *Conversation) write(u User, text string, fields map[string]any, markup string) (Posted, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.installed || v.blocked {
		return Posted{}, errCannotWrite
	}
	at := v.channel.now()
	m := &Message{
		FromID: u.ID, FromName: u.Name, Type: "message", Text: text, TextFormat: "plain", At: at,
	}
	v.add(m)
	a := v.words(u, text, markup)
	if files, ok := fields["attachments"]; ok {
		m.Attachments = shownFiles(files)
		if more, ok := files.([]any); ok {
			a.Attachments = append(a.Attachments, more...)
			fields = maps.Clone(fields)
			delete(fields, "attachments")
		}
	}
	p, err := v.compose(u, m.ID, a, fields)
	m.Raw = p.activity
	return p, err
}

// Edit posts that the user has changed the text of a message.
func (v *Conversation) Edit(ctx context.Context, u User, messageID, text string) (Posted, error) {
	return v.change(ctx, u, messageID, func(m *Message) outgoing {
		m.edit(&Message{Type: m.Type, Text: text, TextFormat: m.TextFormat, At: v.channel.now()}, v.channel.opt.KeepLast)
		a := v.words(u, text, "")
		a.Type, a.ChannelData = "messageUpdate", v.channelData("editMessage")
		return a
	})
}

// DeleteMessage posts that the user has deleted a message.
func (v *Conversation) DeleteMessage(ctx context.Context, u User, messageID string) (Posted, error) {
	return v.change(ctx, u, messageID, func(m *Message) outgoing {
		m.deleted = true
		return outgoing{Type: "messageDelete", ChannelData: v.channelData("softDeleteMessage")}
	})
}

func (v *Conversation) change(ctx context.Context, u User, id string, do func(*Message) outgoing) (Posted, error) {
	v.mu.Lock()
	m := v.byID[id]
	if m == nil || m.deleted || m.FromID != u.ID {
		v.mu.Unlock()
		return Posted{}, fmt.Errorf("user has no message %q in the chat", id)
	}
	p, err := v.compose(u, id, do(m), nil)
	if !m.deleted {
		m.Raw = p.activity
	}
	v.mu.Unlock()
	if err != nil {
		return p, err
	}
	return v.deliver(ctx, p)
}

// React posts that the user has put a reaction, such as like, on a message of the bot.
func (v *Conversation) React(ctx context.Context, u User, messageID, reaction string) (Posted, error) {
	return v.Post(ctx, u, map[string]any{
		"type": "messageReaction", "replyToId": messageID,
		"reactionsAdded": []any{map[string]any{"type": reaction}},
	})
}

// Submit posts what an Action.Submit of a card sends: a message with a value and without text.
func (v *Conversation) Submit(ctx context.Context, u User, replyToID string, value any) (Posted, error) {
	f := map[string]any{"type": "message", "value": value, "locale": u.Locale, "replyToId": nil}
	if replyToID != "" {
		f["replyToId"] = replyToID
	}
	return v.Post(ctx, u, f)
}

// Invoke posts an invoke activity; what the bot answers is in the Posted.
func (v *Conversation) Invoke(ctx context.Context, u User, name string, value any) (Posted, error) {
	return v.Post(ctx, u, map[string]any{"type": "invoke", "name": name, "value": value, "locale": u.Locale})
}

// Typing posts that the user is typing.
func (v *Conversation) Typing(ctx context.Context, u User) (Posted, error) {
	return v.Post(ctx, u, map[string]any{"type": "typing"})
}

// Install puts the bot into the conversation and posts installationUpdate and conversationUpdate, which comes
// first differs from one time to the next. It fails unless the bot accepts both.
func (v *Conversation) Install(ctx context.Context) error {
	c := v.channel
	c.mu.Lock()
	c.installs++
	updateFirst := c.installs%2 == 0
	c.mu.Unlock()
	u := v.setInstalled(true)
	added := []any{map[string]any{"id": c.BotID(), "name": c.opt.BotName}}
	if v.kind == Personal {
		added = append([]any{map[string]any{"id": u.ID, "aadObjectId": u.AADObjectID}}, added...)
	}
	events := []map[string]any{
		{"type": "installationUpdate", "action": "add", "locale": u.Locale, "entities": []any{clientOf(u)}},
		{"type": "conversationUpdate", "membersAdded": added},
	}
	if updateFirst {
		events[0], events[1] = events[1], events[0]
	}
	for _, f := range events {
		if err := v.announce(ctx, u, f); err != nil {
			return err
		}
	}
	return nil
}

// Uninstall takes the bot out of the conversation and posts that. What the bot sends gets 403
// BotNotInConversationRoster from then on.
func (v *Conversation) Uninstall(ctx context.Context) error {
	u := v.setInstalled(false)
	return v.announce(ctx, u, map[string]any{"type": "installationUpdate", "action": "remove", "locale": u.Locale, "entities": []any{clientOf(u)}})
}

func (v *Conversation) setInstalled(installed bool) User {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.installed = installed
	if len(v.members) == 0 {
		return User{}
	}
	return v.members[0]
}

// Leave takes a person out of a group chat or a channel and posts that.
func (v *Conversation) Leave(ctx context.Context, u User) error {
	v.mu.Lock()
	kept := make([]User, 0, len(v.members))
	for _, m := range v.members {
		if m.ID != u.ID {
			kept = append(kept, m)
		}
	}
	if v.kind == Personal || len(kept) == len(v.members) {
		v.mu.Unlock()
		return errors.New("nobody can leave a personal chat, or one they are not in")
	}
	v.members = kept
	v.mu.Unlock()
	return v.announce(ctx, u, map[string]any{
		"type": "conversationUpdate", "membersRemoved": []any{map[string]any{"id": u.ID, "aadObjectId": u.AADObjectID}},
	})
}

// Join adds a person to a group chat or a channel and posts that.
func (v *Conversation) Join(ctx context.Context, u User) error {
	v.mu.Lock()
	if v.kind == Personal || v.has(u.ID) {
		v.mu.Unlock()
		return errors.New("nobody can join a personal chat, or one they are in")
	}
	v.members = append(v.members[:len(v.members):len(v.members)], u)
	v.mu.Unlock()
	return v.announce(ctx, u, map[string]any{
		"type": "conversationUpdate", "membersAdded": []any{map[string]any{"id": u.ID, "aadObjectId": u.AADObjectID}},
	})
}

// announce posts an event that the bot has to accept.
func (v *Conversation) announce(ctx context.Context, u User, fields map[string]any) error {
	p, err := v.Post(ctx, u, fields)
	if err != nil {
		return err
	}
	if !p.OK() && !p.Held {
		return fmt.Errorf("the bot answered %v with status %d", fields["type"], p.Status)
	}
	return nil
}

// MarshalJSON is for pages: the id, the kind and the people of the conversation.
func (v *Conversation) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"id": v.id, "kind": v.kind, "members": v.Members()})
}
