package snowtest

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever a client sends, reading it neither panics nor invents words.
func FuzzDecodeCall(f *testing.F) {
	for _, seed := range []string{
		`{"requestId":"r","userId":"u","message":{"text":"hi","typed":"true","attachment":[{"url":"x"}]}}`,
		`{"action":"UPDATE_MESSAGES","message":[{"id":"1","status":"SENT_TO_USER","text":null}]}`,
		`{"history":[{"type":"text","timestamp":"1766000000123","isBotMessage":"true"}],"topic":{"name":1},"silentMessage":0}`,
		`[]`, `null`, `{"message":"text","clientVariables":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := decodeCall(body)
		if err == nil && c.text != "" && !json.Valid(body) {
			t.Errorf("words %q out of no JSON", c.text)
		}
		if err == nil && c.variables != nil && !json.Valid(c.variables) {
			t.Errorf("variables %q", c.variables)
		}
	})
}

// The members of an object are those that encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":{"c":[1,"}",{}]},"d":"\\\"","e":null}`, ` { "\u0061" : -1.5e3 , "a" : [ ] , "" : true } `, `{}`, `[{"a":1}]`, `"a"`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(raw, &want) != nil {
			want = nil
		}
		got := maps.Collect(members(raw))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		for name, v := range want {
			if m := member(raw, name); !bytes.Equal(m, v) {
				t.Errorf("member %q is %q, want %q", name, m, v)
			}
		}
	})
}

// Serialising anew keeps the meaning and changes nothing the second time.
func FuzzStringify(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, 2.50, {"b":null}], "c":"<\u2028\n\"\\"}`, `[]`, `{}`, `"x"`, `[[],{}]`, `1766000001000`, `true`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			_ = stringify(body)
			return
		}
		once := stringify(body)
		if !json.Valid(once) {
			t.Fatalf("%q became %q", body, once)
		}
		if twice := stringify(once); !bytes.Equal(once, twice) {
			t.Errorf("%q became %q", once, twice)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("email=a^active=true^ORDERBYname", "a")
	f.Add("^^OR=^x!=", "")
	f.Fuzz(func(t *testing.T, encoded, value string) {
		rows := []row{{"email": value}}
		if got := parseQuery(encoded).apply(rows, []string{"email"}); len(got) > 1 {
			t.Errorf("%d rows out of one", len(got))
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"token":"x","message":{"attachment":{"headers":{"a":"b"}}}}`))
	f.Add([]byte(`client_secret=a&password=b`))
	f.Fuzz(func(t *testing.T, body []byte) { _ = redact(body) })
}
