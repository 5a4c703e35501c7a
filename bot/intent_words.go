package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxIntentRunes is how much of a text is looked at: a wish stands at its beginning, and what is
// longer is a pasted log or mail.
const maxIntentRunes = 2000

// strange stands for something that is no word: an address, a path, code, or quoted words.
const strange = "\x00"

// A word is a normalised word of a text, or a boundary between two clauses.
type word struct {
	text     string // folded, without accents; strange; or empty for a boundary
	boundary bool
	question bool // the boundary is a question mark
	comma    bool // the boundary is a comma and nothing more
	cjk      bool // a run of Japanese without spaces
}

// tokenise splits text into words and boundaries. A word is folded: compatibility forms, case and
// accents are gone, "don't" is one word and "d'agent" two.
func tokenise(text string) []word {
	t := tokeniser{rest: fold(text)}
	t.words = make([]word, 0, len(t.rest)/5+2)
	for t.rest != "" {
		t.step()
	}
	return t.words
}

// fold returns text in compatibility form without accents. Case stays, because it tells a new
// sentence from the end of a file name.
func fold(text string) string {
	ascii := true
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return text
	}
	text = strings.Map(func(r rune) rune {
		switch r {
		case '’', 'ʼ', '‘', '´', '`', '＇':
			return '\''
		case '\u200b', '\u200c', '\u200d', '\ufeff', '\u00ad', '\ufe0f':
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = norm.NFKD.String(text)
	text = strings.Map(func(r rune) rune {
		if r >= '\u0300' && r <= '\u036f' { // not the marks of Japanese, which make another letter
			return -1
		}
		return r
	}, text)
	return norm.NFC.String(text)
}

type tokeniser struct {
	rest  string
	words []word
}

// step takes one chunk off the rest: spaces, a mark, or what stands between spaces.
func (t *tokeniser) step() {
	r, size := utf8.DecodeRuneInString(t.rest)
	switch {
	case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
		t.boundary(false)
	case unicode.IsSpace(r):
	default:
		end := strings.IndexFunc(t.rest, unicode.IsSpace)
		if end < 0 {
			end = len(t.rest)
		}
		t.chunk(t.rest[:end])
		size = end
	}
	t.rest = t.rest[size:]
}

// chunk takes what stands between two spaces.
func (t *tokeniser) chunk(s string) {
	if isTechnical(s) {
		t.words = append(t.words, word{text: strange})
		return
	}
	if s == "-" || s == "–" || s == "—" || s == "--" {
		t.boundary(false)
		return
	}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case isCJK(r):
			end := strings.IndexFunc(s, func(r rune) bool { return !isCJK(r) })
			if end < 0 {
				end = len(s)
			}
			t.words = append(t.words, word{text: s[:end], cjk: true})
			size = end
		case isLetter(r):
			size = t.word(s)
		case r == '?' || r == '¿' || r == '؟':
			t.boundary(r != '¿')
		case r == ',' || r == '、' || r == '，':
			t.comma()
		case strings.ContainsRune(".;!¡()。．·…・[]{}|", r):
			t.boundary(false)
		case r == ':' && len(t.words) > 0 && len(s) == size:
			t.words = append(t.words, word{text: strange}) // "Agent:" is a heading or a transcript
		}
		s = s[size:]
	}
}

// word takes the word that s starts with, and returns its length.
func (t *tokeniser) word(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return !isLetter(r) })
	if end < 0 {
		end = len(s)
	}
	if end+1 < len(s) && s[end] == '.' && isFileEnding(s[end+1:]) {
		t.words = append(t.words, word{text: strange})
		return len(s)
	}
	text := s[:end]
	if end < len(s) && s[end] == '\'' {
		tail := s[end+1:]
		stop := strings.IndexFunc(tail, func(r rune) bool { return !isLetter(r) })
		if stop < 0 {
			stop = len(tail)
		}
		switch lower(tail[:stop]) {
		case "t", "s", "m", "re", "ve", "ll", "d": // don't, what's, I'm
			text += tail[:stop]
			end += 1 + stop
		}
	}
	t.words = append(t.words, word{text: lower(text)})
	return end
}

func (t *tokeniser) boundary(question bool) {
	if n := len(t.words); n > 0 && t.words[n-1].boundary {
		t.words[n-1].question = t.words[n-1].question || question
		t.words[n-1].comma = false
		return
	}
	t.words = append(t.words, word{boundary: true, question: question})
}

func (t *tokeniser) comma() {
	if n := len(t.words); n > 0 && !t.words[n-1].boundary {
		t.words = append(t.words, word{boundary: true, comma: true})
	}
}

// lower folds the case of a word.
func lower(s string) string {
	s = strings.ToLower(s)
	if strings.ContainsRune(s, 'ß') {
		s = strings.ReplaceAll(s, "ß", "ss")
	}
	if strings.ContainsRune(s, 'œ') {
		s = strings.ReplaceAll(s, "œ", "oe")
	}
	return s
}

// isTechnical reports whether s is an address, a path, code or the like.
func isTechnical(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '\\', '=', '<', '>':
			return true
		case '@':
			if i > 0 {
				return true
			}
		case ':':
			if i+2 < len(s) && (s[i+1:i+3] == "//" || s[i+1] == ':') {
				return true
			}
		case '(':
			if i > 0 && i+1 < len(s) { // a call
				return true
			}
		}
	}
	return strings.HasPrefix(s, "www.")
}

// isFileEnding reports whether s, after a full stop, is the end of a file name or a host rather than
// a sentence that began without a space.
func isFileEnding(s string) bool {
	n := 0
	for ; n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || s[n] >= '0' && s[n] <= '9'); n++ {
	}
	return n > 0 && n <= 4 && (n == len(s) || s[n] == '.' || s[n] == ',' || s[n] == '?')
}

func isLetter(r rune) bool {
	return r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') ||
		r >= utf8.RuneSelf && !isCJK(r) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func isCJK(r rune) bool {
	return r >= '\u3005' && (r == 'ー' || r == '々' || unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han))
}

// closers are the marks that end what the key opens as a quotation.
var closers = map[rune]string{
	'"': `"`, '“': "”“\"", '”': "”", '„': "“”\"", '«': "»", '»': "«", '「': "」", '『': "』",
}

// unquoted replaces quoted words by something strange, since they are another's: a quotation in
// marks, and a line that starts with ">". A text that is a quotation and nothing else is taken at
// its word.
func unquoted(text string) string {
	if !strings.ContainsAny(text, "\"“”„«»「『>") {
		return text
	}
	var b strings.Builder
	own := false // words outside of quotations were seen
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), ">") {
			b.WriteByte('\n')
			continue
		}
		for line != "" {
			r, size := utf8.DecodeRuneInString(line)
			end := -1
			if closing := closers[r]; closing != "" {
				end = strings.IndexAny(line[size:], closing)
			}
			if end < 0 {
				own = own || isLetter(r) || isCJK(r)
				b.WriteString(line[:size])
				line = line[size:]
				continue
			}
			b.WriteString(" = ")
			line = line[size+end:]
			_, size = utf8.DecodeRuneInString(line)
			line = line[size:]
		}
	}
	if !own {
		return text
	}
	return b.String()
}

// firstRunes cuts text after n runes, without looking at the rest.
func firstRunes(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
