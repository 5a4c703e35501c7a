package bot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"snowbot/bot"
)

// Who is erased in the middle of a chat does not leave an agent who writes to nobody.
func TestBothAreToldOfTheEndBeforeAnErasure(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		person := bot.Person(e.store, "tenant", "aad-chat")
		within := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(e.t.Context(), d)
			defer cancel()
			return e.bot.EndSessions(ctx, person)
		}
		if err := within(time.Second); err != nil {
			t.Errorf("without anybody: %v", err)
		}
		e.connect("chat")
		other := e.connect("other")
		e.snow.failing(unavailable)
		if err := within(5 * time.Second); !errors.Is(err, bot.ErrNotTold) {
			t.Errorf("while ServiceNow is away: %v, want %v", err, bot.ErrNotTold)
		}
		e.stop()
		e.start()
		if err := within(time.Second); !errors.Is(err, bot.ErrNotTold) {
			t.Errorf("after a restart: %v, want %v", err, bot.ErrNotTold)
		}
		e.snow.failing(nil)
		if err := within(time.Minute); err != nil {
			t.Errorf("when ServiceNow is back: %v", err)
		}
		if got := e.snow.done(); got[len(got)-1] != "end" {
			t.Errorf("the instance was sent %q, want the end last", got)
		}
		if n := len(e.teams.tried("chat", "deleted the data of this chat, so it has ended")); n != 1 {
			t.Errorf("the employee was told %d times, want once", n)
		}
		e.answers(other, "still here?")
		e.passes(time.Second)
		if len(e.teams.tried("other", "still here?")) != 1 {
			t.Error("another's chat was ended too")
		}
	})
}
