package bot_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

// A slowDisk takes its time for each settle.
type slowDisk struct {
	store.Store
	takes time.Duration
}

func (s slowDisk) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	select {
	case <-time.After(s.takes):
		return s.Store.Settle(ctx, l, r, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestASlowSettleIsWaitedFor has the disk stall after a send that was answered: nobody may see it again for that.
func TestASlowSettleIsWaitedFor(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		e.stop()
		e.wrap = func(s store.Store) store.Store { return slowDisk{s, 8 * time.Second} }
		e.start()
		e.answers(session, "once")
		e.passes(2 * time.Minute)
		if n := len(e.teams.tried("chat", "once")); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
		e.stop()
		e.wrap = nil
		e.start()
	})
}

// A fussyDisk refuses settles.
type fussyDisk struct {
	store.Store
	refuses func(l *store.Lease, r store.Result, event bool) bool
}

func (s fussyDisk) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	if s.refuses(l, r, f != nil) {
		return errors.New("refused")
	}
	return s.Store.Settle(ctx, l, r, f)
}

// refusing has the engine's store refuse the settles that refuses names, from now on.
func (e *engine) refusing(refuses func(l *store.Lease, r store.Result, event bool) bool) {
	e.t.Helper()
	e.stop()
	var mu sync.Mutex
	e.wrap = func(s store.Store) store.Store {
		return fussyDisk{s, func(l *store.Lease, r store.Result, event bool) bool {
			mu.Lock()
			defer mu.Unlock()
			return refuses(l, r, event)
		}}
	}
	e.start()
}

// buried are the reasons of the dead letters.
func (e *engine) buried() (reasons []string) {
	e.t.Helper()
	letters, err := e.store.DeadLetters(e.t.Context(), store.DeadLetterFilter{})
	if err != nil {
		e.t.Fatal(err)
	}
	for _, l := range letters {
		reasons = append(reasons, l.Reason)
	}
	return reasons
}

// A settle that no commit takes must neither have the words shown again and again nor block the lane.
func TestASettleThatIsRefusedForGoodEndsAsADeadLetter(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		stuck := ""
		e.refusing(func(l *store.Lease, _ store.Result, event bool) bool {
			if l.Lane.Direction == store.ToTeams && stuck == "" {
				stuck = l.Deliveries[0].ID
			}
			return event && l.Deliveries[0].ID == stuck
		})
		e.answers(session, "once")
		e.answers(session, "behind")
		e.passes(5 * time.Minute)
		for _, words := range []string{"once", "behind"} {
			if n := len(e.teams.tried("chat", words)); n != 1 {
				t.Errorf("%q was sent %d times, want once", words, n)
			}
		}
		if got := e.buried(); !slices.Equal(got, []string{"not settled"}) {
			t.Errorf("dead letters %q, want the one that could not be settled", got)
		}
		if n := e.metric("snowbot_conversation_events_total", "not settled"); n != 1 {
			t.Errorf("counted %v, want 1", n)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 1 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want a tick for what follows and no failure of what was shown", ok, failed)
		}
	})
}

func TestADiskThatTakesNothingForAWhileHasNothingSentAgain(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		var full atomic.Bool
		full.Store(true)
		e.refusing(func(*store.Lease, store.Result, bool) bool { return full.Load() })
		e.answers(session, "once")
		e.passes(10 * time.Minute)
		full.Store(false)
		e.passes(time.Minute)
		if n := len(e.teams.tried("chat", "once")); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 1 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want the tick", ok, failed)
		}
		if got := e.buried(); len(got) != 0 {
			t.Errorf("dead letters %q, want none", got)
		}
		if n := e.metric("snowbot_possible_repeats_total", "settle failed"); n != 1 {
			t.Errorf("%v possible repeats were counted, want 1: a kill would have cost it", n)
		}
	})
}

func TestAnAnswerOfTheBotThatNoCommitTakesIsTold(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.refusing(func(l *store.Lease, r store.Result, event bool) bool {
			return l.Lane.Direction == store.ToBot && r.Done == 1 && event
		})
		e.says("chat", "hello")
		e.passes(5 * time.Minute)
		if n := len(e.teams.tried("chat", "The bot could not answer")); n != 1 {
			t.Errorf("told %d times that the bot could not answer, want once: %q", n, e.teams.tried("chat", ""))
		}
	})
}

func TestWordsWhoseFailureNoCommitTakesAreTold(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat")
		refused := 0
		e.refusing(func(l *store.Lease, r store.Result, _ bool) bool {
			refuse := l.Lane.Direction == store.ToServiceNow && r.Next == store.Bury && r.Reason != "not settled"
			if refuse {
				refused++
			}
			return refuse
		})
		e.snow.failing(func(op string) error { return &snow.Error{Op: op, StatusCode: 400, Written: true} })
		e.says("chat", "my words")
		e.passes(5 * time.Minute)
		if n := len(e.teams.tried("chat", "could not be delivered")); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		calls := 0
		for _, c := range e.snow.done() {
			if c == "message my words" {
				calls++
			}
		}
		if calls != 1 || refused == 0 {
			t.Errorf("sent %d times with %d settles refused, want once", calls, refused)
		}
	})
}
