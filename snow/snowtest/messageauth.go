package snowtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" // the algorithm of Hash Message Auth
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// trusted reports whether a request passes Message Auth.
func (i *Instance) trusted(r *request, bodyToken string) bool {
	switch auth := i.o.MessageAuth; auth.Kind {
	case MessageAuthStatic:
		token := bodyToken
		if header := r.Header.Get("token"); header != "" {
			token = header // the header wins
		}
		return same(token, auth.Secret)
	case MessageAuthHash:
		mac := hmac.New(sha1.New, []byte(auth.Secret))
		mac.Write(stringify(r.body))
		return same(strings.ToLower(r.Header.Get("x-b2b-signature")), hex.EncodeToString(mac.Sum(nil)))
	case MessageAuthNone:
	}
	return true
}

// stringify re-serialises JSON as JavaScript's JSON.stringify(JSON.parse(…)) does for what chat clients send: without
// spaces, keys in their order, and with nothing escaped in a string but quotes, backslashes and control characters.
// Marshalling in Go escapes <, > and & by default and U+2028 always; a signature over that does not match.
func stringify(body []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var out []byte
	type level struct {
		object bool
		n      int
	}
	var levels []level
	for {
		t, err := d.Token()
		if err != nil {
			return out
		}
		if delim, ok := t.(json.Delim); ok && (delim == '}' || delim == ']') {
			levels = levels[:len(levels)-1]
			out = append(out, byte(delim))
			continue
		}
		if top := len(levels) - 1; top >= 0 {
			if l := &levels[top]; l.object && l.n%2 == 1 {
				out = append(out, ':')
			} else if l.n > 0 {
				out = append(out, ',')
			}
			levels[top].n++
		}
		switch t := t.(type) {
		case json.Delim:
			out = append(out, byte(t))
			levels = append(levels, level{object: t == '{'})
		case string:
			out = quote(out, t)
		case json.Number:
			out = append(out, number(t)...)
		case bool:
			out = strconv.AppendBool(out, t)
		case nil:
			out = append(out, "null"...)
		}
	}
}

func quote(out []byte, s string) []byte {
	const short = "\b\f\n\r\t"
	out = append(out, '"')
	for _, c := range s {
		switch at := strings.IndexRune(short, c); {
		case c == '"' || c == '\\':
			out = append(out, '\\', byte(c))
		case at >= 0:
			out = append(out, '\\', "bfnrt"[at])
		case c < ' ':
			out = append(out, `\u00`...)
			out = append(out, hex.EncodeToString([]byte{byte(c)})...)
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	return append(out, '"')
}

// number prints as JavaScript does, for numbers that are no wilder than a time stamp.
func number(n json.Number) string {
	f, err := n.Float64()
	if err != nil || math.Abs(f) >= 1e21 || (f != 0 && math.Abs(f) < 1e-6) {
		return n.String()
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
