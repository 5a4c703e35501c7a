package snow

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The encoding is compact JSON of the same text, with none of the escapes that JSON.stringify does not use.
func TestEncodingIsThatOfJavaScript(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		runes := rapid.SampledFrom([]rune{'\\', 'u', '2', '0', '8', '9', 'f', 'd', '"', '\u2028', '\u2029', '\ufffd', '<', '\n', '\x7f', 'ä'})
		text := rapid.OneOf(rapid.StringOf(runes), rapid.String()).Draw(t, "text")
		if rapid.Bool().Draw(t, "broken") {
			text += "\xff"
		}
		b, err := encode(botMessage{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		var back botMessage
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); back.Text != want {
			t.Errorf("%q came back as %q", want, back.Text)
		}
		if !utf8.Valid(b) {
			t.Errorf("%q is not UTF-8", b)
		}
		plain := strings.ReplaceAll(string(b), `\\`, "")
		for _, escape := range []string{`\u2028`, `\u2029`, `\ufffd`, `\u003c`, `\/`} {
			if strings.Contains(plain, escape) {
				t.Errorf("%q has %s", b, escape)
			}
		}
	})
}

func BenchmarkEncodeSay(b *testing.B) {
	for _, size := range []int{100, 4000} {
		r := botRequest{
			RequestID: "7f0c2a34-5d6e-4f80-9a1b-2c3d4e5f6071", ClientSessionID: "a:conv-17#1", UserID: "mia.khan@example.com",
			EmailID: "mia.khan@example.com", Timestamp: time.Now().UnixMilli(),
			ClientVariables: Variables{TenantID: "t1", BotID: "b1", ConversationID: "a:conv-17", SessionID: "a:conv-17#1"},
			Message:         &botMessage{Text: strings.Repeat("words, ", size/7), Typed: true, ClientMessageID: "m-1"},
		}
		b.Run(map[int]string{100: "short", 4000: "long"}[size], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
