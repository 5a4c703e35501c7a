package adapter

import (
	"encoding/json"
	"html"
	"strings"
)

// contentTypeHTML is the attachment in which Teams repeats the text of a message with its markup.
const contentTypeHTML = "text/html"

// maxMention bounds the text of a mention, in bytes. Names are far shorter; without a bound the
// search for long ones would take a time that is quadratic in the message.
const maxMention = 512

// PlainText returns the words of a without the mentions of its recipient (the bot) and without white
// space around them. What is removed is exactly the text of the mention entities whose id is the
// recipient's; mentions of others stay. Some Teams clients lose the line breaks of the text: when the
// text/html attachment has the same words on several lines, its lines and lists are returned.
func (a *Activity) PlainText() string {
	mentions := a.ownMentions()
	text := strings.TrimSpace(remove(a.Text, mentions))
	if text == "" || strings.ContainsAny(text, "\n\r") {
		return text
	}
	for i := range a.Attachments {
		t := &a.Attachments[i]
		var markup string
		if t.ContentType != contentTypeHTML || json.Unmarshal(t.Content, &markup) != nil {
			continue
		}
		if lines := linesOf(markup, text, mentions); lines != "" {
			return lines
		}
	}
	return text
}

// ownMentions returns the texts of the mentions of the recipient.
func (a *Activity) ownMentions() []string {
	if a.Recipient == nil || a.Recipient.ID == "" {
		return nil
	}
	var texts []string
	for i := range a.Entities {
		e := &a.Entities[i]
		if strings.EqualFold(e.Type, "mention") && e.Text != "" && len(e.Text) <= maxMention && e.Mentioned != nil && e.Mentioned.ID == a.Recipient.ID {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// remove takes every occurrence of the words out of text, in one pass.
func remove(text string, words []string) string {
	if len(words) == 0 {
		return text
	}
	pairs := make([]string, 0, 2*len(words))
	for _, w := range words {
		pairs = append(pairs, w, "")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// linesOf returns what markup shows, if that has more than one line and the words of text, and else "".
// The clients differ in whether pictures' names and the marks of lists are part of the text.
func linesOf(markup, text string, mentions []string) string {
	if oneParagraph(markup) {
		return ""
	}
	own := make(map[string]bool, len(mentions))
	for _, m := range mentions {
		own[mentionName(m)] = true
	}
	full := strings.TrimSpace(renderHTML(markup, htmlView{ownMentions: own, marks: true, names: true}))
	if !strings.Contains(full, "\n") {
		return ""
	}
	want := squash(text)
	for _, v := range []htmlView{{marks: true, names: true}, {}, {names: true}, {marks: true}} {
		v.ownMentions = own
		if squash(renderHTML(markup, v)) == want {
			return full
		}
	}
	return ""
}

// oneParagraph reports whether markup is a paragraph with nothing but characters in it, as most messages are: it has one
// line. An entity may stand for a line break.
func oneParagraph(markup string) bool {
	inner, opened := strings.CutPrefix(markup, "<p>")
	inner, closed := strings.CutSuffix(inner, "</p>")
	return opened && closed && !strings.ContainsAny(inner, "<&")
}

// mentionName returns the name in <at>name</at>.
func mentionName(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<at>"), "</at>")
	return squash(html.UnescapeString(s))
}

// squash takes all white space out of s.
func squash(s string) string { return strings.Join(strings.Fields(s), "") }
