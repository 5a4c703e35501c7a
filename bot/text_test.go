package bot_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"snowbot/bot"
)

// mark stands for an inserted value.
const mark = "⟦x⟧"

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	english := bot.TextsFor("en")
	for _, code := range bot.TextLanguages() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			texts := bot.TextsFor(code)
			if texts.Language() != code {
				t.Fatalf("language %q", texts.Language())
			}
			for _, name := range bot.TextKeys() {
				key := bot.TextKey(name)
				text := texts.Say(key, mark)
				switch {
				case text == "":
					t.Errorf("%s says nothing", key)
				case text != strings.TrimSpace(text):
					t.Errorf("%s has space around it", key)
				case utf8.RuneCountInString(text) >= 300:
					t.Errorf("%s has %d characters", key, utf8.RuneCountInString(text))
				case strings.ContainsAny(text, "{}%<>"):
					t.Errorf("%s has markup or an unknown placeholder: %q", key, text)
				}
				if got, want := strings.Count(text, mark), strings.Count(english.Say(key, mark), mark); got != want {
					t.Errorf("%s has %d values, in English %d", key, got, want)
				}
				if code != "en" && text == english.Say(key, mark) {
					t.Errorf("%s is English: %q", key, text)
				}
			}
		})
	}
}

// englishOnly are words that only English has, and most English sentences have one of.
var englishOnly = regexp.MustCompile(`(?i)\b(the|you|your|with|and|what|have|it|by|not)\b`)

func TestNoEnglishIsLeft(t *testing.T) {
	t.Parallel()
	for _, code := range bot.TextLanguages()[1:] {
		for _, name := range bot.TextKeys() {
			if text := bot.TextsFor(code).Say(bot.TextKey(name)); englishOnly.MatchString(text) {
				t.Errorf("%s %s: %q", code, name, text)
			}
		}
	}
}

// Both people are told of every end by a message that says so in English, and no other message does.
func TestEndNoticesSayEnded(t *testing.T) {
	t.Parallel()
	ends := []bot.TextKey{
		bot.TextNoticeEndedByAgent, bot.TextNoticeEndedByEmployee, bot.TextNoticeCancelled, bot.TextNoticeNoAgents,
		bot.TextNoticeFailed, bot.TextNoticeTimedOut, bot.TextNoticeTooLong, bot.TextNoticeNoCallback, bot.TextNoticeErased,
	}
	for _, name := range bot.TextKeys() {
		if strings.HasPrefix(name, "cardEnded") {
			continue
		}
		text := bot.TextsFor("en").Say(bot.TextKey(name))
		if got, want := strings.Contains(text, "ended"), slices.Contains(ends, bot.TextKey(name)); got != want {
			t.Errorf("%s: %q says ended: %v, want %v", name, text, got, want)
		}
	}
}

func TestTextsForLocale(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"en-US": "en", "en-GB": "en", "de": "de", "de-AT": "de", "DE_ch": "de", "pt-BR": "pt", "pt-PT": "pt", "es-419": "es",
		"fr-CA": "fr", "nl-BE": "nl", "ja-JP": "ja", "it-IT": "it", "": "en", "xx": "en", "ko-KR": "en", "zh-Hans-CN": "en",
		"-": "en", "\xff": "en", strings.Repeat("de-", 1000): "en",
	} {
		if got := bot.TextsFor(locale).Language(); got != want {
			t.Errorf("TextsFor(%q) speaks %q, want %q", locale, got, want)
		}
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	texts := bot.TextsFor("en")
	for _, tt := range []struct {
		name   string
		values []string
		want   string
	}{
		{"a name", []string{"Ann"}, "You are now talking to Ann."},
		{"is not looked at again", []string{"{name} %s {minutes}"}, "You are now talking to {name} %s {minutes}."},
		{"stays on one line", []string{" A\nB\r\n\tC\u2028D "}, "You are now talking to A B C D."},
		{"cannot turn the text around", []string{"A\u202eB"}, "You are now talking to AB."},
		{"is cut", []string{strings.Repeat("é", 500)}, "You are now talking to " + strings.Repeat("é", 120) + "…."},
		{"is missing", nil, "You are now talking to ."},
		{"too many", []string{"A", "B"}, "You are now talking to A."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, texts.Say(bot.TextNoticeTransferred, tt.values...)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := texts.Say("nonsense", "A"); got != "" {
		t.Errorf("an unknown key says %q", got)
	}
}

func TestSayKeepsWhateverTheNameIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[{}%$\\a-z]{1,40}`).Draw(t, "name")
		if got, want := bot.TextsFor("en").Say(bot.TextNoticeTransferred, name), "You are now talking to "+name+"."; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestOverride(t *testing.T) {
	t.Parallel()
	before := bot.TextsFor("en")
	c, err := bot.NewCatalogue(map[string]map[string]string{"en": {
		"greeting": " Welcome. ", "noticeJoined": "Here is {name}, {name}!", "noticeTransferred": "Someone else is here.",
	}})
	if err != nil {
		t.Fatal(err)
	}
	after := c.For("en")
	want := []string{"Welcome.", "Here is A, A!", "Someone else is here."}
	got := []string{after.Say(bot.TextGreeting), after.Say(bot.TextNoticeJoined, "A"), after.Say(bot.TextNoticeTransferred, "A")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if bot.TextsFor("en").Say(bot.TextGreeting) == "Welcome." {
		t.Error("the built-in text changed")
	}
	if after.Say(bot.TextHelp) != before.Say(bot.TextHelp) {
		t.Error("another text changed")
	}
}

func TestOverrideRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, key, text string
		says            []string
	}{
		{"an unknown key", "greetings", "x", []string{`"greetings"`, "greeting, help"}},
		{"nothing to say", "greeting", "  ", []string{"empty"}},
		{"a long text", "greeting", strings.Repeat("é", 301), []string{"301", "300"}},
		{"an unknown placeholder", "noticeJoined", "{nam}", []string{"{nam}", "{name}"}},
		{"a placeholder where there is none", "greeting", "{name}", []string{"{name}", "no placeholders"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bot.NewCatalogue(map[string]map[string]string{"de": {tt.key: tt.text}})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	c, err := bot.NewCatalogue(map[string]map[string]string{"de": {"greeting": "Grüezi"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.For("de-CH").Say(bot.TextGreeting); got != "Grüezi" {
		t.Errorf("German greets with %q", got)
	}
	if got, want := c.For("fr").Say(bot.TextGreeting), bot.TextsFor("fr").Say(bot.TextGreeting); got != want {
		t.Errorf("French greets with %q, want %q", got, want)
	}
	_, err = bot.NewCatalogue(map[string]map[string]string{"tlh": {"greeting": "nuqneH"}, "de": {"a": "b"}, "fr": {"greeting": ""}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"tlh"`, "en, es, fr", `"de": unknown text "a"`, `"fr": text "greeting" is empty`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}
