package bot_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/store"
)

// saysIn has the employee of one conversation write in another.
func (e *engine) saysIn(conversation, of, text string) {
	e.t.Helper()
	e.posts++
	e.watch.Said(text)
	if err := e.bot.Activity(e.t.Context(), &adapter.Activity{
		Type: adapter.TypeMessage, ID: fmt.Sprintf("in%d", e.posts), Text: text,
		ServiceURL: "https://smba.example.com/emea/", ChannelID: "msteams",
		Conversation: &adapter.ConversationAccount{ID: conversation, TenantID: "tenant", ConversationType: "personal"},
		From:         &adapter.ChannelAccount{ID: "29:" + of, AADObjectID: "aad-" + of, Name: "Mia"},
		Recipient:    &adapter.ChannelAccount{ID: "28:app", Name: "Bot"},
	}); err != nil {
		e.t.Fatal(err)
	}
}

// but makes calls of an operation fail.
func but(ops ...string) func(string) error {
	return func(op string) error {
		if slices.Contains(ops, op) {
			return unavailable(op)
		}
		return nil
	}
}

// ServiceNow keeps one chat a person, whatever the session: until it knows that one is over, another would be taken for it, and be
// ended by its end.
func TestNoChatBeginsElsewhereBeforeServiceNowKnowsOfTheEnd(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("one")
		e.snow.failing(but("end"))
		e.says("one", "end chat")
		e.passes(10 * time.Second)
		e.saysIn("two", "one", "agent please")
		e.passes(time.Second)
		if asked := e.snow.asked(); len(asked) != 1 {
			t.Errorf("an agent was asked for by %q before ServiceNow knew of the end", asked)
		}
		if n := len(e.teams.tried("two", "already have a chat")); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		e.snow.failing(nil)
		e.passes(20 * time.Second)
		e.saysIn("two", "one", "agent please")
		e.passes(time.Second)
		if e.snow.sessionOf("two") == "" {
			t.Error("no agent was asked for afterwards")
		}
	})
}

// An end that cannot be told for long keeps nobody from another chat, and does not end that one when it can be told again.
func TestAnOldEndDoesNotEndTheNextChat(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("one")
		e.snow.failing(but("end", "message"))
		e.says("one", "my last words")
		e.says("one", "end chat")
		e.passes(90 * time.Second)
		e.saysIn("two", "one", "agent please")
		e.passes(time.Second)
		if e.snow.sessionOf("two") == "" {
			t.Fatal("no agent was asked for")
		}
		before := len(e.snow.done())
		e.snow.failing(nil)
		e.passes(time.Minute)
		if got := e.snow.done()[before:]; slices.ContainsFunc(got, func(call string) bool { return call == "end" || strings.HasPrefix(call, "message") }) {
			t.Errorf("the instance was sent %q, which it takes as said in the next chat", got)
		}
		if n := len(e.teams.tried("one", "because the chat was already over")); n != 1 {
			t.Errorf("told %d times of the words, want once", n)
		}
	})
}

// Nor does one that an admin sends again.
func TestAnEndIsNotSentAgainIntoTheNextChat(t *testing.T) {
	bubble(t, bot.Rules{EndMaxAge: time.Minute}, func(e *engine) {
		e.connect("chat")
		e.snow.failing(but("end", "message"))
		e.says("chat", "my last words")
		e.says("chat", "end chat")
		e.passes(10 * time.Minute)
		e.snow.failing(nil)
		letters, err := e.store.DeadLetters(e.t.Context(), store.DeadLetterFilter{})
		if err != nil || len(letters) != 2 {
			t.Fatalf("dead letters %+v, %v; want the words and the end", letters, err)
		}
		e.connect("chat")
		for _, l := range letters {
			if err := bot.Retry(e.t.Context(), e.store, l, bot.RetryOptions{Force: true}); !errors.Is(err, bot.ErrNotRetryable) {
				t.Errorf("%s: %v, want %v", l.Delivery.Kind, err, bot.ErrNotRetryable)
			}
		}
	})
}
