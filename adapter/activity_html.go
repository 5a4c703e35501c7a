package adapter

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// An htmlView says what renderHTML shows besides the words.
type htmlView struct {
	ownMentions map[string]bool // squashed names of mentions that are left out
	marks       bool            // "- " and "1. " before the items of a list
	names       bool            // the alternative texts of pictures, which is where Teams puts emoji
}

// renderHTML returns the text that markup shows, with its line breaks. It reads tokens rather than
// building a tree, so that its work and memory are linear in the input whatever that is.
func renderHTML(markup string, v htmlView) string {
	r := htmlRenderer{view: v}
	z := html.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case html.ErrorToken:
			r.endMention()
			return r.out.String()
		case html.TextToken:
			r.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			r.start(z.Token())
		case html.EndTagToken:
			name, _ := z.TagName()
			r.end(atom.Lookup(name))
		}
	}
}

// An htmlRenderer holds the line that is being written.
type htmlRenderer struct {
	view    htmlView
	out     strings.Builder
	inLine  bool // something stands in the current line
	space   bool // white space is due before the next word
	marked  bool // the mark of an item stands in the line, and nothing else
	hidden  int  // depth of script and style
	pre     int
	lists   []int // the next number of each open list; 0 in a list without numbers
	mention *strings.Builder
	ended   atom.Atom // the tag that ends the mention
}

func (r *htmlRenderer) start(t html.Token) {
	switch t.DataAtom {
	case atom.Br:
		r.breakLine()
	case atom.Script, atom.Style:
		r.hidden++
	case atom.Img:
		if r.view.names && !strings.HasSuffix(attribute(t, "itemtype"), "schema.skype.com/AMSImage") { // a pasted picture is a file, and its name "image"
			r.word(attribute(t, "alt"))
		}
	case atom.Ul:
		r.endBlock()
		r.lists = append(r.lists, 0)
	case atom.Ol:
		r.endBlock()
		r.lists = append(r.lists, 1)
	case atom.Li:
		r.endBlock()
		r.item()
	case atom.Pre:
		r.endBlock()
		r.pre++
	case atom.Td, atom.Th:
		r.space = r.inLine
	case atom.Span, 0:
		if t.Data == "at" || strings.HasSuffix(attribute(t, "itemtype"), "schema.skype.com/Mention") {
			r.endMention()
			r.mention, r.ended = new(strings.Builder), t.DataAtom
		}
	default:
		if isBlock(t.DataAtom) {
			r.endBlock()
		}
	}
}

func (r *htmlRenderer) end(tag atom.Atom) {
	switch tag {
	case atom.Script, atom.Style:
		r.hidden = max(0, r.hidden-1)
	case atom.Ul, atom.Ol:
		r.endBlock()
		r.lists = r.lists[:max(0, len(r.lists)-1)]
	case atom.Pre:
		r.endBlock()
		r.pre = max(0, r.pre-1)
	case atom.Li:
		r.inLine = r.inLine || r.marked
		r.endBlock()
	case atom.Span, 0:
		if r.mention != nil && tag == r.ended {
			r.endMention()
		}
	default:
		if isBlock(tag) {
			r.endBlock()
		}
	}
}

func isBlock(tag atom.Atom) bool {
	switch tag {
	case atom.P, atom.Div, atom.Tr, atom.Blockquote, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Hr, atom.Table:
		return true
	}
	return false
}

func (r *htmlRenderer) text(s string) {
	switch {
	case r.hidden > 0:
	case r.mention != nil:
		r.mention.WriteString(s)
	case r.pre > 0:
		for i, line := range strings.Split(s, "\n") {
			if i > 0 {
				r.breakLine()
			}
			if line != "" {
				r.out.WriteString(line)
				r.inLine = true
			}
		}
	default:
		r.flow(s)
	}
}

// flow writes words, with one space for each run of white space.
func (r *htmlRenderer) flow(s string) {
	for s != "" {
		word := strings.TrimLeft(s, " \t\r\n\f")
		r.space = r.space || len(word) < len(s)
		end := strings.IndexAny(word, " \t\r\n\f")
		if end < 0 {
			end = len(word)
		}
		r.word(word[:end])
		s = word[end:]
	}
}

func (r *htmlRenderer) word(w string) {
	if w == "" {
		return
	}
	if r.space && r.inLine {
		r.out.WriteByte(' ')
	}
	r.space, r.inLine, r.marked = false, true, false
	r.out.WriteString(strings.ReplaceAll(w, "\u00a0", " "))
}

// item starts an item of the innermost list.
func (r *htmlRenderer) item() {
	if !r.view.marks {
		return
	}
	mark := "-"
	if n := len(r.lists); n > 0 && r.lists[n-1] > 0 {
		mark = strconv.Itoa(r.lists[n-1]) + "."
		r.lists[n-1]++
	}
	r.out.WriteString(strings.Repeat("  ", min(8, max(0, len(r.lists)-1))) + mark + " ")
	r.marked = true
}

// endMention writes the mention that was read unless it is the bot's own.
func (r *htmlRenderer) endMention() {
	if r.mention == nil {
		return
	}
	name := r.mention.String()
	r.mention = nil
	if !r.view.ownMentions[squash(name)] {
		r.word("<at>" + name + "</at>")
	}
}

func (r *htmlRenderer) breakLine() {
	r.out.WriteByte('\n')
	r.inLine, r.space, r.marked = false, false, false
}

// endBlock ends the line if anything stands in it.
func (r *htmlRenderer) endBlock() {
	if r.inLine {
		r.breakLine()
	}
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
