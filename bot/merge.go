package bot

import (
	"strings"

	"snowbot/adapter"
	"snowbot/store"
)

// Sizes of a claim's run.
const (
	wordsRun = 32  // messages that go to Teams as one at most
	ticksRun = 100 // ticks in one report
)

// messageBytes is how large one activity may be, as UTF-16 of its JSON: Teams advises 80 KB, and takes about 100.
// envelopeBytes is for everything but the words.
const (
	messageBytes  = 80_000
	envelopeBytes = 4_000
)

// mergeGap parts messages that go out as one: a paragraph.
const mergeGap = "\n\n"

// runLimit is how many deliveries are claimed at once.
func (b *Bot) runLimit(d store.Direction) int {
	switch {
	case d == store.ToTicks:
		return ticksRun
	case d == store.ToTeams && b.rules.Pacing && !b.rules.NeverRepeat:
		// Of several that are sent together only the first can be marked as begun, so under never-repeat each goes alone.
		return wordsRun
	default:
		return 1
	}
}

// together returns how many deliveries from the head of a claim go out in one call: the ticks of a session, or, when its
// conversation or its tenant makes them wait, plain words of the agent.
func (b *Bot) together(c *claim, bodies []body) int {
	switch run := c.lease.Deliveries[:len(bodies)]; {
	case len(run) < 2 || c.state == nil:
		return 1
	case c.lease.Lane.Direction == store.ToTicks:
		n := 1
		for n < len(run) && run[n].Session == run[0].Session {
			n++
		}
		return n
	case c.window == nil || c.state.Apart != nil || !mergeable(run[0], bodies[0]):
		return 1
	default:
		size := envelopeBytes + jsonBytes(bodies[0].Activity.Text)
		n := 1
		for n < len(run) && run[n].Session == run[0].Session && mergeable(run[n], bodies[n]) {
			if size += jsonBytes(mergeGap + bodies[n].Activity.Text); size > messageBytes {
				break
			}
			n++
		}
		if !c.waited && n <= b.room.spare(c)+1 {
			return 1 // none of them has to wait
		}
		return n
	}
}

// mergeable reports whether a delivery is words of the agent, and nothing else.
func mergeable(d store.Delivery, b body) bool {
	a := b.Activity
	return d.Kind == kindText && b.Media == nil && a != nil && a.Type == adapter.TypeMessage && a.TextFormat == adapter.TextPlain && a.Text != "" &&
		len(a.Attachments) == 0 && len(a.Entities) == 0 && a.SuggestedActions == nil
}

// merge is one activity with the words of several.
func merge(bodies []body) *adapter.Activity {
	texts := make([]string, 0, len(bodies))
	for _, b := range bodies {
		texts = append(texts, b.Activity.Text)
	}
	return plain(strings.Join(texts, mergeGap))
}

// jsonBytes is the size of text as UTF-16 within JSON, or a little more.
func jsonBytes(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
			n += 2
		case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029': // as encoding/json escapes them
			n += 6
		case r > 0xffff:
			n += 2
		default:
			n++
		}
	}
	return 2 * n
}
