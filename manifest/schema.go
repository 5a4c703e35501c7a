package manifest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A kind of JSON value.
type kind int

const (
	anything kind = iota // known to Teams, and unchecked here
	object
	array
	text
	boolean
	null
)

func (k kind) String() string {
	return [...]string{"anything", "an object", "an array", "a string", "true or false", "null"}[k]
}

// A schema is what a value has to be like. It holds the part of JSON Schema that the manifest's uses.
type schema struct {
	kind kind
	// Of an object. Members that are not named are unknown.
	members  map[string]schema
	required []string
	// Of an array.
	items    *schema
	distinct bool
	// Of an array, the elements; of a text, the characters. 0 is no limit.
	most int
	// Of a text.
	form   *form
	choice []string
}

// A form is a pattern, and how to say it.
type form struct {
	pattern *regexp.Regexp
	says    string
}

var (
	guidForm  = form{regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`), "a GUID such as 01234567-89ab-cdef-0123-456789abcdef"}
	colorForm = form{regexp.MustCompile(`^#[0-9a-fA-F]{6}$`), "a colour such as #0f5c7a"}
	urlForm   = form{regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]?://`), "an https:// URL"}
)

// check adds what is wrong with v, which pointer points to.
func (s *schema) check(v any, pointer string, f *faults) {
	if f.full() {
		return
	}
	if s.kind == anything {
		f.add(pointer, ruleUnchecked, "Teams knows this member, but its content cannot be checked here")
		return
	}
	if got := kindOfValue(v); got != s.kind {
		f.add(pointer, ruleType, "has to be %s", s.kind)
		return
	}
	switch v := v.(type) {
	case map[string]any:
		s.checkObject(v, pointer, f)
	case []any:
		s.checkArray(v, pointer, f)
	case string:
		s.checkText(v, pointer, f)
	}
}

func (s *schema) checkObject(v map[string]any, pointer string, f *faults) {
	for _, name := range s.required {
		if _, ok := v[name]; !ok {
			f.add(below(pointer, name), ruleRequired, "is missing")
		}
	}
	for _, name := range sortedKeys(v) {
		if m, ok := s.members[name]; ok {
			m.check(v[name], below(pointer, name), f)
			continue
		}
		hint := ""
		for known := range s.members {
			if strings.EqualFold(known, name) {
				hint = "; it is spelt " + known
			}
		}
		f.add(below(pointer, name), ruleUnknown, "there is no such member%s", hint)
	}
}

func (s *schema) checkArray(v []any, pointer string, f *faults) {
	if s.most > 0 && len(v) > s.most {
		f.add(pointer, ruleCount, "has %d elements, and at most %d are allowed", len(v), s.most)
	}
	for i, e := range v {
		if f.full() {
			return
		}
		at := pointer + "/" + strconv.Itoa(i)
		s.items.check(e, at, f)
		if s.distinct && slices.ContainsFunc(v[:min(i, s.most)], func(o any) bool { return equal(o, e) }) {
			f.add(at, ruleDuplicate, "the element is there twice")
		}
	}
}

func (s *schema) checkText(v, pointer string, f *faults) {
	if n := utf8.RuneCountInString(v); s.most > 0 && n > s.most {
		f.add(pointer, ruleLength, "has %d characters, and at most %d are allowed", n, s.most)
	}
	if s.form != nil && !s.form.pattern.MatchString(v) {
		f.add(pointer, rulePattern, "%s is not %s", quote(v), s.form.says)
	}
	if s.choice != nil && !slices.Contains(s.choice, v) {
		f.add(pointer, ruleValue, "%s is not one of %s", quote(v), strings.Join(s.choice, ", "))
	}
}

func kindOfValue(v any) kind {
	switch v.(type) {
	case map[string]any:
		return object
	case []any:
		return array
	case string:
		return text
	case bool:
		return boolean
	case nil:
		return null
	}
	return anything // a number, which no member is
}

// equal compares elements: texts, or objects of texts. Others were refused by their type.
func equal(a, b any) bool {
	ma, ok := a.(map[string]any)
	mb, ok2 := b.(map[string]any)
	if ok && ok2 {
		return textOf(ma["name"]) == textOf(mb["name"]) && textOf(ma["type"]) == textOf(mb["type"])
	}
	sa, ok := a.(string)
	sb, ok2 := b.(string)
	return ok && ok2 && sa == sb
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
