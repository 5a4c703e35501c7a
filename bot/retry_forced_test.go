package bot_test

import (
	"slices"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

// An admin who insists on old words has not insisted on all others of their session.
func TestARetryThatIsForcedIsForTheseWordsAlone(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		session := e.connect("chat")
		e.snow.failing(func(op string) error {
			if op == "message" {
				return unavailable(op)
			}
			return nil
		})
		e.says("chat", "insisted on")
		e.passes(6 * time.Minute)
		e.says("chat", "not insisted on")
		e.passes(time.Second)
		letters, err := e.store.DeadLetters(e.t.Context(), store.DeadLetterFilter{})
		if err != nil || len(letters) != 1 {
			t.Fatalf("dead letters %+v, %v, want the first words", letters, err)
		}
		e.post(session, snow.Event{Completed: true}) // while the other words are on their way
		if err := bot.Retry(e.t.Context(), e.store, letters[0], bot.RetryOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		before := len(e.snow.done())
		e.snow.failing(nil)
		e.passes(time.Minute)
		if got := e.snow.done()[before:]; !slices.Equal(got, []string{"message insisted on"}) {
			t.Errorf("after the end the instance was sent %q, want what was insisted on", got)
		}
		if n := len(e.teams.tried("chat", "because the chat was already over")); n != 1 {
			t.Errorf("told %d times of the other words, want once", n)
		}
	})
}
