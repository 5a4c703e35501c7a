package bot

import "slices"

// A clause is what stands between two boundaries, read in one language.
type clause struct {
	tokens []token
	speech *speech
	asks   bool // a question mark follows
	short  bool // see detector

	denied []bool // by token: a negation bites on it
}

// How far apart words may stand that belong together.
const (
	reach        = 6 // from a verb to its person
	reachBack    = 4 // from a person to the verb behind it
	reachUnknown = 2 // unknown words among them
	reachNegator = 4 // from a negator to what it bites on
)

// judge says what the clause says.
func (c *clause) judge() verdict {
	if len(c.tokens) == 0 {
		return nothing
	}
	if c.all(dismiss|polite|filler) && c.has(dismiss) {
		return dismissed
	}
	c.deny()
	person := c.has(target | targets | weak)
	switch {
	case c.has(identity):
		return asked
	case c.has(about) && (person || c.has(machine)):
		return asked
	case c.has(about):
		return opened
	case c.wish():
		return wished
	case c.deniedPerson():
		return refused
	case c.agents() && c.inquires():
		return asked
	}
	return nothing
}

// deny marks what the negations of the clause bite on.
func (c *clause) deny() {
	c.denied = make([]bool, len(c.tokens))
	for i, t := range c.tokens {
		switch {
		case t.is(without) && c.hasBefore(i, negator):
			// "not without an agent" is for one
			c.releaseBefore(i)
		case t.is(negator | without):
			c.denyFrom(i)
		case t.is(unneeded):
			if noun := c.nounBefore(i, reach); noun >= 0 {
				c.denied[noun] = true
			} else if noun := c.nounAfter(i, reach); noun >= 0 {
				c.denied[noun] = true
			}
		}
	}
}

// denyFrom follows the negator at i to the noun or the verb it bites on.
func (c *clause) denyFrom(i int) {
ahead:
	for j := i + 1; j < len(c.tokens) && j <= i+reachNegator; j++ {
		t := c.tokens[j]
		switch {
		case t.is(nouns | complete):
			c.denyNouns(j)
			return
		case t.is(other):
			break ahead
		case t.is(verbs | serve | exist):
			c.denied[j] = true
			c.denyObject(i, j)
			return
		case !t.is(soft | filler | modal | question):
			break ahead
		}
	}
	for j := i - 1; j >= 0 && j >= i-2; j-- { // "je veux pas", "brauche ich nicht"
		t := c.tokens[j]
		if t.is(verbs | serve) {
			c.denied[j] = true
			c.denyObject(i, j)
			return
		}
		if !t.is(soft | filler) {
			return
		}
	}
}

// denyNouns denies the noun at i and those joined to it by "or".
func (c *clause) denyNouns(i int) {
	c.denied[i] = true
	joined := false
	for j := i + 1; j < len(c.tokens); j++ {
		switch t := c.tokens[j]; {
		case t.is(either):
			joined = true
		case t.is(nouns) && joined:
			c.denied[j] = true
			joined = false
		case !t.is(soft | filler):
			return
		}
	}
}

// denyObject denies what the verb at v, which the negator at n bites on, is about.
func (c *clause) denyObject(n, v int) {
	unknown := 0
	for j := max(n, v) + 1; j < len(c.tokens) && j <= v+2*reach; j++ {
		t := c.tokens[j]
		switch {
		case t.is(nouns | complete):
			c.denyNouns(j)
			return
		case t.is(want) && j > v+1 && !c.speech.verbLast:
			return // "don't know I need an agent": another sentence began
		case t.is(contact | give | doing):
			c.denied[j] = true
		case t.class == 0:
			if unknown++; unknown > reachUnknown {
				return
			}
		}
	}
	if c.speech.verbLast {
		if noun := c.nounBefore(min(n, v), 2*reach); noun >= 0 {
			c.denied[noun] = true
		}
	}
}

// releaseBefore takes back what the negators before i bit on.
func (c *clause) releaseBefore(i int) {
	for j := range i {
		c.denied[j] = false
	}
}

func (c *clause) nounBefore(i, far int) int {
	for j := i - 1; j >= 0 && j >= i-far; j-- {
		if c.tokens[j].is(nouns) {
			return j
		}
	}
	return -1
}

func (c *clause) nounAfter(i, far int) int {
	for j := i + 1; j < len(c.tokens) && j <= i+far; j++ {
		if c.tokens[j].is(nouns) {
			return j
		}
	}
	return -1
}

// wish reports whether the clause wishes for a person.
func (c *clause) wish() bool {
	if c.has(past) || c.supposes() {
		return false
	}
	if c.notMachine() {
		return true
	}
	for i, t := range c.tokens {
		if c.denied[i] {
			continue
		}
		switch {
		case t.is(complete):
			return true
		case t.is(target) && (c.lone() || c.asked(i) || c.served(i)):
			return true
		case t.is(targets) && c.lone():
			return true
		case t.is(weak) && c.has(callback) && c.served(i):
			return true
		case t.is(bare) && c.lone():
			return true
		case t.is(target|targets|weak) && c.reached(i):
			return true
		}
	}
	return c.notWithout()
}

// supposes reports whether the clause only supposes something: "if I talk to an agent", but not "if
// this does not help I want an agent".
func (c *clause) supposes() bool {
	for i, t := range c.tokens {
		switch {
		case t.is(sub):
			main := slices.ContainsFunc(c.tokens[min(i+reachNegator, len(c.tokens)):], func(t token) bool { return t.is(want | give | modal) })
			return !main && i+1 < len(c.tokens) && !c.tokens[i+1].is(modal)
		case !t.is(filler):
			return false
		}
	}
	return false
}

// notMachine reports whether the clause refuses to talk to the bot, or is nothing but "no bot".
func (c *clause) notMachine() bool {
	for i, t := range c.tokens {
		if !t.is(machine) || !c.denied[i] {
			continue
		}
		for j := range i {
			if c.tokens[j].is(verbs) {
				return true
			}
		}
		if c.all(machine|negator|filler|polite|either) || c.speech.verbLast && c.has(verbs) {
			return true
		}
	}
	return false
}

// notWithout reports whether the clause says that it does not go without a person.
func (c *clause) notWithout() bool {
	for i, t := range c.tokens {
		if t.is(without) && c.hasBefore(i, negator) {
			noun := c.nounAfter(i, reach)
			return noun >= 0 && c.tokens[noun].is(target|targets)
		}
	}
	return false
}

// lone reports whether there is nothing but a person in the clause.
func (c *clause) lone() bool {
	around := filler | polite | serve | either
	if c.has(bare) {
		around |= modal
	}
	return c.all(target|targets|bare|around) && (c.short || c.has(polite))
}

// asked reports whether the words beside the person at i ask for it: "agent please", "human needed".
func (c *clause) asked(i int) bool {
	if i+1 < len(c.tokens) && (c.tokens[i+1].is(polite) || c.needed(i+1)) {
		return true
	}
	for j := i - 1; j >= 0; j-- {
		if c.tokens[j].is(polite) {
			return !c.compound(i)
		}
		if !c.tokens[j].is(filler) {
			return false
		}
	}
	return false
}

// needed reports whether the token at i, which stands behind a person, says that it is needed: "human
// needed", but not "the human now understands".
func (c *clause) needed(i int) bool {
	if !c.tokens[i].is(needed) || c.tokens[0].is(question) {
		return false
	}
	return i+1 == len(c.tokens) || c.tokens[i+1].is(filler|polite|needed)
}

// served reports whether the person at i is asked to do something for the writer: "can a human help me".
func (c *clause) served(i int) bool {
	for j := i + 1; j < len(c.tokens) && j <= i+3; j++ {
		if c.tokens[j].is(serve) && !c.denied[j] {
			return c.hasBefore(i+1, modal|want|exist|give) || c.all(target|serve|filler)
		}
	}
	return false
}

// reached reports whether a verb of the clause reaches for the person at i.
func (c *clause) reached(i int) bool {
	strong := c.tokens[i].is(target)
	unknown := 0
	for j := i - 1; j >= 0 && j >= i-reach; j-- {
		t := c.tokens[j]
		switch {
		case c.denied[j] && t.is(verbs|modal|exist):
			return false
		case t.is(give):
			return true
		case t.is(contact) && c.licensed(j):
			return true
		case t.is(want) && strong && !c.compound(i):
			return true
		case t.is(exist) && strong && !c.compound(i):
			return true
		case t.is(machine) && !c.denied[j]:
			return false
		case t.class == 0:
			if unknown++; unknown > reachUnknown {
				return false
			}
		}
	}
	if !c.speech.verbLast {
		return c.meets(i)
	}
	unknown = 0
	for j := i + 1; j < len(c.tokens) && j <= i+reachBack; j++ {
		t := c.tokens[j]
		switch {
		case c.denied[j]:
			return false
		case t.is(give):
			return true
		case t.is(contact) && c.licensed(j):
			return true
		case t.is(want|exist) && strong && !c.compound(i):
			return true
		case t.class == 0:
			if unknown++; unknown > 1 {
				return false
			}
		}
	}
	return false
}

// meets reports whether the clause asks for a person at i that one can talk to: "is there anyone I
// can talk to".
func (c *clause) meets(i int) bool {
	for j := i + 1; j < len(c.tokens) && j <= i+reachBack; j++ {
		if c.tokens[j].is(contact) && !c.denied[j] {
			return c.hasBefore(i, exist)
		}
	}
	return false
}

// licensed reports whether the verb of contact at i is wished for rather than told of: by "I want",
// "can I", or by being the first word, as an order is.
func (c *clause) licensed(i int) bool {
	if c.hasBefore(i, want|modal|give) || c.speech.verbLast && c.has(want|modal) {
		return true
	}
	unknown := 0
	for j := range i {
		t := c.tokens[j]
		switch {
		case t.class == 0:
			if unknown++; unknown > reachUnknown {
				return false
			}
		case t.is(filler | complete | serve):
		case c.speech.verbLast && t.is(target|weak|targets|soft) && !t.is(question):
		default:
			return false
		}
	}
	return true
}

// compound reports whether another noun follows the person at i and makes another thing of it, or
// whether it is a colleague of the writer that something unknown is to be done with.
func (c *clause) compound(i int) bool {
	far := i
	switch {
	case c.tokens[i].is(common):
		far = i + 2
	case c.speech.compounds:
		far = i + 1
	}
	for j := i + 1; j <= far && j < len(c.tokens); j++ {
		if c.tokens[j].class == 0 {
			return true
		}
	}
	return false
}

// inquires reports whether the clause is a question.
func (c *clause) inquires() bool {
	if c.asks {
		return true
	}
	for _, t := range c.tokens {
		if t.is(question) {
			return true
		}
		if !t.is(filler) {
			return false
		}
	}
	return false
}

// agents reports whether the clause has a word for agents that is more than one for people.
func (c *clause) agents() bool {
	return slices.ContainsFunc(c.tokens, func(t token) bool { return t.is(target|targets) && !t.is(common) })
}

func (c *clause) deniedPerson() bool {
	for i, t := range c.tokens {
		if c.denied[i] && t.is(target|targets|weak|give|complete|contact) {
			return true
		}
	}
	return false
}

func (c *clause) has(cl class) bool {
	return slices.ContainsFunc(c.tokens, func(t token) bool { return t.is(cl) })
}

func (c *clause) hasBefore(i int, cl class) bool {
	return slices.ContainsFunc(c.tokens[:i], func(t token) bool { return t.is(cl) })
}

// all reports whether every token has one of the classes.
func (c *clause) all(cl class) bool {
	return !slices.ContainsFunc(c.tokens, func(t token) bool { return !t.is(cl) })
}
