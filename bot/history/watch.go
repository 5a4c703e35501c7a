package history

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// A watch turns what the emulators log into a record, and wakes the talks it concerns.
type watch struct {
	record *Record
	start  time.Time
	sends  atomic.Int32

	accepted atomic.Int64  // messages
	progress chan struct{} // something was accepted
	tell     func(accepted int)

	mu       sync.Mutex
	talks    map[string]*talk // by the id of the conversation in Teams
	numbered map[int32]*talk
	sessions map[string]int32 // by clientSessionId
}

func newWatch(tell func(accepted int)) *watch {
	if tell == nil {
		tell = func(int) {}
	}
	return &watch{
		tell: tell, record: &Record{}, start: time.Now(), progress: make(chan struct{}, 1),
		talks: map[string]*talk{}, numbered: map[int32]*talk{}, sessions: map[string]int32{},
	}
}

func (w *watch) at(t time.Time) time.Duration { return t.Sub(w.start) }

func (w *watch) add(t *talk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.talks[t.chat.ID()], w.numbered[t.id] = t, t
}

func (w *watch) talk(conversation string) *talk {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.talks[conversation]
}

func (w *watch) number(conversation string) int32 {
	if t := w.talk(conversation); t != nil {
		return t.id
	}
	return 0
}

func (w *watch) of(m Mark) *talk {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.numbered[m.Conversation]
}

// known ties the id of a session in ServiceNow to its number in the talk.
func (w *watch) known(clientSession string, number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[clientSession] = number
}

func (w *watch) session(clientSession string) int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[clientSession]
}

// offered notes an attempt to hand us a message.
func (w *watch) offered(m Mark, session int32, at, end time.Duration, ok bool) {
	t := w.of(m)
	if t == nil {
		return
	}
	if session == 0 {
		session = t.session.Load()
	}
	w.record.Add(Event{Kind: Offered, Mark: m, Session: session, At: at, End: end, OK: ok})
	if ok && t.accept(m, end) {
		w.tell(int(w.accepted.Add(1)))
		select {
		case w.progress <- struct{}{}:
		default:
		}
	}
}

// teams takes one exchange of the emulated Teams.
func (w *watch) teams(x adaptertest.Exchange) {
	t := w.talk(x.Conversation)
	if t == nil {
		return
	}
	at, end := w.at(x.At), w.at(x.At)+x.Duration
	if x.Direction == adaptertest.Out {
		ok := x.Status/100 == 2
		for _, m := range Marks(x.RequestBody, FromEmployee) {
			w.offered(m, 0, at, end, ok)
		}
		var a struct{ ID string }
		if ok && json.Unmarshal([]byte(x.RequestBody), &a) == nil {
			t.took(a.ID)
		}
		return
	}
	if !x.Effect || x.Method != http.MethodPost && x.Method != http.MethodPut {
		return
	}
	unclear := x.Status/100 != 2 || x.Fault == string(adaptertest.TruncatedBody) || x.Duration > longDelay-2*time.Second
	send := w.sends.Add(1)
	for _, m := range Marks(x.RequestBody, FromAgent) {
		w.record.Add(Event{Kind: Shown, Mark: m, Send: send, Unclear: unclear, At: at})
	}
	told := Marks(x.RequestBody, FromEmployee)
	for _, m := range told {
		w.record.Add(Event{Kind: Told, Mark: m, At: at})
	}
	var a struct {
		Text        string
		Attachments []json.RawMessage
	}
	if x.Method != http.MethodPost || json.Unmarshal([]byte(x.RequestBody), &a) != nil {
		return
	}
	ended := len(a.Attachments) == 0 && strings.Contains(a.Text, "ended") && len(told) == 0
	if ended {
		w.record.Add(Event{Kind: Ended, Mark: Mark{Conversation: t.id}, Session: t.session.Load(), At: at})
	}
	t.saw(told, ended, strings.HasPrefix(a.Text, "Sorry, I didn't understand"))
}

// serviceNow takes one exchange of the emulated instance.
func (w *watch) serviceNow(x snowtest.Exchange) {
	at, end := w.at(x.At), w.at(x.At)+x.Duration
	ok := x.Status/100 == 2
	session := w.session(x.SessionID)
	if x.Direction == snowtest.Out {
		marks := Marks(x.RequestBody, FromAgent)
		for _, m := range marks {
			w.offered(m, session, at, end, ok)
		}
		t := w.talk(conversationOf(x.RequestBody))
		if t == nil {
			return
		}
		if ok && session > 0 {
			e := Event{Mark: Mark{Conversation: t.id}, Session: session, At: end}
			if len(marks) > 0 || strings.Contains(x.RequestBody, `"SwitchToLiveAgent"`) {
				e.Kind = Joined
				w.record.Add(e)
				t.joins(session)
			}
			if strings.Contains(x.RequestBody, `"completed":true`) {
				e.Kind = Accepted
				w.record.Add(e)
			}
		}
		t.wake()
		return
	}
	if !strings.HasSuffix(x.Path, "/bot/integration") {
		return
	}
	t := w.talk(conversationOf(x.RequestBody))
	if t == nil {
		return
	}
	var call struct{ Action string }
	if json.Unmarshal([]byte(x.RequestBody), &call) == nil && ok {
		switch {
		case call.Action == "END_CONVERSATION" && x.Fault != string(snowtest.FaultHTML): // which is answered like a success
			if session == 0 {
				t.left(x.SessionID)
			} else {
				w.record.Add(Event{Kind: Left, Mark: Mark{Conversation: t.id}, Session: session, At: at})
			}
		case call.Action == "":
			for _, m := range Marks(x.RequestBody, FromEmployee) {
				w.record.Add(Event{Kind: Reached, Mark: m, At: at, End: end})
				t.reached(m, end)
			}
		}
	}
	t.wake()
}

// conversationOf reads whom a request between us and the instance is about.
func conversationOf(body string) string {
	var b struct {
		ClientVariables struct{ ConversationID string }
	}
	if json.Unmarshal([]byte(body), &b) != nil {
		return ""
	}
	return b.ClientVariables.ConversationID
}
