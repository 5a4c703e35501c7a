package bot_test

import (
	"errors"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
)

// However many sessions a chat had in a day, what is posted of any of them is known, and dropped.
func TestLatePostsOfManySessionsOfOneChatAreKnown(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const sessions = 20
		late := func(session string) error {
			e.posts++
			return e.bot.ServiceNow(e.t.Context(), &snow.Event{SessionID: session, Items: []snow.Item{{
				ID: "late" + session, Kind: snow.KindText, Text: "too late", FromAgent: true,
			}}})
		}
		var had []string
		for range sessions {
			e.says("chat", "agent please")
			e.passes(time.Second)
			had = append(had, e.snow.sessionOf("chat"))
			e.says("chat", "cancel")
			e.passes(time.Second)
		}
		e.stop()
		e.start()
		e.passes(time.Second)
		for i, session := range had {
			if err := late(session); err != nil {
				t.Errorf("a late post of session %d of %d: %v", i+1, sessions, err)
			}
		}
		e.passes(time.Second)
		if n := e.metric("snowbot_conversation_events_total", "late"); n != sessions {
			t.Errorf("%v late posts were counted, want %d", n, sessions)
		}
		if shown := e.teams.tried("chat", "too late"); len(shown) != 0 {
			t.Errorf("Teams shows %q", shown)
		}
		if err := late("nobody"); !errors.Is(err, snow.ErrUnknownSession) {
			t.Errorf("a post of a session that never was: %v, want %v", err, snow.ErrUnknownSession)
		}
	})
}
