package bot_test

import (
	"errors"
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

// ServiceNow's admin is not to see errors because somebody was erased.
func TestLatePostsOfErasedSessionsAreDroppedForADay(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		late := func(ev snow.Event) error {
			e.posts++
			ev.Items = []snow.Item{{ID: "late", Kind: snow.KindText, Text: "too late", FromAgent: true}}
			return e.bot.ServiceNow(e.t.Context(), &ev)
		}
		var had []string
		for range 7 { // of which some are noted beside the record
			had = append(had, e.connect("chat"))
			e.says("chat", "end chat")
			e.passes(time.Minute)
		}
		had = append(had, e.connect("chat")) // and one is broken off
		person := bot.Person(e.store, "tenant", "aad-chat")
		if n, err := bot.Erase(e.t.Context(), e.store, person, time.Now()); n != 1 || err != nil {
			t.Fatalf("erased %d conversations, %v; want 1", n, err)
		}
		e.stop()
		e.start()
		of := snow.Variables{BotID: "app", TenantID: "tenant", ConversationID: "chat"}
		for i, session := range had {
			if err := late(snow.Event{SessionID: session, Variables: of, Completed: true}); err != nil {
				t.Errorf("a late post of session %d of %d: %v", i+1, len(had), err)
			}
		}
		if n := e.metric("snowbot_conversation_events_total", "late"); n != float64(len(had)) {
			t.Errorf("%v late posts were counted, want %d", n, len(had))
		}
		if err := late(snow.Event{SessionID: had[0], Variables: snow.Variables{BotID: "another"}}); !errors.Is(err, snow.ErrMismatch) {
			t.Errorf("for another bot: %v, want %v", err, snow.ErrMismatch)
		}
		for name, ev := range map[string]snow.Event{"never was": {SessionID: "nobody"}, "is not named": {Variables: of}} {
			if err := late(ev); !errors.Is(err, snow.ErrUnknownSession) {
				t.Errorf("of a session that %s: %v, want %v", name, err, snow.ErrUnknownSession)
			}
		}
		if r, err := e.store.Load(e.t.Context(), "tenant/chat"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of the conversation is left %+v, %v", r, err)
		}
		if r, err := e.store.Load(e.t.Context(), "erased"); err != nil || len(r.Data)+len(r.People)+len(r.Keys) != 0 || r.Status != "" {
			t.Errorf("what is kept of erased sessions is %+v, %v; want nothing but their hashes", r, err)
		}
		e.stop()
		e.passes(25 * time.Hour)
		e.start()
		e.passes(time.Minute)
		for _, session := range had {
			if err := late(snow.Event{SessionID: session, Variables: of}); !errors.Is(err, snow.ErrUnknownSession) {
				t.Errorf("after a day: %v, want %v", err, snow.ErrUnknownSession)
			}
		}
		if s, err := e.store.Stats(e.t.Context()); err != nil || s.Files != 0 {
			t.Errorf("after a day %d hashes are left, %v", s.Files, err)
		}
	})
}

// A record that cannot be read is erased like any other.
func TestWhatCannotBeReadCanBeErased(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.says("chat", "hello")
		if err := e.store.Apply(e.t.Context(), "tenant/chat", nil, func(t *store.Turn) error {
			t.Record.Data = []byte("no JSON")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		person := bot.Person(e.store, "tenant", "aad-chat")
		if n, err := bot.Erase(e.t.Context(), e.store, person, time.Now()); n != 1 || err != nil {
			t.Errorf("erased %d conversations, %v; want 1", n, err)
		}
	})
}
