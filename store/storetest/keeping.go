package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"snowbot/store"
)

var keepingCases = []testCase{
	{"NothingIsReadableAtRest", func(t *testing.T, w *world) {
		const secret = "Motörhead plays at noon"
		body := []byte(secret)
		w.apply(t, "conversation-one", func(turn *store.Turn) {
			turn.Record.Data = body
			turn.Record.People = []string{w.Mask(secret)}
			turn.Send(store.ToTeams, store.Delivery{ID: "delivery-one", Body: body})
			turn.Send(store.Held, store.Delivery{ID: "delivery-two", Body: body})
			turn.Lines = []store.Line{{Data: body}}
			turn.Bury = []store.DeadLetter{{Delivery: store.Delivery{ID: "event-one", Body: body}}}
		})
		l := w.claim(t, store.ToTeams, 1)
		is(t, "Begin", w.Begin(t.Context(), l), nil)
		w.settle(t, l, store.Result{Next: store.Bury})
		w.apply(t, "conversation-one", func(turn *store.Turn) {
			turn.Move = []store.Move{{From: store.Held, To: store.ToServiceNow}}
		})
		w.put(t, store.File{ID: "file-one", Conversation: "conversation-one", Name: secret, ContentType: secret, Data: body})
		if err := w.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		raw := w.h.Raw(t, w.opts)
		if !contains(raw, "conversation-one") || !contains(raw, "delivery-one") || !contains(raw, "file-one") {
			t.Fatal("the raw bytes do not even hold the ids: the harness does not show what is kept")
		}
		for n := 6; n <= len(secret); n++ { // nor any part worth having
			if part := secret[len(secret)-n:]; contains(raw, part) || contains(raw, secret[:n]) {
				t.Fatalf("the raw bytes hold %d bytes of the secret", n)
			}
		}
		if bytes.Contains(raw, bytes.Repeat([]byte{1}, 16)) && contains(raw, string(bytes.Repeat([]byte{1}, store.KeySize))) {
			t.Fatal("the raw bytes hold the key")
		}
	}},
	{"WrongKeyIsRefused", func(t *testing.T, w *world) {
		w.busyConversation(t)
		if err := w.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		o := w.opts
		o.Keys = keys(t, 2)
		s, err := w.h.Open(t, o)
		if err == nil {
			s.Close()
		}
		is(t, "Open with another key", err, store.ErrWrongKey)
		w.open(t) // and no harm was done
		w.load(t, "c1")
	}},
	{"RekeyFreesTheOldKey", func(t *testing.T, w *world) {
		w.busyConversation(t)
		w.apply(t, "c1", func(turn *store.Turn) { turn.Bury = []store.DeadLetter{{Delivery: note("e1")}} })
		for _, size := range []int{0, 1, store.FilePart, 40*store.FilePart + 1} { // more than a slice
			w.put(t, file(size))
		}
		mask := w.Mask("x")
		w.opts.Keys = keys(t, 2, 1)
		w.reopen(t)
		w.apply(t, "c2", func(turn *store.Turn) { turn.Lines = []store.Line{{Data: []byte("second key")}} })
		if err := w.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		for _, one := range []byte{1, 2} {
			o := w.opts
			o.Keys = keys(t, one)
			s, err := w.h.Open(t, o)
			if err == nil {
				s.Close()
			}
			is(t, fmt.Sprintf("Open with key %d alone", one), err, store.ErrWrongKey)
		}
		w.open(t)
		before := w.load(t, "c1")
		for n := 0; ; n++ {
			more, err := w.Rekey(t.Context())
			is(t, "Rekey", err, nil)
			if !more {
				break
			}
			if n == 1000 {
				t.Fatal("Rekey does not come to an end")
			}
		}
		w.opts.Keys = keys(t, 2)
		w.reopen(t)
		w.unchangedButLetters(t, before)
		same(t, "mask", w.Mask("x"), mask)
		same(t, "lines", w.lines(t, "c2", 1), []string{"second key"})
		for _, size := range []int{0, 1, store.FilePart, 40*store.FilePart + 1} {
			w.has(t, file(size))
		}
		same(t, "event", string(w.letters(t, store.DeadLetterFilter{})[0].Delivery.Body), "body of e1")
		w.opts.Keys = keys(t, 3, 2) // and again
		w.reopen(t)
	}},
	{"RetryDuringRekeyKeepsTheBody", func(t *testing.T, w *world) {
		want := numbered("d", 8)
		w.apply(t, "c1", func(turn *store.Turn) {
			turn.Record.Data = []byte("data")
			for _, id := range want {
				turn.Send(store.ToTeams, note(id))
			}
		})
		for range want {
			w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Next: store.Bury, Reason: "r"})
		}
		dead := w.letters(t, store.DeadLetterFilter{})
		w.opts.Keys = keys(t, 2, 1)
		w.reopen(t)
		for n, more := 0, true; more; n++ { // one retry between any two slices
			if n < len(dead) {
				is(t, "Retry", w.Retry(t.Context(), dead[n].ID), nil)
			}
			var err error
			more, err = w.Rekey(t.Context())
			is(t, "Rekey", err, nil)
			if n == 1000 {
				t.Fatal("Rekey does not come to an end")
			}
		}
		w.opts.Keys = keys(t, 2)
		w.reopen(t)
		for _, l := range w.letters(t, store.DeadLetterFilter{}) {
			same(t, "body", string(l.Delivery.Body), "body of "+l.Delivery.ID)
			is(t, "Retry", w.Retry(t.Context(), l.ID), nil)
		}
		l := w.claim(t, store.ToTeams, len(want))
		same(t, "run", ids(l), want)
		for _, d := range l.Deliveries {
			same(t, "body", string(d.Body), "body of "+d.ID)
		}
	}},
	{"EverythingSurvivesReopening", func(t *testing.T, w *world) {
		w.busyConversation(t)
		w.once(t, "c1", "e1")
		before := w.load(t, "c1")
		w.reopen(t)
		w.unchanged(t, before)
		w.finds(t, map[string]string{"k1": "c1", "k2": "c1"})
		w.never(t, "c1", "e1")
		w.clock.advance(time.Hour)
		w.due(t, 1, "c1")
		same(t, "held", w.waiting(t, store.Held), 1)
	}},
	{"CloseEndsCalls", func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				var err error
				for err == nil {
					err = w.Wait(t.Context(), store.ToTeams)
				}
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("Wait: %v, want ErrClosed", err)
				}
			})
			wg.Go(func() {
				var err error
				for i := 0; err == nil; i++ {
					err = w.Apply(t.Context(), "c1", nil, func(turn *store.Turn) error { return nil })
				}
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("Apply: %v, want ErrClosed", err)
				}
			})
			wg.Go(func() {
				var err error
				for err == nil || errors.Is(err, store.ErrNotFound) {
					_, err = w.Load(t.Context(), "c1")
				}
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("Load: %v, want ErrClosed", err)
				}
			})
		}
		w.eventually(t, "a call was made", func() bool { _, err := w.Load(t.Context(), "c1"); return err == nil })
		is(t, "Close", w.Close(), nil)
		wg.Wait()
		is(t, "Close again", w.Close(), nil)
		_, err := w.Claim(t.Context(), store.ToTeams, time.Minute, 1)
		is(t, "Claim", err, store.ErrClosed)
		_, err = w.Stats(t.Context())
		is(t, "Stats", err, store.ErrClosed)
	}},
	{"CloseKeepsWhatWasSettled", func(t *testing.T, w *world) {
		for _, c := range numbered("c", 20) {
			w.send(t, c, store.ToTeams, "d")
			w.settle(t, w.claim(t, store.ToTeams, 1), store.Result{Done: 1})
		}
		w.reopen(t)
		w.claimNothing(t, store.ToTeams)
		same(t, "waiting", w.waiting(t, store.ToTeams), 0)
	}},
}

// unchangedButLetters is unchanged for a conversation that has dead letters.
func (w *world) unchangedButLetters(t *testing.T, before store.Record) {
	t.Helper()
	same(t, "record", w.load(t, "c1"), before)
	same(t, "lines", w.lines(t, "c1", 9), []string{"line 1"})
	l := w.claim(t, store.ToTeams, 9)
	same(t, "body", string(l.Deliveries[0].Body), "body of d1")
	w.settle(t, l, store.Result{})
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }
