package snow

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// withoutZeroWidthSpace removes the U+200B that ServiceNow's AI puts around the marks of its citations.
func withoutZeroWidthSpace(s string) string { return strings.ReplaceAll(s, "\u200b", "") }

// plainText is what a person would read of a piece of HTML: its words, one line for each block, items of lists with a
// dash, images by their alternative text, and addresses of links in brackets. It is never markup.
func plainText(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return strings.TrimSpace(s)
	}
	var t htmlText
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(t.b.String())
		case html.TextToken:
			if !t.hidden {
				t.words(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t.start(z.Token())
		case html.EndTagToken:
			t.end(z.Token())
		}
	}
}

// htmlText collects the words of a piece of HTML.
type htmlText struct {
	b      strings.Builder
	line   bool   // something is on the line
	space  bool   // white space came since
	hidden bool   // in a script or style
	href   string // of the link that is open
	label  int    // where its text starts
}

// words adds text, with white space collapsed as a browser does.
func (t *htmlText) words(s string) {
	for i, f := range strings.Fields(s) {
		if t.line && (i > 0 || t.space || strings.HasPrefix(s, " ") || isSpace(s[0])) {
			t.b.WriteByte(' ')
		}
		t.b.WriteString(f)
		t.line, t.space = true, false
	}
	t.space = t.space || s != "" && isSpace(s[len(s)-1])
}

func (t *htmlText) breakLine() {
	if t.line {
		t.b.WriteByte('\n')
	}
	t.line, t.space = false, false
}

func (t *htmlText) start(tag html.Token) {
	switch tag.DataAtom {
	case atom.Script, atom.Style:
		t.hidden = tag.Type == html.StartTagToken
	case atom.Br:
		t.breakLine()
	case atom.Li:
		t.breakLine()
		t.words("-")
		t.space = true
	case atom.Img:
		t.words(attribute(tag, "alt"))
	case atom.A:
		t.href, t.label = strings.TrimSpace(attribute(tag, "href")), t.b.Len()
	case atom.Td, atom.Th:
		t.space = true
	default:
		if isBlock(tag.DataAtom) {
			t.breakLine()
		}
	}
}

func (t *htmlText) end(tag html.Token) {
	switch tag.DataAtom {
	case atom.Script, atom.Style:
		t.hidden = false
	case atom.A:
		if label := strings.TrimSpace(t.b.String()[t.label:]); t.href != "" && t.href != label {
			if label != "" {
				t.words(" (" + t.href + ")")
			} else {
				t.words(t.href)
			}
		}
		t.href = ""
	default:
		if isBlock(tag.DataAtom) {
			t.breakLine()
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

func isBlock(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Ul, atom.Ol, atom.Table, atom.Tr, atom.Blockquote, atom.Pre, atom.Section, atom.Article,
		atom.Header, atom.Footer, atom.Hr, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Dl, atom.Dt, atom.Dd:
		return true
	default:
		return false
	}
}

func attribute(tag html.Token, key string) string {
	for _, a := range tag.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
