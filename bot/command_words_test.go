package bot

import (
	"slices"
	"strings"
	"testing"
)

func TestNoCommandIsLongerThanWhatIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, command := range slices.Concat(cancelCommands, endChatCommands, helpCommands, greetings) {
		if n := len(strings.Fields(command)); n > maxCommandWords {
			t.Errorf("%q has %d words, and only %d are looked at", command, n, maxCommandWords)
		}
		if got := commandWords("please " + command + ", please!"); got != command {
			t.Errorf("%q is read as %q", command, got)
		}
	}
}
