package bot

import (
	"slices"
	"testing"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

// A request for an agent that was given up may have taken effect all the same, at an earlier try or with ServiceNow's own bot.
func TestARequestThatIsGivenUpIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, why := range []failure{failRefused, failNobody, failUnclear, failTooOld, failBroken, failUnsettled} {
		w := newWorld(t)
		w.do(words("agent", IntentAgent))
		sent := kinds(w.do(&failedEvent{
			to: store.ToServiceNow, why: why, delivery: store.Delivery{Kind: kindAgent, Session: w.state().Session.ID},
		}))
		if !slices.Contains(sent, "servicenow end") {
			t.Errorf("%s: sent %v, want ServiceNow told", why, sent)
		}
	}
}

// Where the chat ends and ServiceNow's conversation goes on, its own bot would take the next wish for an agent for an answer.
func TestAConversationThatGoesOnIsEnded(t *testing.T) {
	t.Parallel()
	back := snow.Item{ID: "back", Kind: snow.KindEnded}
	for _, tt := range []struct {
		name  string
		begin func(w *world) string
		want  endReason
	}{
		{"in the queue", (*world).queued, endNoAgents},
		{"after a long silence", func(w *world) string {
			id := w.connect()
			w.now = w.now.Add(w.rules.IdleWarning)
			w.do(timerEvent{})
			w.now = w.now.Add(w.rules.IdleCancel - w.rules.IdleWarning)
			return id
		}, endTimedOut},
		{"in the chat", (*world).connect, endByAgent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := tt.begin(w)
			if sent := kinds(w.do(post(id, back))); !slices.Contains(sent, "servicenow end") {
				t.Errorf("%s: sent %v, want ServiceNow told", tt.want, sent)
			}
			if p := w.state().past(id); p == nil || p.ByEmployee {
				t.Error("words on their way would go to ServiceNow's own bot")
			}
		})
	}
}

func TestASessionThatWaitedTooLongOffersATicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.MaxWait, w.rules.MaxSession = 2*time.Hour, time.Hour
	w.queued()
	w.do(words("my screen is black", IntentNone))
	w.now = w.now.Add(w.rules.MaxSession)
	w.do(timerEvent{})
	if s := w.state(); s.Session != nil || s.Offer == "" {
		t.Errorf("session %+v, offer %q; want it over, and what was held offered as a ticket", s.Session, s.Offer)
	}
}

// Words that wait after the employee has ended the chat reach nobody once the agent has closed it too, however that is said.
func TestALateClosingSentenceGivesUpWordsThatWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.connect()
	w.do(words("my last words", IntentNone))
	w.do(words("end chat", IntentNone))
	w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
	if p := w.state().past(id); p == nil || p.ByEmployee {
		t.Error("words on their way would go to ServiceNow's own bot, and be shown to nobody")
	}
}
