package adapter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzChannelData puts any JSON where Teams keeps its own data: it comes back as it was, and the tenant is read from the
// one place where Teams writes it.
func FuzzChannelData(f *testing.F) {
	for _, s := range []string{
		`{"tenant":{"id":"t1"},"team":{"id":"19:t"},"channel":{"id":"19:c"},"eventType":"editMessage"}`, `5`, `"tenant"`, `[]`, `{"tenant":null}`,
		`{"tenant":{"id":5}}`, `{"tenant":"t1"}`, `{"tenant":{"id":"a"},"tenant":{"id":"b"}}`, `{"Tenant":{"ID":"t1"}}`, `{"tenant":{"id":"a","ID":"b"}}`,
		`{"t\u0065nant":{"id":"\ud800"}}`, "{\"tenant\":{\"id\":\"\xff\"}}", `{"tenant":{"id":"a"},"tenant":5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		a := decode(t, `{"type":"message","conversation":{"id":"c"},"channelData":`+string(data)+`}`)
		valid := strings.ToValidUTF8(string(data), "\uFFFD")
		if same := meaning(t, encode(t, a)); encode(t, same) != encode(t, meaning(t, `{"type":"message","conversation":{"id":"c"},"channelData":`+valid+`}`)) {
			t.Errorf("round trip of %s: %v", data, same)
		}
		want := ""
		if root, ok := meaning(t, valid).(map[string]any); ok {
			if tenant, ok := root["tenant"].(map[string]any); ok {
				want, _ = tenant["id"].(string)
			}
		}
		if got := a.TenantID(); got != want {
			t.Errorf("tenant of %s = %q, want %q", data, got, want)
		}
		if r := a.Reference(); r.TenantID != want || r.ConversationID != "c" {
			t.Errorf("reference of %s = %+v", data, r)
		}
	})
}

// FuzzAttachment has a message with an attachment of any content: the words are read in bounded time and space, and none of them
// is lost or invented.
func FuzzAttachment(f *testing.F) {
	for _, s := range []struct{ kind, content, text string }{
		{"text/html", `"<p>one</p><p>two</p>"`, "one two"},
		{"text/html", `"<ol><li>a<li>b</ol>"`, "a b"},
		{"text/html", `{"x":1}`, "words"},
		{"text/html", `"<div><at>Help</at> <img alt='😀'> x<br>y</div>"`, "<at>Help</at> 😀 xy"},
		{"text/html", `"` + strings.Repeat("<ul><li>", 50) + `x"`, "x"},
		{"text/html", `"<script>x</script><pre>\n\n a\u0000</pre>\u202e"`, "a"},
		{"application/vnd.microsoft.teams.file.download.info", `{"downloadUrl":"http://169.254.169.254/","uniqueId":"../../x"}`, ""},
		{"image/png", `null`, "see"},
		{"", `[]`, ""},
	} {
		f.Add(s.kind, []byte(s.content), s.text)
	}
	f.Fuzz(func(t *testing.T, kind string, content []byte, text string) {
		if !json.Valid(content) {
			return
		}
		raw, err := json.Marshal(map[string]any{
			"type": "message", "text": text, "recipient": map[string]any{"id": "28:app"},
			"attachments": []any{map[string]any{"contentType": kind, "content": json.RawMessage(content)}},
		})
		if err != nil {
			return // content is valid, and yet too deep
		}
		a := decode(t, string(raw))
		words := a.PlainText()
		if !utf8.ValidString(words) || len(words) > 20*(len(text)+len(content))+100 {
			t.Errorf("%d bytes of words from %d", len(words), len(raw))
		}
		if words == strings.TrimSpace(a.Text) {
			return
		}
		for _, w := range strings.Fields(a.Text) { // the lines of the markup, which have to hold the words of the text
			if squashed := strings.Join(strings.Fields(words), ""); !strings.Contains(squashed, w) && !strings.Contains(w, "<") {
				t.Errorf("%q is lost from %q: %q", w, a.Text, words)
			}
		}
	})
}
