package snowtest

import (
	"encoding/json"
	"iter"
	"strings"
	"unicode/utf8"
)

// members yields the members of a JSON object, in their order and as they were written. Names are as JavaScript compares them: with
// case. raw has to be valid; anything but an object has no members.
func members(raw []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		at := gap(raw, 0)
		if at == len(raw) || raw[at] != '{' {
			return
		}
		for at = gap(raw, at+1); raw[at] != '}'; at = gap(raw, at) {
			end := valueEnd(raw, at)
			name := str(raw[at:end])
			at = gap(raw, end)
			end = valueEnd(raw, at)
			if !yield(name, raw[at:end:end]) {
				return
			}
			at = end
		}
	}
}

// gap returns where what stands between two values ends that begins at i.
func gap(raw []byte, i int) int {
	for i < len(raw) && strings.IndexByte(" \t\r\n,:", raw[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd returns the end of the value that begins at i.
func valueEnd(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			// Within a number or a word, or an object: nothing ends before what follows says so.
			if depth > 0 || i+1 < len(raw) && strings.IndexByte(" \t\r\n,:]}", raw[i+1]) < 0 {
				continue
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// member returns a member of a JSON object, or nil.
func member(raw []byte, name string) (found json.RawMessage) {
	for n, v := range members(raw) {
		if n == name {
			found = v // the last one counts
		}
	}
	return found
}

func str(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	if n := len(raw) - 1; n > 0 && raw[0] == '"' && raw[n] == '"' && plain(raw[1:n]) {
		return string(raw[1:n])
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// plain reports whether text stands in JSON as it is.
func plain(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// boolean reads true and "true".
func boolean(raw json.RawMessage) *bool {
	var b bool
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &b) != nil {
		b = strings.EqualFold(str(raw), "true")
	}
	return &b
}

// object returns raw when it is a JSON object.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) > 0 && raw[0] == '{' {
		return raw
	}
	return nil
}
