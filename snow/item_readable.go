package snow

import (
	"strconv"
	"strings"
)

// Readable is the item in plain text, for where its own form cannot be shown: a prompt with numbered options, a table
// as lines, a link with its address. It holds nothing that is not in the item, and is "" only when the item says
// nothing to a person. An input without a prompt is its kind in brackets.
func (it Item) Readable() string {
	var l lines
	switch it.Kind {
	case KindWait:
		l.add(it.Text)
		l.add(it.WaitTime)
	case KindHTML:
		l.add(it.Text)
		l.links(it.Links)
		l.add(it.URL)
	case KindImage, KindLink:
		l.add(labelled(it.Text, it.URL))
	case KindCard:
		l.add(it.Text)
		l.card(it.Card)
	case KindTable:
		l.add(it.Text)
		l.table(it.Table)
	case KindPicker, KindInput:
		l.add(it.Text)
		l.options(it.Options)
		if len(l) == 0 {
			l.add("[" + it.Input + "]")
		}
	case KindTyping, KindTypingEnd, KindWaitEnd, KindNothing:
		// of these there is nothing to read
	default: // text, links, system, joined, ended, unknown, and what may come
		if len(it.Links)+len(it.Options) == 0 {
			return it.Text // word by word
		}
		l.add(it.Text)
		l.links(it.Links)
		l.options(it.Options)
	}
	return strings.Join(l, "\n")
}

// lines are the parts of a readable item that are not blank.
type lines []string

func (l *lines) add(s string) {
	if s = strings.TrimSpace(s); s != "" {
		*l = append(*l, s)
	}
}

func (l *lines) options(options []Option) {
	for i, o := range options {
		l.add(strconv.Itoa(i+1) + ". " + labelled(o.Label, o.Description))
	}
}

func (l *lines) links(links []Link) {
	for _, link := range links {
		l.add(labelled(link.Label, link.URL))
		l.add(link.Description)
	}
}

func (l *lines) card(c *Card) {
	if c == nil {
		return
	}
	l.add(c.Title)
	l.add(c.Subtitle)
	l.add(c.Description)
	for _, f := range c.Fields {
		l.add(labelled(f.Label, f.Value))
	}
	l.add(c.URL)
	if len(*l) == 0 {
		l.add(c.ImageURL)
	}
	if c.Raw != nil && len(*l) == 0 {
		l.raw(c.Raw)
	}
}

// raw adds the labelled scalars of data that has none of the fields of a card, or else the data itself.
func (l *lines) raw(raw []byte) {
	if o, ok := parseObject(raw); ok {
		for _, k := range sortedKeys(o) {
			if v := cell(o[k], maxNesting); v != "" && k != "sys_id" && k != "table_name" {
				l.add(labelled(k, v))
			}
		}
	}
	if len(*l) == 0 {
		var s string
		if v, err := parse(raw); err == nil {
			s = scalar(v)
		}
		if s == "" {
			s = string(raw)
		}
		l.add(s)
	}
}

func (l *lines) table(t *Table) {
	if t == nil {
		return
	}
	l.add(strings.Join(t.Headers, " | "))
	for _, r := range t.Rows {
		l.add(strings.Join(r, " | "))
	}
}

// labelled joins a label with what it labels. Either may be missing, and the same is not said twice.
func labelled(label, s string) string {
	switch {
	case label == "" || label == s:
		return s
	case s == "":
		return label
	default:
		return label + ": " + s
	}
}
