package snow

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIdentifier bounds an id, in bytes, so that a foreign one can be logged, and a session and a message make one key. Real ones have under 300.
const maxIdentifier = 450

// An object is a decoded JSON object. Its numbers are json.Number, so that none loses a digit.
type object = map[string]any

// unwrap opens the JSON text of an object or array, maxNesting deep. Anything else comes back as it is.
func unwrap(v any) any {
	inner := v
	for range maxNesting {
		s, ok := inner.(string)
		if !ok {
			break
		}
		if inner, ok = parseText(s); !ok {
			return v
		}
	}
	switch inner.(type) {
	case object, []any:
		return inner
	}
	return v
}

// parseText reads s as a JSON object, array or string.
func parseText(s string) (any, bool) {
	s = strings.TrimSpace(s)
	if s == "" || !strings.ContainsRune(`{["`, rune(s[0])) {
		return nil, false
	}
	v, err := parse([]byte(s))
	return v, err == nil
}

// list reads v as an array: a single value is an array of one, nothing is none.
func list(v any) []any {
	switch v := unwrap(v).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// isTrue reads a boolean that may have been written as text or number.
func isTrue(v any) bool {
	switch strings.ToLower(strings.TrimSpace(scalar(v))) {
	case "true", "1", "yes":
		return true
	default:
		return false
	}
}

// scalar is the text of a string, number or boolean, and "" for all else.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	default:
		return ""
	}
}

// identifier reads an id. Control characters, which no store need take, and marks that change how a line of a log reads
// become U+FFFD, and a longer one than maxIdentifier is cut: neither matches anything then, where "" would count as absent.
func identifier(v any) string {
	s := strings.TrimSpace(scalar(v))
	if len(s) > maxIdentifier {
		s = strings.ToValidUTF8(s[:maxIdentifier-utf8.UTFMax], "") + string(utf8.RuneError)
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// firstText is the first of keys whose value is text that is not blank, word by word. When none is, numbers count too,
// and text further inside.
func firstText(o object, keys ...string) string {
	for _, k := range keys {
		if s, ok := o[k].(string); ok && strings.TrimSpace(s) != "" {
			return s
		}
	}
	for _, k := range keys {
		if s := textWithin(o[k], maxNesting); s != "" {
			return s
		}
	}
	return ""
}

// textKeys are the fields in which text has been seen, the likeliest first.
var textKeys = []string{"label", "value", "message", "text", "promptMsg", "title", "header", "defaultHeader", "description"}

// textWithin finds text in a value of unknown shape, levels deep.
func textWithin(v any, levels int) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	}
	if levels == 0 {
		return ""
	}
	switch v := v.(type) {
	case []any:
		var lines []string
		for _, e := range v {
			if s := textWithin(e, levels-1); s != "" {
				lines = append(lines, s)
			}
		}
		return strings.Join(lines, "\n")
	case object:
		for _, k := range textKeys {
			if s := textWithin(v[k], levels-1); s != "" {
				return s
			}
		}
	}
	return ""
}

// address is a link as text, or the one in an object around it: value.action of an OutputLink, url of a card's image.
func address(v any) string {
	switch v := unwrap(v).(type) {
	case string:
		return strings.TrimSpace(v)
	case object:
		for _, k := range []string{"action", "url", "link", "href", "src", "value"} {
			if s, ok := v[k].(string); ok && strings.TrimSpace(s) != "" {
				return strings.TrimSpace(s)
			}
		}
	}
	return ""
}

// firstAddress is the first of keys that holds an address.
func firstAddress(o object, keys ...string) string {
	for _, k := range keys {
		if s := address(o[k]); s != "" {
			return s
		}
	}
	return ""
}

// cell is the text of a value in a table or card: a scalar, or the one shown of an object, or several.
func cell(v any, levels int) string {
	if s := scalar(v); s != "" || levels == 0 {
		return s
	}
	switch v := v.(type) {
	case object:
		for _, k := range []string{"displayValue", "display_value", "label", "value", "text", "title", "name"} {
			if s := cell(v[k], levels-1); s != "" {
				return s
			}
		}
	case []any:
		var parts []string
		for _, e := range v {
			if s := cell(e, levels-1); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, ", ")
	}
	return ""
}
