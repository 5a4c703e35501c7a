package snowtest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snowbot/snow/snowtest"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	// shaped returns what the queue, an agent's words and the end look like.
	shaped := func(t *testing.T, o snowtest.Options) []post {
		t.Helper()
		s := newSite(t, o)
		id := s.live()
		n := len(s.seen())
		if _, err := s.Say(t.Context(), id, "words"); err != nil {
			t.Fatal(err)
		}
		if err := s.End(t.Context(), id, "bye"); err != nil {
			t.Fatal(err)
		}
		return s.seen()[n:]
	}
	t.Run("OneItemPerPost", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{OneItemPerPost: true}})
		if len(posts) != 4 {
			t.Fatalf("%d posts", len(posts))
		}
		for n, p := range posts {
			if len(p.items()) != 1 || (p.object["completed"] == true) != (n == 3) {
				t.Errorf("post %d: %s", n, p.raw)
			}
		}
	})
	t.Run("TakeControlTravelsWithTheLastItem", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Shape: snowtest.Shape{OneItemPerPost: true}})
		id := s.live()
		n := len(s.seen())
		items := []object{{"uiType": "OutputText", "value": "1"}, {"uiType": "OutputText", "value": "2"}}
		if err := s.Send(t.Context(), id, snowtest.Post{Items: items, TakeControl: true}); err != nil {
			t.Fatal(err)
		}
		posts := s.seen()[n:]
		if diff := cmp.Diff([]any{nil, true}, []any{posts[0].object["takeControl"], posts[1].object["takeControl"]}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("BodyObject", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{BodyObject: true}})
		if it, ok := posts[0].object["body"].(object); !ok || it["value"] != "words" {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("BodyText", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{BodyText: true}})
		var items []object
		text, _ := posts[0].object["body"].(string)
		if err := json.Unmarshal([]byte(text), &items); err != nil || items[0]["value"] != "words" {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("TextsForFlagsAndScore", func(t *testing.T) {
		t.Parallel()
		shape := snowtest.Shape{FlagsAsText: true, ScoreText: true, ExplicitTakeControl: true, ContentType: "application/octet-stream"}
		posts := shaped(t, snowtest.Options{Shape: shape})
		got := []any{
			posts[0].object["agentChat"], posts[1].object["completed"], posts[0].object["score"],
			posts[0].object["takeControl"], posts[0].header.Get("Content-Type"),
		}
		if diff := cmp.Diff([]any{"true", "true", "1", false, "application/octet-stream"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("NothingOptional", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{OmitOptional: true}, AgentNames: true})
		want := object{
			"clientSessionId": "s-1", "clientVariables": variables, "agentChat": true,
			"body": []any{object{"uiType": "OutputText", "value": "words", "agentInfo": object{"sentFromAgent": true}}},
		}
		if diff := cmp.Diff(want, posts[0].object); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("NoEcho", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{Shape: snowtest.Shape{NoEcho: true}})
		_, request := posts[0].object["requestId"]
		_, message := posts[0].object["message"]
		if request || message {
			t.Errorf("got %s", posts[0].raw)
		}
	})
	t.Run("FlagsOnlyWhenTrue", func(t *testing.T) {
		t.Parallel()
		posts := shaped(t, snowtest.Options{})
		for _, name := range []string{"completed", "takeControl", "status", "error_message"} {
			if v, has := posts[0].object[name]; has {
				t.Errorf("%s is %v", name, v)
			}
		}
		if _, has := posts[1].object["agentChat"]; has {
			t.Error("agentChat at the end")
		}
	})
}

func TestSpecDialect(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec, WaitTime: "2 Minutes"})
	id := s.live()
	if err := s.Typing(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Say(t.Context(), id, "Hi Mia"); err != nil {
		t.Fatal(err)
	}
	if err := s.End(t.Context(), id, "bye"); err != nil {
		t.Fatal(err)
	}
	envelope := func(edits object) object {
		e := object{"clientSessionId": "s-1", "requestId": "r-0", "userId": "u-1", "clientVariables": variables}
		for k, v := range edits {
			e[k] = v
		}
		return e
	}
	text := func(words string, more object) object {
		it := object{"uiType": "OutputText", "message": words}
		for k, v := range more {
			it[k] = v
		}
		return it
	}
	agent := object{"agentInfo": object{"agentName": "Sam Ortiz"}}
	action := func(name string, more object) object {
		it := object{"uiType": "ActionMsg", "actionType": name}
		for k, v := range more {
			it[k] = v
		}
		return it
	}
	system := func(words string) object { return action("System", object{"message": words}) }
	want := []object{
		envelope(object{"status": "active", "agentChat": true, "body": []any{
			text("Please stand by while I connect you to a live agent.", nil),
		}}),
		envelope(object{"status": "waiting", "agentChat": true, "body": []any{system("Estimated wait time: 2 Minutes")}}),
		envelope(object{"status": "connected", "agentChat": true, "takeControl": true, "body": []any{
			action("AgentControl", agent), system("Agent has entered the chat."),
		}}),
		envelope(object{"status": "active", "agentChat": true, "body": []any{text("Hi Mia", agent)}}),
		envelope(object{"status": "completed", "completed": true, "body": []any{
			text("bye", agent), system("Agent has closed the support session."), action("EndConversation", nil),
		}}),
	}
	var got []object
	for _, p := range s.seen() {
		got = append(got, p.object)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("EndByUser", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec})
		s.live()
		s.bot(say("e", "", object{"action": "END_CONVERSATION"}))
		p := s.wait(4)[3]
		if p.object["status"] != "completed" || p.object["completed"] != true || p.kinds()[1] != "EndConversation" {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("CancelledIsStatusAlone", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{Dialect: snowtest.DialectSpec})
		s.queued()
		if p := s.seen()[1]; p.object["status"] != "waiting" || len(p.items()) != 0 {
			t.Errorf("got %s", p.raw)
		}
		s.bot(say("e", "", object{"action": "END_CONVERSATION"}))
		if p := s.wait(3)[2]; p.object["status"] != "cancelled" || len(p.items()) != 0 {
			t.Errorf("got %s", p.raw)
		}
	})
	t.Run("Fail", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, snowtest.Options{})
		if err := s.SetDialect(snowtest.DialectSpec); err != nil {
			t.Fatal(err)
		}
		id := s.queued()
		if err := s.FailChat(t.Context(), id, "Sorry.", "queue error"); err != nil {
			t.Fatal(err)
		}
		want := envelope(object{"status": "fail", "error_message": "queue error", "body": []any{text("Sorry.", nil)}})
		if diff := cmp.Diff(want, s.seen()[2].object); diff != "" {
			t.Error(diff)
		}
	})
}

func TestVariablesAreThoseOfTheLastRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, snowtest.Options{})
	id := s.live()
	s.bot(say("9", "hello", object{"clientVariables": nil}))
	if _, err := s.line(id, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Say(t.Context(), id, "hi"); err != nil {
		t.Fatal(err)
	}
	posts := s.seen()
	if v, ok := posts[len(posts)-1].object["clientVariables"]; ok {
		t.Errorf("clientVariables = %v, which the last request did not send", v)
	}
}
