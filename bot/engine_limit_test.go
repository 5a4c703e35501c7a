package bot_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
)

// limits has ServiceNow take no call of a chat from now on, and ask for a time with each. It counts them.
func (e *engine) limits(asked time.Duration) (refused *atomic.Int64) {
	refused = new(atomic.Int64)
	e.snow.failing(func(op string) error {
		if op == "incident" || op == "read back" {
			return nil
		}
		refused.Add(1)
		return limited(op, asked)
	})
	return refused
}

// limited is the answer to a call that is one too many.
func limited(op string, asked time.Duration) error {
	return &snow.Error{Op: op, StatusCode: 429, RetryAfter: asked, Written: true}
}

// chats brings employees and agents together, all at once, and returns the conversations.
func (e *engine) chats(n int) []string {
	e.t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("chat", i)
		e.says(names[i], "agent please")
	}
	e.passes(5 * time.Second)
	for _, name := range names {
		e.post(e.snow.sessionOf(name), snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
	}
	e.passes(5 * time.Second)
	return names
}

// toldOfOutage expects that everyone was told of an outage once, and so often of its end.
func (e *engine) toldOfOutage(over int, conversations ...string) {
	e.t.Helper()
	for _, name := range conversations {
		if n := len(e.teams.tried(name, "can't be reached")); n != 1 {
			e.t.Errorf("%s was told %d times that it takes a while, want once", name, n)
		}
		if n := len(e.teams.tried(name, "can be reached again")); n != over {
			e.t.Errorf("%s was told %d times that it is over, want %d", name, n, over)
		}
	}
}

func TestOneCallFindsOutForAllThatServiceNowLimitsUs(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		names := e.chats(100)
		refused := e.limits(time.Minute)
		e.says(names[0], names[0]+" 0")
		e.passes(time.Second)
		for i := range 3 {
			for _, name := range names {
				e.says(name, fmt.Sprint(name, " ", i+1))
			}
		}
		e.does(names[1], &adapter.Activity{Type: adapter.TypeTyping})
		e.passes(3*time.Minute + 10*time.Second)
		if n := refused.Load(); n != 4 {
			t.Errorf("%d calls were refused in three minutes and a bit, want the first and one for each minute", n)
		}
		e.toldOfOutage(0, names...)
		e.snow.failing(nil)
		e.passes(time.Minute)
		e.toldOfOutage(1, names...)
		for i, name := range names {
			want := []string{name + " 1", name + " 2", name + " 3"}
			if i == 0 {
				want = append([]string{name + " 0"}, want...)
			}
			if got := e.snow.took(name + " "); !slices.Equal(got, want) {
				t.Errorf("ServiceNow took %q of %s, want %q", got, name, want)
			}
		}
	})
}

func TestAfterALimitTheOldestWordsGoFirst(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		names := e.chats(100)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		refused := e.limits(time.Minute)
		for i, name := range names {
			e.says(name, fmt.Sprint("word ", i))
			e.passes(10 * time.Millisecond)
		}
		e.passes(30 * time.Second)
		e.snow.failing(nil)
		e.passes(time.Minute)
		if n := refused.Load(); n != 1 {
			t.Errorf("%d calls were refused, want one", n)
		}
		took := e.snow.took("word ")
		if len(took) != len(names) {
			t.Fatalf("ServiceNow took %d words, want %d", len(took), len(names))
		}
		const atOnce = 16 // sends are under way together
		for i := range names {
			at := slices.Index(took, fmt.Sprint("word ", i))
			if at < i-atOnce || at > i+atOnce {
				t.Errorf("the words that were said as number %d were taken as number %d", i, at)
			}
		}
	})
}

// Tickets are made by another interface, with limits of its own.
func TestALimitOfTicketsIsNoneOfWords(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("talks")
		e.snow.failing(func(op string) error {
			if op == "incident" {
				return limited(op, time.Minute)
			}
			return nil
		})
		e.says("chat", "agent please")
		e.passes(time.Second)
		e.post(e.snow.sessionOf("chat"), snow.Event{Completed: true})
		e.passes(time.Second)
		e.presses("chat", "ticket")
		e.passes(time.Second)
		e.says("talks", "hello")
		e.passes(time.Second)
		if got := e.snow.took("hello"); len(got) != 1 {
			t.Errorf("the words were taken %d times, want once", len(got))
		}
	})
}

// Nor is a limit of words one of tickets, whose success does not tell that words are taken again.
func TestALimitOfWordsIsNoneOfTickets(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		names := e.chats(5)
		for i := range 3 {
			name := fmt.Sprint("ticket", i)
			e.says(name, "agent please")
			e.passes(time.Second)
			e.post(e.snow.sessionOf(name), snow.Event{Completed: true})
			e.passes(time.Second)
		}
		refused := e.limits(time.Minute)
		e.says(names[0], "first")
		e.says("asks", "agent please") // which shares the tenant's rate with tickets
		e.passes(time.Second)
		before := refused.Load()
		if before > 2 {
			t.Fatalf("%d calls were refused, want those that were made at once", before)
		}
		for _, name := range names {
			e.says(name, "hello")
		}
		for i := range 2 {
			e.presses(fmt.Sprint("ticket", i), "ticket")
		}
		e.passes(time.Second)
		for i := range 2 {
			if n := len(e.teams.tried(fmt.Sprint("ticket", i), "INC1")); n != 1 {
				t.Errorf("told %d times of a ticket while words had to wait, want once", n)
			}
		}
		e.passes(56 * time.Second)
		e.presses("ticket2", "ticket")
		e.passes(4 * time.Second)
		if n := refused.Load() - before; n != 1 {
			t.Errorf("%d calls ran into the limit to find out that it still holds, want one", n)
		}
	})
}

// What did not get as far as the limit has found nothing out.
func TestACallThatWasNotTakenDoesNotEndALimit(t *testing.T) {
	status := func(status int) func(string) error {
		return func(op string) error { return &snow.Error{Op: op, StatusCode: status, Written: true} }
	}
	for _, tt := range []struct {
		name string
		fail func(op string) error // the first call after the rest
	}{
		{"no connection", func(op string) error { return &snow.Error{Op: op, Err: syscall.ECONNREFUSED} }},
		{"no answer", func(op string) error { return &snow.Error{Op: op, Written: true, Err: syscall.ECONNRESET} }},
		{"no token", func(string) error { return &snow.Error{Op: "token", StatusCode: 429} }},
		{"a token that is refused", status(401)},
		{"unavailable", status(503)},
		{"a page", func(op string) error { return &snow.Error{Op: op, StatusCode: 200, NotJSON: true, Written: true} }},
		{"a panic", func(string) error { panic("a mistake") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bot.Rules{}, func(e *engine) {
				names := e.chats(20)
				e.limits(time.Minute)
				e.says(names[0], "first")
				e.passes(time.Second)
				for _, name := range names {
					e.says(name, "hello")
				}
				var tries, refused atomic.Int64
				e.snow.failing(func(op string) error {
					if tries.Add(1) == 1 {
						return tt.fail(op)
					}
					refused.Add(1)
					return limited(op, time.Minute)
				})
				e.passes(time.Minute)
				if n := refused.Load(); n != 1 {
					t.Errorf("%d calls were refused after that one, want one that found out that the limit holds", n)
				}
			})
		})
	}
}

// Whom a request for an agent is for is asked of Teams, which knows nothing of the limit.
func TestALookUpInTeamsDoesNotEndALimit(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		names := e.chats(20)
		refused := e.limits(time.Minute)
		e.says(names[0], "first")
		e.passes(time.Second)
		for i := range 3 {
			e.says(fmt.Sprint("asks", i), "agent please")
		}
		e.passes(time.Second)
		for _, name := range names {
			e.says(name, "hello")
		}
		e.teams.rosterOut(true)
		e.passes(time.Minute)
		if n := refused.Load(); n != 2 {
			t.Errorf("%d calls were refused, want the first one and one that found out that the limit holds", n)
		}
	})
}

// Teams gives a file out for minutes only.
func TestAFileIsFetchedDuringALimit(t *testing.T) {
	bubble(t, fileRules(), func(e *engine) {
		e.teams.holds("application/pdf", nil)
		e.connect("chat")
		e.connect("other")
		refused := e.limits(time.Minute)
		e.says("other", "first")
		e.passes(time.Second)
		e.sends("", "one.pdf", "two.pdf")
		e.passes(time.Second)
		if got := e.teams.files(); !slices.Equal(got, []string{"one.pdf"}) {
			t.Errorf("fetched %q at once, want the first file", got)
		}
		e.passes(30 * time.Second)
		e.snow.failing(nil)
		e.passes(time.Minute)
		if n := refused.Load(); n != 1 {
			t.Errorf("%d calls were refused, want one", n)
		}
		var names []string
		for _, w := range e.snow.files() {
			names = append(names, w.Attachment.Name)
		}
		if want := []string{"one.pdf", "two.pdf"}; !slices.Equal(names, want) || !slices.Equal(e.teams.files(), want) {
			t.Errorf("fetched %q and passed on %q, want each once", e.teams.files(), names)
		}
	})
}

func TestWhatDoesNotCallServiceNowDoesNotWaitForItsLimit(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session, leaves := e.connect("chat"), e.connect("leaves")
		e.limits(20 * time.Second)
		e.says("chat", "first")
		e.passes(time.Second)
		e.answers(session, "from the agent")
		e.says("leaves", "end chat")
		e.says("bot", "hello")
		e.passes(time.Second)
		if n := len(e.teams.tried("chat", "from the agent")); n != 1 {
			t.Errorf("the agent's words are shown %d times, want once", n)
		}
		if n := len(e.teams.tried("leaves", "ended")); n == 0 {
			t.Error("who ended a chat is not told that it is over")
		}
		if n := len(e.teams.tried("bot", "Hi!")); n != 1 {
			t.Errorf("the bot answered %d times, want once", n)
		}
		e.snow.failing(nil)
		e.passes(30 * time.Second)
		if ok, failed, _ := e.snow.ticks(); ok != 1 || failed != 0 {
			t.Errorf("%d ticks and %d failures afterwards, want one tick", ok, failed)
		}
		if !slices.Contains(e.snow.done(), "end") {
			t.Errorf("ServiceNow is not told that %s has ended", leaves)
		}
	})
}

// Typing has no turn of its own, and finds out like everything else.
func TestTypingIsNotShownDuringALimit(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat")
		refused := e.limits(time.Minute)
		types := func() { e.does("chat", &adapter.Activity{Type: adapter.TypeTyping}) }
		for range 5 {
			types()
			e.passes(5 * time.Second)
		}
		if n := refused.Load(); n != 1 {
			t.Errorf("%d calls were refused, want one", n)
		}
		e.passes(time.Minute)
		e.snow.failing(nil)
		before := len(e.snow.done())
		types()
		e.passes(time.Second)
		if n := len(e.snow.done()) - before; n != 1 {
			t.Errorf("typing was shown %d times after the limit, want once", n)
		}
		e.says("chat", "hello")
		e.passes(time.Second)
		if n := len(e.snow.took("hello")); n != 1 {
			t.Errorf("words were taken %d times, want once", n)
		}
	})
}

// What ServiceNow asks for is heeded within bounds.
func TestHowLongALimitIsHeeded(t *testing.T) {
	patient := bot.Rules{IdleWarning: -1, MaxSession: 48 * time.Hour}
	t.Run("for an hour at most, and nobody waits in vain", func(t *testing.T) {
		bubble(t, patient, func(e *engine) {
			names := e.chats(10)
			refused := e.limits(24 * time.Hour)
			for _, name := range names {
				e.says(name, "too many")
				e.passes(time.Second)
			}
			for _, name := range names {
				if n := len(e.teams.tried(name, "could not be delivered")); n != 1 {
					t.Errorf("%s was told %d times at once that it cannot be delivered, want once", name, n)
				}
			}
			e.passes(58 * time.Minute)
			if n := refused.Load(); n != 1 {
				t.Errorf("%d calls were refused in an hour, want one", n)
			}
			e.snow.failing(nil)
			e.says(names[0], "later")
			e.passes(3 * time.Minute)
			if n := len(e.snow.took("later")); n != 1 {
				t.Errorf("what was said before the end of the hour was taken %d times, want once", n)
			}
		})
	})
	t.Run("for a second at least", func(t *testing.T) {
		bubble(t, patient, func(e *engine) {
			names := e.chats(50)
			refused := e.limits(0)
			e.says(names[0], "first")
			e.passes(10 * time.Millisecond)
			for _, name := range names {
				e.says(name, "hello")
			}
			e.passes(time.Minute)
			if n := refused.Load(); n < 30 || n > 61 {
				t.Errorf("%d calls were refused in a minute, want one a second", n)
			}
			e.snow.failing(nil)
			e.passes(15 * time.Second)
			if n := len(e.snow.took("hello")); n != len(names) {
				t.Errorf("%d words were taken, want %d", n, len(names))
			}
		})
	})
}

func TestAStopDuringALimitLosesNothing(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		names := e.chats(50)
		e.limits(time.Minute)
		e.says(names[0], "first")
		e.passes(time.Second)
		for _, name := range names {
			e.says(name, "hello")
		}
		e.passes(10 * time.Second)
		began := time.Now()
		e.stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("the stop took %v, with nothing in hand", took)
		}
		refused := e.limits(time.Minute)
		e.start()
		e.passes(50 * time.Second)
		if n := refused.Load(); n == 0 || n > 8 {
			t.Errorf("%d calls were refused after the start, want those that were made at once", n)
		}
		e.snow.failing(nil)
		e.passes(time.Minute)
		if n := len(e.snow.took("hello")); n != len(names) {
			t.Errorf("%d words were taken, want %d", n, len(names))
		}
	})
}

// TestALimitNeverLosesALane has limits, failures and restarts come and go at random. All words arrive, in order.
func TestALimitNeverLosesALane(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
				rng := rand.New(rand.NewPCG(seed, 1))
				names := e.chats(20)
				said := map[string][]string{}
				for i := range 60 {
					name := names[rng.IntN(len(names))]
					words := fmt.Sprintf("%s says %d", name, i)
					said[name] = append(said[name], words)
					e.says(name, words)
					switch rng.IntN(6) {
					case 0:
						e.limits(time.Duration(rng.IntN(20)) * time.Second)
					case 1:
						e.snow.failing(nil)
					case 2:
						some, asked := rng.IntN(3), time.Duration(rng.IntN(10))*time.Second
						var n atomic.Int64
						e.snow.failing(func(op string) error { // as a limit does that is counted every now and then
							switch {
							case int(n.Add(1))%3 == some:
								return nil
							case some == 0:
								return unavailable(op)
							default:
								return limited(op, asked)
							}
						})
					case 3:
						if rng.IntN(4) == 0 {
							e.stop()
							e.start()
						}
					}
					e.passes(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
				e.snow.failing(nil)
				e.passes(2 * time.Minute)
				for _, name := range names {
					got := slices.Compact(e.snow.took(name + " says"))
					if !slices.Equal(got, said[name]) {
						t.Errorf("ServiceNow took %q, want %q", got, said[name])
					}
					if told := e.teams.tried(name, "could not be delivered"); len(told) > 0 {
						t.Errorf("%s was told %q", name, told)
					}
				}
			})
		})
	}
}
