package snowtest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/snow/snowtest"
)

func TestKeywords(t *testing.T) {
	t.Parallel()
	chosen := func(text string) object { return object{"message": object{"text": text, "typed": false}} }
	for _, tt := range []struct {
		name  string
		steps []object
		want  []string
	}{
		{"Hi", []object{say("1", "Hi")}, []string{"OutputText", "TopicPickerControl"}},
		{"Help", []object{say("1", "help")}, []string{"OutputText", "TopicPickerControl"}},
		{"Restart", []object{say("1", "restart")}, []string{"OutputText", "TopicPickerControl"}},
		{"Agent", []object{say("1", "agent")}, []string{"Picker"}},
		{"AgentThenCapabilities", []object{say("1", "agent"), say("2", "", chosen("Virtual Agent Capabilities."))}, []string{"OutputText"}},
		{"AgentThenElse", []object{say("1", "agent"), say("2", "", chosen("-1"))}, []string{"OutputText", "TopicPickerControl"}},
		{"Bye", []object{say("1", "bye")}, []string{"Picker"}},
		{"ByeThenEnd", []object{say("1", "bye"), say("2", "", chosen("1"))}, []string{"OutputText"}},
		{"ByeThenCancel", []object{say("1", "bye"), say("2", "", chosen("0"))}, []string{"OutputText"}},
		{"SelectedByeIsNoKeyword", []object{say("1", "x"), say("2", "", chosen("bye"))}, []string{"OutputText", "TopicPickerControl"}},
		{"Topic", []object{say("1", "Password Reset")}, []string{"OutputText"}},
		{"SwitchToNothing", []object{say("1", "", object{"action": "SWITCH", "topic": object{"name": "none"}})}, []string{"OutputText"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, snowtest.Options{})
			for n, step := range tt.steps {
				s.until(func() bool { s.bot(step); return s.last().Note != "dropped, another request is being processed" })
				s.wait(n + 1)
			}
			posts := s.seen()
			if diff := cmp.Diff(tt.want, posts[len(posts)-1].kinds()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("GivesUpAfterTries", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		for n, text := range []string{"hello", "gibberish", "more gibberish"} {
			s.until(func() bool {
				s.bot(say(text, text))
				return s.last().Note != "dropped, another request is being processed"
			})
			s.wait(n + 1)
		}
		p := s.seen()[2]
		if p.object["takeControl"] != true || p.object["score"] != 0.0 || p.kinds()[1] != "TopicPickerControl" {
			t.Errorf("got %s", p.raw)
		}
	})
}

func TestSilentMessage(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	s.bot(say("1", "hello", object{"silentMessage": "true"}))
	s.bot(say("1", "x", object{"userId": "u-2"}))
	s.until(func() bool {
		s.bot(say("2", "still mute"))
		return s.last().Note == ""
	})
	s.until(func() bool {
		s.bot(say("3", "hi", object{"silentMessage": false}))
		return s.last().Note == ""
	})
	posts := s.wait(2)
	users := []any{posts[0].object["userId"], posts[1].object["userId"]}
	slices.SortFunc(users, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	if diff := cmp.Diff([]any{"u-1", "u-2"}, users); diff != "" || len(s.seen()) != 2 {
		t.Error(diff, len(s.seen()))
	}
}

func TestFaultConversation(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	s.bot(say("1", "hello"))
	s.wait(1)
	fault := say("2", "", object{"action": "FAULT_CONVERSATION", "cause": "EXTERNAL_FAILURE"})
	s.bot(fault)
	p := s.wait(2)[1]
	if p.object["takeControl"] != true || p.object["score"] != 0.0 || len(p.items()) != 0 || !strings.Contains(p.raw, `"body":[]`) {
		t.Errorf("got %s", p.raw)
	}
	if a := s.bot(fault); a.status != http.StatusOK || a.raw != "" {
		t.Errorf("without a conversation: %d %q", a.status, a.raw)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	line := func(text string, edits ...string) object {
		l := object{"displayName": "HelpBot", "isBotMessage": true, "type": "text", "value": text, "timestamp": "1766000000123"}
		for n := 0; n < len(edits); n += 2 {
			l[edits[n]] = edits[n+1]
		}
		return l
	}
	at := time.UnixMilli(1766000000123).UTC()
	s := newSite(t, snowtest.Options{})
	s.bot(say("1", "a person", agentAction, object{"history": []object{
		line("How can I help?"), line("lost", "type", "Text"), line("untimed", "timestamp", "1766000000"),
	}}))
	s.wait(2)
	s.bot(say("2", "more", object{"history": []object{line("too late")}}))
	if a := s.bot(say("3", "", object{"action": "SEND_HISTORY", "history": []object{line("appended")}})); a.raw != `{"status":"success"}` {
		t.Errorf("got %s", a.raw)
	}
	want := []snowtest.HistoryLine{
		{Name: "HelpBot", Bot: true, Text: "How can I help?", At: at},
		{Name: "HelpBot", Bot: true, Text: "untimed"},
		{Name: "HelpBot", Bot: true, Text: "appended", At: at},
	}
	if diff := cmp.Diff(want, s.Chats()[0].History); diff != "" {
		t.Error(diff)
	}
}

func TestSynchronousChannelAnswersTheRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{Synchronous: true})
	kinds := func(a answer) string {
		return strings.Join(post{object: a.object}.kinds(), " ")
	}
	if got, want := kinds(s.bot(say("1", "hi"))), "OutputText TopicPickerControl"; got != want {
		t.Errorf("answer to a greeting = %q, want %q", got, want)
	}
	asked := s.bot(say("2", "a person, please", agentAction))
	if got, want := kinds(asked), "OutputText StartConversation SubscribeToSupportQueue StartSpinner SubscribeToChatPresence"; got != want || asked.object["agentChat"] != true {
		t.Errorf("answer to AGENT = %q in %s, want %q", got, asked.raw, want)
	}
	if got := len(s.seen()); got != 0 {
		t.Errorf("%d posts of the virtual agent", got)
	}
	id := s.Chats()[0].ID
	if err := s.Accept(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	if a := s.bot(say("3", "hello")); a.raw != `{"status":"success"}` {
		t.Errorf("answer to words for the agent = %s", a.raw)
	}
	if got := len(s.wait(1)); got != 1 {
		t.Errorf("%d posts, want what the agent's arrival says", got)
	}
	ended := s.bot(say("4", "", object{"action": "END_CONVERSATION", "message": object{"text": ""}}))
	if got := kinds(ended); got != "OutputText" || ended.object["completed"] != true {
		t.Errorf("answer to END_CONVERSATION = %s", ended.raw)
	}
}
