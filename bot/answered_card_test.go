package bot

import (
	"encoding/json"
	"slices"
	"testing"

	"snowbot/snow"
)

// shownOf are the texts and pictures of a card, in order, and what can be pressed or filled in.
func shownOf(t *testing.T, content json.RawMessage) (shown, open []string) {
	t.Helper()
	var card struct{ Body, Actions []map[string]any }
	if err := json.Unmarshal(content, &card); err != nil {
		t.Fatal(err)
	}
	for _, e := range append(card.Body, card.Actions...) {
		switch e["type"] {
		case "TextBlock":
			shown = append(shown, e["text"].(string))
		case "Image":
			shown = append(shown, e["url"].(string))
		default:
			open = append(open, e["type"].(string))
		}
	}
	return shown, open
}

func TestAnAnsweredCardSaysWhatTheAgentSaid(t *testing.T) {
	t.Parallel()
	two := []snow.Option{{Label: "A *new* one", Value: "n", ImageURL: "https://cdn.example.com/n.png"}, {Label: "None"}}
	many := []snow.Option{{Label: "1", Value: "a"}, {Label: "2", Value: "a,b"}, {Label: "3", Value: "b"}, {Label: "4", Value: "a"}, {Label: "5"}, {Label: "6"}}
	for _, tt := range []struct {
		name   string
		item   snow.Item
		choice string
		want   []string
	}{
		{"a button", snow.Item{Text: "Which *one*?", Options: two}, "n", []string{`Which \*one\*?`, "https://cdn.example.com/n.png", `✓ A \*new\* one`}},
		{"an option without a value", snow.Item{Text: "Which?", Options: two}, "None", []string{"Which?", "https://cdn.example.com/n.png", "✓ None"}},
		{"of a list", snow.Item{Text: "Which?", Options: many}, "6", []string{"Which?", "✓ 6"}},
		{"the first of two with one value", snow.Item{Text: "Which?", Options: many}, "a", []string{"Which?", "✓ 1"}},
		{"several", snow.Item{Text: "Which?", Options: many, Multi: true}, "5,b", []string{"Which?", "✓ 5", "✓ 3"}},
		{"a value with a comma", snow.Item{Text: "Which?", Options: many, Multi: true}, "a,b,6", []string{"Which?", "✓ 2", "✓ 6"}},
		{"none of them", snow.Item{Text: "Which?", Options: many}, "7", []string{"Which?", "✓ 7"}},
		{"a date", snow.Item{Kind: snow.KindInput, Input: "datetime", Text: "When?"}, "2026-11-27 14:30", []string{"When?", `✓ 2026-11-27 14:30`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			texts := newWorld(t).rules.texts("en")
			question := render(texts, onInstance, "session", tt.item)[0]
			raw, err := json.Marshal(question)
			if err != nil {
				t.Fatal(err)
			}
			a, err := answered(raw, tt.choice)
			if err != nil {
				t.Fatal(err)
			}
			shown, open := shownOf(t, a.Attachments[0].Content)
			if !slices.Equal(shown, tt.want) || len(open) != 0 || a.Summary != question.Summary {
				t.Errorf("shows %q, to press %q, summary %q; want %q, nothing, %q", shown, open, a.Summary, tt.want, question.Summary)
			}
		})
	}
	for _, broken := range []string{"", "{}", `{"attachments":[{"content":1}]}`} {
		if a, err := answered([]byte(broken), "x"); err == nil {
			t.Errorf("%q became %+v", broken, a)
		}
	}
}
