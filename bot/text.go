package bot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// maxTextRunes bounds a text, built in or configured, before values are inserted.
const maxTextRunes = 300

// maxValueRunes bounds a value that is inserted into a text.
const maxValueRunes = 120

// Texts are the sentences of one language. They do not change after they were made, so that they
// may be shared.
type Texts struct {
	language string
	texts    map[TextKey]string
}

// Language is the BCP 47 code of the language, such as "de".
func (t *Texts) Language() string { return t.language }

// Say returns the sentence of key with values in the places of its placeholders, in the order in
// which the comment of the key names them. Values are inserted once and never looked at again: a
// name such as "{minutes}" stays what it is. Control characters in values become spaces, and a
// value is cut after 120 characters. A missing value leaves nothing behind; a key that does not
// exist says nothing.
func (t *Texts) Say(key TextKey, values ...string) string {
	text := t.texts[key]
	names := placeholders[key]
	if len(names) == 0 {
		return text
	}
	pairs := make([]string, 0, 2*len(names))
	for i, name := range names {
		value := ""
		if i < len(values) {
			value = plainValue(values[i])
		}
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// plainValue makes a value one line without control or direction characters.
func plainValue(value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	value = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, value)
	value = strings.Join(strings.Fields(value), " ")
	if cut := []rune(value); len(cut) > maxValueRunes {
		value = string(cut[:maxValueRunes]) + "…"
	}
	return value
}

// Catalogue holds the sentences of all languages, with what a configuration changed.
type Catalogue struct {
	tags    []language.Tag
	texts   []*Texts
	matcher language.Matcher
	known   recent[string, *Texts] // by locale
}

// NewCatalogue returns the built-in sentences with overrides, which are keyed by language code and
// then by key, both as in [TextLanguages] and [TextKeys]. It fails on an unknown language or key,
// an empty or overlong sentence (over 300 characters), and a placeholder that the key does not
// have; the error names every problem and what would be right. A sentence may leave out a
// placeholder.
func NewCatalogue(overrides map[string]map[string]string) (*Catalogue, error) {
	c := &Catalogue{}
	var problems []error
	for _, code := range slices.Sorted(maps.Keys(overrides)) {
		if _, ok := builtinTexts[code]; !ok {
			problems = append(problems, fmt.Errorf("unknown language %q of texts, known are %s",
				code, strings.Join(TextLanguages(), ", ")))
		}
	}
	for _, code := range TextLanguages() {
		texts, err := (&Texts{language: code, texts: builtinTexts[code]}).with(overrides[code])
		if err != nil {
			problems = append(problems, fmt.Errorf("texts of language %q: %w", code, err))
		}
		c.texts = append(c.texts, texts)
		c.tags = append(c.tags, language.MustParse(code))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	c.matcher = language.NewMatcher(c.tags)
	return c, nil
}

// For returns the sentences for a locale as Teams sends it, such as "pt-BR" or "en_GB". A locale that
// is empty, unknown or malformed gets English.
func (c *Catalogue) For(locale string) *Texts {
	if len(locale) > 35 { // the longest tag that RFC 5646 wants to be supported
		return c.texts[0]
	}
	t, ok := c.known.get(locale)
	if !ok {
		t = c.match(locale)
		c.known.put(locale, t)
	}
	return t
}

func (c *Catalogue) match(locale string) *Texts {
	tag, err := language.Parse(locale)
	if err != nil {
		return c.texts[0]
	}
	_, i, confidence := c.matcher.Match(tag)
	if confidence < language.Low {
		i = 0
	}
	return c.texts[i]
}

// builtin is the catalogue without overrides.
var builtin = mustCatalogue()

func mustCatalogue() *Catalogue {
	c, err := NewCatalogue(nil)
	if err != nil {
		panic("bot: built-in texts: " + err.Error()) // constants, which the tests read
	}
	return c
}

// TextsFor returns the built-in sentences for a locale; see [Catalogue.For].
func TextsFor(locale string) *Texts { return builtin.For(locale) }

// with returns the sentences with those of overrides in their place.
func (t *Texts) with(overrides map[string]string) (*Texts, error) {
	if len(overrides) == 0 {
		return t, nil
	}
	texts := maps.Clone(t.texts)
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		key, text := TextKey(name), strings.TrimSpace(overrides[name])
		if _, ok := texts[key]; !ok {
			problems = append(problems, fmt.Errorf("unknown text %q, known are %s", name, strings.Join(TextKeys(), ", ")))
			continue
		}
		if err := checkText(key, text); err != nil {
			problems = append(problems, err)
			continue
		}
		texts[key] = text
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &Texts{language: t.language, texts: texts}, nil
}

func checkText(key TextKey, text string) error {
	if text == "" {
		return fmt.Errorf("text %q is empty", key)
	}
	if n := len([]rune(text)); n > maxTextRunes {
		return fmt.Errorf("text %q has %d characters, at most %d are allowed", key, n, maxTextRunes)
	}
	for _, name := range placeholdersIn(text) {
		if !slices.Contains(placeholders[key], name) {
			if len(placeholders[key]) == 0 {
				return fmt.Errorf("text %q has no placeholders, but {%s} is used", key, name)
			}
			return fmt.Errorf("text %q does not know {%s}, only {%s}", key, name,
				strings.Join(placeholders[key], "}, {"))
		}
	}
	return nil
}

// placeholdersIn returns the names in braces in text, in order.
func placeholdersIn(text string) []string {
	var names []string
	for {
		_, after, ok := strings.Cut(text, "{")
		if !ok {
			return names
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return names
		}
		names = append(names, name)
		text = rest
	}
}

// TextLanguages are the codes of the built-in languages, English first.
func TextLanguages() []string {
	return []string{"en", "es", "fr", "de", "pt", "it", "nl", "ja"}
}

// TextKeys are the names of all sentences, sorted.
func TextKeys() []string {
	keys := make([]string, 0, len(textsEnglish))
	for key := range textsEnglish {
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	return keys
}

// builtinTexts are the sentences by language code.
var builtinTexts = map[string]map[TextKey]string{
	"en": textsEnglish,
	"es": textsSpanish,
	"fr": textsFrench,
	"de": textsGerman,
	"pt": textsPortuguese,
	"it": textsItalian,
	"nl": textsDutch,
	"ja": textsJapanese,
}
