package bot_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

// A wildStore panics the first time that a method of a name is called.
type wildStore struct {
	store.Store
	mu   sync.Mutex
	name string
}

func (s *wildStore) mistake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == name {
		s.name = ""
		panic("a mistake")
	}
}

func (s *wildStore) Claim(ctx context.Context, d store.Direction, ttl time.Duration, most int) (*store.Lease, error) {
	s.mistake("Claim")
	return s.Store.Claim(ctx, d, ttl, most)
}

func (s *wildStore) Load(ctx context.Context, conversation string) (store.Record, error) {
	s.mistake("Load")
	return s.Store.Load(ctx, conversation)
}

func (s *wildStore) Begin(ctx context.Context, l *store.Lease) error {
	s.mistake("Begin")
	return s.Store.Begin(ctx, l)
}

func (s *wildStore) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	s.mistake("Settle")
	return s.Store.Settle(ctx, l, r, f)
}

func (s *wildStore) Due(ctx context.Context, limit int) ([]string, error) {
	s.mistake("Due")
	return s.Store.Due(ctx, limit)
}

func (s *wildStore) Sessions(ctx context.Context, after string, limit int) ([]store.Record, error) {
	s.mistake("Sessions")
	return s.Store.Sessions(ctx, after, limit)
}

func (s *wildStore) Prune(ctx context.Context, l store.Limits) (bool, error) {
	s.mistake("Prune")
	return s.Store.Prune(ctx, l)
}

// TestOneMistakeDoesNotEndTheService has a panic in each of the service's goroutines. It would end the process, the test's own as well.
func TestOneMistakeDoesNotEndTheService(t *testing.T) {
	for _, name := range []string{"Claim", "Load", "Begin", "Settle", "Due", "Sessions", "Prune"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, bot.Rules{Ticks: true, NeverRepeat: name == "Begin", Pacing: true, MaxSession: time.Hour, IdleWarning: -1}, func(e *engine) {
				session := e.connect("chat")
				e.stop()
				e.wrap = func(s store.Store) store.Store { return &wildStore{Store: s, name: name} }
				e.start()
				e.says("chat", "hello back")
				e.passes(time.Second)
				e.answers(session, "hello")
				e.passes(5 * time.Minute)
				if n := len(e.teams.shown("chat", "hello")); n != 1 {
					t.Errorf("Teams was sent the agent's words %d times, want once", n)
				}
				if calls := e.snow.done(); calls[len(calls)-1] != "message hello back" {
					t.Errorf("ServiceNow was sent %q last, want the employee's words", calls[len(calls)-1])
				}
				if n := e.metric("snowbot_conversation_events_total", "panics"); n != 1 {
					t.Errorf("%v panics were counted, want 1", n)
				}
				e.passes(time.Hour)
				if n := len(e.teams.tried("chat", "longest time")); n != 1 {
					t.Errorf("told %d times of the end, want once", n)
				}
			})
		})
	}
}

func TestAMistakeInATypingIndicatorDoesNotEndTheService(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true, TenantRate: 6}, func(e *engine) {
		session := e.connect("chat")
		e.teams.wildTyping(true)
		for range 20 {
			e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindTyping}}})
			e.does("chat", &adapter.Activity{Type: adapter.TypeTyping})
			e.passes(5 * time.Second)
		}
		e.answers(session, "hello")
		e.passes(time.Second)
		if n := len(e.teams.shown("chat", "hello")); n != 1 {
			t.Errorf("Teams was sent the agent's words %d times, want once: the windows have to forget what went wrong", n)
		}
	})
}

func TestAMistakeInAProbeDoesNotEndTheService(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("chat")
		e.snow.failing(unavailable)
		e.says("chat", "lost")
		e.passes(6 * time.Minute)
		left := 1
		e.snow.failing(func(op string) error {
			if op == "typing" && left > 0 {
				left--
				panic("a mistake")
			}
			return nil
		})
		e.passes(20 * time.Second)
		if n := len(e.teams.tried("chat", "can be reached again")); n != 1 {
			t.Errorf("told %d times of the end, want once: the next probe shows it", n)
		}
	})
}

func TestAMistakeInARepairDoesNotEndTheService(t *testing.T) {
	bubble(t, bot.Rules{GapRepair: true}, func(e *engine) {
		session := e.connect("talk")
		e.stop()
		left := 1
		e.snow.failing(func(op string) error {
			if op == "read back" && left > 0 {
				left--
				panic("a mistake")
			}
			return nil
		})
		e.start()
		e.passes(2 * time.Minute)
		e.answers(session, "hello")
		e.passes(time.Second)
		if n := len(e.teams.shown("talk", "hello")); n != 1 {
			t.Errorf("Teams was sent the agent's words %d times, want once", n)
		}
		reads := 0
		for _, c := range e.snow.done() {
			if c == "read back" {
				reads++
			}
		}
		if reads < 2 {
			t.Error("the repair was not tried again")
		}
	})
}
