package bot

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"snowbot/snow"
	"snowbot/store"
)

func TestAPartThatWasLostIsNotTickedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	part := store.Delivery{ID: "p1", Kind: kindText, Session: id}
	got := kinds(w.do(&failedEvent{to: store.ToTeams, delivery: part, body: body{MessageID: "m", Part: true, Agent: true}, why: failRefused}))
	if !slices.Equal(got, []string{"ticks tick", "servicenow remark"}) {
		t.Fatalf("a lost part sent %v, want its failure, and why", got)
	}
	if got := w.do(&sentEvent{to: store.ToTeams, delivery: store.Delivery{ID: "p2", Kind: kindText, Session: id}, body: body{MessageID: "m", Agent: true}}); len(got) != 0 {
		t.Errorf("the last part sent %v, though another was lost", kinds(got))
	}
}

func TestAMessageInPartsIsTickedWithItsLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	parts := w.do(post(id, snow.Item{ID: "m", Kind: snow.KindText, Text: strings.Repeat("words\n", 10_000), FromAgent: true}))
	if len(parts) < 3 {
		t.Fatalf("a long message goes out as %v", kinds(parts))
	}
	for i, p := range parts {
		b, err := decodeBody(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if i == len(parts)-1 {
			want = []string{"ticks tick"}
		}
		if got := kinds(w.do(&sentEvent{to: store.ToTeams, delivery: p.Delivery, body: b})); !slices.Equal(got, want) {
			t.Errorf("after part %d of %d sent %v, want %v", i+1, len(parts), got, want)
		}
	}
}

func TestAMessageThatIsSentAgainIsTicked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	d, b := store.Delivery{ID: "d", Kind: kindText, Session: id}, body{MessageID: "m", Agent: true}
	w.do(&failedEvent{to: store.ToTeams, delivery: d, body: b, why: failTooOld})
	sent := w.do(&sentEvent{to: store.ToTeams, delivery: d, body: b}) // its dead letter was retried
	if got := kinds(sent); !slices.Equal(got, []string{"ticks tick"}) {
		t.Fatalf("sent %v, want a tick", got)
	}
	if b, err := decodeBody(sent[0].Body); err != nil || b.Failed {
		t.Errorf("the report is %+v, %v, want a tick", b, err)
	}
}

func TestTheAgentIsToldWhyOnceForASeries(t *testing.T) {
	t.Parallel()
	lost := func(why failure, b body) event {
		return &failedEvent{to: store.ToTeams, delivery: store.Delivery{ID: "d", Kind: kindText}, body: b, why: why}
	}
	with, without := body{MessageID: "m", Agent: true}, body{Agent: true}
	for _, tt := range []struct {
		name   string
		facts  facts
		events []event
		want   []TextKey
	}{
		{"a series", facts{}, []event{lost(failTooOld, with), lost(failTooOld, with)}, []TextKey{TextAgentNotDeliveredTooOld}},
		{"another reason", facts{}, []event{lost(failTooOld, with), lost(failTooBig, with)}, []TextKey{TextAgentNotDeliveredTooOld, TextAgentNotDeliveredTooBig}},
		{
			"a success between",
			facts{},
			[]event{lost(failUnclear, with), &sentEvent{to: store.ToTeams, delivery: store.Delivery{Kind: kindText}, body: with}, lost(failUnclear, with)},
			[]TextKey{TextAgentNotDeliveredUnclear, TextAgentNotDeliveredUnclear},
		},
		{"no id to report by", facts{}, []event{lost(failRefused, without), lost(failRefused, without)}, []TextKey{TextAgentNotDelivered, TextAgentNotDelivered}},
		{"no reports", facts{ticksOff: true}, []event{lost(failRefused, with), lost(failRefused, with)}, []TextKey{TextAgentNotDelivered, TextAgentNotDelivered}},
		{"not the agent's words", facts{}, []event{lost(failTooOld, body{})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.facts = tt.facts
			id := w.connect()
			var got []string
			for _, ev := range tt.events {
				switch ev := ev.(type) {
				case *failedEvent:
					ev.delivery.Session = id
				case *sentEvent:
					ev.delivery.Session = id
				}
				for _, o := range w.do(ev) {
					if b, err := decodeBody(o.Body); err == nil && o.Kind == kindRemark {
						got = append(got, b.Text)
					}
				}
			}
			var want []string
			for _, key := range tt.want {
				want = append(want, TextsFor("en").Say(key))
			}
			if !slices.Equal(got, want) {
				t.Errorf("the agent is told %q, want %q", got, want)
			}
		})
	}
}

func TestWordsOfSnowbotAreNeverOfferedToTheEmployee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	if sent := w.do(&failedEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindRemark, Session: id}, body: body{Text: "could not be delivered"}, why: failTooOld}); len(sent) != 0 {
		t.Errorf("sent %v", kinds(sent))
	}
}

func TestLongWordsCanBeSentAgainIfAButtonHoldsThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		text   string
		button bool
	}{
		{"short", "my words", true},
		{"long", strings.Repeat("words\n", 5_000), true},
		{"too long", strings.Repeat("words\n", 6_000), false},
		{"too many bytes in JSON", strings.Repeat("<", 10_000), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.connect()
			sent := w.do(&failedEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindWords, Session: id}, body: body{Text: tt.text}, why: failTooOld})
			if got := kinds(sent); !slices.Equal(got, []string{"teams failure"}) {
				t.Fatalf("sent %v, want one message", got)
			}
			b, err := decodeBody(sent[0].Body)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(b.Activity)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(raw), "could not be delivered in time") {
				t.Error("the employee is not told why")
			}
			if n := 2 * len(raw); n > messageBytes {
				t.Errorf("the card has %d bytes as UTF-16", n)
			}
			var card struct{ Actions []struct{ Data button } }
			if len(b.Activity.Attachments) > 0 {
				if err := json.Unmarshal(b.Activity.Attachments[0].Content, &card); err != nil {
					t.Fatal(err)
				}
			}
			if got := len(card.Actions) == 1 && card.Actions[0].Data.Text == tt.text; got != tt.button {
				t.Errorf("a button with the words: %t, want %t", got, tt.button)
			}
		})
	}
}

func TestAnItemThatShowsNothingIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	sent := w.do(post(id, snow.Item{ID: "m", Kind: snow.KindUnknown, Name: "HoloDeck", FromAgent: true}))
	if got := kinds(sent); !slices.Equal(got, []string{"ticks tick"}) {
		t.Fatalf("sent %v, want a report", got)
	}
	if b, err := decodeBody(sent[0].Body); err != nil || !b.Failed {
		t.Errorf("the report is %+v, %v, want that it failed", b, err)
	}
}

func TestABotThatFailsIsNoNewsToWhoTalksToAnAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failed := func(owner int) event {
		return &failedEvent{to: store.ToBot, delivery: store.Delivery{ID: "t", Kind: kindTurn}, body: body{Owner: owner}, why: failTooOld}
	}
	asked := w.state().Owner
	if got := kinds(w.do(failed(asked))); !slices.Equal(got, []string{"teams notice"}) {
		t.Fatalf("sent %v, want the employee told", got)
	}
	w.connect()
	if got := kinds(w.do(failed(asked))); len(got) != 0 {
		t.Errorf("sent %v in the chat with an agent", got)
	}
}
