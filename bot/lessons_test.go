package bot_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
	"snowbot/store/bolt"
)

// forgetful is a store that does not keep what came of sends while it is out.
type forgetful struct {
	store.Store
	out *atomic.Bool
}

func (f forgetful) Settle(ctx context.Context, l *store.Lease, r store.Result, fn func(*store.Turn) error) error {
	if f.out.Load() {
		return context.DeadlineExceeded
	}
	return f.Store.Settle(ctx, l, r, fn)
}

// said is what the agent sees of the employee, without the wish for an agent.
func (d *desk) said(c snowtest.Chat) []string {
	d.t.Helper()
	chat, err := d.snow.Chat(c.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return chat.Said(snowtest.FromUser)[1:]
}

// fails has the next request to the instance with the action go wrong; the action of words is "message".
func (d *desk) fails(f snowtest.Fault) {
	d.t.Helper()
	f.Times = 1
	if _, err := d.snow.AddFault(f); err != nil {
		d.t.Fatal(err)
	}
}

// words returns those of the words that Teams shows, in order, whether each has an activity of its own or shares one.
func (d *desk) words(words ...string) []string {
	var shown []string
	for _, m := range d.chat.Messages() {
		if !m.FromBot {
			continue
		}
		for part := range strings.SplitSeq(m.Text, "\n\n") {
			if slices.Contains(words, part) {
				shown = append(shown, part)
			}
		}
	}
	return shown
}

// textItem is an item of a post with words of the agent.
func textItem(id, text string) string {
	return fmt.Sprintf(`{"uiType":"OutputText","value":%q,"messageId":%q,"agentInfo":{"agentName":"Sam Ortiz","sentFromAgent":true}}`, text, id)
}

// posts posts items of the agent, as one post, and returns the status.
func (d *desk) posts(c snowtest.Chat, items ...string) int {
	d.t.Helper()
	return d.post(fmt.Sprintf(`{"clientSessionId":%q,"agentChat":true,"body":[%s]}`, c.SessionID, strings.Join(items, ",")))
}

// TestLessons has a row for every defect that was seen in systems which do the same job.
func TestLessons(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(d *desk, o *snowtest.Options)
		run  func(t *testing.T, d *desk)
	}{
		{"01_the-same-words-from-both-are-no-echo", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.says("hello there")
			d.hears(c, "hello there")
			d.answers(c, "hello there")
			d.sees("hello there")
			d.says("hello there")
			d.answers(c, "bye then")
			d.sees("bye then")
			d.settles()
			if diff := cmp.Diff([]string{"hello there", "hello there"}, d.said(c)); diff != "" {
				t.Errorf("the agent sees (-want +got):\n%s", diff)
			}
			if got := d.count("hello there"); got != 1 {
				t.Errorf("the agent's words show %d times, want 1", got)
			}
		}},
		{"02_each-message-has-its-own-id-and-keeps-it", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.fails(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusServiceUnavailable, Action: "message"})
			d.says("one")
			d.says("two")
			d.hears(c, "two")
			ids := map[string]map[any]bool{}
			for _, r := range d.requests("") {
				m, _ := r["message"].(map[string]any)
				text, _ := m["text"].(string)
				if ids[text] == nil {
					ids[text] = map[any]bool{}
				}
				ids[text][fmt.Sprint(r["requestId"], m["clientMessageId"])] = true
			}
			if len(ids["one"]) != 1 || len(ids["two"]) != 1 || cmp.Equal(ids["one"], ids["two"]) {
				t.Errorf("ids = %v, want one for each text, the same in every try", ids)
			}
		}},
		{"03_an-end-is-no-matter-of-words", func(_ *desk, o *snowtest.Options) { o.Texts = snowtest.German() }, func(_ *testing.T, d *desk) {
			c := d.connect()
			d.answers(c, "The chat has ended. Session closed.")
			d.answers(c, "or has it?")
			d.sees("or has it?")
			d.says("no")
			d.hears(c, "no")
			if err := d.snow.End(d.within(), c.ID, "Tschüss"); err != nil {
				d.t.Fatal(err)
			}
			d.sees("You are talking to the bot again.")
		}},
		{"04_a-crash-after-the-request-makes-no-second-chat", func(d *desk, _ *snowtest.Options) {
			d.wrap = func(s store.Store) store.Store { return forgetful{s, &d.out} }
		}, func(t *testing.T, d *desk) {
			d.out.Store(true) // what comes of sends is not kept any more
			d.says("I want to talk to a person")
			d.waits(snowtest.StateQueued)
			d.stop()
			d.out.Store(false)
			d.start()
			d.settles()
			if got := len(d.snow.Chats()); got != 1 {
				t.Errorf("%d chats, want 1", got)
			}
			asked, ids := d.requests("AGENT"), map[string]bool{}
			for _, r := range asked {
				m, _ := r["message"].(map[string]any)
				ids[fmt.Sprint(r["clientSessionId"], r["requestId"], m["clientMessageId"])] = true
			}
			if len(asked) < 2 || len(ids) != 1 {
				t.Errorf("%d requests for an agent with %d identities, want at least 2 with the same", len(asked), len(ids))
			}
		}},
		{"05_nothing-is-seen-before-it-is-kept", func(d *desk, _ *snowtest.Options) {
			d.wrap = func(s store.Store) store.Store { return flaky{s, &d.out} }
		}, func(t *testing.T, d *desk) {
			c := d.connect()
			d.settles()
			d.out.Store(true)
			p, err := d.chat.Say(d.within(), d.mia, "not yet")
			if err != nil || p.Status != http.StatusServiceUnavailable {
				t.Fatalf("without a store: status %d, %v; want 503", p.Status, err)
			}
			if status := d.posts(c, textItem("m1", "not yet either")); status != http.StatusServiceUnavailable {
				t.Fatalf("without a store: status %d, want 503", status)
			}
			d.out.Store(false)
			if p, err = d.chat.Repeat(d.within(), p); err != nil || !p.OK() {
				t.Fatalf("repeat: status %d, %v", p.Status, err)
			}
			d.hears(c, "not yet")
			if status := d.posts(c, textItem("m1", "not yet either")); status != http.StatusOK {
				t.Fatalf("repeat: status %d", status)
			}
			d.sees("not yet either")
		}},
		{"06_a-post-repeated-in-part-adds-only-what-is-new", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.posts(c, textItem("p1", "part 1"), textItem("p2", "part 2"))
			d.posts(c, textItem("p1", "part 1"), textItem("p2", "part 2"), textItem("p3", "part 3"))
			d.sees("part 3")
			d.settles()
			if diff := cmp.Diff([]string{"part 1", "part 2", "part 3"}, d.words("part 1", "part 2", "part 3")); diff != "" {
				t.Errorf("Teams shows (-want +got):\n%s", diff)
			}
		}},
		{"07_parts-stay-in-order", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.teams.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: http.StatusServiceUnavailable, Method: http.MethodPost, Times: 2})
			want := []string{"part 1", "part 2", "part 3"}
			d.posts(c, textItem("o1", want[0]), textItem("o2", want[1]))
			d.posts(c, textItem("o3", want[2]))
			d.sees("part 3")
			if diff := cmp.Diff(want, d.words(want...)); diff != "" {
				t.Errorf("Teams shows (-want +got):\n%s", diff)
			}
		}},
		{"08_an-unknown-control-is-shown-as-far-as-it-has-words", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			if status := d.posts(c, `{"uiType":"HoloDeck","label":"step inside","messageId":"h1"}`, `{"uiType":"ActionMsg","actionType":"Teleport","messageId":"h2"}`); status != http.StatusOK {
				t.Errorf("status %d, want 200", status)
			}
			d.sees("step inside")
		}},
		{"09_every-item-of-a-post-counts", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.posts(c, textItem("i1", "first"), textItem("i2", "second"), textItem("i3", "third"))
			d.sees("third")
			d.settles()
			if diff := cmp.Diff([]string{"first", "second", "third"}, d.words("first", "second", "third")); diff != "" {
				t.Errorf("Teams shows (-want +got):\n%s", diff)
			}
		}},
		{"10_an-unknown-session-is-refused", nil, func(t *testing.T, d *desk) {
			if status := d.post(`{"clientSessionId":"of-nobody","body":[` + textItem("u1", "hello?") + `]}`); status != http.StatusBadRequest {
				t.Errorf("status %d, want 400", status)
			}
		}},
		{"11_one-conversation-has-one-session", nil, func(t *testing.T, d *desk) {
			noa := d.teams.AddUser(adaptertest.User{Name: "Noa Berg"})
			d.chat = d.teams.Group(d.mia, noa)
			c := d.connect()
			d.settles()
			d.stop() // who starts anew does not know that an agent listens, and looks for a wish in all words
			d.start()
			if p, err := d.chat.Say(d.within(), noa, "I want to talk to a person"); err != nil || !p.OK() {
				t.Fatalf("status %d, %v", p.Status, err)
			}
			d.hears(c, "Noa Berg: I want to talk to a person")
			if p, err := d.chat.Submit(d.within(), noa, d.sees("Connected").ID, map[string]any{"snowbot": "talk"}); err != nil || !p.OK() {
				t.Fatalf("status %d, %v", p.Status, err)
			}
			d.sees("You are already chatting with a live agent.")
			if got := len(d.requests("AGENT")); got != 1 {
				t.Errorf("%d requests for an agent, want 1", got)
			}
		}},
		{"11_nor-does-the-bot-make-another", func(d *desk, _ *snowtest.Options) {
			d.hand = func(context.Context, *adapter.Activity) ([]*adapter.Activity, error) {
				return []*adapter.Activity{{Type: adapter.TypeEvent, Name: "handoff.initiate"}}, nil
			}
		}, func(t *testing.T, d *desk) {
			c := d.connect()
			if err := d.chat.Install(d.within()); err != nil { // which Teams may say late, and the bot takes for a reason to ask
				t.Fatal(err)
			}
			d.settles()
			d.answers(c, "still here")
			d.sees("still here")
			if got := len(d.requests("AGENT")); got != 1 {
				t.Errorf("%d requests for an agent, want 1", got)
			}
		}},
		{"12_a-second-service-does-not-overwrite-the-first", nil, func(t *testing.T, d *desk) {
			second, err := bolt.Open(bolt.Options{Path: d.path, Keys: d.keys, LockTimeout: 50 * time.Millisecond})
			if err == nil {
				second.Close()
				t.Fatal("two processes have the same database")
			}
			d.connect()
		}},
		{"13_quit-is-an-answer", nil, func(_ *testing.T, d *desk) {
			c := d.connect()
			d.answers(c, "Which command did you type?")
			d.says("quit")
			d.hears(c, "quit")
			d.answers(c, "thanks")
			d.sees("thanks")
		}},
		{"14_the-webhook-wants-its-secret", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			for _, auth := range []string{"", "Bearer", "Bearer wrong", "Bearer " + webhookSecret + "x", "Basic " + webhookSecret, webhookSecret} {
				body := fmt.Sprintf(`{"clientSessionId":%q,"body":[%s]}`, c.SessionID, textItem("a1", "let me in"))
				r, err := http.NewRequestWithContext(d.within(), http.MethodPost, d.webhook(), strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", auth)
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusUnauthorized {
					t.Errorf("Authorization %q: status %d, want 401", auth, res.StatusCode)
				}
			}
			d.settles()
			if d.count("let me in") != 0 {
				t.Error("a post without the secret was shown")
			}
		}},
		{"15_nothing-secret-goes-along", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.says("hello")
			d.hears(c, "hello")
			_, clientSecret, _, password := d.snow.Credentials()
			for _, r := range slices.Concat(d.requests("AGENT"), d.requests("")) {
				vars, _ := r["clientVariables"].(map[string]any)
				for name := range vars {
					if !slices.Contains([]string{"tenantId", "botId", "conversationId", "sessionId"}, name) {
						t.Errorf("clientVariables have %q", name)
					}
				}
				raw, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range []string{clientSecret, password, d.teams.AppPassword(), webhookSecret, "serviceUrl", "Bearer"} {
					if strings.Contains(string(raw), secret) {
						t.Errorf("a request holds %q", secret)
					}
				}
			}
		}},
		{"16_a-restart-in-the-queue-and-in-the-chat", nil, func(_ *testing.T, d *desk) {
			d.says("I want to talk to a person")
			c := d.waits(snowtest.StateQueued)
			d.says("held")
			d.stop()
			d.start()
			if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
				d.t.Fatal(err)
			}
			d.hears(c, "held")
			d.sees("has joined the chat")
			d.stop()
			d.start()
			d.says("still here")
			d.hears(c, "still here")
			d.answers(c, "me too")
			d.sees("me too")
		}},
		{"17_lines-stay-lines", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			text := "one\ntwo\n\nfour"
			d.says(text)
			d.hears(c, text)
			d.answers(c, text)
			if m := d.sees(text); m.Text != text {
				t.Errorf("Teams shows %q, want %q", m.Text, text)
			}
		}},
		{"18_removing-the-bot-ends-the-session", nil, func(_ *testing.T, d *desk) {
			c := d.connect()
			if err := d.chat.Uninstall(d.within()); err != nil {
				d.t.Fatal(err)
			}
			d.hears(c, "The employee can no longer be reached: the bot was removed from the conversation in Teams.")
			d.waits(snowtest.StateEnded)
		}},
		{"20_the-last-words-come-before-the-end", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.settles()
			d.teams.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: http.StatusServiceUnavailable, Method: http.MethodPost, Times: 2})
			if err := d.snow.EndSeparately(d.within(), c.ID, "last words"); err != nil {
				t.Fatal(err)
			}
			d.sees("has ended the chat")
			shown := strings.Join(d.shown(), "\n")
			if last, end := strings.Index(shown, "last words"), strings.Index(shown, "has ended the chat"); last < 0 || last > end {
				t.Errorf("Teams shows:\n%s", shown)
			}
		}},
		{"22_a-failed-send-is-told-as-one", nil, func(t *testing.T, d *desk) {
			c := d.connect()
			d.fails(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusBadRequest, Action: "message"})
			d.says("refused words")
			d.sees("Your message was not delivered")
			d.settles()
			d.teams.AddFault(adaptertest.Fault{Kind: adaptertest.Status, Status: http.StatusBadRequest, Method: http.MethodPost, Times: 1})
			id := d.answers(c, "refused answer")
			if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool {
				return slices.ContainsFunc(c.Lines, func(l snowtest.Line) bool { return l.ID == id && l.Receipt == snowtest.ReceiptError })
			}); err != nil {
				t.Errorf("the agent does not see that the message failed: %v", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, open(t, func(d *desk, o *snowtest.Options) {
				if tt.set != nil {
					tt.set(d, o)
				}
			}))
		})
	}
	// Time has to pass in these.
	t.Run("19_an-idle-cancel-while-the-employee-writes", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			session := e.connect("chat")
			e.passes(4*time.Minute + time.Second)
			if n := len(e.teams.tried("chat", "Are you still there?")); n != 1 {
				t.Fatalf("warned %d times before the cancel, want once", n)
			}
			e.passes(2 * time.Minute)
			e.post(session, snow.Event{Completed: true, Items: []snow.Item{{Kind: snow.KindSystem, Text: "This chat was closed."}}})
			e.passes(time.Second)
			if n := len(e.teams.tried("chat", "so the chat has ended")); n != 1 {
				t.Fatalf("told %d times of the end, want once", n)
			}
			long := strings.TrimSpace(strings.Repeat("what took so long to write ", 100))
			e.says("chat", long)
			e.passes(time.Second)
			if slices.Contains(e.snow.done(), "message "+long) {
				t.Error("the closed chat got the words")
			}
			e.presses("chat", "talk")
			e.passes(time.Second)
			if !slices.Contains(e.snow.done(), "agent "+long) || e.snow.sessionOf("chat") == session {
				t.Errorf("the offer does not lead to a new chat with the words: %.200q", e.snow.done())
			}
		})
	})
	t.Run("19_an-idle-cancel-of-the-instance", func(t *testing.T) {
		t.Parallel()
		var ahead atomic.Int64
		d := open(t, func(_ *desk, o *snowtest.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		c := d.connect()
		ahead.Store(int64(10 * time.Minute))
		if err := d.snow.RunTimers(d.within()); err != nil {
			t.Fatal(err)
		}
		d.sees("ended")
		d.says("what took so long to write")
		d.settles()
		shown := d.shown()
		if end := slices.IndexFunc(shown, func(s string) bool { return strings.Contains(s, "ended") }); end < 0 || end == len(shown)-1 {
			t.Errorf("the employee is not answered after the cancel: %q", shown)
		}
		if got := d.said(c); len(got) != 0 {
			t.Errorf("the closed chat got %q", got)
		}
		d.connectAgain()
	})
	t.Run("21_who-asked-first-is-first-in-the-queue", func(t *testing.T) {
		bubble(t, bot.Rules{}, func(e *engine) {
			e.snow.slow(time.Second) // more ask than there are workers
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprintf("chat%d", i))
				e.says(want[i], "agent please")
				<-time.After(time.Millisecond)
			}
			e.passes(30 * time.Second)
			// Those whom the workers have in hand at the same time may change places; nobody who came later does.
			const workers = 8
			got := e.snow.asked()
			for i, who := range got {
				if at := slices.Index(want, who); at > i+workers || at < i-workers {
					t.Errorf("%s asked as number %d and is number %d: %q", who, at, i, got)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d are in the queue, want %d", len(got), len(want))
			}
		})
	})
}

// connectAgain demands that a new session works as the first did.
func (d *desk) connectAgain() {
	d.t.Helper()
	d.says("I want to talk to a person")
	c := d.waits(snowtest.StateQueued)
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		d.t.Fatal(err)
	}
	d.answers(c, "here again")
	d.sees("here again")
}
