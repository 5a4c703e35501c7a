package bot

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf16"

	htmltomarkdown "github.com/JohannesKaufmann/html-to-markdown/v2"
	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Teams turns markdown into HTML, so both sets of special characters are escaped.
var (
	markdownSpecial = regexp.MustCompile("[\\\\`*_{}\\[\\]()#+\\-.!|>~]")
	htmlSpecial     = strings.NewReplacer("&", "&amp;", "<", "&lt;")
	cardSpecial     = regexp.MustCompile(`[\\*_\[\]]`)
	ampersand       = regexp.MustCompile(`&(lt;|gt;|amp;)?`)
	listStart       = regexp.MustCompile(`(?m)^(\s*)([-+]|\d+\.)(\s)`)
	urlSpecial      = strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "\"", "%22", "\n", "", "\r", "")
)

// escapeMarkdown makes text show as it is in a message of the format markdown.
func escapeMarkdown(text string) string {
	text = markdownSpecial.ReplaceAllString(text, `\$0`)
	text = htmlSpecial.Replace(text)
	return strings.ReplaceAll(text, "\n", "  \n") // a bare line break disappears
}

// escapeCard makes text show as it is in a TextBlock, which knows bold, italic, lists and links.
func escapeCard(text string) string {
	text = cardSpecial.ReplaceAllString(text, `\$0`)
	text = listStart.ReplaceAllString(text, `$1\$2$3`)
	return strings.ReplaceAll(text, "\n", "\n\n")
}

func escapeURL(url string) string { return urlSpecial.Replace(url) }

// htmlToMarkdown makes the agent's HTML safe and readable. Scripts, styles, frames and addresses that are neither http
// nor mail are taken out before anything else looks at it. What a message of Teams cannot hold becomes what it can: a
// picture is a link, and a row of a table a line.
func htmlToMarkdown(raw string, resolve resolver) string {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "b", "strong", "i", "em", "u", "s", "ul", "ol", "li", "blockquote",
		"pre", "code", "h1", "h2", "h3", "h4", "h5", "h6", "div", "span", "hr", "dl", "dt", "dd",
		"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowAttrs("src", "alt").OnElements("img")
	policy.AllowURLSchemes("http", "https", "mailto")
	policy.AllowRelativeURLs(true)
	policy.RequireParseableURLs(true)
	md, err := htmltomarkdown.ConvertString(simpleHTML(policy.Sanitize(raw), resolve))
	if err != nil {
		return ""
	}
	// What is left of "<" and "&" was text; some of it is escaped already.
	md = ampersand.ReplaceAllStringFunc(md, func(s string) string {
		if s == "&" {
			return "&amp;"
		}
		return s
	})
	return strings.TrimSpace(strings.ReplaceAll(md, "<", "&lt;"))
}

// simpleHTML rewrites sanitised HTML into what has a counterpart in markdown: addresses become absolute, and those that
// cannot leave their words; pictures become links; rows become lines, with a bar between their cells.
func simpleHTML(safe string, resolve resolver) string {
	var b strings.Builder
	cells := 0 // of the row so far
	link := false
	z := html.NewTokenizer(strings.NewReader(safe))
	for z.Next() != html.ErrorToken {
		t := z.Token()
		switch opens := t.Type != html.EndTagToken; t.DataAtom {
		case atom.A:
			if opens {
				t.Attr = absolute(t.Attr, "href", resolve)
				link = len(t.Attr) > 0
			}
			if link {
				b.WriteString(t.String())
			}
		case atom.Img:
			b.WriteString(pictureLink(t, resolve))
		case atom.Tr, atom.Caption:
			t.DataAtom, t.Data, cells = atom.Div, "div", 0
			b.WriteString(t.String())
		case atom.Td, atom.Th:
			if opens && cells > 0 {
				b.WriteString(" | ")
			}
			if opens {
				cells++
			}
		case atom.Table, atom.Thead, atom.Tbody, atom.Tfoot:
		default:
			b.WriteString(t.String())
		}
	}
	return b.String()
}

// absolute resolves the address in an attribute, and leaves the attribute out when it is none.
func absolute(attrs []html.Attribute, key string, resolve resolver) []html.Attribute {
	var out []html.Attribute
	for _, a := range attrs {
		if a.Key == key {
			if a.Val, _ = resolve(a.Val); a.Val == "" {
				continue
			}
		}
		out = append(out, a)
	}
	return out
}

// pictureLink is a link to a picture, labelled with what it shows, or else with the name of its file.
func pictureLink(img html.Token, resolve resolver) string {
	var src, alt string
	for _, a := range img.Attr {
		switch a.Key {
		case "src":
			src, _ = resolve(a.Val)
		case "alt":
			alt = strings.TrimSpace(a.Val)
		}
	}
	if !linkable(src) {
		return " " + html.EscapeString(alt) + " "
	}
	if alt == "" {
		name, _, _ := strings.Cut(src, "?")
		alt = path.Base(name)
	}
	return ` <a href="` + html.EscapeString(src) + `">` + html.EscapeString(alt) + `</a> `
}

// textLimit is the size of one message in UTF-16 units: well under the 40,000 that fit into the 80 KB that Teams
// advises, whatever escaping adds.
const textLimit = 20_000

// splitText cuts long text at paragraphs, else at lines, else at words, else anywhere but within a
// character. The parts joined are the text.
func splitText(text string, limit int) []string {
	var parts []string
	for text != "" {
		end := fit(text, limit)
		if end < len(text) {
			for _, sep := range []string{"\n\n", "\n", " "} {
				if i := strings.LastIndex(text[:end], sep); i > 0 {
					end = i + len(sep)
					break
				}
			}
		}
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return parts
}

// fit returns how many bytes of text are at most limit UTF-16 units.
func fit(text string, limit int) int {
	if len(text) <= limit {
		return len(text)
	}
	units := 0
	for i, r := range text {
		units += max(1, utf16.RuneLen(r))
		if units > limit {
			return i
		}
	}
	return len(text)
}
