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

var hex32 = strings.Repeat("0", 32)

// isID reports whether v looks like a sys_id.
func isID(v any) bool {
	s, ok := v.(string)
	return ok && len(s) == len(hex32) && strings.Trim(s, "0123456789abcdef") == ""
}

func TestConversationPerUser(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	id := s.live()
	s.bot(say("1", "still here", object{"clientSessionId": "s-2", "clientVariables": object{"botId": "b2"}}))
	if len(s.Chats()) != 1 {
		t.Fatalf("%d chats for one user", len(s.Chats()))
	}
	if _, err := s.Say(t.Context(), id, "hello"); err != nil {
		t.Fatal(err)
	}
	posts := s.seen()
	last := posts[len(posts)-1]
	got := object{}
	for _, name := range []string{"clientSessionId", "clientVariables", "requestId", "message", "userId", "agentChat", "score"} {
		got[name] = last.object[name]
	}
	want := object{ // all as last sent, the user's own words included
		"clientSessionId": "s-2", "clientVariables": object{"botId": "b2"}, "requestId": "r-1", "userId": "u-1",
		"message":   object{"text": "still here", "typed": true, "clientMessageId": "m-1"},
		"agentChat": true, "score": 1.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c := s.chat(id); !isID(c.ID) || !isID(c.InteractionID) || last.object["interactionId"] != c.InteractionID {
		t.Errorf("ids %q %q", c.ID, c.InteractionID)
	}
	if err := s.End(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	s.bot(say("9", "another person", agentAction))
	s.until(func() bool { return len(s.Chats()) == 2 })
	if chats := s.Chats(); chats[0].ID == chats[1].ID || chats[1].State != snowtest.StateQueued {
		t.Errorf("after the end: %+v", chats)
	}
}

func TestQueueIsReached(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]object{
		"ByAgent":        {say("1", "a person", agentAction)},
		"ByStartText":    {say("1", "live agent support.", object{"action": "START_CONVERSATION"})},
		"ByStartTopic":   {say("1", "", object{"action": "START_CONVERSATION", "topic": object{"name": "Live Agent Support."}})},
		"ByCreated":      {say("1", "", object{"action": "CREATE_CONVERSATION"}), say("2", "", object{"action": "START_CREATED_CONVERSATION"})},
		"ByTypedAgent":   {say("1", "agent"), say("2", "Live Agent Support.", object{"message": object{"text": "Live Agent Support.", "typed": false}})},
		"ByTopicPicker":  {say("1", "hello"), say("2", "", object{"message": object{"text": "f1a0e1b2c3d4e5f60718293a4b5c6d7e", "typed": false}})},
		"BySwitch":       {say("1", "hello"), say("2", "", object{"action": "SWITCH", "topic": object{"name": "Live Agent Support."}})},
		"ByLiveOnlyFlag": {say("1", "hello", object{"contextVariables": object{"live_agent_only": "true"}})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{WaitTime: "2 Minutes"})
			for n, step := range steps {
				if n > 0 {
					s.wait(n)
				}
				s.until(func() bool { s.bot(step); return s.last().Note != "dropped, another request is being processed" })
			}
			s.until(func() bool { return len(s.Chats()) == 1 && len(s.out()) >= len(steps)+1 })
			last := s.seen()[len(s.seen())-1]
			want := []string{"StartConversation", "SubscribeToSupportQueue", "StartSpinner", "SubscribeToChatPresence"}
			if diff := cmp.Diff(want, last.kinds()); diff != "" {
				t.Fatal(diff)
			}
			items := last.items()
			if !strings.HasPrefix(items[1]["supportQueue"].(string), "{@type=InteractionQueue, ") {
				t.Errorf("supportQueue %v", items[1]["supportQueue"])
			}
			if diff := cmp.Diff([]any{"wait_time", "2 Minutes"}, []any{items[2]["spinnerType"], items[2]["waitTime"]}); diff != "" {
				t.Error(diff)
			}
			if last.object["agentChat"] != true || items[3]["chatSessionId"] != s.Chats()[0].ID {
				t.Errorf("got %v", last.raw)
			}
		})
	}
	t.Run("NotByAgentWithoutMatch", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Unmatched: true})
		s.bot(say("1", "How are you?", agentAction))
		if diff := cmp.Diff([]string{"OutputText", "TopicPickerControl"}, s.wait(1)[0].kinds()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("WithoutWaitTime", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		s.queued()
		spinner := s.seen()[1].items()[2]
		if _, has := spinner["waitTime"]; has || spinner["spinnerType"] != "none" {
			t.Errorf("spinner %v", spinner)
		}
	})
	t.Run("OnlyWithTheSkills", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Agents: []snowtest.Agent{{Name: "Ada", Skills: []string{"payroll"}}}})
		skills := func(v string) object {
			return object{"contextVariables": object{"LiveAgent_mandatory_skills": v}}
		}
		s.bot(say("1", "x", agentAction, skills("Payroll")))
		s.wait(2)
		s.bot(say("1", "x", agentAction, skills("payroll,law"), object{"userId": "u-2"}))
		if p := s.wait(3)[2]; p.object["takeControl"] != true {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("OnlyWhenOpen", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Open: func(time.Time) bool { return false }})
		s.bot(say("1", "x", agentAction))
		if p := s.wait(1)[0]; p.object["takeControl"] != true {
			t.Errorf("got %s", p.raw)
		}
	})
}

func TestNoAgents(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Posts       int
		Text        string
		TakeControl any
		Completed   any
		Status      any
		Message     any
		State       snowtest.State
	}
	const text = "There are no agents available. Please try again later."
	for _, tt := range []struct {
		mode    snowtest.NoAgentMode
		dialect snowtest.Dialect
		want    outcome
	}{
		{snowtest.NoAgentsText, "", outcome{Posts: 1, Text: text}},
		{snowtest.NoAgentsTakeControl, "", outcome{1, text, true, nil, nil, nil, snowtest.StateEnded}},
		{snowtest.NoAgentsFail, "", outcome{1, text, true, nil, nil, nil, snowtest.StateEnded}},
		{snowtest.NoAgentsCompleted, "", outcome{1, text, nil, true, nil, nil, snowtest.StateEnded}},
		{snowtest.NoAgentsClose, "", outcome{3, text, nil, true, nil, nil, snowtest.StateEnded}},
		{snowtest.NoAgentsText, snowtest.DialectSpec, outcome{1, text, nil, nil, "active", nil, ""}},
		{snowtest.NoAgentsFail, snowtest.DialectSpec, outcome{1, text, nil, nil, "fail", "no agents available", snowtest.StateEnded}},
		{snowtest.NoAgentsCompleted, snowtest.DialectSpec, outcome{1, text, nil, true, "completed", nil, snowtest.StateEnded}},
	} {
		t.Run(string(tt.mode)+string(tt.dialect), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{NoAgents: tt.mode, Dialect: tt.dialect})
			s.bot(say("1", "a person", agentAction))
			posts := s.wait(tt.want.Posts)
			last := posts[len(posts)-1]
			got := outcome{
				Posts: len(posts), TakeControl: last.object["takeControl"], Completed: last.object["completed"],
				Status: last.object["status"], Message: last.object["error_message"],
			}
			for _, name := range []string{"value", "message"} {
				if v, ok := last.items()[0][name].(string); ok {
					got.Text = v
				}
			}
			if chats := s.Chats(); len(chats) == 1 {
				got.State = chats[0].State
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("AckFailure", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{NoAgents: snowtest.NoAgentsAckFailure})
		a := s.bot(say("1", "a person", agentAction))
		if a.status != http.StatusOK || a.object["status"] != "failure" || !strings.Contains(a.raw, "Failed to add request to queue") {
			t.Errorf("%d %s", a.status, a.raw)
		}
	})
	t.Run("SilenceThenSomebody", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{NoAgents: snowtest.NoAgentsSilence})
		s.bot(say("1", "a person", agentAction))
		s.bot(say("1", "other", object{"userId": "u-2"}))
		s.wait(1)
		if err := s.SetNoAgents(snowtest.NoAgentsOff); err != nil {
			t.Fatal(err)
		}
		s.until(func() bool {
			s.bot(say("2", "a person", agentAction))
			return len(s.Chats()) == 1
		})
		if n := len(s.seen()); n > 3 {
			t.Errorf("%d posts", n)
		}
	})
}

func TestEndByUser(t *testing.T) {
	t.Parallel()
	end := say("e", "", object{"action": "END_CONVERSATION"})
	t.Run("LiveIsCompleted", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.live()
		s.bot(end)
		p := s.wait(4)[3]
		if p.object["completed"] != true || p.items()[0]["value"] != "The conversation has ended. If you need help again, type hi." {
			t.Errorf("got %s", p.raw)
		}
		if c := s.chat(id); c.State != snowtest.StateEnded || c.Reason != snowtest.EndedByUser {
			t.Errorf("chat is %s by %s", c.State, c.Reason)
		}
		if _, err := s.Say(t.Context(), id, "late"); !errors.Is(err, snowtest.ErrNotLive) {
			t.Errorf("late words: %v", err)
		}
		s.bot(say("2", "hi again")) // begins anew
		if diff := cmp.Diff([]string{"OutputText", "TopicPickerControl"}, s.wait(5)[4].kinds()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("WithTheVirtualAgentIsNotCompleted", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		s.bot(say("1", "hello"))
		s.wait(1)
		s.bot(end)
		if p := s.wait(2)[1]; p.object["completed"] != nil || len(p.items()) != 1 {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("QueuedIsCancelled", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		id := s.queued()
		s.bot(end)
		s.wait(3)
		if c := s.chat(id); c.Reason != snowtest.Cancelled {
			t.Errorf("reason %s", c.Reason)
		}
		if err := s.Accept(t.Context(), id, ""); !errors.Is(err, snowtest.ErrNotQueued) {
			t.Errorf("late acceptance: %v", err)
		}
	})
	t.Run("WhileTheQueueIsBeingAskedNothingIsQueued", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Think: 50 * time.Millisecond})
		s.bot(say("1", "a person", agentAction))
		s.bot(end)
		s.wait(1)
		s.bot(say("1", "x", object{"userId": "u-2"}))
		s.wait(2)
		if n := len(s.Chats()); n != 0 {
			t.Errorf("%d chats", n)
		}
	})
}
