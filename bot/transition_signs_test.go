package bot

import (
	"strings"
	"testing"

	"snowbot/snow"
	"snowbot/store"
)

// posted is a post of ServiceNow about the session, as it came over the wire.
func posted(t *testing.T, session, raw string) *postEvent {
	t.Helper()
	p, err := snow.DecodeEvent([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return &postEvent{session: session, post: p}
}

// queued starts a session and puts it into the queue.
func (w *world) queued() (session string) {
	w.do(words("agent", IntentAgent))
	session = w.state().Session.ID
	w.do(post(session, snow.Item{ID: "w", Kind: snow.KindWait}))
	return session
}

// Any of the ways in which ServiceNow says that an agent has joined counts, and once. That somebody waits is none of them.
func TestEverySignOfJoining(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		joined    bool
		agent     string
	}{
		{"SwitchToLiveAgent", `{"agentChat":true,"body":[{"uiType":"ActionMsg","actionType":"SwitchToLiveAgent"}]}`, true, ""},
		{"AgentControl", `{"body":[{"uiType":"ActionMsg","actionType":"AgentControl","agentInfo":{"agentName":"Sam"}}]}`, true, "Sam"},
		{"status connected alone", `{"status":"connected","body":[]}`, true, ""},
		{"status connected with takeControl", `{"status":"connected","takeControl":true,"agentChat":true,"body":[]}`, true, ""},
		{"takeControl with AgentControl", `{"takeControl":true,"body":[{"uiType":"ActionMsg","actionType":"AgentControl"}]}`, true, ""},
		{"words of an agent", `{"body":[{"uiType":"OutputText","value":"hi","agentInfo":{"sentFromAgent":true}}]}`, true, ""},
		{"words of an agent, flag as text", `{"body":[{"uiType":"OutputText","value":"hi","agentInfo":{"sentFromAgent":"true","agentName":"Sam"}}]}`, true, "Sam"},
		{"words with a name", `{"body":[{"uiType":"OutputText","message":"hi","agentInfo":{"agentName":"Sam"}}]}`, true, "Sam"},
		{"a sentence", `{"body":[{"uiType":"ActionMsg","actionType":"System","message":"Sam HAS ENTERED the chat."}]}`, true, ""},
		{"agentChat alone", `{"agentChat":true,"body":[]}`, false, ""},
		{"another sentence", `{"agentChat":true,"body":[{"uiType":"ActionMsg","actionType":"System","message":"You are number two."}]}`, false, ""},
		{"presence in the channel", `{"agentChat":true,"body":[{"uiType":"ActionMsg","actionType":"SubscribeToChatPresence"}]}`, false, ""},
		{"the end of the spinner", `{"agentChat":true,"body":[{"uiType":"ActionMsg","actionType":"EndSpinner"}]}`, false, ""},
		{"status active", `{"status":"active","agentChat":true,"body":[]}`, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.queued()
			w.do(posted(t, id, tt.raw))
			s := w.state().Session
			if s == nil {
				t.Fatal("the session has ended")
			}
			if joined := s.Phase == connected; joined != tt.joined || s.AgentName != tt.agent {
				t.Errorf("joined = %t by %q, want %t by %q", joined, s.AgentName, tt.joined, tt.agent)
			}
			w.do(posted(t, id, tt.raw))
			w.do(posted(t, id, `{"body":[{"uiType":"ActionMsg","actionType":"SwitchToLiveAgent"}]}`))
			if n := w.told("has joined the chat"); n != 1 {
				t.Errorf("told %d times that somebody joined, want once", n)
			}
		})
	}
}

// Any of the ways in which ServiceNow says that a chat is over counts, after all items of the post, and once.
func TestEverySignOfEnding(t *testing.T) {
	t.Parallel()
	const items = `{"uiType":"OutputText","value":"last words","agentInfo":{"sentFromAgent":true},"messageId":"l"}`
	for _, tt := range []struct {
		name, raw string
		ended     bool
		told      bool // ServiceNow, which does not know yet
	}{
		{"completed", `{"completed":true,"body":[` + items + `]}`, true, false},
		{"completed as text", `{"completed":"true","body":[` + items + `]}`, true, false},
		{"completed alone", `{"completed":true,"body":[]}`, true, false},
		{"SwitchToVirtualAgent", `{"completed":true,"body":[{"uiType":"ActionMsg","actionType":"SwitchToVirtualAgent"},` + items + `]}`, true, false},
		{"SwitchToVirtualAgent, and a survey to follow", `{"body":[{"uiType":"ActionMsg","actionType":"SwitchToVirtualAgent"},` + items + `]}`, true, true},
		{"EndConversation", `{"status":"completed","completed":true,"body":[` + items + `,{"uiType":"ActionMsg","actionType":"EndConversation"}]}`, true, false},
		{"status completed alone", `{"status":"completed","body":[]}`, true, false},
		{"status cancelled alone", `{"status":"cancelled","body":[]}`, true, false},
		{"status fail", `{"status":"fail","error_message":"broken","body":[` + items + `]}`, true, false},
		{"takeControl", `{"takeControl":true,"score":0,"body":[` + items + `]}`, true, false},
		{"takeControl with agentChat", `{"takeControl":true,"agentChat":true,"body":[` + items + `]}`, true, false},
		{"takeControl false", `{"takeControl":false,"completed":false,"body":[` + items + `]}`, false, false},
		{"a notification that completes itself", `{"completed":true,"body":[{"uiType":"OutputCard","templateName":"Notification","data":"{\"message\":\"approved\"}"}]}`, false, false},
		{"takeControl with status connected", `{"takeControl":true,"status":"connected","body":[` + items + `]}`, false, false},
		{"an unknown status", `{"status":"paused","body":[` + items + `]}`, false, false},
		{"an unknown action", `{"body":[{"uiType":"ActionMsg","actionType":"NeverHeardOf"}]}`, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.connect()
			before := len(w.all)
			w.do(posted(t, id, tt.raw))
			if ended := w.state().Session == nil; ended != tt.ended {
				t.Fatalf("ended = %t, want %t", ended, tt.ended)
			}
			order, told := "", false
			for _, o := range w.all[before:] {
				if b, err := decodeBody(o.Body); err == nil && b.Activity != nil && strings.Contains(b.Activity.Text, "last words") {
					order += "words "
				}
				if o.Kind == kindEnd && o.Direction == store.ToTeams {
					order += "end "
				}
				told = told || o.Kind == kindEnd && o.Direction != store.ToTeams
			}
			if strings.Contains(tt.raw, "last words") && tt.ended && order != "words end " {
				t.Errorf("Teams is sent %q, want the words before the end", order)
			}
			if told != tt.told {
				t.Errorf("ServiceNow is told of the end: %t, want %t", told, tt.told)
			}
			if p := w.state().past(id); p != nil && p.ByEmployee {
				t.Error("words on their way would go to ServiceNow's own bot")
			}
			before = len(w.all)
			w.do(posted(t, id, tt.raw))
			for _, o := range w.all[before:] {
				if tt.ended && o.Direction == store.ToTeams {
					t.Errorf("the repeat sends %s to Teams", o.Kind)
				}
			}
		})
	}
}

// told is how many messages in Teams have the words.
func (w *world) told(words string) int {
	n := 0
	for _, o := range w.all {
		if b, err := decodeBody(o.Body); err == nil && b.Activity != nil && strings.Contains(b.Activity.Text, words) {
			n++
		}
	}
	return n
}

// A screenshot often comes with the wish itself.
func TestAFileThatComesWithTheWishIsToldToBothSides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := words("agent, see the picture", IntentAgent)
	e.lost = true
	w.do(e)
	if w.told("could not be passed on") != 1 {
		t.Error("the employee is not told once")
	}
	for _, o := range w.all {
		if b, err := decodeBody(o.Body); o.Kind == kindAgent && (err != nil || !strings.Contains(b.Text, "a file that could not be passed on")) {
			t.Errorf("the agent reads %q, %v", b.Text, err)
		}
	}
}

// In a group others write while a ticket waits to be made.
func TestASessionStaysThatOfItsPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.queued()
	other := words("me too", IntentNone)
	other.ref.UserID = "29:noa"
	w.do(other)
	if got := w.state().person(id); got != "29:mia" {
		t.Errorf("the live session is of %s", got)
	}
	w.do(words("cancel", IntentNone))
	w.do(other)
	if got := w.state().person(id); got != "29:mia" {
		t.Errorf("the session that ended is of %s", got)
	}
}

// A file's acknowledgement is known by its whole text, and by nobody having signed it.
func TestWhatAcknowledgesAFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, item string
		shown      bool
	}{
		{"as it comes", `{"uiType":"OutputText","label":"File got","itemType":"outputtext"}`, false},
		{"in the other dialect", `{"uiType":"OutputText","message":"file got "}`, false},
		{"an agent's words", `{"uiType":"OutputText","value":"File got","agentInfo":{"sentFromAgent":true}}`, true},
		{"words around it", `{"uiType":"OutputText","value":"File got, thank you"}`, true},
		{"a question", `{"uiType":"InputText","label":"File got"}`, true},
	} {
		w := newWorld(t)
		w.do(posted(t, w.connect(), `{"agentChat":true,"body":[`+tt.item+`]}`))
		if shown := w.told("ile got") == 1; shown != tt.shown {
			t.Errorf("%s: shown = %t, want %t", tt.name, shown, tt.shown)
		}
	}
}
