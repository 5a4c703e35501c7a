package bot_test

import (
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
)

// Who was told that the service desk is out of reach is not told that it can be reached while it takes nothing.
func TestALimitIsNotTheEndOfAnOutage(t *testing.T) {
	t.Run("a probe finds it", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			e.connect("chat")
			e.snow.failing(unavailable)
			e.says("chat", "lost")
			e.passes(10 * time.Minute) // the words are given up
			refused := e.limits(time.Minute)
			e.passes(5 * time.Minute)
			e.toldOfOutage(0, "chat")
			if n := refused.Load(); n < 4 || n > 5 {
				t.Errorf("%d calls in five minutes, want one a minute", n)
			}
			e.snow.failing(nil)
			e.passes(70 * time.Second)
			e.toldOfOutage(1, "chat")
		})
	})
	t.Run("words find it", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			names := e.chats(25)
			e.connect("silent")
			e.snow.failing(unavailable)
			for _, name := range names {
				e.says(name, "are you there?")
			}
			e.passes(time.Minute)
			refused := e.limits(time.Minute)
			e.passes(2 * time.Minute)
			if n := refused.Load(); n < 2 || n > 3 {
				t.Errorf("%d calls in two minutes, want one a minute", n)
			}
			e.says("late", "agent please")
			e.passes(time.Second)
			if n := len(e.teams.tried("late", "can't connect you to a person")); n != 1 {
				t.Errorf("somebody was told %d times that nobody can be asked, want once: %q", n, e.teams.tried("late", ""))
			}
			e.toldOfOutage(0, names[0], names[24], "silent")
			e.snow.failing(nil)
			e.passes(80 * time.Second)
			e.toldOfOutage(1, names[0], names[24], "silent")
			if n := len(e.snow.took("are you there?")); n != len(names) {
				t.Errorf("%d words were taken, want %d", n, len(names))
			}
		})
	})
	t.Run("a ticket is made meanwhile", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			e.says("ticket", "agent please")
			e.passes(time.Second)
			e.post(e.snow.sessionOf("ticket"), snow.Event{Completed: true})
			names := e.chats(25)
			e.connect("silent")
			e.snow.failing(unavailable)
			for _, name := range names {
				e.says(name, "are you there?")
			}
			e.passes(time.Minute)
			e.limits(time.Minute)
			e.passes(30 * time.Second)
			e.presses("ticket", "ticket")
			e.passes(20 * time.Second)
			e.toldOfOutage(0, names[0], "silent")
			e.snow.failing(nil)
			e.passes(80 * time.Second)
			e.toldOfOutage(1, names[0], "silent")
		})
	})
	t.Run("nobody is left who would find out that it is over", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			names := e.chats(25)
			e.snow.failing(unavailable)
			for _, name := range names {
				e.says(name, "are you there?")
			}
			e.passes(time.Minute)
			e.limits(time.Minute)
			e.passes(10 * time.Second)
			for _, name := range names {
				e.post(e.snow.sessionOf(name), snow.Event{Completed: true})
			}
			e.passes(5 * time.Minute)
			e.snow.failing(nil)
			e.says("late", "agent please")
			e.passes(time.Second)
			if e.snow.sessionOf("late") == "" {
				t.Errorf("nobody is asked for an agent: %q", e.teams.tried("late", ""))
			}
		})
	})
}
