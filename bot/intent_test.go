package bot_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// TestHeldOut demands the accuracy that was measured on sayings for which nothing was tuned. The lists
// stay as they were written: what is wrong in them stays wrong until it is put right for other reasons.
func TestHeldOut(t *testing.T) {
	t.Parallel()
	const mayMiss, mayImagine, mustBeRight = 4, 1, 236 // of 121 wishes, 120 others, 241 in all
	missed, imagined, right := 0, 0, 0
	for _, s := range append(sayings(t, "heldout"), sayings(t, "heldout2")...) {
		got := bot.DetectIntent(s.text, s.locale, nil)
		if got == s.want {
			right++
			continue
		}
		t.Logf("%s %q = %v, want %v", s.locale, s.text, got, s.want)
		switch bot.IntentAgent {
		case s.want:
			missed++
		case got:
			imagined++
		}
	}
	if missed > mayMiss || imagined > mayImagine || right < mustBeRight {
		t.Errorf("%d wishes missed, %d imagined, %d sayings right; want at most %d and %d, at least %d",
			missed, imagined, right, mayMiss, mayImagine, mustBeRight)
	}
}

// TestHeldOutWishes runs the lists in which only wishes and no wishes are told apart. Their head says what was measured before
// they were tuned for: 117 of 131 wishes found (89%), 117 of 123 found ones meant (95%).
func TestHeldOutWishes(t *testing.T) {
	t.Parallel()
	for _, s := range sayings(t, "heldout3") {
		if got := bot.DetectIntent(s.text, s.locale, nil); (got == bot.IntentAgent) != (s.want == bot.IntentAgent) {
			t.Errorf("%s %q = %v, want %v", s.locale, s.text, got, s.want)
		}
	}
}

func TestDetectIntent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"en", "es", "fr", "de", "pt", "it", "nl", "ja", "mixed", "more", "everyday"} {
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

// The locale is a hint: a wrong one changes nothing that is clear without it.
func TestDetectIntentWithoutLocale(t *testing.T) {
	t.Parallel()
	for _, s := range []saying{
		{bot.IntentAgent, "ja", "Ich möchte mit einem Menschen sprechen"},
		{bot.IntentAgent, "de", "quiero hablar con una persona"},
		{bot.IntentNone, "es", "pas d'agent"},
		{bot.IntentNone, "fr", "kein Agent"},
		{bot.IntentAboutAgents, "nl-NL", "what does an agent cost"},
		{bot.IntentAgent, "\xff\xfe", "operador"},
	} {
		for _, locale := range []string{s.locale, "", "en-US", "xx"} {
			if got := bot.DetectIntent(s.text, locale, nil); got != s.want {
				t.Errorf("%q %q = %v, want %v", locale, s.text, got, s.want)
			}
		}
	}
}

func TestDetectIntentConfiguredPhrases(t *testing.T) {
	t.Parallel()
	extra := []string{"Speak to Bob", "Kümmerkasten", "よろず相談", "  ", "?!"}
	for _, tt := range []struct {
		text string
		want bot.Intent
	}{
		{"speak to bob", bot.IntentAgent},
		{"Please, SPEAK TO BOB now", bot.IntentAgent},
		{"kummerkasten", bot.IntentAgent},
		{"よろず相談をお願い", bot.IntentAgent},
		{"I don't want to speak to Bob", bot.IntentNone},
		{"speak to bobby", bot.IntentNone},
		{"speak bob", bot.IntentNone},
		{"the weather", bot.IntentNone},
	} {
		if got := bot.DetectIntent(tt.text, "en", extra); got != tt.want {
			t.Errorf("%q = %v, want %v", tt.text, got, tt.want)
		}
	}
	if got := bot.DetectIntent("kummerkasten", "de", nil); got != bot.IntentNone {
		t.Errorf("without the phrase: %v, want none", got)
	}
}

// phrasings are a wish without its beginning, with beginnings that wish and others that refuse.
var phrasings = []struct {
	wishes, refusals, people []string
	tail                     string
}{
	{
		[]string{"I want to talk to ", "can I speak with ", "I need "},
		[]string{"I don't want to talk to ", "please never connect me to ", "no need for ", "I do not need "},
		[]string{"an agent", "a human", "a real person", "a live agent", "an operator", "a representative"},
		"",
	},
	{
		[]string{"quiero hablar con ", "necesito ", "pásame con "},
		[]string{"no quiero hablar con ", "no necesito ", "no me pases con ", "sin "},
		[]string{"un agente", "un humano", "una persona", "un operador", "un asesor"},
		"",
	},
	{
		[]string{"je veux parler à ", "passez-moi ", "il me faut "},
		[]string{"je ne veux pas parler à ", "ne me passez pas ", "je ne veux pas ", "sans "},
		[]string{"un agent", "un humain", "un conseiller", "un opérateur", "une vraie personne"},
		"",
	},
	{
		[]string{"ich möchte mit ", "kann ich bitte mit "},
		[]string{"ich möchte nicht mit ", "ich will nie wieder mit ", "bitte nicht mit "},
		[]string{"einem Menschen", "einem Mitarbeiter", "einem Agenten", "einer echten Person"},
		" sprechen",
	},
	{
		[]string{"quero falar com ", "preciso de ", "me passa para "},
		[]string{"não quero falar com ", "não preciso de ", "não me passa para ", "sem "},
		[]string{"um agente", "um humano", "um atendente", "uma pessoa real"},
		"",
	},
	{
		[]string{"voglio parlare con ", "mi serve ", "passami "},
		[]string{"non voglio parlare con ", "non mi serve ", "non passarmi ", "senza "},
		[]string{"un agente", "un umano", "un operatore", "una persona vera"},
		"",
	},
	{
		[]string{"ik wil met ", "mag ik met "},
		[]string{"ik wil niet met ", "ik hoef niet met ", "liever niet met "},
		[]string{"een mens", "een medewerker", "een agent", "een echt persoon"},
		" praten",
	},
}

func TestNegationTurnsAWishAround(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(phrasings).Draw(t, "language")
		person := rapid.SampledFrom(p.people).Draw(t, "person") + p.tail
		end := rapid.SampledFrom([]string{"", ".", "!", " 🙏", "...", "!!!\n"}).Draw(t, "end")
		change := rapid.SampledFrom([]func(string) string{
			strings.ToUpper, strings.ToLower, strings.TrimSpace,
			func(s string) string { return "  " + strings.ReplaceAll(s, " ", "\u00a0 ") },
		}).Draw(t, "change")
		wish := change(rapid.SampledFrom(p.wishes).Draw(t, "wish")+person) + end
		if got := bot.DetectIntent(wish, "", nil); got != bot.IntentAgent {
			t.Errorf("%q = %v, want agent", wish, got)
		}
		refusal := change(rapid.SampledFrom(p.refusals).Draw(t, "refusal")+person) + end
		if got := bot.DetectIntent(refusal, "", nil); got != bot.IntentNone {
			t.Errorf("%q = %v, want none", refusal, got)
		}
	})
}

// A mistake in a word of six letters or more does not hide a wish.
func TestOneMistakeIsForgiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := []byte(rapid.SampledFrom([]string{
			"operator", "representative", "operador", "conseiller", "mitarbeiter", "atendente", "operatore", "medewerker",
		}).Draw(t, "word"))
		at := rapid.IntRange(1, len(word)-2).Draw(t, "at")
		switch rapid.SampledFrom([]string{"swap", "drop", "double", "replace"}).Draw(t, "mistake") {
		case "swap":
			word[at], word[at+1] = word[at+1], word[at]
		case "drop":
			word = append(word[:at:at], word[at+1:]...)
		case "double":
			word = append(word[:at+1:at+1], word[at:]...)
		case "replace":
			word[at] = 'w'
		}
		if s := string(word); bot.DetectIntent(s+" bitte", "", nil) != bot.IntentAgent {
			t.Errorf("%q is not understood", s)
		}
	})
}

func TestDetectIntentIsFastOnLongTexts(t *testing.T) {
	t.Parallel()
	for name, text := range longTexts() {
		start := time.Now()
		for range 5 {
			bot.DetectIntent(text, "en", nil)
		}
		// The bound is 5 ms on an idle machine; this one may be shared and watched for races.
		if took := time.Since(start) / 5; took > 200*time.Millisecond {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func longTexts() map[string]string {
	const size = 250 << 10
	return map[string]string{
		"words":    strings.Repeat("my laptop does not start since the update ", size/42),
		"strange":  strings.Repeat("agnet xoperatr qwzrtu ", size/22),
		"agents":   strings.Repeat("not agent ", size/10),
		"one word": strings.Repeat("a", size),
		"japanese": strings.Repeat("担当者ではない", size/21),
		"accents":  strings.Repeat("é̂̃", size/6),
		"quotes":   strings.Repeat("\"", size),
	}
}

func FuzzDetectIntent(f *testing.F) {
	for _, name := range []string{"en", "fr", "de", "ja", "mixed"} {
		for i, s := range sayings(f, name) {
			if i%7 == 0 {
				f.Add(s.text, s.locale, "speak to bob")
			}
		}
	}
	f.Add("\xff\xfe agent \x00", "\xff", "\xff")
	f.Add("a'b'c''", "de-", "'")
	f.Fuzz(func(t *testing.T, text, locale, phrase string) {
		got := bot.DetectIntent(text, locale, []string{phrase})
		if again := bot.DetectIntent(text, locale, []string{phrase}); got != again {
			t.Errorf("%v, then %v", got, again)
		}
		bot.DetectCommand(text)
		bot.DetectHelp(text)
	})
}

func BenchmarkDetectIntent(b *testing.B) {
	texts := longTexts()
	texts["ordinary"] = "Hi there, my VPN is down again and the articles don't help, can I please talk to someone?"
	texts["ordinary misspelt"] = "hi my vpn is donw agian and the artcles dont hlep can i plaese tlak to an agnet"
	texts["ordinary japanese"] = "すみません、パソコンが動かないので担当者と話したいのですが"
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bot.DetectIntent(text, "en", nil)
			}
		})
	}
}
