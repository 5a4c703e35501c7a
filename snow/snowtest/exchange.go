package snowtest

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Direction says who began an exchange.
type Direction string

// The directions.
const (
	In  Direction = "in"  // a request to the instance
	Out Direction = "out" // a post of the instance
)

// An Exchange is one request and what came of it. Credentials in it are replaced by ***.
type Exchange struct {
	Seq          uint64        `json:"seq"` // from 1, without gaps, in order of completion
	At           time.Time     `json:"at"`  // when it began
	Direction    Direction     `json:"direction"`
	Method       string        `json:"method"`
	Path         string        `json:"path"`   // with the query; for Out the whole address
	Status       int           `json:"status"` // 0 when there was no answer
	RequestBody  string        `json:"requestBody"`
	ResponseBody string        `json:"responseBody"`
	SessionID    string        `json:"sessionId,omitempty"`
	Fault        string        `json:"fault,omitempty"` // kind of the fault that was applied
	Note         string        `json:"note,omitempty"`  // why nothing came of it, or what failed
	Duration     time.Duration `json:"duration"`        // nanoseconds
}

// maxLogged bounds what is kept of one body, in bytes.
const maxLogged = 64 << 10

// A record is an exchange as it is kept: bodies are redacted when somebody looks.
type record struct {
	Exchange
	request, response []byte
}

// exchanges is the log: the newest of everything on the wire.
type exchanges struct {
	limit int

	mu     sync.Mutex
	seq    uint64
	ring   []record
	subs   map[int]func(Exchange)
	subSeq int
}

// add appends a record and tells the subscribers.
func (l *exchanges) add(r record) {
	r.request, r.response = bounded(r.request), bounded(r.response)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	r.Seq = l.seq
	if len(l.ring) < l.limit {
		l.ring = append(l.ring, r)
	} else {
		l.ring[(l.seq-1)%uint64(l.limit)] = r
	}
	if len(l.subs) == 0 {
		return
	}
	shown := r.shown()
	for _, id := range slices.Sorted(maps.Keys(l.subs)) {
		l.subs[id](shown)
	}
}

func bounded(b []byte) []byte {
	if len(b) > maxLogged {
		return append(bytes.Clone(b[:maxLogged]), "…"...)
	}
	return b
}

// Log returns the newest exchanges, the oldest first, at most Options.KeepLast.
func (i *Instance) Log() []Exchange {
	l := &i.log
	l.mu.Lock()
	records := make([]record, 0, len(l.ring))
	if len(l.ring) == l.limit {
		at := int(l.seq % uint64(l.limit))
		records = append(append(records, l.ring[at:]...), l.ring[:at]...)
	} else {
		records = append(records, l.ring...)
	}
	l.mu.Unlock()
	shown := make([]Exchange, len(records))
	for n, r := range records {
		shown[n] = r.shown()
	}
	return shown
}

// Subscribe calls f with every later exchange, one at a time and in the order of Seq, until cancel is called. It is called
// while the log is locked, so it must neither block nor call the instance.
func (i *Instance) Subscribe(f func(Exchange)) (cancel func()) {
	l := &i.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.subs == nil {
		l.subs = make(map[int]func(Exchange))
	}
	l.subSeq++
	id := l.subSeq
	l.subs[id] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subs, id)
	}
}

func (r record) shown() Exchange {
	e := r.Exchange
	e.RequestBody, e.ResponseBody = redact(r.request), redact(r.response)
	if path, query, ok := strings.Cut(e.Path, "?"); ok {
		e.Path = path + "?" + redactForm(query)
	}
	return e
}

const hidden = "***"

// isSecret reports whether a value under that name is a credential.
func isSecret(name string) bool {
	switch strings.ToLower(name) {
	case "token", "password", "client_secret", "access_token", "refresh_token", "authorization":
		return true
	}
	return false
}

// redact returns a body with credentials hidden. A body that cannot be read is shown only when it holds none by name.
func redact(body []byte) string {
	s := string(body)
	if !suspicious(s) {
		return s
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		out, err := json.Marshal(redactJSON(v))
		if err != nil {
			return hidden
		}
		return string(out)
	}
	if strings.Contains(s, "=") && !strings.ContainsAny(s, "{<\n") {
		return redactForm(s)
	}
	return hidden
}

func suspicious(s string) bool {
	s = strings.ToLower(s)
	for _, word := range []string{"token", "password", "secret", "authorization", "\"headers\""} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

// redactJSON hides credentials by name, and all headers of an attachment whatever their names.
func redactJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if _, isText := member.(string); isText && isSecret(name) {
				v[name] = hidden
			} else if strings.EqualFold(name, "headers") {
				v[name] = hidden
			} else {
				v[name] = redactJSON(member)
			}
		}
	case []any:
		for n := range v {
			v[n] = redactJSON(v[n])
		}
	}
	return v
}

func redactForm(s string) string {
	parts := strings.Split(s, "&")
	for n, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok {
			if plain, err := url.QueryUnescape(name); err != nil || isSecret(plain) {
				parts[n] = name + "=" + hidden
			}
		}
	}
	return strings.Join(parts, "&")
}

// mediaType returns the type of a Content-Type header in lower case, without parameters.
func mediaType(header string) string {
	if header == typeJSON {
		return header // as it is nearly always
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return t
}
