package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// TestActivityProtocol holds the service to the rules of the Activity Protocol (version 3.4) that are meant for an agent, by their
// numbers: first what it has to make of what it receives, then what it must not send.
func TestActivityProtocol(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	unknown := map[string]any{"x": []any{map[string]any{"y": nil}}}
	for _, rule := range []struct {
		id, says string
		change   map[string]any
		status   int
		relayed  bool // as words to the agent
	}{
		{"A2002", "names of another case are not those", map[string]any{"type": nil, "Type": "message"}, 400, false},
		{"A2005", "fields that are not understood are accepted", map[string]any{"unknown": unknown, "from": s.from(unknown), "localTimezone": 5}, 200, true},
		{"A2006", "types that are not understood are accepted", map[string]any{"type": "telepathy"}, 200, false},
		{"A2010", "there has to be a type", map[string]any{"type": nil}, 400, false},
		{"A2010", "and it is a string", map[string]any{"type": 5}, 400, false},
		{"A2011", "types are compared letter by letter", map[string]any{"type": "Message"}, 200, false},
		{"A2014", "what is not understood is ignored", map[string]any{"type": "suggestion", "text": "this must not be seen"}, 200, false},
		{"A2020", "there has to be a channel id", map[string]any{"channelId": nil}, 403, false},
		{"A2021", "channel ids are compared letter by letter", map[string]any{"channelId": "MSTEAMS"}, 403, false},
		{"A2042", "an old time refuses nothing", map[string]any{"timestamp": "1999-01-01T00:00:00Z"}, 200, true},
		{"A2042", "nor does a time to come", map[string]any{"timestamp": "2999-01-01T00:00:00Z"}, 200, true},
		{"A2042", "nor one that is none", map[string]any{"timestamp": "yesterday"}, 200, true},
		{"A2057", "a time zone that is not understood is ignored", map[string]any{"localTimezone": "Mars/Olympus"}, 200, true},
		{"A2104", "entities that are not understood are ignored", map[string]any{"entities": []any{map[string]any{"type": "https://example.org/x", "y": unknown}}}, 200, true},
		{"A2105", "and those that are malformed", map[string]any{"entities": []any{map[string]any{"type": "mention", "mentioned": "x", "text": 5}, nil, 5}}, 200, true},
		{"A2200", "channel data may be a primitive", map[string]any{"channelData": "words"}, 200, true},
		{"A2200", "or a number", map[string]any{"channelData": 5}, 200, true},
		{"A2251", "a caller id on the wire says nothing", map[string]any{"callerId": "urn:botframework:aadappid:another"}, 200, true},
		{"A2300", "there has to be a service URL", map[string]any{"serviceUrl": nil}, 401, false},
		{"A3000", "text may be empty", map[string]any{"text": ""}, 200, false},
		{"A3012", "an undefined format is plain", map[string]any{"textFormat": "papyrus"}, 200, true},
		{"A3020", "an unknown locale is as good as none", map[string]any{"locale": "tlh-Latn-x-qo'noS"}, 200, true},
		{"A3021", "and refuses nothing", map[string]any{"locale": "\u202e"}, 200, true},
		{"A3031", "speak is ignored", map[string]any{"speak": "<speak>something else</speak>"}, 200, true},
		{"A3042", "an undefined input hint is accepting", map[string]any{"inputHint": "maybe"}, 200, true},
		{"A3052", "attachments of unknown types are as good as files", map[string]any{"attachments": []any{map[string]any{"contentType": "x/y", "content": 5}}}, 200, true},
		{"A3061", "an undefined layout is a list", map[string]any{"attachmentLayout": "spiral"}, 200, true},
		{"A3101", "undefined importance is normal", map[string]any{"importance": "extreme"}, 200, true},
		{"A3111", "an undefined delivery mode is normal", map[string]any{"deliveryMode": "notification"}, 200, true},
		{"A3112", "who wants answers at once is refused", map[string]any{"deliveryMode": "expectReplies"}, 400, false},
		{"A3133", "a semantic action that is not understood is ignored", map[string]any{"semanticAction": "x"}, 200, true},
		{"A5002", "events that are not understood are ignored", map[string]any{"type": "event", "name": "application/vnd.example"}, 200, false},
		{"A5402", "invokes that are not understood have no effect", map[string]any{"type": "invoke", "name": "example/unknown"}, 501, false},
		{"A6152", "traces are ignored", map[string]any{"type": "trace", "name": "x", "value": "y"}, 200, false},
		{"A6200", "handoffs between agents are ignored", map[string]any{"type": "handoff"}, 200, false},
		{"A6312", "commands without a name are ignored", map[string]any{"type": "command", "value": "x"}, 200, false},
		{"A6322", "and those without a value", map[string]any{"type": "command", "name": "application/x"}, 200, false},
		{"A7512", "the role of a conversation is ignored", map[string]any{"conversation": map[string]any{"id": s.chat.ID(), "tenantId": s.teams.TenantID(), "conversationType": "personal", "role": "bot"}}, 200, true},
	} {
		words := "by rule " + rule.id + " " + rule.says
		fields := map[string]any{"text": words}
		for k, v := range rule.change {
			fields[k] = v
		}
		if got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), s.activity(fields)); got != rule.status {
			t.Errorf("%s, %s: status %d, want %d", rule.id, rule.says, got, rule.status)
		}
		if rule.relayed {
			if _, err := s.snow.WaitChat(s.within(), func(c snowtest.Chat) bool {
				return slices.ContainsFunc(c.Said(snowtest.FromUser), func(line string) bool { return strings.HasPrefix(line, words) })
			}); err != nil {
				t.Errorf("%s, %s: the agent does not see the words: %v", rule.id, rule.says, err)
			}
			continue
		}
		s.unseen(words)
	}
	t.Run("A2033: activities are told apart by their id", func(t *testing.T) { s.once(t) })
	t.Run("A6001: typing is sent once in three seconds", func(t *testing.T) { s.typesSeldom(t) })
	s.stands()
	for _, x := range s.teams.Log() {
		sent := x.Direction == adaptertest.In && strings.Contains(x.Path, "/activities") && (x.Method == http.MethodPost || x.Method == http.MethodPut)
		if sent {
			checkSent(t, x.RequestBody)
		}
	}
}

// from is the sender of the employee's messages, with a field more.
func (s *siege) from(more any) map[string]any {
	return map[string]any{"id": s.mia.ID, "name": s.mia.Name, "aadObjectId": s.mia.AADObjectID, "more": more}
}

func (s *siege) once(t *testing.T) {
	t.Helper()
	body := s.activity(map[string]any{"id": "1700000000042", "text": "told apart by id"})
	for range 2 {
		if got := s.post(messagesPath, "Bearer "+s.teams.Token(s.teams.ServiceURL()), body); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
	}
	s.says("and then something else")
	s.hears(s.live, "and then something else")
	c, err := s.snow.Chat(s.live.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(c.Said(snowtest.FromUser), "\n"), "told apart by id"); n != 1 {
		t.Errorf("the agent sees it %d times", n)
	}
}

func (s *siege) typesSeldom(t *testing.T) {
	t.Helper()
	typed := func() (at []time.Time) {
		for _, x := range s.teams.Log() {
			if x.Direction == adaptertest.In && strings.Contains(x.RequestBody, `"type":"typing"`) {
				at = append(at, x.At)
			}
		}
		return at
	}
	s.until("typing twice", func() bool { // the agent goes on all the time
		if err := s.snow.Typing(s.within(), s.live.ID, true); err != nil {
			t.Fatal(err)
		}
		return len(typed()) > 1
	})
	for at, i := typed(), 1; i < len(at); i++ {
		if gap := at[i].Sub(at[i-1]); gap < 2*time.Second {
			t.Errorf("typing was sent again after %v", gap)
		}
	}
}

// checkSent checks one activity of the service's.
func checkSent(t *testing.T, body string) {
	t.Helper()
	if name := repeatedName(json.NewDecoder(strings.NewReader(body))); name != "" {
		t.Errorf("A2001: the name %q stands twice in %s", name, body)
	}
	var a map[string]any
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("A2001: %v in %s", err, body)
	}
	for rule, name := range map[string]string{"A2031": "id", "A2041": "timestamp", "A2250": "callerId", "A2302": "serviceUrl", "A3121": "listenFor", "A3116": "deliveryMode"} {
		if _, ok := a[name]; ok {
			t.Errorf("%s: %s is sent in %s", rule, name, body)
		}
	}
	for rule, name := range map[string]string{"A2100": "entities", "A3050": "attachments"} {
		if list, ok := a[name].([]any); ok && len(list) == 0 {
			t.Errorf("%s: %s is sent empty in %s", rule, name, body)
		}
	}
	for name, v := range a {
		if v == "" {
			t.Errorf("A2004: %s is an empty string in %s", name, body)
		}
	}
	for rule, field := range map[string][2]string{"A2061": {"from", "id"}, "A2080": {"conversation", "id"}} {
		o, _ := a[field[0]].(map[string]any)
		if id, _ := o[field[1]].(string); id == "" {
			t.Errorf("%s: %s.%s is missing in %s", rule, field[0], field[1], body)
		}
	}
	for rule, field := range map[string][]any{
		"A3010": {"textFormat", "plain", "markdown"}, "A3040": {"inputHint", "acceptingInput", "expectingInput", "ignoringInput"},
		"A3060": {"attachmentLayout", "list", "carousel"}, "A2010": {"type", "message", "typing"},
	} {
		name, _ := field[0].(string)
		if v, ok := a[name]; (ok || name == "type") && !slices.Contains(field[1:], v) {
			t.Errorf("%s: %s is %v in %s", rule, name, v, body)
		}
	}
	if o, ok := a["suggestedActions"].(map[string]any); ok {
		if list, _ := o["actions"].([]any); len(list) == 0 {
			t.Errorf("A7701: suggested actions without actions in %s", body)
		}
	}
	list, _ := a["attachments"].([]any)
	for _, v := range list {
		at, _ := v.(map[string]any)
		_, object := at["content"].(map[string]any)
		if at["content"] != nil && at["contentUrl"] != nil {
			t.Errorf("A7100: content and contentUrl in %s", body)
		}
		if at["content"] != nil && !object {
			t.Errorf("A7110: content is no object in %s", body)
		}
	}
}

// repeatedName returns a name that an object of d has twice, or "".
func repeatedName(d *json.Decoder) string {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // a value comes next
	}
	var levels []*level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return ""
		}
		var here *level
		if len(levels) > 0 {
			here = levels[len(levels)-1]
		}
		if here != nil && here.names != nil && !here.value {
			if name, ok := token.(string); ok {
				if here.names[name] {
					return name
				}
				here.names[name], here.value = true, true
				continue
			}
		}
		if here != nil {
			here.value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, &level{names: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, &level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
	}
}

func TestRepeatedNamesAreFound(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a":1,"b":{"a":2},"c":["a","a",{"a":3}]}`: "", `{"a":1,"b":{"c":2,"c":3}}`: "c", `[{"x":"x"},{"x":"x","x":[]}]`: "x",
	} {
		if got := repeatedName(json.NewDecoder(bytes.NewReader([]byte(raw)))); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
