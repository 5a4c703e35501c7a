package main

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"snowbot/adapter/adaptertest"
)

// A subject is something that Microsoft's schemas are asked about.
type subject struct {
	Name     string          `json:"name"`
	Method   string          `json:"method,omitempty"`
	Path     string          `json:"path,omitempty"`
	Activity json.RawMessage `json:"activity,omitempty"`
	Posted   json.RawMessage `json:"posted,omitempty"`
	Manifest json.RawMessage `json:"manifest,omitempty"`
}

// A verdict is what they say of it.
type verdict struct {
	Name   string   `json:"name"`
	Faults []string `json:"faults"`
	Cards  int      `json:"cards"`
}

// sentSubjects collects every activity that a bot sends through a channel.
type sentSubjects struct {
	mu  sync.Mutex
	all []subject
}

// of begins to listen to a channel.
func (s *sentSubjects) of(t *testing.T, name string, c *adaptertest.Channel) {
	t.Cleanup(c.Subscribe(func(x adaptertest.Exchange) {
		sent := x.Direction == adaptertest.In && (x.Method == http.MethodPost || x.Method == http.MethodPut)
		if !sent || !strings.Contains(x.Path, "/activities") {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, subject{
			Name: fmt.Sprintf("%s, exchange %d", name, x.Seq), Method: x.Method, Path: x.Path, Activity: json.RawMessage(x.RequestBody),
		})
	}))
}

func (s *sentSubjects) subjects() []subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// TestJudgeWhatIsSent holds what the service sends against schemas that Microsoft publishes and Microsoft's own card
// renderer: every form of item, whole chats in every language, merged words, and the app's manifest.
func TestJudgeWhatIsSent(t *testing.T) {
	t.Parallel()
	judges(t)
	var sent sentSubjects
	t.Run("chats", func(t *testing.T) {
		t.Run("in every language", func(t *testing.T) { t.Parallel(); chatInEveryLanguage(t, &sent) })
		t.Run("in a hurry", func(t *testing.T) { t.Parallel(); chatInAHurry(t, &sent) })
	})
	chats := sent.subjects()
	planted := plantedSubjects()
	subjects := append(append(append(chats, goldenSubjects(t)...), manifestSubjects(t)...), planted...)
	input := make([]any, len(subjects))
	for i, s := range subjects {
		input[i] = s
	}
	verdicts := node[verdict](t, "judge.mjs", nil, input...)
	if len(verdicts) != len(subjects) {
		t.Fatalf("%d verdicts on %d subjects", len(verdicts), len(subjects))
	}
	cards, seen := 0, map[string]bool{}
	for i, v := range verdicts {
		cards += v.Cards
		switch s := subjects[i]; {
		case strings.HasPrefix(s.Name, plantedName):
			if len(v.Faults) == 0 {
				t.Errorf("%s: no fault found in %s", s.Name, s.Activity)
			}
		case len(v.Faults) > 0 && !seen[fmt.Sprint(v.Faults)]: // the first of its kind
			seen[fmt.Sprint(v.Faults)] = true
			t.Errorf("%s:\n\t%s\n\tin %s %s", s.Name, strings.Join(v.Faults, "\n\t"), s.Activity, s.Manifest)
		}
	}
	t.Logf("%d activities of chats, %d subjects, %d cards", len(chats), len(subjects), cards)
	if len(chats) < 300 || cards < 100 {
		t.Errorf("only %d activities with %d cards were judged", len(chats), cards)
	}
}

// goldenSubjects are the kept forms of each kind of item.
func goldenSubjects(t *testing.T) []subject {
	t.Helper()
	raw, err := os.ReadFile("../../bot/testdata/render.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string][]json.RawMessage
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	var all []subject
	for name, activities := range golden {
		for _, a := range activities { // none for what has nothing to show
			all = append(all, subject{Name: "item " + name, Activity: a})
		}
	}
	return all
}

// manifestSubjects are manifests as the command writes them.
func manifestSubjects(t *testing.T) []subject {
	t.Helper()
	var all []subject
	for name, flags := range map[string][]string{
		"plain":       nil,
		"personal":    {"--scopes", "personal"},
		"permissions": {"--scopes", "personal,team,groupChat", "--permissions", "ChannelMessage.Read.Group,ChatMessage.Read.Chat"},
		"in words": {
			"--name", "Hilfe", "--full-name", "Hilfe der IT", "--summary", "Fragen an die IT", "--description", "Alle Fragen.",
			"--developer", "Contoso", "--website", "https://contoso.example", "--color", "#FFEE00", "--app-version", "2.0.1",
		},
	} {
		path := filepath.Join(t.TempDir(), "app.zip")
		cmd := exec.CommandContext(t.Context(), "snowbot", append([]string{"manifest", "build", "--out", path}, flags...)...) // the binary under test
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MICROSOFT_APP_ID=01234567-89ab-4def-8123-456789abcdef", "PUBLIC_URL=https://snowbot.example.com"}
		if out, err := printed(t, cmd); err != nil {
			t.Fatalf("manifest build: %v\n%s", err, out)
		}
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := z.Open("manifest.json")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(f)
		f.Close()
		z.Close()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, subject{Name: "manifest " + name, Manifest: raw})
	}
	return all
}

const plantedName = "planted: "

// plantedSubjects have a fault each, which shows that the judges look.
func plantedSubjects() []subject {
	card := func(body, rest string) string {
		return `{"type":"message","summary":"s","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":` +
			`{"type":"AdaptiveCard","version":"1.5","body":[` + body + `]` + rest + `}}]}`
	}
	const text = `{"type":"TextBlock","text":"x"}`
	var all []subject
	for name, activity := range map[string]string{
		"no type":                    `{"text":"x"}`,
		"text is a number":           `{"type":"message","text":5}`,
		"empty":                      `{"type":"message","text":" "}`,
		"misspelt property":          `{"type":"message","text":"x","txtFormat":"plain"}`,
		"unknown format":             `{"type":"message","text":"x","textFormat":"html"}`,
		"time of the bot's":          `{"type":"message","text":"x","timestamp":"0001-01-01T00:00:00Z"}`,
		"text and card":              strings.Replace(card(text, ""), `"summary"`, `"text":"x","summary"`, 1),
		"no summary":                 strings.Replace(card(text, ""), `"summary":"s",`, ``, 1),
		"suggestion to nobody":       `{"type":"message","text":"x","suggestedActions":{"actions":[{"type":"imBack","title":"a","value":"a"}]}}`,
		"suggestion without a value": `{"type":"message","text":"x","suggestedActions":{"to":["29:1"],"actions":[{"type":"imBack","title":"a"}]}}`,
		"control character":          `{"type":"message","text":"a\u0007"}`,
		"forged mention":             `{"type":"message","text":"<at>Mia</at>"}`,
		"card of a later version":    strings.Replace(card(text, ""), `"1.5"`, `"1.6"`, 1),
		"card without a body":        card("", ""),
		"card, unknown element":      card(`{"type":"Foo"}`, ""),
		"card, misspelt property":    card(`{"type":"TextBlock","text":"x","warp":true}`, ""),
		"card, no text":              card(`{"type":"TextBlock"}`, ""),
		"card, bad enum":             card(`{"type":"TextBlock","text":"x","size":"huge"}`, ""),
		"card, input without id":     card(`{"type":"Input.Text","label":"l"}`, ""),
		"card, two inputs, one id":   card(`{"type":"Input.Text","label":"l","id":"a"},{"type":"Input.Text","label":"l","id":"a"}`, ""),
		"card, no choices":           card(`{"type":"Input.ChoiceSet","label":"l","id":"a","choices":[]}`, ""),
		"card, no facts":             card(`{"type":"FactSet","facts":[]}`, ""),
		"card, ragged table":         card(`{"type":"Table","columns":[{"width":1}],"rows":[{"type":"TableRow","cells":[]}]}`, ""),
		"card, script link":          card(text, `,"actions":[{"type":"Action.OpenUrl","title":"t","url":"javascript:alert(1)"}]`),
		"card, button unnamed":       card(text, `,"actions":[{"type":"Action.Submit","data":{}}]`),
		"card, unknown action":       card(text, `,"actions":[{"type":"Action.Fly","title":"t"}]`),
	} {
		all = append(all, subject{Name: plantedName + name, Activity: json.RawMessage(activity)})
	}
	return append(all, subject{Name: plantedName + "manifest", Manifest: json.RawMessage(
		`{"$schema":"https://developer.microsoft.com/json-schemas/teams/v1.19/MicrosoftTeams.schema.json","manifestVersion":"1.19"}`)})
}
