package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// Activity takes an authenticated activity of Teams. When it returns nil, the activity and all that
// follows from it are durable; a repeat does nothing. Typing is passed on if that is possible at once.
func (b *Bot) Activity(ctx context.Context, a *adapter.Activity) error {
	ctx, cancel := context.WithTimeout(ctx, teamsPatience)
	defer cancel()
	ev := b.describe(a)
	conversation := conversationID(ev.ref.TenantID, ev.ref.ConversationID)
	if a.Type == adapter.TypeTyping {
		b.typist.employee(conversation)
		return nil
	}
	ids := []store.EventID{activityID(a)}
	if ev.press != nil && ev.press.Verb == verbAgain && a.ReplyToID != "" { // the card stays, and what it has failed once
		ids = []store.EventID{{Name: "again/" + a.ReplyToID}}
	}
	if s := b.states.last(conversation); s == nil || s.forBot() {
		b.interpret(ev)
	}
	err := b.apply(ctx, conversation, ids, ev)
	if errors.Is(err, errUninterpreted) { // the session has ended meanwhile
		b.interpret(ev)
		err = b.apply(ctx, conversation, ids, ev)
	}
	var taken *store.KeyTakenError
	if errors.As(err, &taken) { // the person has a session in another conversation
		ev.elsewhere = true
		err = b.apply(ctx, conversation, []store.EventID{activityID(a)}, ev) // nothing was sent again: the card is not used up
	}
	return err
}

// Invoke takes an invoke activity: a button of a card of ours. Others are [adapter.ErrNotImplemented].
func (b *Bot) Invoke(ctx context.Context, a *adapter.Activity) (adapter.InvokeResponse, error) {
	if pressedButton(a) == nil {
		return adapter.InvokeResponse{}, adapter.ErrNotImplemented
	}
	if err := b.Activity(ctx, a); err != nil {
		return adapter.InvokeResponse{}, err
	}
	return adapter.InvokeResponse{Status: 200, Body: map[string]any{
		"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "",
	}}, nil
}

// errUninterpreted says that the employee talks to the bot, and that nobody has looked yet for what they wish.
var errUninterpreted = errors.New("words not interpreted")

// interpret looks for a wish in the employee's words. It takes as long as most of the rest together, and what is said
// to an agent is not looked at.
func (b *Bot) interpret(ev *employeeEvent) {
	if ev.activity.Type == adapter.TypeMessage && ev.press == nil {
		ev.intent = DetectIntent(ev.text, ev.activity.Locale, b.rules.Phrases)
	}
	ev.interpreted = true
}

// describe works out everything about an activity that depends on it alone, save for what interpret does.
func (b *Bot) describe(a *adapter.Activity) *employeeEvent {
	ev := &employeeEvent{activity: a, ref: a.Reference(), press: pressedButton(a)}
	ev.ref.Locale = firstOf(ev.ref.Locale, clientLocale(a))
	ev.text = a.PlainText()
	if ev.text == strings.TrimSpace(a.Text) {
		ev.text = a.Text // nothing was taken out: the words as they were typed
	}
	if strings.TrimSpace(ev.text) == "" {
		ev.text = ""
	}
	ev.attached(a, b.rules.Files.on())
	if a.Type == adapter.TypeMessage && ev.press == nil {
		ev.command = DetectCommand(ev.text)
	}
	ev.live = b.person(ev.ref.TenantID, firstOf(ev.ref.UserAADID, ev.ref.UserID))
	return ev
}

// A userOf names a user of a tenant.
type userOf struct{ tenant, id string }

// person is [Person], which makes an HMAC, and of the same few again and again.
func (b *Bot) person(tenant, user string) string {
	u := userOf{tenant, user}
	masked, ok := b.people.get(u)
	if !ok {
		masked = Person(b.store, tenant, user)
		b.people.put(u, masked)
	}
	return masked
}

// clientLocale is the language of the employee's client, which is said even where the activity has none of its own.
func clientLocale(a *adapter.Activity) string {
	for _, e := range a.Entities {
		var locale string
		if e.Type == "clientInfo" && json.Unmarshal(e.Extra["locale"], &locale) == nil {
			return locale
		}
	}
	return ""
}

// activityID identifies an activity within its conversation. An edit has the id of what it edits.
func activityID(a *adapter.Activity) store.EventID {
	switch {
	case a.ID == "":
		return store.EventID{Name: "teams-hash/" + hashOf(a), Keep: time.Minute}
	case a.Type == adapter.TypeMessageUpdate, a.Type == adapter.TypeMessageDelete:
		return store.EventID{Name: "teams/" + a.ID + "/" + a.Type + "/" + a.Timestamp + "/" + hashOf(a)}
	default:
		return store.EventID{Name: "teams/" + a.ID}
	}
}

func hashOf(a *adapter.Activity) string {
	raw, err := json.Marshal(a)
	if err != nil {
		return ""
	}
	return digest(raw)
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}
