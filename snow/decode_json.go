package snow

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var errNotJSON = errors.New("not one JSON value")

// parse reads one JSON value and nothing after it, as a json.Decoder with UseNumber does, in half the time: what is known to
// be valid needs no state for each byte. Its depth is bounded by encoding/json at 10,000.
func parse(raw []byte) (any, error) {
	if !json.Valid(raw) {
		return nil, errNotJSON
	}
	r := jsonReader{b: raw}
	return r.value(), nil
}

// A jsonReader makes values of bytes that are valid JSON.
type jsonReader struct {
	b []byte
	i int
}

func (r *jsonReader) value() any {
	switch r.next(); r.b[r.i] {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.text()
	case 't':
		r.i += len("true")
		return true
	case 'f':
		r.i += len("false")
		return false
	case 'n':
		r.i += len("null")
		return nil
	default:
		return r.number()
	}
}

// next moves over white space and what separates values.
func (r *jsonReader) next() {
	for {
		switch r.b[r.i] {
		case ' ', '\t', '\n', '\r', ',', ':':
			r.i++
		default:
			return
		}
	}
}

// until reports whether there is something before the end of an object or array, and else moves over that.
func (r *jsonReader) until(end byte) bool {
	if r.next(); r.b[r.i] != end {
		return true
	}
	r.i++
	return false
}

func (r *jsonReader) object() object {
	o := object{}
	for r.i++; r.until('}'); {
		key := r.text()
		o[key] = r.value()
	}
	return o
}

func (r *jsonReader) array() []any {
	a := []any{}
	for r.i++; r.until(']'); {
		a = append(a, r.value())
	}
	return a
}

func (r *jsonReader) text() string {
	start, plain := r.i, true
	for r.i++; r.b[r.i] != '"'; r.i++ {
		if r.b[r.i] == '\\' {
			r.i++
			plain = false
		}
	}
	r.i++
	if inner := r.b[start+1 : r.i-1]; plain && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(r.b[start:r.i], &s) // which it can, since all is valid
	return s
}

func (r *jsonReader) number() json.Number {
	start := r.i
	for ; r.i < len(r.b); r.i++ {
		switch r.b[r.i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return json.Number(r.b[start:r.i])
		}
	}
	return json.Number(r.b[start:])
}
