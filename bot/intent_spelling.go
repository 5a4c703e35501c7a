package bot

import "slices"

// A spellKey leads from a misspelt word to the words it may have been: they begin alike, and their
// lengths differ by one at most.
type spellKey struct {
	first  byte
	length int
}

// Misspellings of words with fewer letters are not looked for; from farLength on, two mistakes are
// forgiven rather than one.
const (
	spellLength = 4
	farLength   = 8
	maxSpelt    = 20 // a longer word is none of ours
)

// respell has misspellings of the words understood. Only what is written in ASCII after folding counts.
func (s *speech) respell(words []string) {
	for _, w := range words {
		if len(w) < spellLength || len(w) > maxSpelt || !isASCII(w) {
			continue
		}
		k := spellKey{w[0], len(w)}
		if !slices.Contains(s.spelling[k], w) {
			s.spelling[k] = append(s.spelling[k], w)
		}
	}
}

// correct returns the word of the language that a word no language has is most likely meant to be,
// or the word itself.
func (s *speech) correct(w string) string {
	best, least := w, 3
	consider := func(k spellKey) {
		for _, candidate := range s.spelling[k] {
			if d := distance(w, candidate); d < least && d <= forgiven(candidate, w) {
				best, least = candidate, d
			}
		}
	}
	for length := len(w) - 1; length <= len(w)+1; length++ {
		consider(spellKey{w[0], length})
	}
	if w[1] != w[0] {
		for _, candidate := range s.spelling[spellKey{w[1], len(w)}] { // "gaent"
			if candidate[1] == w[0] && candidate[2:] == w[2:] {
				return candidate
			}
		}
	}
	return best
}

// forgiven is how many mistakes w may have to be read as word. In a word of four letters only two
// that changed places are forgiven.
func forgiven(word, w string) int {
	switch {
	case len(word) >= farLength:
		return 2
	case len(word) > spellLength:
		return 1
	case len(w) == len(word) && sameLetters(word, w):
		return 1
	}
	return 0
}

func sameLetters(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// distance is the number of letters that were left out, put in, replaced, or swapped with the next
// (optimal string alignment). Both words have at most maxSpelt+1 letters.
func distance(a, b string) int {
	var rows [3][maxSpelt + 2]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// mayBeMisspelt reports whether w is worth looking for misspellings.
func mayBeMisspelt(w string) bool {
	if len(w) < spellLength || len(w) > maxSpelt || !isASCII(w) {
		return false
	}
	_, ok := vocabulary[w]
	return !ok
}

// undrawl shortens letters that are drawn out: "agenttt" is "agent".
func undrawl(w string) string {
	run := 0
	out := make([]byte, 0, len(w))
	for i := range len(w) {
		run++
		if i > 0 && w[i] != w[i-1] {
			run = 1
		}
		if run == 3 {
			out = out[:len(out)-1] // the second of them
		}
		if run < 3 {
			out = append(out, w[i])
		}
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
