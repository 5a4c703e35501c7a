package bot_test

import (
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
)

func TestOnlyTheNewestOfWaitingCardsIsShown(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.teams.failing(unreachable)
		e.says("chat", "agent please")
		e.passes(time.Second)
		session := e.snow.sessionOf("chat")
		e.waits("chat")
		e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
		e.passes(time.Second)
		e.teams.failing(nil)
		e.passes(20 * time.Second)
		for title, want := range map[string]int{"Looking for a live agent": 0, "You are in the queue": 0, "Connected": 1, "has joined the chat": 1} {
			if n := len(e.teams.shown("chat", title)); n != want {
				t.Errorf("%q shows %d times, want %d", title, n, want)
			}
		}
	})
}

func TestACardThatWasDeletedIsSentAnew(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat")
		e.teams.mu.Lock()
		e.teams.gone = true
		e.teams.mu.Unlock()
		e.says("chat", "end chat")
		e.passes(time.Second)
		if n := len(e.teams.shown("chat", "You ended the chat.")); n != 1 {
			t.Errorf("the card of the end shows %d times, want once", n)
		}
	})
}
