package snowtest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/snow/snowtest"
)

func TestUserTyping(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	id := s.live()
	typing := func(action string) bool {
		body := say("t", "", object{"action": action})
		delete(body, "message")
		s.bot(body)
		return s.chat(id).UserTyping
	}
	if !typing("TYPING") || typing("VIEWING") {
		t.Error("typing is not seen, or does not stop")
	}
	typing("TYPING")
	s.bot(say("1", "done"))
	if s.chat(id).UserTyping {
		t.Error("typing goes on after the words")
	}
}

func TestUpdateMessages(t *testing.T) {
	t.Parallel()
	update := func(list any) object { return say("u", "", object{"action": "UPDATE_MESSAGES", "message": list}) }
	t.Run("ReceiptsAndRewrittenTexts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		chat := s.live()
		var ids []string
		for _, text := range []string{"one", "two", "three"} {
			id, err := s.Say(t.Context(), chat, text)
			if err != nil || !isID(id) {
				t.Fatalf("%q, %v", id, err)
			}
			ids = append(ids, id)
		}
		if err := s.End(t.Context(), chat, ""); err != nil {
			t.Fatal(err)
		}
		a := s.bot(update([]object{
			{"id": ids[0], "status": "SENT_TO_USER"},
			{"id": ids[1], "status": "external_error"},
			{"id": ids[2], "text": "drei"},
			{"id": "unknown", "status": "sent_to_user"},
		}))
		if a.status != http.StatusOK || a.raw != "Message Processed Successfully" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%d %s %s", a.status, a.header.Get("Content-Type"), a.raw)
		}
		var got []string
		for _, l := range s.chat(chat).Lines {
			if l.From == snowtest.FromAgent {
				got = append(got, l.Text+" "+l.Receipt)
			}
		}
		if diff := cmp.Diff([]string{"one sent_to_user", "two external_error", "drei "}, got); diff != "" {
			t.Error(diff)
		}
		if s.last().Note == "" {
			t.Error("the unknown message is not noted")
		}
	})
	t.Run("NotEnabled", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{NoUpdates: true})
		if a := s.bot(update([]object{})); a.object["status"] != "failure" || !strings.Contains(a.raw, "not enabled") {
			t.Errorf("got %s", a.raw)
		}
	})
	t.Run("NoArray", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		if a := s.bot(update(object{"id": "x"})); a.status != http.StatusBadRequest {
			t.Errorf("status %d", a.status)
		}
	})
}

func TestWaitEndsWithContextAndClose(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx, func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.WaitLine(t.Context(), "none", "x"); !errors.Is(err, snowtest.ErrNoChat) {
		t.Errorf("got %v", err)
	}
	id := s.live()
	done := make(chan error, 1)
	go func() {
		_, err := s.WaitLine(t.Context(), id, "never said")
		done <- err
	}()
	s.bot(say("1", "words"))
	if l, err := s.line(id, "words"); err != nil || l.ClientMessageID != "m-1" || l.From != snowtest.FromUser {
		t.Errorf("%+v, %v", l, err)
	}
	s.Close()
	if err := <-done; !errors.Is(err, snowtest.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Say(t.Context(), id, "x"); !errors.Is(err, snowtest.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
