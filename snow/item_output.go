package snow

import (
	"encoding/json"
	"slices"
	"strings"
)

// outputText is where the text of an output is, by precedence: value in ServiceNow's own dialect, label in some of its
// samples, message in the other dialect.
var outputText = []string{"value", "label", "message", "promptMsg"}

// decodeOutput reads a control that shows something, and reports whether uiType is one. One that has nothing to show
// but its label is text.
func (it *Item) decodeOutput(o object, uiType string) bool {
	switch strings.ToLower(uiType) {
	case "outputtext":
		it.Kind, it.Text = KindText, firstText(o, outputText...)
		it.Links = linksOf(o["citations"])
	case "outputhtml":
		it.Kind, it.HTML = KindHTML, firstText(o, outputText...)
		it.Text, it.Links = plainText(it.HTML), linksOf(o["links"])
		it.URL = firstAddress(o, "imageUrl")
	case "outputimage":
		it.Kind, it.URL = KindImage, firstAddress(o, "value", "url", "imageUrl", "message")
		if it.Text = firstText(o, "altText", "label", "message"); it.Text == it.URL {
			it.Text = ""
		}
	case "outputlink":
		it.Kind, it.URL = KindLink, firstAddress(o, "value", "url", "link", "action")
		it.Text = firstText(o, "label", "header", "promptMsg", "message")
	case "outputcard":
		it.Kind, it.Text = KindCard, firstText(o, "label", "message")
		it.Card = cardOf(o)
	case "outputtable":
		it.Kind, it.Text = KindTable, firstText(o, "label", "header", "message")
		it.Table = tableOf(o)
	case "groupedpartsoutputcontrol":
		it.Kind, it.Text = KindLinks, firstText(o, "header", "label", "message")
		it.Links = linksOf(o["values"])
	default:
		return false
	}
	if it.bare() {
		it.Kind, it.Table = KindText, nil
		if it.Text == "" {
			it.Text = firstText(o, textKeys...)
		}
	}
	return true
}

// bare reports whether an output lacks what its kind is made of.
func (it *Item) bare() bool {
	switch it.Kind {
	case KindHTML:
		return it.HTML == "" && it.URL == "" && len(it.Links) == 0
	case KindImage, KindLink:
		return it.URL == ""
	case KindLinks:
		return len(it.Links) == 0
	case KindTable:
		return len(it.Table.Headers) == 0 && len(it.Table.Rows) == 0
	case KindCard:
		return it.Card.empty() && it.Card.Raw == nil
	default:
		return false
	}
}

// isNotification reports whether it is the card of a notification, whose completed ends no chat.
func isNotification(it Item) bool {
	return it.Card != nil && strings.EqualFold(strings.TrimSpace(it.Card.Template), "Notification")
}

// cardOf reads an OutputCard, whose data is an object, or more often the JSON text of one.
func cardOf(o object) *Card {
	c := &Card{Template: scalar(o["templateName"])}
	data := unwrap(o["data"])
	if scripted, ok := unwrap(o["scriptedData"]).(object); ok && data == nil {
		data = unwrap(scripted["cardData"])
	}
	if l, ok := data.([]any); ok && len(l) == 1 {
		data = unwrap(l[0])
	}
	if d, ok := data.(object); ok {
		c.fill(d)
		if !c.empty() {
			return c
		}
	}
	c.Title = firstText(o, "title", "header")
	switch d := data.(type) {
	case nil:
	case string:
		if d = strings.TrimSpace(d); d != "" && !strings.ContainsRune(`{[`, rune(d[0])) {
			c.Description = d
			break
		}
		c.Raw = rawOf(d)
	default:
		c.Raw = rawOf(d)
	}
	return c
}

// fill reads the fields of a card's data, those of a notification included.
func (c *Card) fill(d object) {
	c.Title = firstText(d, "title", "messageHeading", "heading")
	c.Subtitle = firstText(d, "subtitle", "recordDisplayValue")
	c.Description = firstText(d, "description", "message", "text")
	c.ImageURL = firstAddress(d, "image", "imageUrl")
	c.URL = firstAddress(d, "url", "link")
	for _, v := range list(d["fields"]) {
		f, ok := v.(object)
		if !ok {
			continue
		}
		field := Field{Label: firstText(f, "fieldLabel", "label"), Value: cellOf(f, "fieldValue", "value", "displayValue")}
		if field != (Field{}) {
			c.Fields = append(c.Fields, field)
		}
	}
}

func (c *Card) empty() bool {
	return c.Title+c.Subtitle+c.Description+c.ImageURL+c.URL == "" && len(c.Fields) == 0
}

// rawOf is the JSON of a decoded value.
func rawOf(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil { // what was decoded can be encoded
		return nil
	}
	return raw
}

// tableOf reads an OutputTable. A row that is an object is read in the order of the headers.
func tableOf(o object) *Table {
	t := &Table{}
	var keys []string
	for _, h := range list(o["headers"]) {
		text := cell(h, maxNesting)
		key := text
		if h, ok := h.(object); ok {
			if key = cellOf(h, "name", "key", "field"); key == "" {
				key = text
			}
		}
		t.Headers, keys = append(t.Headers, text), append(keys, key)
	}
	for _, r := range list(o["data"]) {
		switch r := unwrap(r).(type) {
		case []any:
			row := make([]string, 0, len(r))
			for _, v := range r {
				row = append(row, cell(v, maxNesting))
			}
			t.Rows = append(t.Rows, row)
		case object:
			t.Rows = append(t.Rows, rowOf(r, keys))
		default:
			t.Rows = append(t.Rows, []string{cell(r, maxNesting)})
		}
	}
	return t
}

// maxColumns bounds the headers that the cells of objects are put below: each row has a cell for each of them.
const maxColumns = 50

// rowOf orders the cells of a row by keys, or by its own when none of those fits, or there are too many.
func rowOf(r object, keys []string) []string {
	if len(keys) > maxColumns || !slices.ContainsFunc(keys, func(k string) bool { _, ok := r[k]; return ok }) {
		keys = sortedKeys(r)
	}
	row := make([]string, 0, len(keys))
	for _, k := range keys {
		row = append(row, cell(r[k], maxNesting))
	}
	return row
}

// linksOf reads links in any of the shapes that ServiceNow gives them. One without an address is kept for its words, unless none has any.
func linksOf(v any) []Link {
	var links []Link
	for _, v := range list(v) {
		l := Link{URL: address(v)}
		if o, ok := v.(object); ok {
			l.URL = firstAddress(o, "action", "link", "url", "href", "value")
			l.Label = firstText(o, "label", "title", "name", "header")
			l.Description = firstText(o, "description", "context")
		}
		if l != (Link{}) {
			links = append(links, l)
		}
	}
	if !slices.ContainsFunc(links, func(l Link) bool { return l.URL != "" }) {
		return nil
	}
	return links
}
