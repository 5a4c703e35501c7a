package adapter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
)

func mention(id, text string) adapter.Entity {
	return adapter.Entity{Type: "mention", Mentioned: &adapter.ChannelAccount{ID: id}, Text: text}
}

func TestPlainTextRemovesTheBotsMentions(t *testing.T) {
	t.Parallel()
	const bot = "28:app"
	for name, tt := range map[string]struct {
		text     string
		entities []adapter.Entity
		want     string
	}{
		"nothing to remove":      {"  hello ", nil, "hello"},
		"one":                    {"<at>Bot</at> hello", []adapter.Entity{mention(bot, "<at>Bot</at>")}, "hello"},
		"one with a fixed space": {"<at>Bot</at>\u00a0hello", []adapter.Entity{mention(bot, "<at>Bot</at>")}, "hello"},
		"two":                    {"<at>Bot</at> a <at>B</at>b", []adapter.Entity{mention(bot, "<at>Bot</at>"), mention(bot, "<at>B</at>")}, "a b"},
		"one entity for two":     {"<at>Bot</at> a <at>Bot</at>", []adapter.Entity{mention(bot, "<at>Bot</at>")}, "a"},
		"type in other case":     {"<at>Bot</at>a", []adapter.Entity{{Type: "Mention", Mentioned: &adapter.ChannelAccount{ID: bot}, Text: "<at>Bot</at>"}}, "a"},
		"not those of others":    {"<at>Bot</at> ask <at>Ada</at>", []adapter.Entity{mention(bot, "<at>Bot</at>"), mention("29:ada", "<at>Ada</at>")}, "ask <at>Ada</at>"},
		"not by name":            {"<at>Bot</at> hi", []adapter.Entity{mention("29:other", "<at>Bot</at>")}, "<at>Bot</at> hi"},
		"not without an account": {"<at>Bot</at> hi", []adapter.Entity{{Type: "mention", Text: "<at>Bot</at>"}}, "<at>Bot</at> hi"},
		"not what then appears":  {"<a<at>Bot</at>t>Bot</at>", []adapter.Entity{mention(bot, "<at>Bot</at>")}, "<at>Bot</at>"},
		"mention without text":   {"hi", []adapter.Entity{mention(bot, "")}, "hi"},
		"only the mention":       {"<at>Bot</at> ", []adapter.Entity{mention(bot, "<at>Bot</at>")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &adapter.Activity{Text: tt.text, Entities: tt.entities, Recipient: &adapter.ChannelAccount{ID: bot}}
			if got := a.PlainText(); got != tt.want {
				t.Errorf("PlainText() = %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("no recipient", func(t *testing.T) {
		t.Parallel()
		a := &adapter.Activity{Text: "x y", Entities: []adapter.Entity{mention("", "x")}}
		if got := a.PlainText(); got != "x y" {
			t.Errorf("PlainText() = %q", got)
		}
	})
}

func TestPlainTextRecoversLineBreaks(t *testing.T) {
	t.Parallel()
	const span = `<span itemtype="http://schema.skype.com/Mention" itemscope itemid="0">Bot</span>`
	for name, tt := range map[string]struct{ text, html, want string }{
		"paragraphs":             {"one two three", "<div><p>one&nbsp;two</p>\n<p>three</p></div>", "one two\nthree"},
		"breaks":                 {"one two", "one<br>two", "one\ntwo"},
		"empty line":             {"one two", "<p>one</p><p>&nbsp;</p><p>two</p>", "one\n \ntwo"},
		"list":                   {"buy milk bread", "<p>buy</p><ul><li>milk</li><li><p>bread</p></li></ul>", "buy\n- milk\n- bread"},
		"numbers in the text":    {"1. milk 2. bread", "<ol><li>milk</li><li>bread</li></ol>", "1. milk\n2. bread"},
		"list in a list":         {"a b c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"},
		"code":                   {"if x  y", "<p>if</p><pre>x\n  y</pre>", "if\nx\n  y"},
		"emoji not in the text":  {"hi you", `<p>hi <img alt="😀"></p><p>you</p>`, "hi 😀\nyou"},
		"emoji in the text":      {"hi 😀 you", `<p>hi <img alt="😀"></p><p>you</p>`, "hi 😀\nyou"},
		"a pasted picture":       {"look here", `<p>look</p><p>here</p><p><img alt="image" itemtype="http://schema.skype.com/AMSImage"></p>`, "look\nhere"},
		"bot's mention":          {"<at>Bot</at> one two", "<p>" + span + "&nbsp;one</p><p>two</p>", "one\ntwo"},
		"bot's mention as at":    {"<at>Bot</at> one two", `<p><at id="0">Bot</at> one</p><p>two</p>`, "one\ntwo"},
		"other mention":          {"ask <at>Ada</at> now", `<p>ask <span itemtype="http://schema.skype.com/Mention">Ada</span></p><p>now</p>`, "ask <at>Ada</at>\nnow"},
		"script is not shown":    {"one two", "<p>one</p><script>alert(1)</script><p>two</p>", "one\ntwo"},
		"one line":               {"one two", "<p>one two</p>", "one two"},
		"other words":            {"one two", "<p>one</p><p>three</p>", "one two"},
		"more words":             {"one two", "<p>one two</p><p>three</p>", "one two"},
		"text has its own lines": {"one\ntwo three", "<p>one</p><p>two</p><p>three</p>", "one\ntwo three"},
		"no markup":              {"one two", "", "one two"},
		"broken markup":          {"one two", "<p>one</p><p <<two", "one two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := json.Marshal(tt.html)
			if err != nil {
				t.Fatal(err)
			}
			a := &adapter.Activity{
				Text: tt.text, Recipient: &adapter.ChannelAccount{ID: "28:app"},
				Entities:    []adapter.Entity{mention("28:app", "<at>Bot</at>")},
				Attachments: []adapter.Attachment{{ContentType: "text/html", Content: content}},
			}
			if got := a.PlainText(); got != tt.want {
				t.Errorf("PlainText() = %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("content that is no string", func(t *testing.T) {
		t.Parallel()
		a := &adapter.Activity{Text: "a b", Attachments: []adapter.Attachment{{ContentType: "text/html", Content: json.RawMessage("{}")}, {ContentType: "text/html"}}}
		if got := a.PlainText(); got != "a b" {
			t.Errorf("PlainText() = %q", got)
		}
	})
	t.Run("a hostile mention is quick", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("a", 120<<10)
		a := &adapter.Activity{
			Text: long, Recipient: &adapter.ChannelAccount{ID: "28:app"},
			Entities: []adapter.Entity{mention("28:app", long+"b"), mention("28:app", long+"c"), mention("28:app", long[:500]+"d")},
		}
		begin := time.Now()
		if got := a.PlainText(); got != long {
			t.Errorf("PlainText() has %d bytes", len(got))
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("a hostile quarter of a megabyte is quick", func(t *testing.T) {
		t.Parallel()
		for _, piece := range []string{"<ul>", "<ul><li>", "<span itemtype=x/schema.skype.com/Mention>", "<pre>\n", "<", "&", "<script>", "</pre></ul>", "<at>"} {
			content, err := json.Marshal(strings.Repeat(piece, 256<<10/len(piece)))
			if err != nil {
				t.Fatal(err)
			}
			a := &adapter.Activity{Text: "x", Attachments: []adapter.Attachment{{ContentType: "text/html", Content: content}}}
			begin := time.Now()
			a.PlainText()
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("%q took %v", piece, took)
			}
		}
	})
}

func TestReference(t *testing.T) {
	t.Parallel()
	channel := func(change func(*adapter.Activity)) *adapter.Activity {
		a := &adapter.Activity{Type: "message", ID: "1700000000001", Conversation: &adapter.ConversationAccount{ID: "19:c", ConversationType: adapter.Channel}}
		change(a)
		return a
	}
	for name, tt := range map[string]struct {
		in   *adapter.Activity
		want adapter.Reference
	}{
		"whole": {
			decode(t, teamsMessage),
			adapter.Reference{
				ServiceURL: "https://smba.trafficmanager.net/emea/", ChannelID: "msteams",
				ConversationID: "19:c@thread.tacv2;messageid=1700000000000", ConversationType: "channel", TenantID: "tenant-1",
				UserID: "29:user", UserAADID: "aad-1", UserName: "Ada L", BotID: "28:app", BotName: "Help Desk", Locale: "en-US",
			},
		},
		"empty":               {&adapter.Activity{}, adapter.Reference{}},
		"top of a channel":    {channel(func(*adapter.Activity) {}), adapter.Reference{ConversationID: "19:c;messageid=1700000000001", ConversationType: "channel"}},
		"root is no number":   {channel(func(a *adapter.Activity) { a.ID = "f:1" }), adapter.Reference{ConversationID: "19:c", ConversationType: "channel"}},
		"root is zero":        {channel(func(a *adapter.Activity) { a.ID = "00" }), adapter.Reference{ConversationID: "19:c", ConversationType: "channel"}},
		"not a post":          {channel(func(a *adapter.Activity) { a.Type = "conversationUpdate" }), adapter.Reference{ConversationID: "19:c", ConversationType: "channel"}},
		"not in a group chat": {channel(func(a *adapter.Activity) { a.Conversation.ConversationType = "groupChat" }), adapter.Reference{ConversationID: "19:c", ConversationType: "groupChat"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.in.Reference(); got != tt.want {
				t.Errorf("Reference() = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTenantID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"conversation":{"tenantId":"a"},"channelData":{"tenant":{"id":"b"}}}`: "a",
		`{"conversation":{"id":"c"},"channelData":{"tenant":{"id":"b"}}}`:       "b",
		`{"channelData":{"tenant":{"id":"b"},"team":5}}`:                        "b",
		`{"channelData":{"tenant":{"id":5}}}`:                                   "",
		`{"channelData":{"tenant":"b"}}`:                                        "",
		`{"channelData":"b"}`:                                                   "",
		`{}`:                                                                    "",
	} {
		if got := decode(t, in).TenantID(); got != want {
			t.Errorf("TenantID of %s = %q, want %q", in, got, want)
		}
	}
}
