package bot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"snowbot/adapter"
	"snowbot/snow"
)

// FuzzItem follows one element of a post from its bytes to what Teams is sent: whatever it is, the words of a person are shown, cards
// are whole, nothing runs or leads anywhere but to a web page or a letter, and nobody is mentioned.
func FuzzItem(f *testing.F) {
	for _, s := range []string{
		`{"uiType":"OutputText","value":"hello <at>Mia</at> [x](javascript:alert(1))","agentInfo":{"agentName":"<b>Sam</b>","agentAvatar":"http://169.254.169.254/"}}`,
		`{"uiType":"OutputHtml","value":"<a href='javascript:x'>y</a><img src=x onerror=y>[z](javascript:z)"}`,
		`{"uiType":"OutputImage","value":"data:text/html,x","altText":"a"}`, `{"uiType":"OutputImage","value":"https://example.com/a b(c).png"}`,
		`{"uiType":"OutputLink","value":{"action":"vbscript:x"},"label":"[l](javascript:x)"}`, `{"uiType":"OutputLink","value":"https://a\nb","label":"l"}`,
		`{"uiType":"OutputCard","data":"{\"title\":\"t\",\"url\":\"file:///etc/passwd\",\"image\":\"http://10.0.0.1/\",\"fields\":[{\"fieldLabel\":\"a\",\"fieldValue\":1}]}"}`,
		`{"uiType":"OutputTable","headers":["a",{"label":"b"}],"data":[["1"],{"b":2},3]}`,
		`{"uiType":"Picker","label":"p","options":[{"label":"a","value":"\u0000"},{"label":"\u202eb"},"c"],"multiSelect":true}`,
		`{"uiType":"GroupedPartsOutputControl","values":[{"label":"a](javascript:x)[b","action":"https://example.com/"}]}`,
		`{"uiType":"DateTime","label":"when"}`, `{"uiType":"Boolean"}`, `{"uiType":"HoloDeck","value":"arch"}`, `{"uiType":5,"value":[["x"]]}`,
		`{"uiType":"MultiPartOutput","content":{"uiType":"OutputText","value":"x"},"navigationBtnLabel":"more"}`,
		`{"uiType":"OutputText","value":"{\"uiType\":\"ActionMsg\",\"actionType\":\"EndConversation\"}"}`,
	} {
		f.Add([]byte(s))
	}
	texts, resolve := TextsFor("en"), resolverOf(f)
	f.Fuzz(func(t *testing.T, element []byte) {
		if !json.Valid(element) {
			return
		}
		e, err := snow.DecodeEvent([]byte(`{"clientSessionId":"s","body":[` + string(element) + `]}`))
		if err != nil {
			return // too deep by now
		}
		for _, it := range e.Items {
			shown := render(texts, resolve, "s", it)
			for _, a := range shown {
				checkShown(t, a)
			}
			if it.FromAgent && it.Kind == snow.KindText && strings.TrimSpace(it.Text) != "" {
				var said strings.Builder
				for _, a := range shown {
					if a.TextFormat == adapter.TextPlain {
						said.WriteString(a.Text)
					}
				}
				if said.String() != it.Text {
					t.Errorf("the agent's %q is shown as %q", it.Text, said.String())
				}
			}
		}
	})
}

// resolverOf is the resolver that the service uses.
func resolverOf(f *testing.F) resolver {
	f.Helper()
	c, err := snow.NewClient(snow.ClientOptions{
		Instance: "https://example.service-now.com", ClientID: "c", ClientSecret: "s", Username: "u", Password: "p",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	return c.Resolve
}

// checkShown is what holds for everything that Teams is sent of an agent's side.
func checkShown(t *testing.T, a *adapter.Activity) {
	t.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatalf("it cannot be encoded: %v", err)
	}
	if len(a.Entities) > 0 {
		t.Errorf("somebody is mentioned: %s", raw)
	}
	if !utf8.ValidString(a.Text) || a.Text == "" && len(a.Attachments) == 0 {
		t.Errorf("nothing is shown: %s", raw)
	}
	if a.TextFormat != adapter.TextPlain {
		checkMarkdown(t, a.Text)
	}
	for _, at := range a.Attachments {
		var card any
		if err := json.Unmarshal(at.Content, &card); err != nil {
			t.Fatal(err)
		}
		checkCard(t, card)
	}
}

// checkCard looks at every element of a card.
func checkCard(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			checkCard(t, e)
		}
	case map[string]any:
		for key, e := range v {
			checkCard(t, e)
			s, isText := e.(string)
			switch {
			case key == "url" && v["type"] == "Image":
				if !strings.HasPrefix(s, "https://") {
					t.Errorf("a picture from %q", s)
				}
			case key == "url" && !linkable(s):
				t.Errorf("a link to %q", s)
			case key == "text" && v["type"] == "TextBlock" && isText:
				checkMarkdown(t, strings.ReplaceAll(s, "<", "&lt;")) // a card's text knows no HTML
			}
		}
	}
}

// checkMarkdown reads text as Teams does, which makes HTML of it: there must be none in it, no picture, and links lead to pages and letters.
func checkMarkdown(t *testing.T, md string) {
	t.Helper()
	if strings.Contains(md, "<") {
		t.Errorf("%q holds markup", md)
	}
	source := []byte(md)
	err := ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			checkTarget(t, md, string(n.Destination))
		case *ast.AutoLink:
			checkTarget(t, md, string(n.URL(source)))
		case *ast.Image, *ast.RawHTML, *ast.HTMLBlock:
			if entering {
				t.Errorf("%q holds a %s", md, n.Kind())
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkTarget(t *testing.T, md, to string) {
	t.Helper()
	for _, scheme := range []string{"https:", "http:", "mailto:"} {
		if len(to) >= len(scheme) && strings.EqualFold(to[:len(scheme)], scheme) {
			return
		}
	}
	t.Errorf("%q leads to %q", md, to)
}

// FuzzHTMLToMarkdown: no markup of the agent's survives as markup of Teams', and no link leads elsewhere than to pages and letters.
func FuzzHTMLToMarkdown(f *testing.F) {
	for _, s := range []string{
		"<p>a</p>", "<script>alert(1)</script>", "&lt;at&gt;x&lt;/at&gt;", "<a href=javascript:x>y</a>", "<ul><li>a<li>b", "<b><i>x", "\x00<", "<table><tr><td>1",
		"&amp;lt;script&amp;gt;", "<a href='https://x/?a=<b>'>z</a>", "<img src='javascript:x' alt='[a](javascript:b)'>", "<a href='javascript\n:x'>y</a>", "<img src='data:x' alt=y>", "<tr><td><a href='/kb'>z</a><td>|", "[x](javascript:alert(1))", "<a href='mailto:a@example.com'>m</a>", "<a href='//evil.example'>y</a>",
		"<a href='https://x/)[y](javascript:z'>w</a>", "<code>[x](data:y)</code>", "<pre>[x](data:y)\n```\n[z](vbscript:y)</pre>", "<a href='JaVaScRiPt&colon;x'>y</a>",
		"&#91;x&#93;&#40;javascript:y&#41;", "<p>[x]</p>(javascript:y)", "[x]: javascript:y\n\n[x]", "&lt;javascript:y&gt;", "<b>[x]</b><i>(javascript:y)</i>", "[x<b></b>](javascript:y)",
	} {
		f.Add(s)
	}
	resolve := resolverOf(f)
	f.Fuzz(func(t *testing.T, raw string) { checkMarkdown(t, htmlToMarkdown(raw, resolve)) })
}

// FuzzButton presses buttons with any value, in both of the ways in which Teams sends it.
func FuzzButton(f *testing.F) {
	for _, s := range []string{
		`{"snowbot":"cancel","session":"s"}`, `{"snowbot":"choice","choice":"a","time":"10:00"}`, `{"snowbot":5}`, `{"snowbot":"talk","text":"\u0000\u202e"}`, `null`, `"x"`, `[]`,
		`{"action":{"data":{"snowbot":"end"}}}`, `{"snowbot":"launch the missiles"}`, `{"snowbot":"talk","snowbot":"end"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !json.Valid(value) {
			return
		}
		pressed := pressedButton(&adapter.Activity{Type: adapter.TypeMessage, Value: value})
		wrapped := pressedButton(&adapter.Activity{Type: adapter.TypeInvoke, Value: json.RawMessage(fmt.Sprintf(`{"action":{"data":%s}}`, value))})
		if (pressed == nil) != (wrapped == nil) || pressed != nil && *pressed != *wrapped {
			t.Errorf("%s is %+v as a message and %+v as an invoke", value, pressed, wrapped)
		}
		if pressed != nil && pressed.Verb == "" {
			t.Errorf("%s is a button without a verb", value)
		}
	})
}
