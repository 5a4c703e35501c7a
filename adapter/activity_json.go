package adapter

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// The codec reads an object member by member in one pass over bytes that are known to be valid, and
// writes it back by appending. encoding/json alone would need a second pass into a map to find the
// unknown members, and would refuse the whole object for one member of an unexpected type.

// jsonMembers walks over the members of a JSON object, or over the elements of a JSON array, which
// have no key. Its input must be valid JSON.
type jsonMembers struct {
	b     []byte
	i     int
	array bool

	key []byte // decoded
	val []byte // raw, without space around it; it shares its memory with the input
}

func objectMembers(b []byte) jsonMembers { return jsonMembers{b: b, i: 1} }

func arrayElements(b []byte) jsonMembers { return jsonMembers{b: b, i: 1, array: true} }

func (m *jsonMembers) next() bool {
	m.skip(',')
	if c := m.b[m.i]; c == '}' || c == ']' {
		return false
	}
	if !m.array {
		end := stringEnd(m.b, m.i)
		m.key = m.b[m.i+1 : end-1]
		if bytes.IndexByte(m.key, '\\') >= 0 || !utf8.Valid(m.key) {
			m.key = []byte(unquote(m.b[m.i:end]))
		}
		m.i = end
		m.skip(':')
	}
	end := valueEnd(m.b, m.i)
	m.val = m.b[m.i:end:end]
	m.i = end
	return true
}

// skip moves over white space and the separator.
func (m *jsonMembers) skip(separator byte) {
	for c := m.b[m.i]; isSpace(c) || c == separator; c = m.b[m.i] {
		m.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// stringEnd returns the index after the string that starts at b[i].
func stringEnd(b []byte, i int) int {
	if quote := i + 1 + bytes.IndexByte(b[i+1:], '"'); b[quote-1] != '\\' { // as most are
		return quote + 1
	}
	for i++; ; i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// valueEnd returns the index after the value that starts at b[i].
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == ',' || c == '}' || c == ']' || isSpace(c) {
			break
		}
	}
	return i
}

// member returns the last value of that name in a valid JSON object, and null for anything else.
func member(raw []byte, name string) []byte {
	value := []byte("null")
	if raw[0] != '{' {
		return value
	}
	for m := objectMembers(raw); m.next(); {
		if string(m.key) == name {
			value = m.val
		}
	}
	return value
}

func isNull(raw []byte) bool { return string(raw) == "null" }

// unquote decodes a valid JSON string. Broken surrogates become U+FFFD.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return internedString(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// internedString saves the memory of the words that stand in every activity.
func internedString(b []byte) string {
	switch string(b) {
	case TypeMessage:
		return TypeMessage
	case Personal:
		return Personal
	case TextPlain:
		return TextPlain
	case teamsChannel:
		return teamsChannel
	case contentTypeHTML:
		return contentTypeHTML
	}
	return string(b)
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// An objectWriter appends one JSON object: the typed members that are not zero, and then those of
// extra that no typed member has replaced, sorted, so that equal objects have equal bytes.
type objectWriter struct {
	b       []byte
	extra   map[string]json.RawMessage
	written []string // keys that are in extra too
}

func newObjectWriter(b []byte, extra map[string]json.RawMessage) objectWriter {
	return objectWriter{b: append(b, '{'), extra: extra}
}

// key starts a typed member, whose name needs no escaping.
func (o *objectWriter) key(k string) {
	if len(o.extra) > 0 {
		if _, ok := o.extra[k]; ok {
			o.written = append(o.written, k)
		}
	}
	o.separate()
	o.b = append(o.b, '"')
	o.b = append(o.b, k...)
	o.b = append(o.b, '"', ':')
}

func (o *objectWriter) separate() {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
}

func (o *objectWriter) str(k, v string) {
	if v != "" {
		o.key(k)
		o.b = appendString(o.b, v)
	}
}

func (o *objectWriter) raw(k string, v json.RawMessage) {
	if len(v) > 0 {
		o.key(k)
		o.b = appendRaw(o.b, v)
	}
}

// invalid stands for a value that is no JSON, and nothing else is written so: control characters are escaped.
const invalid = 0

// appendRaw appends what a caller has put in a raw field.
func appendRaw(b []byte, v json.RawMessage) []byte {
	if !json.Valid(v) {
		return append(b, invalid)
	}
	return append(b, v...)
}

func (o *objectWriter) end() []byte {
	keys := make([]string, 0, len(o.extra))
	for k, v := range o.extra {
		if len(v) > 0 && !slices.Contains(o.written, k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		o.separate()
		o.b = append(appendString(o.b, k), ':')
		o.b = appendRaw(o.b, o.extra[k])
	}
	return append(o.b, '}')
}

// appender is a type that writes itself as a JSON object.
type appender interface{ appendJSON(b []byte) []byte }

func writeObject[P interface {
	*T
	appender
}, T any](o *objectWriter, k string, v P,
) {
	if v != nil {
		o.key(k)
		o.b = v.appendJSON(o.b)
	}
}

// writeArray writes an array that is empty but not nil, too.
func writeArray[P interface {
	*T
	appender
}, T any](o *objectWriter, k string, v []T,
) {
	if v == nil {
		return
	}
	o.key(k)
	o.b = append(o.b, '[')
	for i := range v {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = P(&v[i]).appendJSON(o.b)
	}
	o.b = append(o.b, ']')
}
