package bot

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"snowbot/snow"
)

var update = flag.Bool("update", false, "write what is rendered")

func onInstance(raw string) (string, bool) {
	if strings.HasPrefix(raw, "/") {
		return "https://example.service-now.com" + raw, true
	}
	return raw, strings.HasPrefix(raw, "https://example.service-now.com/")
}

// TestRenderGolden keeps what Teams is shown of each kind of item. The file is read by people, too.
func TestRenderGolden(t *testing.T) {
	t.Parallel()
	items := []struct {
		Name string
		Item snow.Item
	}{
		{"text", snow.Item{Kind: snow.KindText, Text: "Hi *Mia*, 5 > 3 & <at>you</at>"}},
		{"text with sources", snow.Item{Kind: snow.KindText, Text: "As the page says [1].", Links: []snow.Link{{Label: "VPN_guide", URL: "https://kb.example.com/a_(b)"}}}},
		{"system", snow.Item{Kind: snow.KindSystem, Text: "Sam Ortiz has entered the chat."}},
		{"html", snow.Item{Kind: snow.KindHTML, HTML: `<p>Try <b>this</b>:</p><ol><li>Open <a href="https://example.com/?a=1&b=2">the page</a></li><li>Say &lt;at&gt;hi&lt;/at&gt; &amp; go</li></ol><script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>`}},
		{"html with all that may hang on it", snow.Item{
			Kind: snow.KindHTML, HTML: `<table><tr><th>Item</th><th>Price</th></tr><tr><td>1 <b>laptop</b></td><td>2</td></tr></table><p>see <a href="/kb?id=2">the page</a> <img src="/a.png" alt="A cat"><img src="https://cdn.example.com/b.png?x=1"><img src="data:image/png;base64,AA" alt="inline"></p>`,
			Links: []snow.Link{{Label: "More", URL: "https://example.com/more"}}, URL: "https://cdn.example.com/p.png",
		}},
		{"html without words", snow.Item{Kind: snow.KindHTML, HTML: "<p></p>", Links: []snow.Link{{URL: "/kb"}}}},
		{"picture", snow.Item{Kind: snow.KindImage, URL: "https://cdn.example.com/p.png", Text: "the error"}},
		{"picture on the instance", snow.Item{Kind: snow.KindImage, URL: "/sys_attachment.do?sys_id=1", Text: "the error"}},
		{"link", snow.Item{Kind: snow.KindLink, URL: "https://example.com/x", Text: "The [page]"}},
		{"link that is none", snow.Item{Kind: snow.KindLink, URL: "javascript:alert(1)", Text: "Click"}},
		{"links", snow.Item{Kind: snow.KindLinks, Text: "See", Links: []snow.Link{{Label: "A", URL: "https://a.example.com"}, {Label: "B", URL: "/kb?id=2", Description: "the *second*"}}}},
		{"card", snow.Item{Kind: snow.KindCard, Card: &snow.Card{
			Title: "INC0010123", Subtitle: "Laptop", Description: "It *smokes*", URL: "/incident.do?sys_id=1",
			ImageURL: "https://cdn.example.com/l.png", Fields: []snow.Field{{Label: "State", Value: "New"}},
		}}},
		{"table", snow.Item{Kind: snow.KindTable, Text: "Open tickets", Table: &snow.Table{Headers: []string{"Number", "State"}, Rows: [][]string{{"INC1", "New"}, {"INC2"}}}}},
		{"picker with few options", snow.Item{Kind: snow.KindPicker, Text: "Which one?", Options: []snow.Option{{Label: "Laptop", Value: "l"}, {Label: "Phone"}}}},
		{"picker with many", snow.Item{Kind: snow.KindPicker, Text: "Which?", Options: []snow.Option{
			{Label: "1"}, {Label: "2"}, {Label: "3"}, {Label: "4"}, {Label: "5"}, {Label: "6", Value: "six"},
		}}},
		{"picker of several", snow.Item{Kind: snow.KindPicker, Multi: true, Options: []snow.Option{{Label: "A", Value: "a"}, {Label: "B", Value: "b"}}}},
		{"yes or no", snow.Item{Kind: snow.KindInput, Input: "boolean", Text: "Sure?", Options: []snow.Option{{Label: "Yes"}, {Label: "No"}}}},
		{"date", snow.Item{Kind: snow.KindInput, Input: "date", Text: "Since when?"}},
		{"date and time", snow.Item{Kind: snow.KindInput, Input: "datetime", Text: "Exactly?"}},
		{"question", snow.Item{Kind: snow.KindInput, Input: "text", Text: "Your room?"}},
		{"unknown", snow.Item{Kind: snow.KindUnknown, Name: "HoloDeck", Text: "computer, arch"}},
		{"nothing to show", snow.Item{Kind: snow.KindUnknown, Name: "HoloDeck"}},
	}
	got := map[string]any{}
	for _, i := range items {
		got[i.Name] = render(TextsFor("en"), onInstance, "session-1", i.Item)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(got); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/render.golden.json"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { // test data
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("rendering changed (-want +got); run with -update if it is meant:\n%s", diff)
	}
}

func TestSplitTextKeepsEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab \n\n😀日"))).Draw(t, "text")
		limit := rapid.IntRange(2, 20).Draw(t, "limit")
		parts := splitText(text, limit)
		if strings.Join(parts, "") != text {
			t.Fatalf("the parts are %q", parts)
		}
		for _, p := range parts {
			if p == "" || fit(p, limit) != len(p) {
				t.Fatalf("part %q is empty or over %d units", p, limit)
			}
		}
	})
}

func TestSplitTextPrefersParagraphs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"aa bb\n\ncc\ndd ee", []string{"aa bb\n\n", "cc\ndd ee"}},
		{"aa bb\ncc dd ee", []string{"aa bb\n", "cc dd ee"}},
		{"aaaaa bbb ccc", []string{"aaaaa bbb ", "ccc"}},
		{"aaaaaaaaaaaaa", []string{"aaaaaaaaaaaa", "a"}},
	} {
		if got := splitText(tt.text, 12); !slices.Equal(got, tt.want) {
			t.Errorf("splitText(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
