package bot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// TestSessionProperties lets anything happen in any order.
func TestSessionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		sessions := []string{"unknown"}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			before := w.state()
			w.facts = facts{outage: rapid.IntRange(0, 4).Draw(t, "outage") == 0, ticksOff: rapid.Bool().Draw(t, "ticks off")}
			sent := w.do(anyEvent(t, w, sessions))
			after := w.state()
			if after.Session != nil && !slices.Contains(sessions, after.Session.ID) {
				sessions = append(sessions, after.Session.ID)
			}
			w.holds(t, before, after, sent)
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
		}
		// Left alone, every session ends.
		for range 10 {
			if w.record.Due.IsZero() || w.state().Session == nil {
				break
			}
			w.now = w.record.Due
			w.do(timerEvent{})
		}
		if w.state().Session != nil {
			t.Fatalf("the session never ends: %+v", w.state().Session)
		}
	})
}

// holds checks what is true after every event.
func (w *world) holds(t *rapid.T, before, after *state, sent []store.Outgoing) {
	if live := after.Session != nil; live != (after.Owner%2 == 1) {
		t.Fatalf("owner %d with a session: %t", after.Owner, live)
	}
	if n := len(w.record.Data); n > 4<<10 {
		t.Fatalf("the record has %d bytes", n)
	}
	if s := after.Session; s != nil && s.Phase == connected && len(w.lanes[store.Held]) > 0 {
		t.Fatal("words are held back though an agent is there")
	}
	if s := after.Session; s != nil {
		// Whatever becomes of its deliveries, it ends by a timer.
		last := s.Started.Add(w.rules.MaxSession)
		if s.Phase != connected {
			last = s.Started.Add(w.rules.MaxWait)
		}
		if w.record.Due.IsZero() || w.record.Due.After(last) {
			t.Fatalf("a session that is %s has its timer at %v, want %v at the latest", s.Phase, w.record.Due, last)
		}
		if w.facts.outage && (before.Session == nil || before.Session.ID != s.ID) {
			t.Fatal("an agent was promised during an outage")
		}
	}
	ends, owners := 0, after.Owner-before.Owner
	for _, o := range sent {
		if o.Direction == store.ToTeams && o.Kind == kindEnd {
			ends++
		}
		if o.Direction == store.ToServiceNow && o.Kind == kindWords && (after.Session == nil || o.Session != after.Session.ID) {
			if after.Session != nil || before.Session == nil || o.Session != before.Session.ID {
				t.Fatal("words for a session that is not on")
			}
		}
		if o.ID == "" || o.Accepted.IsZero() {
			t.Fatal("a delivery without id or time")
		}
	}
	if owners < 0 || owners > 2 || ends != boolInt(before.Session != nil && (after.Session == nil || after.Session.ID != before.Session.ID)) {
		t.Fatalf("owner changed by %d with %d end notices", owners, ends)
	}
	if after.Session == nil && len(w.lanes[store.Held]) > 0 {
		t.Fatal("words are held for nobody")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func anyEvent(t *rapid.T, w *world, sessions []string) event {
	session := rapid.SampledFrom(sessions).Draw(t, "session")
	switch rapid.IntRange(0, 13).Draw(t, "kind of event") {
	case 0:
		return words(rapid.SampledFrom([]string{"hello", "cancel", "end chat", "quit", ""}).Draw(t, "words"), IntentNone)
	case 1:
		return words("agent", IntentAgent)
	case 2:
		e := words("", IntentNone)
		e.press = &button{Session: session, Text: "again", Choice: "c", Verb: rapid.SampledFrom([]verb{
			verbTalk, verbCancel, verbEnd, verbTicket, verbAgain, verbChoice, "unknown",
		}).Draw(t, "verb")}
		return e
	case 3, 4:
		p := &snow.Event{
			SessionID: session,
			AgentChat: rapid.Bool().Draw(t, "agentChat"), TakeControl: rapid.IntRange(0, 9).Draw(t, "takeControl") == 0,
			Completed: rapid.IntRange(0, 9).Draw(t, "completed") == 0,
			Status: rapid.SampledFrom([]snow.Status{
				"", "", "", snow.StatusActive, snow.StatusWaiting, snow.StatusConnected, snow.StatusCompleted, snow.StatusFail, snow.StatusCancelled,
			}).Draw(t, "status"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "items") {
			p.Items = append(p.Items, snow.Item{
				ID: fmt.Sprintf("item%d-%d", w.events, i), FromAgent: rapid.Bool().Draw(t, "from agent"),
				Text: rapid.SampledFrom([]string{
					"text", "Sam has entered the chat.", "Sam has closed the support session.", "No agents are available.", "",
				}).Draw(t, "text"),
				Kind: rapid.SampledFrom([]snow.Kind{
					snow.KindText, snow.KindSystem, snow.KindWait, snow.KindJoined, snow.KindEnded, snow.KindTyping, snow.KindPicker,
					snow.KindUnknown, snow.KindNothing, snow.KindImage, snow.KindInput, snow.KindLinks,
				}).Draw(t, "item"),
			})
		}
		return &postEvent{session: session, post: p}
	case 5:
		return timerEvent{}
	case 6:
		return &failedEvent{
			to:       rapid.SampledFrom([]store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot}).Draw(t, "to"),
			delivery: store.Delivery{ID: "d", Session: session, Kind: anyKind(t)},
			body:     anyBody(t, w),
			why:      rapid.SampledFrom([]failure{failTooOld, failRefused, failUnclear, failBlocked, failRemoved, failNobody, failOver, failUnsettled, failFileGone}).Draw(t, "why"),
		}
	case 7, 8:
		b := anyBody(t, w)
		return &sentEvent{
			to:       rapid.SampledFrom([]store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot, store.Links}).Draw(t, "to"),
			delivery: store.Delivery{ID: "d", Session: session, Kind: anyKind(t)}, body: b, activityID: "card", userID: "mia@example.com", ticket: "INC1",
			replies: []*adapter.Activity{plain("an answer"), {Type: adapter.TypeEvent, Name: handoff}}, ask: words("agent", IntentAgent),
		}
	case 9: // an edit, or something else that is no message
		e := words("words", IntentNone)
		e.activity.Type = rapid.SampledFrom([]string{
			adapter.TypeMessageUpdate, adapter.TypeMessageDelete, adapter.TypeMessageReaction, adapter.TypeConversationUpdate,
		}).Draw(t, "type")
		return e
	case 10: // somebody else in a group, perhaps with a file
		e := words(rapid.SampledFrom([]string{"hello", "cancel", "end chat", ""}).Draw(t, "words"), IntentNone)
		e.ref.UserID, e.ref.UserName, e.live = "29:noa", "Noa", "masked too"
		e.lost = rapid.Bool().Draw(t, "lost")
		e.files = []adapter.FileRef{{Name: "a.pdf", URL: "https://example.com/a.pdf"}}
		return e
	case 11:
		return rapid.SampledFrom([]event{outageEvent{}, outageEvent{"d"}, outageOverEvent{}}).Draw(t, "outage event")
	case 12:
		return erasureEvent{}
	default:
		action := rapid.SampledFrom([]string{"add", "remove", "add-upgrade"}).Draw(t, "action")
		return &employeeEvent{
			activity: &adapter.Activity{Type: adapter.TypeInstallationUpdate, Action: action},
			ref:      adapter.Reference{ConversationID: "chat", TenantID: "tenant", UserID: "29:mia"},
		}
	}
}

func anyKind(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		kindAgent, kindWords, kindEnd, kindText, kindCard, kindTicket, kindTurn, kindFile, kindRemark, kindNotice, kindLook,
	}).Draw(t, "delivery")
}

func anyBody(t *rapid.T, w *world) body {
	return body{Text: "words", Owner: w.state().Owner - rapid.IntRange(0, 1).Draw(t, "owners ago"), Agent: rapid.Bool().Draw(t, "of the agent")}
}
