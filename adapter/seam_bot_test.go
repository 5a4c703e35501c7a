package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

func onMessage(f func(turn *activity.TurnContext) (schema.Activity, error)) activity.Handler {
	return activity.HandlerFuncs{OnMessageFunc: f}
}

func TestHandlerBotRunsAHandlerOfTheLibraryUnchanged(t *testing.T) {
	t.Parallel()
	bot := adapter.HandlerBot(echoBot)
	for _, tt := range []struct {
		name   string
		change func(a *adapter.Activity)
		want   string // "" for no answer
	}{
		{"message", nil, "Echo: hello"},
		{"conversation update", func(a *adapter.Activity) {
			a.Type, a.MembersAdded = adapter.TypeConversationUpdate, []adapter.ChannelAccount{*a.From}
		}, "Welcome"},
		{"with an empty answer", func(a *adapter.Activity) { a.Type = adapter.TypeConversationUpdate }, ""},
		{"without a function", func(a *adapter.Activity) { a.Type = adapter.TypeInvoke }, ""},
		{"without a method", func(a *adapter.Activity) { a.Type = adapter.TypeMessageReaction }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answers, err := bot(t.Context(), newActivity(tt.change))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, a := range answers {
				got += a.Text
			}
			if got != tt.want {
				t.Errorf("answers = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHandlerBotAnswersAsOnTheWire(t *testing.T) {
	t.Parallel()
	answers, err := adapter.HandlerBot(echoBot)(t.Context(), newActivity(nil))
	if err != nil || len(answers) != 1 {
		t.Fatalf("HandlerBot = %v, %v, want one answer", answers, err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(doorJSON(t, answers[0])), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "message", "text": "Echo: hello", "channelId": "msteams", "serviceUrl": serviceURL, "replyToId": "1700000000001",
		"from":         map[string]any{"id": "28:" + appID},
		"recipient":    map[string]any{"id": "29:user", "aadObjectId": "aad-1"},
		"conversation": map[string]any{"id": "a:1conversation", "conversationType": "personal", "tenantId": tenantID},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestHandlerBotKeepsWhatTheAnswerSays(t *testing.T) {
	t.Parallel()
	card := map[string]any{"type": "AdaptiveCard", "body": []any{}, "empty": map[string]any{}}
	bot := adapter.HandlerBot(onMessage(func(turn *activity.TurnContext) (schema.Activity, error) {
		out, err := turn.SendActivity(activity.MsgOptionAttachments([]schema.Attachment{{ContentType: adapter.ContentTypeAdaptiveCard, Content: card}}))
		out.SuggestedActions = schema.SuggestedActions{Actions: []schema.CardAction{{Title: "Yes"}}}
		out.ChannelData = map[string]any{"notification": map[string]any{"alert": true}}
		out.Importance = "high"
		return out, err
	}))
	answers, err := bot(t.Context(), newActivity(nil))
	if err != nil || len(answers) != 1 {
		t.Fatalf("HandlerBot = %v, %v, want one answer", answers, err)
	}
	a := answers[0]
	if len(a.Attachments) != 1 || a.SuggestedActions == nil || a.SuggestedActions.To == nil || a.SuggestedActions.Actions[0].Title != "Yes" {
		t.Fatalf("answer = %s", doorJSON(t, a))
	}
	for name, pair := range map[string][2]string{
		"card":        {string(a.Attachments[0].Content), `{"body":[],"empty":{},"type":"AdaptiveCard"}`},
		"channelData": {string(a.ChannelData), `{"notification":{"alert":true}}`},
		"importance":  {string(a.Extra["importance"]), `"high"`},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %s, want %s", name, pair[0], pair[1])
		}
	}
}

// The library's own ParseRequest fails on each of these, before it has verified anything.
func TestHandlerBotNeverFailsOnWhatTheSchemaCannotHold(t *testing.T) {
	t.Parallel()
	var got schema.Activity
	bot := adapter.HandlerBot(onMessage(func(turn *activity.TurnContext) (schema.Activity, error) {
		got = turn.Activity
		return schema.Activity{}, nil
	}))
	a, err := adapter.DecodeActivity([]byte(`{
		"type":"message","id":"1","text":"hi","timestamp":"yesterday","localTimestamp":"2026-03-01T12:00:00.123+01:00","expiration":"",
		"value":"a string","channelData":[1],"callerId":"urn:botframework:azure","importance":7,
		"from":{"id":"29:u","name":5,"aadObjectId":"x"},"conversation":{"id":"c","isGroup":"yes"},
		"entities":[{"type":"mention","text":"<at>Bot</at>","mentioned":{"id":"28:b"}},5],
		"suggestedActions":{"actions":[{"type":"imBack","title":"A","value":"a"},{"type":"x","title":"B"}]},
		"attachments":[{"contentType":"text/html","content":"<p>hi</p>"},{"contentType":"image/png","contentUrl":7}],
		"reactionsAdded":[{"type":"heart"}],"relatesTo":"x","unknown":{"a":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bot(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got.Text != "hi" || got.From.ID != "29:u" || got.From.AadObjectID != "x" || got.Conversation.ID != "c" {
		t.Errorf("the handler got %+v", got)
	}
	if !got.Timestamp.IsZero() || got.LocalTimestamp.IsZero() || got.Value != nil || got.ChannelData != nil || got.CallerID != "" {
		t.Errorf("times %v %v, value %v, channelData %v, caller %q", got.Timestamp, got.LocalTimestamp, got.Value, got.ChannelData, got.CallerID)
	}
	if len(got.Attachments) != 2 || len(got.SuggestedActions.Actions) != 2 || len(got.ReactionsAdded) != 1 || got.SuggestedActions.Actions[1].Title != "B" {
		t.Errorf("attachments %v, actions %v, reactions %v", got.Attachments, got.SuggestedActions, got.ReactionsAdded)
	}
}

func TestHandlerBotFailures(t *testing.T) {
	t.Parallel()
	down := errors.New("database down")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		handler activity.Handler
		want    error // nil for any
	}{
		{"error", t.Context(), onMessage(func(*activity.TurnContext) (schema.Activity, error) { return schema.Activity{}, down }), down},
		{"panic", t.Context(), onMessage(func(*activity.TurnContext) (schema.Activity, error) { panic("the employee's own words") }), nil},
		{"index out of range", t.Context(), onMessage(func(turn *activity.TurnContext) (schema.Activity, error) {
			return turn.SendActivity(activity.MsgOptionText(turn.Activity.MembersAdded[0].ID))
		}), nil},
		{"answer that cannot be encoded", t.Context(), onMessage(func(*activity.TurnContext) (schema.Activity, error) {
			return schema.Activity{Text: "x", Value: map[string]any{"f": func() {}}}, nil
		}), nil},
		{"no handler", t.Context(), nil, nil},
		{"cancelled", cancelled, echoBot, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answers, err := adapter.HandlerBot(tt.handler)(tt.ctx, newActivity(nil))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || len(answers) != 0 {
				t.Errorf("HandlerBot = %v, %v, want the error %v", answers, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "own words") {
				t.Errorf("the error %q quotes the panic", err)
			}
		})
	}
}

func TestHandlerBotTakesAnAnswerWithoutATypeForAMessage(t *testing.T) {
	t.Parallel()
	answers, err := adapter.HandlerBot(onMessage(func(*activity.TurnContext) (schema.Activity, error) {
		return schema.Activity{Text: "hi"}, nil
	}))(t.Context(), newActivity(nil))
	if err != nil || len(answers) != 1 {
		t.Fatalf("HandlerBot = %v, %v, want one answer", answers, err)
	}
	if got, want := doorJSON(t, answers[0]), `{"type":"message","text":"hi"}`; got != want {
		t.Errorf("answer = %s, want %s", got, want)
	}
}
