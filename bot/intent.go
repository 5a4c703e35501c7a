package bot

import (
	"slices"
	"strings"
)

// Intent is what a text says about live agents.
type Intent int

// The intents.
const (
	IntentNone        Intent = iota
	IntentAgent              // a clear wish for a live person
	IntentAboutAgents        // a question about agents that wishes for none
)

func (i Intent) String() string {
	switch i {
	case IntentAgent:
		return "agent"
	case IntentAboutAgents:
		return "about agents"
	}
	return "none"
}

// DetectIntent says whether text, in English, Spanish, French, German, Portuguese, Italian, Dutch or
// Japanese, wishes for a live person. The locale only decides between languages that fit equally
// well, and may be empty or wrong. Each of extra is a further phrase that wishes for one, wherever its
// words stand in the text, unless they are negated.
//
// The words are looked at clause by clause; a later clause overrides an earlier one, so that "an
// agent? no thanks" is none. Quoted words do not count, and of a long text only the first 2,000
// characters do. The answer depends on nothing but the arguments.
func DetectIntent(text, locale string, extra []string) Intent {
	words := tokenise(unquoted(firstRunes(text, maxIntentRunes)))
	d := detector{locale: strings.ToLower(locale), extra: make([][]string, 0, len(extra))}
	for _, phrase := range extra {
		if p := phraseWords(phrase); len(p) > 0 {
			d.extra = append(d.extra, p)
		}
	}
	return d.detect(words)
}

// phraseWords returns the words of a configured phrase, without boundaries.
func phraseWords(phrase string) []string {
	var words []string
	for _, w := range tokenise(firstRunes(phrase, maxTextRunes)) {
		if !w.boundary {
			words = append(words, w.text)
		}
	}
	return words
}

// A verdict is what a clause says.
type verdict int

const (
	nothing   verdict = iota
	wished            // for a person
	refused           // a person
	dismissed         // whatever was offered or asked before: "no thanks"
	asked             // about agents
	opened            // a question whose object may come after a comma: "what does it cost, to talk to an agent"
)

type detector struct {
	locale string
	extra  [][]string
	total  [languages]int // familiar words of the whole text, by language
	short  bool           // the text is short enough for a lone "agent" in it to be a wish
}

// shortText is how many words a text may have for a clause of nothing but "agent" to be a wish. In a
// longer one it is more likely a heading or a cell of something pasted.
const shortText = 40

// A span is the place of a clause in the text, and what ended it.
type span struct {
	start, end  int
	asks, comma bool
	known       [languages]int // familiar words, by language
}

// detect joins the verdicts of the clauses.
func (d *detector) detect(words []word) Intent {
	spelt := correctAll(words)
	d.short = len(words) <= shortText
	spans := d.spans(spelt)
	intent, about, open := IntentNone, false, false
	for _, sp := range spans {
		v := d.clause(spelt, &sp)
		if v == wished && open {
			v = asked
		}
		switch v {
		case wished:
			intent = IntentAgent
		case refused:
			intent = IntentNone
		case dismissed:
			intent, about = IntentNone, false
		case asked:
			about = true
		case nothing, opened:
		}
		open = v == opened && sp.comma
	}
	if intent == IntentNone && about {
		return IntentAboutAgents
	}
	return intent
}

// spans finds the clauses, and counts what each language knows of them.
func (d *detector) spans(spelt [][]word) []span {
	words := spelt[0]
	spans := make([]span, 0, 4)
	for start := 0; start < len(words); {
		sp := span{start: start, end: start}
		for sp.end < len(words) && !words[sp.end].boundary {
			sp.end++
		}
		if sp.end < len(words) {
			sp.asks, sp.comma = words[sp.end].question, words[sp.end].comma
		}
		start = sp.end + 1
		if sp.end == sp.start {
			continue
		}
		for i, s := range speeches {
			sp.known[i] = s.familiar(spelt[i][sp.start:sp.end], d.extra)
			d.total[i] += sp.known[i]
		}
		spans = append(spans, sp)
	}
	return spans
}

// clause judges a clause in the language that knows most of its words; the rest of the text decides
// between equals, and then the locale.
func (d *detector) clause(spelt [][]word, sp *span) verdict {
	for _, w := range spelt[0][sp.start:sp.end] {
		if w.cjk {
			return d.japanese(spelt[0][sp.start:sp.end], sp.asks)
		}
	}
	chosen, most := 0, -1
	for i, s := range speeches {
		score := 2 * (maxIntentRunes*sp.known[i] + d.total[i])
		if strings.HasPrefix(d.locale, s.code) {
			score++
		}
		if score > most {
			most, chosen = score, i
		}
	}
	s := speeches[chosen]
	return d.sentence(s.tag(spelt[chosen][sp.start:sp.end], d.extra), s, sp.asks)
}

// sentence judges the parts between "and" and "but".
func (d *detector) sentence(tokens []token, s *speech, asks bool) verdict {
	out := nothing
	for len(tokens) > 0 {
		end := slices.IndexFunc(tokens, func(t token) bool { return t.is(split) })
		if end < 0 {
			end = len(tokens)
		}
		c := clause{tokens: tokens[:end], speech: s, asks: asks, short: d.short}
		out = join(out, c.judge())
		tokens = tokens[min(end+1, len(tokens)):]
	}
	return out
}

// join joins the verdict of a part of a sentence to that of the parts before it.
func join(before, v verdict) verdict {
	switch {
	case v == nothing, v == asked && before == wished:
		return before
	case v == wished && before == opened: // "what is the difference between you and an agent"
		return asked
	}
	return v
}

// correctAll returns the words as each language reads them, with misspellings corrected.
func correctAll(words []word) [][]word {
	spelt := make([][]word, len(speeches))
	for i := range spelt {
		spelt[i] = words
	}
	const most = 60 // a text with more unknown words is in a language that is none of ours
	unknown := 0
	for at, w := range words {
		if w.cjk || !mayBeMisspelt(w.text) || unknown == most {
			continue
		}
		unknown++
		plain := undrawl(w.text)
		for i, s := range speeches {
			meant := plain
			if mayBeMisspelt(plain) {
				meant = s.correct(plain)
			}
			if meant == w.text {
				continue
			}
			if &spelt[i][0] == &words[0] {
				spelt[i] = slices.Clone(words)
			}
			spelt[i][at].text = meant
		}
	}
	return spelt
}
