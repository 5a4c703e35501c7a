package bot

import (
	"path"
	"strings"

	"snowbot/adapter"
	"snowbot/snow"
)

// A resolver makes an address of the instance absolute, and says whether it is the instance's own:
// such an address may ask for a login, and so is shown as a link and never fetched by Teams.
type resolver = func(raw string) (abs string, own bool)

// render turns an item into what Teams shows. Words stay as they are; whatever has no form of its own
// is shown as readable text; only an item without anything for a person gives nothing.
func render(t *Texts, resolve resolver, session string, it snow.Item) []*adapter.Activity {
	switch it.Kind {
	case snow.KindJoined, snow.KindEnded, snow.KindSystem:
		return literal(it.Text)
	case snow.KindText:
		out := literal(it.Text)
		if len(it.Links) > 0 { // what the words are founded on
			out = append(out, linkList(resolve, snow.Item{Links: it.Links})...)
		}
		return out
	case snow.KindHTML:
		out := markdown(htmlToMarkdown(it.HTML, resolve))
		if len(it.Links) > 0 {
			out = append(out, linkList(resolve, snow.Item{Links: it.Links})...)
		}
		if it.URL != "" {
			out = append(out, picture(t, resolve, snow.Item{URL: it.URL})...)
		}
		if len(out) > 0 {
			return out
		}
	case snow.KindImage:
		return picture(t, resolve, it)
	case snow.KindLink:
		return markdown(markdownLink(resolve, it.Text, it.URL))
	case snow.KindLinks:
		return linkList(resolve, it)
	case snow.KindCard:
		if it.Card != nil {
			return outputCard(resolve, it)
		}
	case snow.KindTable:
		if a := table(it); a != nil {
			return []*adapter.Activity{a}
		}
	case snow.KindInput:
		if a := dateInput(t, session, it); a != nil {
			return []*adapter.Activity{a}
		}
	}
	if a := picker(t, resolve, session, it); a != nil { // whatever has options, known or not
		return []*adapter.Activity{a}
	}
	return literal(it.Readable())
}

// literal shows words as they are, in parts that Teams takes.
func literal(text string) []*adapter.Activity {
	var out []*adapter.Activity
	for _, part := range splitText(text, textLimit) {
		out = append(out, plain(part))
	}
	return out
}

func markdown(text string) []*adapter.Activity {
	var out []*adapter.Activity
	for _, part := range splitText(text, textLimit) {
		out = append(out, &adapter.Activity{Type: adapter.TypeMessage, Text: part, TextFormat: adapter.TextMarkdown})
	}
	return out
}

func picture(t *Texts, resolve resolver, it snow.Item) []*adapter.Activity {
	url, own := resolve(it.URL)
	alt := firstOf(it.Text, t.Say(TextAgentSentPicture))
	if own || !strings.HasPrefix(url, "https://") {
		return markdown(markdownLink(resolve, alt, it.URL))
	}
	image := object{"type": "Image", "url": url, "altText": alt}
	return []*adapter.Activity{cardActivity(alt, elements{image}, elements{openURL(cut(alt, 40), url)})}
}

func linkList(resolve resolver, it snow.Item) []*adapter.Activity {
	lines := []string{}
	if it.Text != "" {
		lines = append(lines, escapeMarkdown(it.Text))
	}
	for _, l := range it.Links {
		entry := "- " + markdownLink(resolve, l.Label, l.URL)
		if l.Description != "" {
			entry += " " + escapeMarkdown(l.Description)
		}
		lines = append(lines, entry)
	}
	return markdown(strings.Join(lines, "\n"))
}

// markdownLink shows an address with its label. An address that is not http(s) is shown, not linked.
func markdownLink(resolve resolver, label, raw string) string {
	url, _ := resolve(raw)
	switch {
	case !linkable(url):
		return escapeMarkdown(strings.TrimSpace(label + " " + raw))
	case label == "" || label == raw:
		label = url
	}
	return "[" + escapeMarkdown(label) + "](" + escapeURL(url) + ")"
}

func linkable(url string) bool {
	return strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")
}

func outputCard(resolve resolver, it snow.Item) []*adapter.Activity {
	c := it.Card
	var body elements
	if url, own := resolve(c.ImageURL); c.ImageURL != "" && !own && strings.HasPrefix(url, "https://") {
		body = append(body, object{"type": "Image", "url": url, "altText": firstOf(c.Title, path.Base(url))})
	}
	if c.Title != "" {
		body = append(body, heading(c.Title))
	}
	for _, text := range []string{c.Subtitle, c.Description} {
		if text != "" {
			body = append(body, textBlock(text))
		}
	}
	var facts elements
	for _, f := range c.Fields {
		facts = append(facts, object{"title": escapeCard(f.Label), "value": escapeCard(f.Value)})
	}
	if len(facts) > 0 {
		body = append(body, object{"type": "FactSet", "facts": facts})
	}
	var actions elements
	if url, _ := resolve(c.URL); linkable(url) {
		actions = append(actions, openURL(cut(firstOf(c.Title, it.Text, url), 40), url))
	}
	if len(body) == 0 && len(actions) == 0 {
		return literal(it.Readable())
	}
	if len(body) == 0 {
		body = append(body, textBlock(firstOf(it.Readable(), c.URL)))
	}
	return []*adapter.Activity{cardActivity(firstOf(c.Title, it.Readable()), body, actions)}
}

// Beyond these a table is read more easily as text.
const (
	tableColumns = 6
	tableRows    = 40
)

func table(it snow.Item) *adapter.Activity {
	t := it.Table
	if t == nil || len(t.Headers) == 0 || len(t.Headers) > tableColumns || len(t.Rows) > tableRows {
		return nil
	}
	columns, rows := elements{}, elements{}
	for range t.Headers {
		columns = append(columns, object{"width": 1})
	}
	row := func(cells []string) object {
		out := elements{}
		for i := range t.Headers {
			text := ""
			if i < len(cells) {
				text = cells[i]
			}
			out = append(out, object{"type": "TableCell", "items": elements{textBlock(firstOf(text, " "))}})
		}
		return object{"type": "TableRow", "cells": out}
	}
	rows = append(rows, row(t.Headers))
	for _, cells := range t.Rows {
		if len(cells) > len(t.Headers) {
			return nil
		}
		rows = append(rows, row(cells))
	}
	body := elements{}
	if it.Text != "" {
		body = append(body, heading(it.Text))
	}
	body = append(body, object{"type": "Table", "columns": columns, "rows": rows, "firstRowAsHeaders": true})
	return cardActivity(firstOf(it.Text, it.Readable()), body, nil)
}

// Above this many options a list folds, and below it each is a button.
const pickerButtons = 5

func picker(t *Texts, resolve resolver, session string, it snow.Item) *adapter.Activity {
	if len(it.Options) == 0 {
		return nil
	}
	prompt := firstOf(it.Text, t.Say(TextChoose))
	body := elements{textBlock(prompt)}
	for _, o := range it.Options {
		if url, own := resolve(o.ImageURL); o.ImageURL != "" && !own && strings.HasPrefix(url, "https://") {
			body = append(body, object{"type": "Image", "url": url, "altText": o.Label, "size": "small"})
		}
	}
	if !it.Multi && len(it.Options) <= pickerButtons {
		var actions elements
		for _, o := range it.Options {
			actions = append(actions, submit(button{
				Verb: verbChoice, Session: session, Title: o.Label, Choice: firstOf(o.Value, o.Label),
			}))
		}
		return cardActivity(prompt, body, actions)
	}
	choices := elements{}
	for _, o := range it.Options {
		choices = append(choices, object{"title": firstOf(o.Label, o.Value), "value": firstOf(o.Value, o.Label)})
	}
	body = append(body, object{
		"type": "Input.ChoiceSet", "id": "choice", "choices": choices, "isMultiSelect": it.Multi,
		"style": "expanded", "isRequired": true, "errorMessage": t.Say(TextPickerPlaceholder), "label": t.Say(TextPickerPlaceholder),
	})
	send := button{Verb: verbChoice, Session: session, Title: t.Say(TextPickerSend)}
	return cardActivity(prompt, body, elements{submit(send)})
}

func dateInput(t *Texts, session string, it snow.Item) *adapter.Activity {
	body := elements{textBlock(firstOf(it.Text, t.Say(TextChoose)))}
	date := object{"type": "Input.Date", "id": "choice", "isRequired": true, "label": t.Say(TextDate), "errorMessage": t.Say(TextChoose)}
	clock := object{"type": "Input.Time", "id": "time", "isRequired": true, "label": t.Say(TextTime), "errorMessage": t.Say(TextChoose)}
	switch it.Input {
	case "date":
		body = append(body, date)
	case "time":
		body = append(body, clock)
	case "datetime":
		body = append(body, date, clock)
	default:
		return nil // the next words are the answer
	}
	send := button{Verb: verbChoice, Session: session, Title: t.Say(TextDateSend)}
	return cardActivity(firstOf(it.Text, t.Say(TextChoose)), body, elements{submit(send)})
}
