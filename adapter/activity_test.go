package adapter_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// teamsMessage is a message as Teams sends it in a channel.
const teamsMessage = `{
  "text": "<at>Help Desk</at> my laptop\u00a0is broken \ud83d\ude00",
  "textFormat": "plain",
  "attachments": [{"contentType": "text/html", "content": "<p>my laptop</p>"},
    {"contentType": "application/vnd.microsoft.teams.file.download.info", "contentUrl": "https://contoso.sharepoint.com/x",
     "content": {"downloadUrl": "https://contoso.sharepoint.com/y", "uniqueId": "1", "fileType": "txt"}, "name": "a.txt", "size": 12}],
  "type": "message", "timestamp": "2026-11-22T10:00:00.123Z", "localTimestamp": "2026-11-22T11:00:00.123+01:00",
  "localTimezone": "Europe/Berlin", "id": "1700000000001", "channelId": "msteams",
  "serviceUrl": "https://smba.trafficmanager.net/emea/",
  "from": {"id": "29:user", "name": "Ada L", "aadObjectId": "aad-1", "properties": {"x": [1, 2.50, 1e400]}},
  "conversation": {"isGroup": true, "conversationType": "channel", "tenantId": "tenant-1", "id": "19:c@thread.tacv2;messageid=1700000000000"},
  "recipient": {"id": "28:app", "name": "Help Desk"},
  "entities": [{"type": "mention", "mentioned": {"id": "28:app", "name": "Help Desk"}, "text": "<at>Help Desk</at>"},
    {"type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Windows", "timezone": "Europe/Berlin"}],
  "channelData": {"tenant": {"id": "tenant-1"}, "team": {"id": "19:t"}, "channel": {"id": "19:c"}},
  "locale": "en-US", "callerId": null, "deliveryMode": "normal"
}`

func decode(tb testing.TB, s string) *adapter.Activity {
	tb.Helper()
	a, err := adapter.DecodeActivity([]byte(s))
	if err != nil {
		tb.Fatalf("DecodeActivity(%.80s): %v", s, err)
	}
	return a
}

func encode(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatalf("Marshal: %v", err)
	}
	return string(b)
}

// meaning decodes JSON into plain Go values; numbers stay as they are written.
func meaning(tb testing.TB, s string) any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("not JSON: %v\n%.200s", err, s)
	}
	return v
}

func TestActivityTypesWhatItKnows(t *testing.T) {
	t.Parallel()
	want := &adapter.Activity{
		Type: "message", ID: "1700000000001", ChannelID: "msteams",
		Timestamp: "2026-11-22T10:00:00.123Z", LocalTimestamp: "2026-11-22T11:00:00.123+01:00",
		ServiceURL: "https://smba.trafficmanager.net/emea/",
		Text:       "<at>Help Desk</at> my laptop\u00a0is broken 😀", TextFormat: "plain", Locale: "en-US",
		From: &adapter.ChannelAccount{
			ID: "29:user", Name: "Ada L", AADObjectID: "aad-1",
			Extra: map[string]json.RawMessage{"properties": json.RawMessage(`{"x": [1, 2.50, 1e400]}`)},
		},
		Conversation: &adapter.ConversationAccount{
			ID: "19:c@thread.tacv2;messageid=1700000000000", ConversationType: "channel", TenantID: "tenant-1", IsGroup: true,
		},
		Recipient: &adapter.ChannelAccount{ID: "28:app", Name: "Help Desk"},
		Attachments: []adapter.Attachment{
			{ContentType: "text/html", Content: json.RawMessage(`"<p>my laptop</p>"`)},
			{
				ContentType: "application/vnd.microsoft.teams.file.download.info", ContentURL: "https://contoso.sharepoint.com/x", Name: "a.txt",
				Content: json.RawMessage(`{"downloadUrl": "https://contoso.sharepoint.com/y", "uniqueId": "1", "fileType": "txt"}`),
				Extra:   map[string]json.RawMessage{"size": json.RawMessage("12")},
			},
		},
		Entities: []adapter.Entity{
			{Type: "mention", Mentioned: &adapter.ChannelAccount{ID: "28:app", Name: "Help Desk"}, Text: "<at>Help Desk</at>"},
			{Type: "clientInfo", Extra: map[string]json.RawMessage{
				"locale": json.RawMessage(`"en-US"`), "country": json.RawMessage(`"US"`),
				"platform": json.RawMessage(`"Windows"`), "timezone": json.RawMessage(`"Europe/Berlin"`),
			}},
		},
		ChannelData: json.RawMessage(`{"tenant": {"id": "tenant-1"}, "team": {"id": "19:t"}, "channel": {"id": "19:c"}}`),
		Extra: map[string]json.RawMessage{
			"localTimezone": json.RawMessage(`"Europe/Berlin"`), "callerId": json.RawMessage("null"), "deliveryMode": json.RawMessage(`"normal"`),
		},
	}
	got := decode(t, teamsMessage)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(meaning(t, teamsMessage), meaning(t, encode(t, got))); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
	var same adapter.Activity
	if err := json.Unmarshal([]byte(teamsMessage), &same); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, &same); diff != "" {
		t.Errorf("json.Unmarshal differs (-DecodeActivity +Unmarshal):\n%s", diff)
	}
}

func TestActivityToleratesUnexpectedTypes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, key string }{
		"number for text":         {`{"type":"message","text":5}`, "text"},
		"string for an account":   {`{"type":"message","from":"x"}`, "from"},
		"array for conversation":  {`{"type":"message","conversation":[]}`, "conversation"},
		"empty timestamp":         {`{"type":"message","timestamp":""}`, "timestamp"},
		"null text":               {`{"type":"message","text":null}`, "text"},
		"null value":              {`{"type":"message","value":null}`, "value"},
		"object for attachments":  {`{"type":"message","attachments":{}}`, "attachments"},
		"null attachment":         {`{"type":"message","attachments":[{"name":"a"},null]}`, "attachments"},
		"number in the entities":  {`{"type":"message","entities":[5]}`, "entities"},
		"true for members":        {`{"type":"message","membersAdded":true}`, "membersAdded"},
		"string for suggestions":  {`{"type":"message","suggestedActions":"x"}`, "suggestedActions"},
		"name of another case":    {`{"type":"message","Text":"x"}`, "Text"},
		"first well and then not": {`{"type":"message","text":"x","text":5}`, "text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := decode(t, tt.in)
			if a.Extra[tt.key] == nil {
				t.Errorf("Extra has no %s: %v", tt.key, a.Extra)
			}
			a.Extra = nil
			if diff := cmp.Diff(&adapter.Activity{Type: "message"}, a); diff != "" {
				t.Errorf("typed fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(meaning(t, tt.in), meaning(t, encode(t, decode(t, tt.in)))); diff != "" {
				t.Errorf("round trip (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("string for isGroup", func(t *testing.T) {
		t.Parallel()
		const in = `{"conversation":{"id":"c","isGroup":"true"}}`
		a := decode(t, in)
		if a.Conversation.IsGroup || a.Conversation.ID != "c" {
			t.Errorf("conversation = %+v", a.Conversation)
		}
		if got := encode(t, a); got != in {
			t.Errorf("round trip = %s, want %s", got, in)
		}
	})
	t.Run("last of two names counts", func(t *testing.T) {
		t.Parallel()
		a := decode(t, `{"text":5,"t\u0065xt":"x","from":{"id":"1"},"from":{"name":"2"}}`)
		want := &adapter.Activity{Text: "x", From: &adapter.ChannelAccount{Name: "2"}, Extra: map[string]json.RawMessage{}}
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("decoded (-want +got):\n%s", diff)
		}
	})
}

func TestPartsOfAnActivityKeepWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	type part interface {
		json.Marshaler
		json.Unmarshaler
	}
	for in, into := range map[string]part{
		`{"id":"1","more":[1]}`:                       &adapter.ChannelAccount{Name: "before"},
		`{"id":"1","isGroup":true,"more":[1]}`:        &adapter.ConversationAccount{Name: "before"},
		`{"contentType":"x","content":1,"more":[1]}`:  &adapter.Attachment{Name: "before"},
		`{"type":"x","mentioned":{},"more":[1]}`:      &adapter.Entity{Text: "before"},
		`{"to":["a","b"],"actions":[{}],"more":[1]}`:  &adapter.SuggestedActions{},
		`{"actions":[],"more":[1]}`:                   &adapter.SuggestedActions{To: []string{"before"}},
		`{"to":[5],"actions":null,"more":[1]}`:        &adapter.SuggestedActions{},
		`{"type":"imBack","value":"x","more":[1]}`:    &adapter.CardAction{Title: "before"},
		`{"type":"openUrl","title":null,"more":null}`: &adapter.CardAction{},
	} {
		if err := json.Unmarshal([]byte(in), into); err != nil {
			t.Errorf("Unmarshal(%s): %v", in, err)
		}
		if diff := cmp.Diff(meaning(t, in), meaning(t, encode(t, into))); diff != "" {
			t.Errorf("%T (-want +got):\n%s", into, diff)
		}
		if err := json.Unmarshal([]byte("[]"), into); err == nil {
			t.Errorf("%T takes an array", into)
		}
	}
}

func TestActivityRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", " ", "null", "[]", "5", `"x"`, "true", "{", `{"a":}`, `{"a":1}x`, "{}{}", `{"secret word" 1}`, `{"a":"\x"}`, "\xef\xbb\xbf{}",
		strings.Repeat("[", 1_000_000), strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
	} {
		_, err := adapter.DecodeActivity([]byte(in))
		if err == nil {
			t.Errorf("DecodeActivity(%.40q) has no error", in)
		} else if strings.Contains(err.Error(), "secret") || len(err.Error()) > 60 {
			t.Errorf("error quotes the input: %v", err)
		}
	}
}

func TestActivityReplacesBytesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	a := decode(t, "{\"text\":\"a\xffb\",\"other\":\"\xc3\"}")
	if a.Text != "a\uFFFDb" || string(a.Extra["other"]) != "\"\uFFFD\"" {
		t.Errorf("text %q, other %q", a.Text, a.Extra["other"])
	}
	if got := encode(t, adapter.Activity{Text: "a\xff\x00\"\\\n<"}); got != `{"text":"a�\u0000\"\\\n\u003c"}` {
		t.Errorf("encoded %s", got)
	}
}

func TestActivitySharesNoMemoryWithItsInput(t *testing.T) {
	t.Parallel()
	in := []byte(teamsMessage)
	a, err := adapter.DecodeActivity(in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		in[i] = 'x'
	}
	if diff := cmp.Diff(decode(t, teamsMessage), a); diff != "" {
		t.Errorf("changed with its input (-want +got):\n%s", diff)
	}
}

func TestActivityEncoding(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for name, tt := range map[string]struct {
		in   any
		want string
	}{
		"empty":                        {adapter.Activity{}, `{}`},
		"typed field wins over Extra":  {&adapter.Activity{Text: "new", Extra: map[string]json.RawMessage{"text": raw(`""`), "b": raw("2"), "a": raw("1")}}, `{"text":"new","a":1,"b":2}`},
		"entry without value left out": {adapter.Activity{Extra: map[string]json.RawMessage{"a": nil}}, `{}`},
		"empty slice stays":            {adapter.Activity{Attachments: []adapter.Attachment{}}, `{"attachments":[]}`},
		"suggested actions are whole":  {adapter.SuggestedActions{}, `{"to":[],"actions":[]}`},
		"value of any JSON": {
			adapter.SuggestedActions{To: []string{"29:u"}, Actions: []adapter.CardAction{{Type: "imBack", Title: "Yes", Value: raw(`"yes"`)}, {Value: raw("[1]")}}},
			`{"to":["29:u"],"actions":[{"type":"imBack","title":"Yes","value":"yes"},{"value":[1]}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := encode(t, tt.in); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("raw field that is no JSON is refused", func(t *testing.T) {
		t.Parallel()
		for _, a := range []adapter.Activity{{Value: raw("{")}, {ChannelData: raw("")}, {Extra: map[string]json.RawMessage{"a": raw(`1,"type":"x`)}}} {
			b, err := a.MarshalJSON()
			if (err == nil) != (len(a.ChannelData) == 0 && a.Value == nil && a.Extra == nil) {
				t.Errorf("MarshalJSON = %s, %v", b, err)
			}
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	const more = `{"value":{"a":1},"suggestedActions":{"to":["x"],"actions":[{"value":"v","z":1}],"y":1},"membersAdded":[{"id":"1","e":2}],"membersRemoved":[],"entities":[{"mentioned":{"q":1},"w":2}]}`
	for _, in := range []string{teamsMessage, more} {
		a := decode(t, in)
		c := a.Clone()
		if diff := cmp.Diff(a, c); diff != "" {
			t.Fatalf("clone differs:\n%s", diff)
		}
		scribble(c)
		if diff := cmp.Diff(decode(t, in), a); diff != "" {
			t.Errorf("the original changed with its clone (-want +got):\n%s", diff)
		}
	}
	if (*adapter.Activity)(nil).Clone() != nil {
		t.Error("the clone of nil is not nil")
	}
}

// scribble changes every byte that a clone could share.
func scribble(a *adapter.Activity) {
	raws := []json.RawMessage{a.Value, a.ChannelData}
	extras := []map[string]json.RawMessage{a.Extra}
	account := func(c *adapter.ChannelAccount) {
		if c != nil {
			c.ID = "changed"
			extras = append(extras, c.Extra)
		}
	}
	account(a.From)
	account(a.Recipient)
	if a.Conversation != nil {
		a.Conversation.ID = "changed"
		extras = append(extras, a.Conversation.Extra)
	}
	for i := range a.Attachments {
		a.Attachments[i].Name = "changed"
		raws = append(raws, a.Attachments[i].Content)
		extras = append(extras, a.Attachments[i].Extra)
	}
	for i := range a.Entities {
		account(a.Entities[i].Mentioned)
		extras = append(extras, a.Entities[i].Extra)
	}
	for i := range a.MembersAdded {
		account(&a.MembersAdded[i])
	}
	if s := a.SuggestedActions; s != nil {
		s.To[0] = "changed"
		extras = append(extras, s.Extra)
		for i := range s.Actions {
			s.Actions[i].Title = "changed"
			raws = append(raws, s.Actions[i].Value)
			extras = append(extras, s.Actions[i].Extra)
		}
	}
	for _, e := range extras {
		for k, v := range e {
			raws = append(raws, v)
			e[k+"!"] = v
		}
	}
	for _, r := range raws {
		for i := range r {
			r[i] = '#'
		}
	}
}

// anyJSON generates JSON whose objects often have the names that the codec knows.
func anyJSON(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Just[any](""),
		rapid.Int().AsAny(), rapid.Just[any](json.Number("-0.10e+400")),
	)
	if depth == 0 {
		return scalar
	}
	return rapid.OneOf(scalar, rapid.SliceOfN(anyJSON(depth-1), 0, 3).AsAny(), objectJSON(depth-1).AsAny())
}

func objectJSON(depth int) *rapid.Generator[map[string]any] {
	key := rapid.OneOf(rapid.String(), rapid.SampledFrom(strings.Fields(
		`type id timestamp from conversation recipient text value channelData attachments suggestedActions entities membersAdded membersRemoved
		to actions title name isGroup mentioned contentType content aadObjectId tenantId Text FROM`)))
	return rapid.MapOfN(key, anyJSON(depth), 0, 8)
}

func TestAnyObjectSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in, err := json.Marshal(objectJSON(4).Draw(rt, "object"))
		if err != nil {
			rt.Fatal(err)
		}
		a, err := adapter.DecodeActivity(in)
		if err != nil {
			rt.Fatalf("DecodeActivity(%s): %v", in, err)
		}
		if diff := cmp.Diff(meaning(t, string(in)), meaning(t, encode(t, a))); diff != "" {
			rt.Fatalf("round trip of %s (-want +got):\n%s", in, diff)
		}
		if diff := cmp.Diff(a, a.Clone()); diff != "" {
			rt.Fatalf("clone differs:\n%s", diff)
		}
	})
}

func FuzzActivity(f *testing.F) {
	for _, s := range []string{
		teamsMessage, "{}", "null", "[]", `{"text":5,"text":"\ud800"}`, `{"a":[{"b":"]}\"\\"},[[]]]}`, `{"\ud800":1,"\ud801":2}`, "{\"\xff\":\"\xff\"}",
		`{"suggestedActions":{"to":[1]}}`, `{"entities":[{"type":"mention","mentioned":{"id":"x"},"text":"<at>"}],"recipient":{"id":"x"},"text":"<at>"}`,
		`{"text":"a b","attachments":[{"contentType":"text/html","content":"<ul><li>a<li>b</ul>"}]}`, ` { "conversation" : { "isGroup" : false } } `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := adapter.DecodeActivity(in)
		trimmed := bytes.TrimSpace(in)
		if want := json.Valid(in) && trimmed[0] == '{'; (err == nil) != want {
			t.Fatalf("DecodeActivity error %v, want success %v", err, want)
		}
		if err != nil {
			return
		}
		valid := string(bytes.ToValidUTF8(in, []byte("\uFFFD")))
		if diff := cmp.Diff(meaning(t, valid), meaning(t, encode(t, a))); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
		a.Reference() // looks into channelData
		a.PlainText()
		if _, err := adapter.HandlerBot(echoBot)(t.Context(), a); err != nil {
			t.Fatalf("the library's schema is no reason to fail: %v", err)
		}
		a.Clone()
	})
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(teamsMessage)
	b.Run("DecodeActivity", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := adapter.DecodeActivity(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var a adapter.Activity
			if err := json.Unmarshal(in, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("map, for comparison", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(in, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	a := decode(b, teamsMessage)
	b.Run("MarshalJSON", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.MarshalJSON(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(a); err != nil {
				b.Fatal(err)
			}
		}
	})
}
