package bot

import (
	"encoding/json"

	"snowbot/adapter"
)

// Adaptive Cards as Teams takes them from bots: version 1.5 at most. Element names are the schema's.

type object = map[string]any

// elements are an array of objects.
type elements = []object

// cardActivity wraps card elements. The summary is what a notification and a screen reader say.
func cardActivity(summary string, body elements, actions elements) *adapter.Activity {
	card := object{
		"type":    "AdaptiveCard",
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
		"version": "1.5",
		"body":    body,
	}
	if len(actions) > 0 {
		card["actions"] = actions
	}
	content, err := json.Marshal(card)
	if err != nil {
		panic("bot: card: " + err.Error()) // strings only
	}
	return &adapter.Activity{
		Type:        adapter.TypeMessage,
		Summary:     cut(summary, 200),
		Attachments: []adapter.Attachment{{ContentType: adapter.ContentTypeAdaptiveCard, Content: content}},
	}
}

// textBlock shows words as they are: a card's text knows some markdown, so it is escaped.
func textBlock(text string) object {
	return object{"type": "TextBlock", "text": escapeCard(text), "wrap": true}
}

func heading(text string) object {
	b := textBlock(text)
	b["weight"], b["size"] = "bolder", "medium"
	return b
}

func subtle(text string) object {
	b := textBlock(text)
	b["isSubtle"], b["spacing"] = true, "small"
	return b
}

func submit(b button) object {
	return object{"type": "Action.Submit", "title": b.Title, "data": b}
}

func openURL(title, url string) object {
	return object{"type": "Action.OpenUrl", "title": title, "url": url}
}

// statusCard shows where a session stands, with a button for what is possible now.
func statusCard(t *Texts, s *session) *adapter.Activity {
	title, text, b := t.Say(TextCardConnectingTitle), t.Say(TextCardConnecting), button{Verb: verbCancel, Title: t.Say(TextButtonCancel)}
	switch {
	case s.Phase == waiting && s.WaitTime != "":
		title, text = t.Say(TextCardWaitingTitle), t.Say(TextCardWaitingTime, s.WaitTime)
	case s.Phase == waiting:
		title, text = t.Say(TextCardWaitingTitle), t.Say(TextCardWaiting)
	case s.Phase == connected && s.AgentName != "":
		title, text, b = t.Say(TextCardConnectedTitle), t.Say(TextCardConnected, s.AgentName), button{Verb: verbEnd, Title: t.Say(TextButtonEnd)}
	case s.Phase == connected:
		title, text, b = t.Say(TextCardConnectedTitle), t.Say(TextCardConnectedUnnamed), button{Verb: verbEnd, Title: t.Say(TextButtonEnd)}
	}
	b.Session = s.ID
	return cardActivity(title, elements{heading(title), textBlock(text)}, elements{submit(b)})
}

// endedCard replaces the status card when there is nothing left to press.
func endedCard(t *Texts, why endReason) *adapter.Activity {
	return cardActivity(t.Say(TextCardEndedTitle), elements{heading(t.Say(TextCardEndedTitle)), subtle(t.Say(cardEnded[why]))}, nil)
}

// cardEnded is what the card says of each end.
var cardEnded = map[endReason]TextKey{
	endByAgent:    TextCardEndedByAgent,
	endByEmployee: TextCardEndedByEmployee,
	endCancelled:  TextCardEndedCancelled,
	endNoAgents:   TextCardEndedNoAgents,
	endFailed:     TextCardEndedFailed,
	endTimedOut:   TextCardEndedTimedOut,
	endBotBlocked: TextCardEndedBlocked,
	endErased:     TextCardEndedErased,
}

// withButtons is a message of ours with buttons under it.
func withButtons(text string, buttons ...button) *adapter.Activity {
	var actions elements
	for _, b := range buttons {
		actions = append(actions, submit(b))
	}
	return cardActivity(text, elements{textBlock(text)}, actions)
}

// cut shortens text to n runes.
func cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i] + "…"
		}
		n--
	}
	return text
}
