package history

import (
	"fmt"
	"regexp"
	"strconv"
)

// A Direction says who wrote a message.
type Direction byte

// The directions.
const (
	FromEmployee Direction = 'e'
	FromAgent    Direction = 'a'
)

// String is for reports.
func (d Direction) String() string {
	if d == FromAgent {
		return "agent"
	}
	return "employee"
}

// A Mark names one test message. It is part of the message's words.
type Mark struct {
	Conversation int32
	Direction    Direction
	Number       int32 // from 1, in the order of writing
}

// String is the mark as it is written: letters and digits that no side escapes, as in [m12e7].
func (m Mark) String() string {
	return fmt.Sprintf("[m%d%c%d]", m.Conversation, m.Direction, m.Number)
}

var markPattern = regexp.MustCompile(`\[m(\d{1,9})([ea])(\d{1,9})\]`)

// Marks returns the marks of one direction in a text, in their order, each once. A text with several is a merged
// activity, or a collection of what was not delivered.
func Marks(text string, d Direction) []Mark {
	var found []Mark
	known := map[Mark]bool{}
	for _, m := range markPattern.FindAllStringSubmatch(text, -1) {
		c, _ := strconv.Atoi(m[1]) // nine digits at most
		n, _ := strconv.Atoi(m[3])
		mark := Mark{Conversation: int32(c), Direction: Direction(m[2][0]), Number: int32(n)} // nine digits at most
		if mark.Direction == d && !known[mark] {
			known[mark] = true
			found = append(found, mark)
		}
	}
	return found
}
