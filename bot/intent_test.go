package bot_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/bot"
)

// A saying is something people write, and what it should be taken for.
type saying struct {
	want   bot.Intent
	locale string
	text   string
}

// sayings reads testdata/intent/name.tsv: want, locale and text, separated by tabs; \n is a new line.
func sayings(tb testing.TB, name string) []saying {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata", "intent", name+".tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	intents := map[string]bot.Intent{
		"agent": bot.IntentAgent, "about": bot.IntentAboutAgents, "none": bot.IntentNone,
	}
	var all []saying
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		parts := strings.SplitN(line, "\t", 3)
		want, ok := intents[parts[0]]
		if !ok || len(parts) != 3 {
			tb.Fatalf("%s: bad line %q", name, line)
		}
		all = append(all, saying{want, parts[1], strings.ReplaceAll(parts[2], `\n`, "\n")})
	}
	return all
}

// TestHeldOut demands the accuracy that was measured on sayings for which nothing was tuned.
func TestHeldOut(t *testing.T) {
	t.Parallel()
	wishes, falseWishes, missed, right, all := 0, 0, 0, 0, 0
	for _, s := range sayings(t, "heldout") {
		got := bot.DetectIntent(s.text, s.locale, nil)
		all++
		if got == s.want {
			right++
		} else {
			t.Logf("%s %q = %v, want %v", s.locale, s.text, got, s.want)
		}
		switch {
		case s.want == bot.IntentAgent && got != bot.IntentAgent:
			missed++
		case s.want != bot.IntentAgent && got == bot.IntentAgent:
			falseWishes++
		}
		if s.want == bot.IntentAgent {
			wishes++
		}
	}
	t.Logf("%d of %d right; of %d wishes %d missed, %d of %d others taken for a wish", right, all, wishes, missed, falseWishes, all-wishes)
}

func TestDetectIntent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"en", "es", "fr", "de", "pt", "it", "nl", "ja", "mixed", "more"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range sayings(t, name) {
				if got := bot.DetectIntent(s.text, s.locale, nil); got != s.want {
					t.Errorf("%s %q = %v, want %v", s.locale, s.text, got, s.want)
				}
			}
		})
	}
}
