package bot

import (
	"slices"
	"strings"
)

// A class says what a word or a phrase does in a wish. One may have several.
type class uint32

const (
	target   class = 1 << iota // one person: "agent", "real person"
	targets                    // several: "agents"
	weak                       // someone, which may be a person: "someone"
	machine                    // the bot
	want                       // "I want", "need"
	contact                    // "talk to"
	give                       // "connect me to", "get me"
	doing                      // "talking to": no wish of its own, but what a negation bites on
	serve                      // what a person is asked to do: "help me"
	common                     // besides: a word for people in general, about whom there are other questions
	callback                   // what even "someone" is asked to do: "call me back"
	bare                       // a wish when nothing else is said: "escalate"
	modal                      // "can I", "how do I", "let me"
	exist                      // "is there"
	needed                     // behind a person: "needed"
	negator                    // "not", "no"
	without                    // a negator that another one cancels
	unneeded                   // a negator behind a person: "not needed"
	dismiss                    // as a whole clause, takes back the wish before it: "no thanks"
	filler                     // may stand around a lone "agent": articles, greetings, "real", "now"
	polite                     // a filler that makes a wish of the person beside it: "please"
	sub                        // "if", "when": what follows is not wished now
	past                       // "talked to", "yesterday"
	question                   // "what", "are": with a person, a question about agents
	about                      // makes it one even beside "talk to": "what does it cost"
	identity                   // makes it one without a person: "are you a human"
	complete                   // a whole wish: "escalate this"
	either                     // "or": a negation goes on
	split                      // "and", "but": another clause begins
	other                      // no meaning here, and a person within is none: "travel agent"
	soft                       // any other small word of the language

	nouns = target | targets | weak | machine
	verbs = want | contact | give | doing
)

// A lexicon is the words of one language, each field a comma-separated list of phrases as tokenise
// writes them. "talk|speak to|with" stands for four phrases, and "a|one+more agent" for two.
type lexicon struct {
	code string
	// verbLast says that a verb may follow its object: "einen Menschen sprechen".
	verbLast bool
	// compounds says that a noun after "agent" makes another thing of it: "agent commission".
	compounds bool

	target, targets, weak, machine      string
	want, contact, give, doing, serve   string
	callback, bare, common              string
	modal, exist, needed                string
	negator, without, unneeded, dismiss string
	filler, polite, sub, past           string
	question, about, identity, complete string
	either, split, other, soft          string
}

// A speech is a lexicon made ready for look-ups.
type speech struct {
	code                string
	verbLast, compounds bool
	entries             map[string][]entry // by first word, longest phrase first
	maxRunes            int                // of the longest phrase without spaces
	spelling            map[spellKey][]string
}

// An entry is a phrase, less its first word.
type entry struct {
	tail  []string
	class class
}

// international are words that are understood in every language.
var international = lexicon{
	target:  "agent, live agent, human, human agent, operator, live person, real person",
	machine: "bot, chatbot",
	polite:  "please, pls, plz, asap, sos, bitte, svp, stp, por favor, s il vous plait, per favore, alstublieft, alsjeblieft",
	filler:  "ok, okay, hi, hello, hey, hallo, hola, bonjour, ciao, ola, live, live chat, help, hmm, uh, um, ah, oh",
	other:   "user agent, agent smith, human resources, operator overloading, agent orange, ai agent, agent ai",
}

// languages is how many languages are written with spaces.
const languages = 7

// speeches are the languages written with spaces, in the order of preference when all else is equal.
var speeches = [languages]*speech{
	newSpeech(&lexEnglish), newSpeech(&lexSpanish), newSpeech(&lexFrench), newSpeech(&lexGerman),
	newSpeech(&lexPortuguese), newSpeech(&lexItalian), newSpeech(&lexDutch),
}

// vocabulary is every word of every language; none of them is a misspelling.
var vocabulary = newVocabulary(speeches[:])

func newVocabulary(all []*speech) map[string]struct{} {
	v := map[string]struct{}{}
	for _, s := range all {
		for first, entries := range s.entries {
			v[first] = struct{}{}
			for _, e := range entries {
				for _, w := range e.tail {
					v[w] = struct{}{}
				}
			}
		}
	}
	return v
}

func newSpeech(l *lexicon) *speech {
	s := &speech{
		code: l.code, verbLast: l.verbLast, compounds: l.compounds,
		entries: map[string][]entry{}, spelling: map[spellKey][]string{},
	}
	s.add(&international)
	s.add(l)
	for _, entries := range s.entries {
		slices.SortStableFunc(entries, func(a, b entry) int { return len(b.tail) - len(a.tail) })
	}
	return s
}

func (s *speech) add(l *lexicon) {
	for _, list := range []struct {
		class   class
		phrases string
		spell   bool // its words are looked for behind misspellings
	}{
		{target, l.target, true},
		{targets, l.targets, true},
		{weak, l.weak, true},
		{machine, l.machine, true},
		{want, l.want, true},
		{contact, l.contact, true},
		{give, l.give, true},
		{doing, l.doing, true},
		{serve, l.serve, false},
		{serve | callback, l.callback, false},
		{bare, l.bare, true},
		{common, l.common, false},
		{modal, l.modal, false},
		{exist, l.exist, false},
		{needed, l.needed, true},
		{negator, l.negator, false},
		{without, l.without, false},
		{unneeded, l.unneeded, false},
		{dismiss, l.dismiss, false},
		{filler, l.filler, false},
		{polite | filler, l.polite, true},
		{sub, l.sub, false},
		{past, l.past, false},
		{question, l.question, false},
		{about, l.about, false},
		{identity, l.identity, false},
		{complete, l.complete, true},
		{either, l.either, false},
		{split, l.split, false},
		{other, l.other, false},
		{soft, l.soft, false},
	} {
		for phrase := range strings.SplitSeq(list.phrases, ",") {
			for _, words := range expand(strings.Fields(phrase)) {
				s.enter(words, list.class)
				if list.spell {
					s.respell(words)
				}
			}
		}
	}
}

// enter adds a phrase. A phrase that stands in several lists has all their classes.
func (s *speech) enter(words []string, c class) {
	if len(words) == 0 {
		return
	}
	s.maxRunes = max(s.maxRunes, len([]rune(words[0])))
	entries := s.entries[words[0]]
	for i := range entries {
		if slices.Equal(entries[i].tail, words[1:]) {
			entries[i].class |= c
			return
		}
	}
	s.entries[words[0]] = append(entries, entry{tail: words[1:], class: c})
}

// expand returns every reading of a phrase with alternatives in it.
func expand(words []string) [][]string {
	all := [][]string{nil}
	for _, w := range words {
		var longer [][]string
		for alternative := range strings.SplitSeq(w, "|") {
			for _, head := range all {
				longer = append(longer, append(slices.Clone(head), strings.Split(alternative, "+")...))
			}
		}
		all = longer
	}
	return all
}

// A token is a phrase found in a clause. Class 0 is a word that the language does not know.
type token struct {
	class class
	first string // its first word
}

func (t token) is(c class) bool { return t.class&c != 0 }

// tag finds the phrases of a clause, longest first.
func (s *speech) tag(c []word, extra [][]string) []token {
	tokens := make([]token, 0, len(c))
	for i := 0; i < len(c); {
		n, cl := s.phrase(c[i:], extra)
		tokens = append(tokens, token{cl, c[i].text})
		i += max(n, 1)
	}
	return tokens
}

// familiar is how many words of a clause the language knows.
func (s *speech) familiar(c []word, extra [][]string) int {
	known := 0
	for i := 0; i < len(c); {
		n, _ := s.phrase(c[i:], extra)
		known += n
		i += max(n, 1)
	}
	return known
}

// phrase returns the length and the class of the phrase that c starts with, configured ones included, or 0.
func (s *speech) phrase(c []word, extra [][]string) (int, class) {
	n, cl := s.match(c)
	for _, phrase := range extra {
		if len(phrase) >= n && startsWith(c, phrase) {
			n, cl = len(phrase), complete
		}
	}
	return n, cl
}

// match returns the length and the class of the phrase of the lexicon that c starts with, or 0.
func (s *speech) match(c []word) (int, class) {
next:
	for _, e := range s.entries[c[0].text] {
		if len(e.tail) >= len(c) {
			continue
		}
		for i, w := range e.tail {
			if c[i+1].text != w {
				continue next
			}
		}
		return len(e.tail) + 1, e.class
	}
	return 0, 0
}

func startsWith(c []word, phrase []string) bool {
	if len(phrase) > len(c) {
		return false
	}
	for i, w := range phrase {
		if c[i].text != w {
			return false
		}
	}
	return true
}
