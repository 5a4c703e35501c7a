package snow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

func decode(tb testing.TB, raw string) *snow.Event {
	tb.Helper()
	e, err := snow.DecodeEvent([]byte(raw))
	if err != nil {
		tb.Fatalf("DecodeEvent(%.80q): %v", raw, err)
	}
	return e
}

// item decodes a post with one element and returns its only item.
func item(tb testing.TB, element string) snow.Item {
	tb.Helper()
	e := decode(tb, `{"body":[`+element+`]}`)
	if len(e.Items) != 1 {
		tb.Fatalf("%s: %d items, want 1", element, len(e.Items))
	}
	return e.Items[0]
}

func TestDecodeEventRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"nothing":              "",
		"white space":          " \n\t",
		"byte order mark only": "\ufeff",
		"null":                 "null",
		"array":                `[{"body":[]}]`,
		"text of an object":    `"{}"`,
		"number":               "1",
		"cut short":            `{"body":[{"uiType":"OutputText","value":"a`,
		"two objects":          `{}{}`,
		"text after":           `{} x`,
		"form":                 "body=1",
		"UTF-16":               "\xff\xfe{\x00}\x00",
		"NUL bytes":            "{\x00}",
		"million brackets":     strings.Repeat("[", 1_000_000),
		"million objects":      strings.Repeat(`{"body":`, 1_000_000),
		"million in body":      `{"body":` + strings.Repeat("[", 1_000_000),
		"deep but closed":      `{"body":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := snow.DecodeEvent([]byte(raw))
			if err == nil || e != nil {
				t.Fatalf("DecodeEvent = %v, %v, want an error", e, err)
			}
			if len(err.Error()) > 100 {
				t.Errorf("error holds the input: %.200s", err)
			}
		})
	}
}

func TestDecodeEventTolerates(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"byte order mark":       "\ufeff" + `{"body":[{"uiType":"OutputText","value":"hello"}]}`,
		"white space around":    "\r\n " + `{"body":[{"uiType":"OutputText","value":"hello"}]}` + "\n",
		"other case of type":    `{"body":[{"uiType":"outputTEXT","value":"hello"}]}`,
		"repeated key":          `{"body":[],"body":[{"uiType":"OutputText","value":"no","value":"hello"}]}`,
		"body is an object":     `{"body":{"uiType":"OutputText","value":"hello"}}`,
		"body is text":          `{"body":"[{\"uiType\":\"OutputText\",\"value\":\"hello\"}]"}`,
		"items are texts":       `{"body":["{\"uiType\":\"OutputText\",\"value\":\"hello\"}"]}`,
		"array in array":        `{"body":[[{"uiType":"OutputText","value":"hello"}]]}`,
		"nulls and numbers":     `{"body":[null,1,true,"",{"uiType":"OutputText","value":"hello"}]}`,
		"words for a body":      `{"body":"hello"}`,
		"no type":               `{"body":[{"value":"hello"}]}`,
		"type is no text":       `{"body":[{"uiType":{},"value":"hello"}]}`,
		"type unknown":          `{"body":[{"uiType":"New","message":"hello"}]}`,
		"action unknown":        `{"body":[{"uiType":"ActionMsg","actionType":"New","label":"hello"}]}`,
		"action missing":        `{"body":[{"uiType":"ActionMsg","message":"hello"}]}`,
		"agentInfo is text":     `{"body":[{"uiType":"OutputText","value":"hello","agentInfo":"none"}]}`,
		"odd clientVariables":   `{"clientVariables":[1],"body":[{"uiType":"OutputText","value":"hello"}]}`,
		"odd flags":             `{"agentChat":{},"completed":[],"takeControl":"maybe","status":7,"body":[{"uiType":"OutputText","value":"hello"}]}`,
		"value an array":        `{"body":[{"uiType":"OutputText","value":["hello"]}]}`,
		"image without address": `{"body":[{"uiType":"OutputImage","altText":"hello"}]}`,
		"link without address":  `{"body":[{"uiType":"OutputLink","label":"hello"}]}`,
		"links without links":   `{"body":[{"uiType":"GroupedPartsOutputControl","header":"hello","values":[{"label":"x"}]}]}`,
		"table without cells":   `{"body":[{"uiType":"OutputTable","label":"hello"}]}`,
		"card without data":     `{"body":[{"uiType":"OutputCard","label":"hello","data":""}]}`,
		"part without content":  `{"body":[{"uiType":"MultiPartOutput","label":"hello"}]}`,
		"very deep": `{"body":[{"uiType":"OutputText","value":"hello","x":` + strings.Repeat(`{"x":`, 9000) + "1" +
			strings.Repeat("}", 9000) + `}]}`,
		"part of text": `{"body":[{"uiType":"MultiPartOutput","content":"hello"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decode(t, raw)
			if len(e.Items) != 1 {
				t.Fatalf("%d items, want 1: %+v", len(e.Items), e.Items)
			}
			if got := e.Items[0].Readable(); got != "hello" {
				t.Errorf("Readable = %q, want hello", got)
			}
			if e.Completed || e.TakeControl || e.AgentChat || e.Status != "" {
				t.Errorf("flags of %+v, want none", e)
			}
		})
	}
}

func TestDecodeEventTextOfOutputText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, fields, want string }{
		{"value first", `"value":"v","label":"l","message":"m","promptMsg":"p"`, "v"},
		{"then label", `"value":"","label":"l","message":"m","promptMsg":"p"`, "l"},
		{"then message", `"value":null,"label":" ","message":"m","promptMsg":"p"`, "m"},
		{"then promptMsg", `"promptMsg":"p"`, "p"},
		{"a number yields", `"value":1,"message":"m"`, "m"},
		{"an object yields", `"value":{"action":"a","label":"inside"},"message":"m"`, "m"},
		{"an object before nothing", `"value":{"action":"a","label":"inside"}`, "inside"},
		{"text of an object is text", `"value":"{\"a\":1}"`, `{"a":1}`},
		{"newlines and blanks stay", `"value":" a\n\tb  "`, " a\n\tb  "},
		{"markup stays", `"value":"<b>*x* &amp;"`, "<b>*x* &amp;"},
		{"half a surrogate", `"value":"a\ud83db"`, "a\ufffdb"},
		{"bytes that are no UTF-8", "\"value\":\"a\xff\xfeb\"", "a\ufffd\ufffdb"},
		{"NUL", `"value":"a\u0000b"`, "a\x00b"},
		{"zero width of the bot", `"value":"a` + "\u200b" + `[1]` + "\u200b" + `"`, "a[1]"},
		{"zero width of a person", `"value":"a` + "\u200b" + `b","agentInfo":{"sentFromAgent":"true"}`, "a\u200bb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			it := item(t, `{"uiType":"OutputText",`+tt.fields+`}`)
			if it.Kind != snow.KindText || it.Text != tt.want {
				t.Errorf("got %s %q, want text %q", it.Kind, it.Text, tt.want)
			}
		})
	}
	for name, value := range map[string]string{"nothing": "", "blanks": " \\n", "a zero width space": " \u200b "} {
		t.Run(name+" is nothing", func(t *testing.T) {
			t.Parallel()
			if it := item(t, `{"uiType":"OutputText","value":"`+value+`"}`); it.Kind != snow.KindNothing || it.Text != "" {
				t.Errorf("got %s %q", it.Kind, it.Text)
			}
		})
	}
}

func TestDecodeEventAgent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, info string
		from       bool
		want       snow.Agent
	}{
		{"absent", `null`, false, snow.Agent{}},
		{"empty", `{}`, false, snow.Agent{}},
		{"sent", `{"sentFromAgent":true}`, true, snow.Agent{}},
		{"sent as text", `{"sentFromAgent":"true","agentId":5}`, true, snow.Agent{ID: "5"}},
		{"name alone", `{"agentName":"Sam"}`, true, snow.Agent{Name: "Sam"}},
		{"blank name", `{"agentName":" "}`, false, snow.Agent{}},
		{"named but not sent", `{"agentName":"Helper","sentFromAgent":false}`, false, snow.Agent{Name: "Helper"}},
		{"as JSON text", `"{\"agentName\":\"Sam\",\"agentAvatar\":\"x.iix?t=small\"}"`, true, snow.Agent{Name: "Sam", AvatarURL: "x.iix?t=small"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			it := item(t, `{"uiType":"OutputText","value":"hello","agentInfo":`+tt.info+`}`)
			if it.FromAgent != tt.from {
				t.Errorf("FromAgent = %v, want %v", it.FromAgent, tt.from)
			}
			if diff := cmp.Diff(tt.want, it.Agent); diff != "" {
				t.Errorf("Agent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeEventIDs(t *testing.T) {
	t.Parallel()
	ids := func(e *snow.Event) []string {
		var ids []string
		for _, it := range e.Items {
			ids = append(ids, it.ID)
		}
		return ids
	}
	t.Run("hash does not depend on the order of keys", func(t *testing.T) {
		t.Parallel()
		a := item(t, `{"uiType":"OutputText","value":"x"}`)
		b := item(t, `{ "value": "x", "uiType": "OutputText" }`)
		c := item(t, `{"uiType":"OutputText","value":"y"}`)
		if a.ID != b.ID || a.ID == c.ID || !a.Hashed || !strings.HasPrefix(a.ID, "hash:") {
			t.Errorf("IDs %q %q %q", a.ID, b.ID, c.ID)
		}
	})
	t.Run("the same words twice in a post are two", func(t *testing.T) {
		t.Parallel()
		e := decode(t, `{"body":[{"uiType":"OutputText","value":"ok"},{"uiType":"OutputText","value":"ok"}]}`)
		if got := ids(e); len(got) != 2 || got[1] != got[0]+"#2" {
			t.Errorf("IDs = %q", got)
		}
	})
	t.Run("the same message twice in a post is one", func(t *testing.T) {
		t.Parallel()
		e := decode(t, `{"body":[{"uiType":"OutputText","value":"ok","messageId":"m"},{"uiType":"OutputText","value":"ok","messageId":"m"}]}`)
		if diff := cmp.Diff([]string{"m"}, ids(e)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("one id for two elements loses neither", func(t *testing.T) {
		t.Parallel()
		e := decode(t, `{"body":[{"uiType":"OutputText","value":"a","messageId":"m"},{"uiType":"OutputText","value":"b","messageId":"m"}]}`)
		if diff := cmp.Diff([]string{"m", "m#2"}, ids(e)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an id is fit for a log and an index", func(t *testing.T) {
		t.Parallel()
		e := decode(t, `{"clientSessionId":"a\u0000\nb","requestId":"`+strings.Repeat("é", 100_000)+`","userId":17}`)
		if e.SessionID != "a\ufffd\ufffdb" || e.UserID != "17" {
			t.Errorf("SessionID = %q, UserID = %q", e.SessionID, e.UserID)
		}
		if len(e.RequestID) > 1024 || !utf8.ValidString(e.RequestID) {
			t.Errorf("RequestID has %d bytes", len(e.RequestID))
		}
	})
	t.Run("a name is fit for a log", func(t *testing.T) {
		t.Parallel()
		it := item(t, `{"uiType":"A\u0000\n`+strings.Repeat("b", 1000)+`"}`)
		if len(it.Name) > 64 || strings.ContainsAny(it.Name, "\x00\n") {
			t.Errorf("Name = %q", it.Name)
		}
	})
}

func TestDecodeEventNeverReadsTheEcho(t *testing.T) {
	t.Parallel()
	for file, row := range goldenRows(t) {
		e, err := snow.DecodeEvent(row.Real)
		if err != nil {
			t.Fatal(err)
		}
		e.Raw = nil
		if s := fmt.Sprintf("%+v", e); strings.Contains(s, "EMPLOYEE WORDS") || strings.Contains(s, "never-shown") {
			t.Errorf("%s: the echo got into %s", file, s)
		}
	}
}

func TestDecodeEventKeepsItemsInOrder(t *testing.T) {
	t.Parallel()
	e := decode(t, `{"completed":true,"body":[
		{"uiType":"ActionMsg","actionType":"SwitchToVirtualAgent"},
		{"uiType":"OutputText","value":"bye","agentInfo":{"sentFromAgent":true}},
		{"uiType":"ActionMsg","actionType":"System","message":"closed"}]}`)
	var kinds []snow.Kind
	for _, it := range e.Items {
		kinds = append(kinds, it.Kind)
	}
	if diff := cmp.Diff([]snow.Kind{snow.KindEnded, snow.KindText, snow.KindSystem}, kinds); diff != "" || !e.Completed {
		t.Errorf("Completed = %v, kinds (-want +got):\n%s", e.Completed, diff)
	}
}

// A table whose rows are objects has a cell for each header in each row. Many of both would take more memory than there is.
func TestDecodeEventKeepsTablesInProportion(t *testing.T) {
	t.Parallel()
	const headers, rows = 1000, 5000
	raw := `{"body":{"uiType":"OutputTable","headers":["a"` + strings.Repeat(`,"a"`, headers-1) + `],"data":[{"a":"kept"}` +
		strings.Repeat(`,{"a":"kept"}`, rows-1) + `]}}`
	table := decode(t, raw).Items[0].Table
	cells := 0
	for _, r := range table.Rows {
		if len(r) == 0 || r[0] != "kept" {
			t.Fatalf("row = %q, want what it holds", r)
		}
		cells += len(r)
	}
	if len(table.Headers) != headers || len(table.Rows) != rows || cells > len(raw) {
		t.Errorf("%d headers, %d rows, %d cells of %d bytes", len(table.Headers), len(table.Rows), cells, len(raw))
	}
}

func TestDecodeEventOpensTextsThreeDeep(t *testing.T) {
	t.Parallel()
	body := `[{"uiType":"OutputText","value":"hello"}]`
	for n := range 6 {
		if n > 0 {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			body = string(text)
		}
		e := decode(t, `{"body":`+body+`}`)
		if len(e.Items) != 1 {
			t.Fatalf("encoded %d times: %d items, want 1", n, len(e.Items))
		}
		if it, opened := e.Items[0], n <= 3; (it.Kind == snow.KindText) != opened || !strings.Contains(it.Text, "hello") {
			t.Errorf("encoded %d times: %s %q", n, it.Kind, it.Text)
		}
	}
}

func TestReadableSaysSomethingOfEachItemForAPerson(t *testing.T) {
	t.Parallel()
	silent := map[snow.Kind]bool{
		snow.KindNothing: true, snow.KindTyping: true, snow.KindTypingEnd: true, snow.KindWaitEnd: true,
		snow.KindJoined: true, snow.KindEnded: true, snow.KindWait: true, // those with nothing but themselves
	}
	for file, row := range goldenRows(t) {
		for _, raw := range []json.RawMessage{row.Real, row.Spec} {
			for _, it := range decode(t, string(raw)).Items {
				if it.Readable() == "" && !silent[it.Kind] && it.Name != "Silent" {
					t.Errorf("%s: nothing to read in %+v", file, it)
				}
			}
		}
	}
	if got := item(t, `{"uiType":"Date"}`).Readable(); got != "[date]" {
		t.Errorf("an input without a prompt reads %q", got)
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, element, want string }{
		{"table of objects", `{"uiType":"OutputTable","headers":["b","a"],"data":[{"a":1,"b":{"label":"x"}},{"a":true}]}`, "b | a\nx | 1\n| true"},
		{"table of unknown keys", `{"uiType":"OutputTable","headers":["H"],"data":[{"k2":2,"k1":["a","b"]}]}`, "H\na, b | 2"},
		{"table of words", `{"uiType":"OutputTable","data":["a",["b"]]}`, "a\nb"},
		{"card of words", `{"uiType":"OutputCard","title":"T","data":"just words"}`, "T\njust words"},
		{"card in an array", `{"uiType":"OutputCard","data":"[{\"title\":\"T\"}]"}`, "T"},
		{"card of nothing known", `{"uiType":"OutputCard","data":{"b":"B","a":{"value":1},"sys_id":"x"}}`, "a: 1\nb: B"},
		{"card of an image", `{"uiType":"OutputCard","data":{"image":{"url":"/i.png"}}}`, "/i.png"},
		{"card with odd fields", `{"uiType":"OutputCard","data":{"title":"T","fields":[1,{},{"fieldLabel":"L"},{"value":"V"}]}}`, "T\nL\nV"},
		{"card that is cut short", `{"uiType":"OutputCard","data":"{\"title\":"}`, `{"title":`},
		{"card of an array", `{"uiType":"OutputCard","data":[1,2]}`, "[1,2]"},
		{"options that are no objects", `{"uiType":"Picker","label":"P","options":[1,null,true,{"value":"v"},{}]}`, "P\n1. 1\n2. true\n3. v"},
		{"options by value", `{"uiType":"Picker","label":"P","options":{"a":null,"b":{"label":"B"}}}`, "P\n1. a\n2. B"},
		{"picker without options", `{"uiType":"Picker","label":"P"}`, "P"},
		{"links", `{"uiType":"GroupedPartsOutputControl","header":"H","values":["/a",{"label":"B","action":{"url":"/b"}},{}]}`, "H\n/a\nB: /b"},
		{"text with sources", `{"uiType":"OutputText","value":"T","citations":[{"url":"/a"},{"label":"no address"}]}`, "T\n/a\nno address"},
		{"image of HTML", `{"uiType":"OutputHtml","imageUrl":"/i.png"}`, "/i.png"},
		{"words of the end", `{"uiType":"ActionMsg","actionType":"EndConversation","message":"Bye"}`, "Bye"},
		{"unknown action with other text", `{"uiType":"ActionMsg","actionType":"X","promptMsg":"P"}`, "P"},
		{"system without words", `{"uiType":"ActionMsg","actionType":"System"}`, ""},
		{"typing", `{"uiType":"ActionMsg","actionType":"StartTypingIndicator","message":"x"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := item(t, tt.element).Readable(); got != tt.want {
				t.Errorf("Readable = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlainTextOfHTML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, html, want string }{
		{"words", "just words", "just words"},
		{"entities once", "a &amp;amp; b &lt;c&gt;", "a &amp; b <c>"},
		{"blocks", "<h1>T</h1><p>a <b>b</b>c</p>\n<p>d</p>", "T\na bc\nd"},
		{"breaks", "a<br>b<br/>c", "a\nb\nc"},
		{"list", "<ol><li>a</li><li>b</li></ol>", "- a\n- b"},
		{"table", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		{"link", `<a href="https://x.example">X</a> and <a href="https://y.example"></a>`, "X (https://x.example) and https://y.example"},
		{"link that says itself", `<a href="https://x.example">https://x.example</a>`, "https://x.example"},
		{"image", `<img src="x" alt="A cat">`, "A cat"},
		{"script", "<script>alert('x')</script>safe<style>b{}</style>", "safe"},
		{"unclosed", "<p>open <b>bold", "open bold"},
		{"no tag at all", "1 < 2", "1 < 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			element, err := json.Marshal(map[string]string{"uiType": "OutputHtml", "value": tt.html})
			if err != nil {
				t.Fatal(err)
			}
			it := item(t, string(element))
			if it.Kind != snow.KindHTML || it.HTML != tt.html || it.Text != tt.want {
				t.Errorf("got %s, HTML %q, Text %q, want Text %q", it.Kind, it.HTML, it.Text, tt.want)
			}
		})
	}
}

// FuzzDecodeEvent looks for panics, and for words of an OutputText that are in no item.
func FuzzDecodeEvent(f *testing.F) {
	for _, row := range goldenRows(f) {
		f.Add([]byte(row.Real))
		f.Add([]byte(row.Spec))
	}
	f.Add([]byte("\ufeff{\"body\":\"\\\"[]\\\"\"}"))
	f.Add([]byte(`{"body":[{"uiType":"OutputText","value":"a` + "\xff" + `"}],"body":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := snow.DecodeEvent(raw)
		valid := json.Unmarshal(raw, &map[string]any{}) == nil && strings.TrimSpace(string(raw)) != "null"
		if valid && err != nil {
			t.Fatalf("an object is refused: %v", err)
		}
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		var texts []string
		for _, it := range e.Items {
			if it.ID == "" || seen[it.ID] || it.Kind == "" {
				t.Errorf("ID %q, kind %q: empty or not unique", it.ID, it.Kind)
			}
			seen[it.ID] = true
			texts = append(texts, it.Text)
			_ = it.Readable()
		}
		var post map[string]any
		if json.Unmarshal(raw, &post) != nil {
			return // a byte order mark
		}
		elements, _ := post["body"].([]any)
		for _, element := range elements {
			o, _ := element.(map[string]any)
			value, _ := o["value"].(string)
			if o["uiType"] == "OutputText" && strings.TrimSpace(strings.ReplaceAll(value, "\u200b", "")) != "" && !isActionText(value) &&
				!contains(texts, value) {
				t.Errorf("%q is in none of %q", value, texts)
			}
		}
	})
}

// isActionText reports whether value is an ActionMsg that was put into a text, maybe more than once.
func isActionText(value string) bool {
	var v any = value
	for {
		s, ok := v.(string)
		if !ok {
			break
		}
		if v = nil; json.Unmarshal([]byte(s), &v) != nil {
			return false
		}
	}
	o, _ := v.(map[string]any)
	s, _ := o["uiType"].(string)
	return strings.EqualFold(s, "ActionMsg")
}

func contains(texts []string, value string) bool {
	for _, s := range texts {
		if s == value || s == strings.ReplaceAll(value, "\u200b", "") {
			return true
		}
	}
	return false
}

func BenchmarkDecodeEvent(b *testing.B) {
	agent := `{"requestId":"7f0c","clientSessionId":"ses-1","userId":"mia@example.com","interactionId":"3c1f","agentChat":true,"score":1,
		"clientVariables":{"tenantId":"t1","botId":"b1","conversationId":"a:17"},"body":[{"uiType":"OutputText","group":"DefaultText",
		"maskType":"NONE","value":"Hi Mia, looking at your payslip now.","messageId":"9ab0","agentInfo":{"sentFromAgent":true,"agentName":"Sam Ortiz"}}]}`
	quoted, err := json.Marshal(`[{"uiType":"OutputText","value":"` + strings.Repeat("x", 500_000) + `"}]`)
	if err != nil {
		b.Fatal(err)
	}
	many := `{"body":[` + strings.TrimSuffix(strings.Repeat(`{"uiType":"OutputText","value":"ok"},`, 25_000), ",") + `]}`
	for _, bb := range []struct{ name, raw string }{
		{"agent message", agent},
		{"500 KB in text", `{"body":` + string(quoted) + `}`},
		{"25000 items", many},
		{"deep", `{"body":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.raw)))
			b.ReportAllocs()
			for b.Loop() {
				decode(b, bb.raw)
			}
		})
	}
}
