package bot

import (
	"slices"
	"testing"
	"time"

	"snowbot/snow"
	"snowbot/store"
)

func TestTimers(t *testing.T) {
	t.Parallel()
	start := func(w *world) string {
		w.do(words("agent", IntentAgent))
		return w.state().Session.ID
	}
	taken := func(w *world) string {
		id := start(w)
		w.do(&sentEvent{to: store.ToServiceNow, delivery: store.Delivery{Kind: kindAgent, Session: id}, userID: "u"})
		return id
	}
	closed := func(w *world) string {
		id := w.connect()
		w.do(post(id, snow.Item{ID: "c", Kind: snow.KindSystem, Text: "Sam has closed the support session."}))
		return id
	}
	for _, tt := range []struct {
		name  string
		setUp func(w *world) string
		after time.Duration
		live  bool // at the end
		warns bool
	}{
		{"no callback, too early", taken, 89 * time.Second, true, false},
		{"no callback", taken, 90 * time.Second, false, false},
		{"silence counts from when ServiceNow took the request", start, 2 * time.Minute, true, false},
		{"in the queue there is more time", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "w", Kind: snow.KindWait}))
			return id
		}, 29 * time.Minute, true, false},
		{"nobody came", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "w", Kind: snow.KindWait}))
			return id
		}, 30 * time.Minute, false, false},
		{"idle, not yet", (*world).connect, 4*time.Minute - time.Second, true, false},
		{"idle is warned of", (*world).connect, 4 * time.Minute, true, true},
		{"closed, and ServiceNow may still go on", closed, 2*time.Minute - time.Second, true, false},
		{"closed, and nothing came", closed, 2 * time.Minute, false, false},
		{"an answer to ServiceNow's own bot takes its time", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "q", Kind: snow.KindInput, Input: "text", Text: "Your room?"}))
			return id
		}, 20 * time.Minute, true, false},
		{"and then the silence counts again", func(w *world) string {
			id := taken(w)
			w.do(post(id, snow.Item{ID: "q", Kind: snow.KindInput, Input: "text", Text: "Your room?"}))
			w.do(words("12", IntentNone))
			return id
		}, 90 * time.Second, false, false},
		{"the longest session", (*world).connect, 8 * time.Hour, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.setUp(w)
			w.now = w.now.Add(tt.after)
			sent := w.do(timerEvent{})
			s := w.state()
			if live := s.Session != nil; live != tt.live {
				t.Errorf("live = %t, want %t", live, tt.live)
			}
			if warned := s.Session != nil && s.Session.Warned; warned != tt.warns {
				t.Errorf("warned = %t, want %t", warned, tt.warns)
			}
			if !tt.live && !slices.Contains(kinds(sent), "teams end") {
				t.Errorf("the employee is not told of the end: %v", kinds(sent))
			}
			if !tt.live && !slices.Contains(kinds(sent), "servicenow end") {
				t.Errorf("ServiceNow is not told of the end: %v", kinds(sent))
			}
			if again := w.do(timerEvent{}); len(again) != 0 {
				t.Errorf("a timer fired twice: %v", kinds(again))
			}
		})
	}
}

func TestIdleWarningComesOncePerSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	for range 2 {
		w.now = w.now.Add(4 * time.Minute)
		if got := kinds(w.do(timerEvent{})); !slices.Equal(got, []string{"teams notice"}) {
			t.Fatalf("sent %v, want one warning", got)
		}
		w.do(words("still here", IntentNone))
	}
}

func TestSomethingHeardIsNoSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(words("agent", IntentAgent))
	id := w.state().Session.ID
	w.now = w.now.Add(time.Second)
	w.do(post(id, snow.Item{ID: "t", Kind: snow.KindText, Text: "There are no agents available."}))
	w.now = w.now.Add(90 * time.Second)
	w.do(timerEvent{})
	if w.state().Session != nil {
		t.Fatal("a session that is not in any queue has to end")
	}
	for _, o := range w.all {
		if b, err := decodeBody(o.Body); err == nil && b.Activity != nil && b.Activity.Text == TextsFor("en").Say(TextNoticeNoCallback) {
			t.Error("the employee was told that the service desk did not answer, and it had")
		}
	}
}
