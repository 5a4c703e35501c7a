package bot_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"snowbot/adapter"
	"snowbot/bot"
)

func TestSendAgainIsNotUsedUpWhileThePersonHasAChatElsewhere(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("one")
		press := func() { // in another chat of the same person
			e.posts++
			err := e.bot.Activity(e.t.Context(), &adapter.Activity{
				Type: adapter.TypeMessage, ID: fmt.Sprintf("press%d", e.posts), ReplyToID: "card",
				ServiceURL: "https://smba.example.com/emea/", ChannelID: "msteams",
				Conversation: &adapter.ConversationAccount{ID: "two", TenantID: "tenant", ConversationType: "personal"},
				From:         &adapter.ChannelAccount{ID: "29:one", AADObjectID: "aad-one", Name: "Mia"},
				Recipient:    &adapter.ChannelAccount{ID: "28:app", Name: "Bot"},
				Value:        json.RawMessage(`{"snowbot":"again","text":"my words"}`),
			})
			if err != nil {
				t.Fatal(err)
			}
			e.passes(time.Second)
		}
		press()
		if n := len(e.teams.tried("two", "already have a chat")); n != 1 {
			t.Fatalf("told %d times of the other chat, want once", n)
		}
		e.says("one", "end chat")
		e.passes(time.Second)
		press()
		if e.snow.sessionOf("two") == "" {
			t.Error("after the other chat the button does nothing")
		}
		press()
		if n := len(e.teams.tried("two", "already")); n != 1 {
			t.Errorf("a third press was answered: %q", e.teams.tried("two", "already"))
		}
	})
}
