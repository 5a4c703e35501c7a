package bot

import (
	"context"
	"encoding/json"

	"snowbot/adapter"
)

type intentKey struct{}

// withIntent hands the built-in bot what was found in the words already.
func withIntent(ctx context.Context, i Intent) context.Context {
	return context.WithValue(ctx, intentKey{}, i)
}

// help is the built-in bot: it greets, says what it can do, and offers a person.
func (r *Rules) help(ctx context.Context, a *adapter.Activity) ([]*adapter.Activity, error) {
	t := r.texts(firstOf(a.Locale, clientLocale(a)))
	key := TextNotUnderstood
	switch intent, _ := ctx.Value(intentKey{}).(Intent); {
	case a.Type != adapter.TypeMessage:
		key = TextGreeting
	case DetectCommand(a.PlainText()) == CommandCancel:
		key = TextNoticeNothingToCancel
	case DetectHelp(a.PlainText()):
		key = TextHelp
	case intent == IntentAboutAgents:
		key = TextAboutAgents
	case DetectGreeting(a.PlainText()):
		key = TextGreeting
	}
	reply := plain(t.Say(key))
	suggest(reply, a, t.Say(TextButtonTalkToPerson))
	return []*adapter.Activity{reply}, nil
}

// suggest puts a button under a message that, pressed, is as if its title had been typed. Teams shows
// such buttons in personal chats only.
func suggest(reply, to *adapter.Activity, title string) {
	if to.From == nil || to.Conversation == nil || to.Conversation.ConversationType != adapter.Personal {
		return
	}
	value, err := json.Marshal(title)
	if err != nil {
		return
	}
	reply.SuggestedActions = &adapter.SuggestedActions{
		To:      []string{to.From.ID},
		Actions: []adapter.CardAction{{Type: "imBack", Title: title, Value: value}},
	}
}
