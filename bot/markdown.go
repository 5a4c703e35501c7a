package bot

import (
	"regexp"
	"strings"
	"unicode/utf16"

	htmltomarkdown "github.com/JohannesKaufmann/html-to-markdown/v2"
	"github.com/microcosm-cc/bluemonday"
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

// htmlToMarkdown makes the agent's HTML safe and readable. Scripts, styles, frames, pictures and
// addresses that are neither http nor mail are taken out before anything else looks at it.
func htmlToMarkdown(raw string) string {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "b", "strong", "i", "em", "u", "s", "ul", "ol", "li", "blockquote",
		"pre", "code", "h1", "h2", "h3", "h4", "h5", "h6", "div", "span")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowURLSchemes("http", "https", "mailto")
	policy.RequireParseableURLs(true)
	md, err := htmltomarkdown.ConvertString(policy.Sanitize(raw))
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
