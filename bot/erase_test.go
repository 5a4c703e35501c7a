package bot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/store"
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

// An exporter is a store in which something happens before or after a person's data is read.
type exporter struct {
	store.Store
	before func(context.Context) error
	after  func()
}

func (s *exporter) Export(ctx context.Context, person string, f func(store.Record, []store.Line) error) error {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return err
		}
	}
	err := s.Store.Export(ctx, person, f)
	if s.after != nil {
		s.after()
	}
	return err
}

// exporting starts the engine anew with an exporter.
func (e *engine) exporting() *exporter {
	x := &exporter{}
	e.stop()
	e.wrap = func(s store.Store) store.Store { x.Store = s; return x }
	e.start()
	return x
}

func TestWhatIsErasedMeanwhileIsNotMadeAgain(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		x := e.exporting()
		person := bot.Person(e.store, "tenant", "aad-chat")
		e.connect("chat")
		x.after = func() {
			if _, err := e.store.Erase(e.t.Context(), person); err != nil {
				t.Error(err)
			}
		}
		if err := e.bot.EndSessions(e.t.Context(), person); err != nil {
			t.Errorf("with another erasure: %v", err)
		}
		if r, err := e.store.Load(e.t.Context(), "tenant/chat"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of the conversation is left %+v, %v", r, err)
		}
	})
}

// A database that is slow has ended no chat of which somebody would have to be told.
func TestNobodyIsLeftUntoldOfAChatThatWasNotEnded(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		x := e.exporting()
		person := bot.Person(e.store, "tenant", "aad-chat")
		e.connect("chat")
		x.before = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Second)
		defer cancel()
		if err := e.bot.EndSessions(ctx, person); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bot.ErrNotTold) {
			t.Errorf("when nothing can be read: %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// An end that is on its way already would be erased with the conversation too, and the agent write to nobody.
func TestAnErasureWaitsForAnEndThatIsOnItsWay(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		person := bot.Person(e.store, "tenant", "aad-chat")
		e.connect("chat")
		e.snow.failing(unavailable)
		e.says("chat", "end chat")
		e.passes(time.Second)
		ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Second)
		defer cancel()
		if err := e.bot.EndSessions(ctx, person); !errors.Is(err, bot.ErrNotTold) {
			t.Errorf("while ServiceNow is away: %v, want %v", err, bot.ErrNotTold)
		}
		r, err := e.store.Load(e.t.Context(), "tenant/chat")
		if err != nil {
			t.Fatal(err)
		}
		if !bot.Untold(r) {
			t.Error("the record says that everybody has been told")
		}
		e.snow.failing(nil)
		if err := e.bot.EndSessions(e.t.Context(), person); err != nil {
			t.Errorf("when ServiceNow is back: %v", err)
		}
		if got := e.snow.done(); got[len(got)-1] != "end" {
			t.Errorf("the instance was sent %q, want the end last", got)
		}
	})
}
