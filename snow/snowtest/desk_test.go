package snowtest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/snow/snowtest"

	"github.com/google/go-cmp/cmp"
)

func TestDesk(t *testing.T) {
	t.Parallel()
	t.Run("AcceptSaysWhoEntered", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			names bool
			texts snowtest.Texts
			want  string
		}{
			{true, snowtest.Texts{}, "Sam Ortiz has entered the chat."},
			{false, snowtest.Texts{}, "Agent has entered the chat."},
			{true, snowtest.German(), "Sam Ortiz ist dem Chat beigetreten."},
		} {
			s := newSite(t, snowtest.Options{AgentNames: tt.names, Texts: tt.texts})
			s.live()
			p := s.seen()[2]
			if diff := cmp.Diff([]string{"EndSpinner", "SwitchToLiveAgent", "System"}, p.kinds()); diff != "" {
				t.Fatal(diff)
			}
			if got := p.items()[2]["message"]; got != tt.want || p.object["agentChat"] != true {
				t.Errorf("got %v, want %q", got, tt.want)
			}
		}
	})
	t.Run("HelloFollowsAcceptance", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Hello: "Thank you for contacting support."})
		id := s.live()
		p := s.seen()[3]
		if p.items()[0]["value"] != "Thank you for contacting support." || p.items()[0]["agentInfo"] == nil {
			t.Errorf("got %s", p.raw)
		}
		if diff := cmp.Diff([]string{"Thank you for contacting support."}, s.chat(id).Said(snowtest.FromAgent)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("WordsCarryTheAgentByVersionAndSetting", func(t *testing.T) {
		t.Parallel()
		agent := snowtest.Agent{ID: "77de", Name: "Sam Ortiz", AvatarURL: "sam.iix?t=small"}
		for _, tt := range []struct {
			version string
			names   bool
			info    object
			ids     bool
		}{
			{"4.1.2", true, object{"sentFromAgent": true, "agentName": "Sam Ortiz", "agentAvatar": "sam.iix?t=small", "agentId": "77de"}, true},
			{"4.0", false, object{"sentFromAgent": true, "agentId": "77de"}, true},
			{"3.14.3", false, object{"sentFromAgent": true, "agentId": "77de"}, false},
			{"3.14.2", true, object{"sentFromAgent": true, "agentName": "Sam Ortiz", "agentAvatar": "sam.iix?t=small"}, false},
		} {
			s := newSite(t, snowtest.Options{Version: tt.version, AgentNames: tt.names, Agents: []snowtest.Agent{agent}})
			id := s.live()
			messageID, err := s.Say(t.Context(), id, "Hi <b>Mia</b>")
			if err != nil {
				t.Fatal(err)
			}
			p := s.seen()[3]
			it := p.items()[0]
			if diff := cmp.Diff(tt.info, it["agentInfo"]); diff != "" {
				t.Errorf("%s: %s", tt.version, diff)
			}
			if (it["messageId"] == messageID) != tt.ids || (p.object["interactionId"] != nil) != tt.ids {
				t.Errorf("%s: messageId %v, interactionId %v", tt.version, it["messageId"], p.object["interactionId"])
			}
			if it["value"] != "Hi <b>Mia</b>" || !strings.Contains(p.raw, "<b>") {
				t.Errorf("words %v", it["value"])
			}
			if l, err := s.line(id, "Hi <b>Mia</b>"); err != nil || l.ID != messageID || l.Answered != http.StatusOK {
				t.Errorf("line %+v, %v", l, err)
			}
		}
	})
	t.Run("TypingBothWays", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		for n, typing := range []bool{true, false} {
			if err := s.Typing(t.Context(), id, typing); err != nil {
				t.Fatal(err)
			}
			want := []string{"StartTypingIndicator", "EndTypingIndicator"}[n]
			if got := s.seen()[3+n].kinds(); got[0] != want {
				t.Errorf("got %v, want %s", got, want)
			}
		}
	})
	t.Run("Items", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		if _, err := s.SayHTML(t.Context(), id, "<p>Hi</p>"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SendFile(t.Context(), id, "slip.png", "image/png", []byte("PNG")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SendFile(t.Context(), id, "slip.pdf", "application/pdf", []byte("PDF")); err != nil {
			t.Fatal(err)
		}
		own := object{"uiType": "OutputText", "label": "no agent", "messageId": "mine", "agentInfo": nil}
		if got, err := s.SendItem(t.Context(), id, own); err != nil || got != "mine" {
			t.Fatalf("%q, %v", got, err)
		}
		posts := s.seen()[3:]
		image, _ := posts[1].items()[0]["value"].(string)
		if a := s.get(image); a.raw != "PNG" || a.header.Get("Content-Type") != "image/png" {
			t.Errorf("picture: %d %s", a.status, a.raw)
		}
		if a := s.must(http.MethodGet, image, ""); a.status != http.StatusUnauthorized {
			t.Errorf("picture without login: %d", a.status)
		}
		link, _ := posts[2].items()[0]["value"].(object)
		if a := s.get(link["action"].(string)); a.raw != "PDF" {
			t.Errorf("file: %d %s", a.status, a.raw)
		}
		if it := posts[3].items()[0]; it["agentInfo"] != nil || it["messageId"] != "mine" {
			t.Errorf("got %v", it)
		}
		if posts[0].kinds()[0] != "OutputHtml" {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("TransferIsLeavingAndEntering", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{AgentNames: true})
		id := s.live()
		if err := s.Transfer(t.Context(), id, "Ada Loe"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Say(t.Context(), id, "I take over"); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()[3:]
		got := []any{posts[0].items()[0]["message"], posts[1].items()[2]["message"], posts[2].items()[0]["agentInfo"].(object)["agentName"]}
		if diff := cmp.Diff([]any{"Sam Ortiz has left the chat.", "Ada Loe has entered the chat.", "Ada Loe"}, got); diff != "" {
			t.Error(diff)
		}
		if c := s.chat(id); c.AgentName != "Ada Loe" || c.State != snowtest.StateLive {
			t.Errorf("chat %+v", c)
		}
	})
	t.Run("WaitTimeIsReportedWhileQueued", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.queued()
		if err := s.ReportWait(t.Context(), id, "8 Seconds"); err != nil {
			t.Fatal(err)
		}
		if it := s.seen()[2].items()[0]; it["waitTime"] != "8 Seconds" || it["spinnerType"] != "wait_time" {
			t.Errorf("got %v", it)
		}
		if c := s.chat(id); c.WaitTime != "8 Seconds" {
			t.Errorf("chat %+v", c)
		}
	})
	t.Run("EndIsOnePost", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{AgentNames: true})
		id := s.live()
		if err := s.End(t.Context(), id, "All sorted, bye!"); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()[3:]
		if len(posts) != 1 || posts[0].object["completed"] != true {
			t.Fatalf("%d posts", len(posts))
		}
		if diff := cmp.Diff([]string{"OutputText", "System", "SwitchToVirtualAgent"}, posts[0].kinds()); diff != "" {
			t.Error(diff)
		}
		if posts[0].items()[1]["message"] != "Sam Ortiz has closed the support session." {
			t.Errorf("got %s", posts[0].raw)
		}
		if c := s.chat(id); c.State != snowtest.StateEnded || c.Reason != snowtest.EndedByAgent {
			t.Errorf("chat %+v", c)
		}
	})
	t.Run("EndInSeparatePosts", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		if err := s.EndSeparately(t.Context(), id, "bye"); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()[3:]
		var got []string
		for n, p := range posts {
			got = append(got, p.kinds()...)
			if (p.object["completed"] == true) != (n == len(posts)-1) {
				t.Errorf("completed on post %d: %v", n, p.object["completed"])
			}
		}
		if diff := cmp.Diff([]string{"OutputText", "System", "SwitchToVirtualAgent"}, got); diff != "" || len(posts) != 3 {
			t.Error(diff, len(posts))
		}
	})
	t.Run("FailGivesUp", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		if err := s.FailChat(t.Context(), id, "We have technical issues.", "queue error"); err != nil {
			t.Fatal(err)
		}
		p := s.seen()[3]
		if p.object["takeControl"] != true || p.object["error_message"] != nil || p.object["completed"] != nil {
			t.Errorf("got %s", p.raw)
		}
		if c := s.chat(id); c.Reason != snowtest.EndedFailed {
			t.Errorf("chat %+v", c)
		}
	})
	t.Run("WhatIsNotPossibleIsRefused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		ctx := t.Context()
		id := s.queued()
		_, say := s.Say(ctx, id, "x")
		_, none := s.Say(ctx, "none", "x")
		checks := map[string][2]error{
			"say":      {say, snowtest.ErrNotLive},
			"unknown":  {none, snowtest.ErrNoChat},
			"typing":   {s.Typing(ctx, id, true), snowtest.ErrNotLive},
			"transfer": {s.Transfer(ctx, id, "x"), snowtest.ErrNotLive},
		}
		if err := s.End(ctx, id, "not heard"); err != nil {
			t.Fatal(err)
		}
		checks["end"] = [2]error{s.End(ctx, id, ""), snowtest.ErrEnded}
		checks["fail"] = [2]error{s.FailChat(ctx, id, "", ""), snowtest.ErrEnded}
		checks["wait"] = [2]error{s.ReportWait(ctx, id, "1"), snowtest.ErrNotQueued}
		for name, c := range checks {
			if !errors.Is(c[0], c[1]) {
				t.Errorf("%s: %v, want %v", name, c[0], c[1])
			}
		}
		if n := len(s.seen()); n != 3 {
			t.Errorf("%d posts, want 3", n)
		}
	})
	t.Run("AutoAcceptAndAnswer", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Answer: func(c snowtest.Chat, text string) []string {
			return []string{c.AgentName + " heard " + text, "anything else?"}
		}})
		s.AutoAccept("Robo")
		s.bot(say("1", "a person", agentAction))
		s.until(func() bool { c := s.Chats(); return len(c) == 1 && c[0].State == snowtest.StateLive })
		s.bot(say("2", "my payslip"))
		id := s.Chats()[0].ID
		s.until(func() bool { return len(s.chat(id).Said(snowtest.FromAgent)) == 2 })
		if diff := cmp.Diff([]string{"Robo heard my payslip", "anything else?"}, s.chat(id).Said(snowtest.FromAgent)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("ByHand", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.queued()
		item := object{"uiType": "Novel", "thing": "x"}
		if err := s.Send(t.Context(), id, snowtest.Post{Items: []object{item}, TakeControl: true, AgentChat: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.SendRaw(t.Context(), id, []byte("not JSON")); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()
		if posts[2].object["takeControl"] != true || posts[3].raw != "not JSON" {
			t.Errorf("got %s and %s", posts[2].raw, posts[3].raw)
		}
		if diff := cmp.Diff([]object{item}, posts[2].items()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{Survey: true})
	id := s.live()
	if err := s.End(t.Context(), id, "bye"); err != nil {
		t.Fatal(err)
	}
	posts := s.seen()[3:]
	if len(posts) != 2 || posts[0].object["completed"] != nil || posts[1].kinds()[0] != "Picker" {
		t.Fatalf("%d posts", len(posts))
	}
	if c := s.chat(id); c.State != snowtest.StateEnded {
		t.Errorf("for the desk the chat is %s", c.State)
	}
	s.bot(say("1", "", object{"message": object{"text": "5", "typed": false}}))
	s.until(func() bool { return len(s.seen()) == 6 })
	s.bot(say("2", "good"))
	s.until(func() bool { return len(s.seen()) == 7 })
	posts = s.seen()
	if posts[5].kinds()[0] != "InputText" || posts[6].object["completed"] != true {
		t.Errorf("got %s and %s", posts[5].raw, posts[6].raw)
	}
}

func TestIdleTimers(t *testing.T) {
	t.Parallel()
	s, c := idleSite(t)
	id := s.live()
	ticks := func(d time.Duration) []string {
		t.Helper()
		c.advance(d)
		before := len(s.seen())
		if err := s.RunTimers(t.Context()); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, p := range s.seen()[before:] {
			for _, it := range p.items() {
				said = append(said, it["message"].(string))
			}
		}
		return said
	}
	const reminder, closed = "The conversation is timing out, are you still there?", "It seems you have left the conversation"
	steps := []struct {
		d    time.Duration
		want []string
	}{
		{119 * time.Second, nil},               // no tick yet
		{61 * time.Second, []string{reminder}}, // 180 s
		{60 * time.Second, nil},                // no tick
		{60 * time.Second, nil},                // 300 s, reminded already
	}
	for n, step := range steps {
		if diff := cmp.Diff(step.want, ticks(step.d)); diff != "" {
			t.Fatalf("step %d: %s", n, diff)
		}
	}
	s.bot(say("1", "I am here"))
	for n, want := range [][]string{nil, {reminder}, {closed}} {
		if diff := cmp.Diff(want, ticks(120*time.Second)); diff != "" {
			t.Fatalf("after the words, tick %d: %s", n, diff)
		}
	}
	posts := s.seen()
	if last := posts[len(posts)-1]; last.object["completed"] != true {
		t.Errorf("got %s", last.raw)
	}
	if chat := s.chat(id); chat.State != snowtest.StateEnded || chat.Reason != snowtest.EndedIdle {
		t.Errorf("chat %+v", chat)
	}
}

func idleSite(t *testing.T) (*site, *clock) {
	t.Helper()
	c := newClock()
	return newSite(t, snowtest.Options{Now: c.Now, TokenTTL: 24 * time.Hour}), c
}

func TestIdleVirtualAgentGivesUpHourly(t *testing.T) {
	t.Parallel()
	s, c := idleSite(t)
	c.advance(10 * time.Minute)
	s.bot(say("1", "hello"))
	s.wait(1)
	for n, look := range []struct {
		after time.Duration
		posts int
	}{
		{30 * time.Minute, 1}, // the job has not run yet
		{25 * time.Minute, 1}, // it runs after 55 minutes of silence
		{35 * time.Minute, 1}, // it has not run again
		{30 * time.Minute, 2},
	} {
		c.advance(look.after)
		if err := s.RunTimers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(s.seen()); got != look.posts {
			t.Errorf("look %d: %d posts, want %d", n, got, look.posts)
		}
	}
	if p := s.seen()[1]; p.object["takeControl"] != true {
		t.Errorf("got %s", p.raw)
	}
}
