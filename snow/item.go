package snow

import (
	"strings"
	"unicode"
)

// maxName bounds the name of an item, in characters. Documented ones have under 30.
const maxName = 64

// decodeItem reads one element of the body, which makes one item or, when it asks for something besides, two. What an
// element around it said of id and agent is in outer, and stands where o says nothing. The ID is "" when there is none.
func decodeItem(o object, outer Item, levels int) []Item {
	uiType := strings.TrimSpace(scalar(o["uiType"]))
	it := Item{
		ID:        outer.ID,
		Name:      name(uiType),
		Agent:     outer.Agent,
		FromAgent: outer.FromAgent,
	}
	if it.ID == "" {
		it.ID = identifier(o["messageId"])
	}
	if info, ok := unwrap(o["agentInfo"]).(object); ok {
		it.Agent, it.FromAgent = agentOf(info)
	}
	switch inner, ok := nested(o, uiType, it.FromAgent); {
	case ok && levels > 0:
		return append(decodeItem(inner, it, levels-1), more(o, it, "click_for_more")...)
	case isAction(uiType, o):
		it.decodeAction(o, uiType)
	case isStream(uiType):
		// The text that ends a stream repeats all of it, maybe under the same id: a part must not make it a duplicate.
		it.Kind = KindNothing
		if it.ID != "" {
			it.ID += "/" + it.Name
		}
	case !it.decodeOutput(o, uiType) && !it.decodeInput(o, uiType):
		it.decodeUnknown(o)
	}
	if !it.FromAgent {
		it.Text, it.HTML = withoutZeroWidthSpace(it.Text), withoutZeroWidthSpace(it.HTML)
	}
	if it.Kind == KindText && strings.TrimSpace(it.Text) == "" && len(it.Links) == 0 {
		it.Kind, it.Text = KindNothing, ""
	}
	if strings.EqualFold(uiType, "OutputTable") { // all rows come at once; the topic waits until they were read
		return append([]Item{it}, more(o, it, "DONE")...)
	}
	return []Item{it}
}

// nested finds the element inside another: the content of a MultiPartOutput, and an ActionMsg that stands in the value
// of an OutputText, as object or as JSON text. What a person writes is never taken for one.
func nested(o object, uiType string, fromAgent bool) (object, bool) {
	switch strings.ToLower(uiType) {
	case "multipartoutput":
		switch v := unwrap(o["content"]).(type) {
		case object:
			return v, true
		case string:
			return object{"uiType": "OutputText", "value": v}, true
		}
	case "outputtext":
		v, ok := unwrap(o["value"]).(object)
		return v, ok && !fromAgent && strings.EqualFold(scalar(v["uiType"]), "ActionMsg")
	}
	return nil, false
}

// more is the button under one part of a MultiPartOutput, or under a table. ServiceNow goes on only when it was clicked.
func more(o object, it Item, value string) []Item {
	label := firstText(o, "navigationBtnLabel")
	if label == "" {
		return nil
	}
	return []Item{{
		ID: it.ID, Name: it.Name, Agent: it.Agent, FromAgent: it.FromAgent,
		Kind: KindPicker, Options: []Option{{Label: label, Value: value}},
	}}
}

// decodeUnknown keeps of a control that nothing is known of what a person could use. One that says that it is an input, as a CustomControl
// does, waits for an answer, so that words are one.
func (it *Item) decodeUnknown(o object) {
	it.Kind, it.Options = KindUnknown, optionsOf(o["options"])
	it.Text = firstText(o, textKeys...)
	for _, k := range []string{"serializedControlData", "content", "data"} {
		if it.Text == "" {
			it.Text = textWithin(unwrap(o[k]), maxNesting)
		}
	}
	if isTrue(o["isInput"]) {
		it.Kind, it.Input = KindInput, "text"
	}
}

func isStream(uiType string) bool {
	return strings.EqualFold(uiType, "StreamStart") || strings.EqualFold(uiType, "StreamChunk")
}

// agentOf reads agentInfo. A name alone makes it a person's, since one dialect sends no sentFromAgent; one that is
// there decides.
func agentOf(info object) (Agent, bool) {
	a := Agent{
		ID:        identifier(info["agentId"]),
		Name:      strings.TrimSpace(scalar(info["agentName"])),
		AvatarURL: address(info["agentAvatar"]),
	}
	if sent := scalar(info["sentFromAgent"]); sent != "" {
		return a, isTrue(sent)
	}
	return a, a.Name != ""
}

// name makes a foreign type name fit to be logged.
func name(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxName || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
