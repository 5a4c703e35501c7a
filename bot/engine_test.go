package bot_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
	"snowbot/store/bolt"
)

// An engine is a bot between two remote sides that answer as the test says, in a bubble of its own time.
type engine struct {
	t        *testing.T
	path     string
	rules    bot.Rules
	teams    *teamsSide
	snow     *snowSide
	store    *bolt.Store
	bot      *bot.Bot
	registry *prometheus.Registry
	stop     func()
	posts    int
}

// bubble runs a test with an engine.
func bubble(t *testing.T, rules bot.Rules, f func(e *engine)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	synctest.Test(t, func(t *testing.T) {
		e := &engine{t: t, path: path, rules: rules, teams: &teamsSide{}, snow: &snowSide{}}
		e.start()
		f(e)
		e.stop()
	})
}

func (e *engine) start() {
	e.t.Helper()
	keys, err := store.NewKeyring(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		e.t.Fatal(err)
	}
	if e.store, err = bolt.Open(bolt.Options{Path: e.path, Keys: keys}); err != nil {
		e.t.Fatal(err)
	}
	e.registry = prometheus.NewRegistry()
	e.bot, err = bot.New(bot.Options{
		Store: e.store, Teams: e.teams, ServiceNow: e.snow, AppID: "app", Rules: e.rules, Workers: 4,
		Metrics: e.registry, PossibleRepeats: e.store.PossibleRepeats(),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.bot.Run(ctx) }()
	e.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("run: %v", err)
		}
		if err := e.store.Close(); err != nil {
			e.t.Errorf("close store: %v", err)
		}
		e.stop = func() {}
	}
}

// passes lets time pass.
func (e *engine) passes(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// says has the employee of a conversation write.
func (e *engine) says(conversation, text string) {
	e.t.Helper()
	e.posts++
	if err := e.bot.Activity(e.t.Context(), &adapter.Activity{
		Type: adapter.TypeMessage, ID: fmt.Sprintf("in%d", e.posts), Text: text, ServiceURL: "https://smba.example.com/emea/", ChannelID: "msteams",
		Conversation: &adapter.ConversationAccount{ID: conversation, TenantID: "tenant", ConversationType: "personal"},
		From:         &adapter.ChannelAccount{ID: "29:" + conversation, AADObjectID: "aad-" + conversation, Name: "Mia"},
		Recipient:    &adapter.ChannelAccount{ID: "28:app", Name: "Bot"},
	}); err != nil {
		e.t.Fatalf("say %q: %v", text, err)
	}
}

// posts has ServiceNow post items to a session.
func (e *engine) post(session string, ev snow.Event) {
	e.t.Helper()
	ev.SessionID = session
	for i := range ev.Items {
		e.posts++
		ev.Items[i].ID = fmt.Sprintf("item%d", e.posts)
	}
	if err := e.bot.ServiceNow(e.t.Context(), &ev); err != nil {
		e.t.Fatal(err)
	}
}

// answers has the agent write.
func (e *engine) answers(session, text string) {
	e.t.Helper()
	e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindText, Text: text, FromAgent: true}}})
}

// connect brings the employee of a conversation and an agent together.
func (e *engine) connect(conversation string) (session string) {
	e.t.Helper()
	e.says(conversation, "agent please")
	e.passes(time.Second)
	session = e.snow.sessionOf(conversation)
	if session == "" {
		e.t.Fatalf("nobody was asked for an agent for %s", conversation)
	}
	e.post(session, snow.Event{Items: []snow.Item{{Kind: snow.KindJoined}}})
	e.passes(5 * time.Second)
	return session
}

// metric is the sum of a counter over the series whose labels have the value.
func (e *engine) metric(name, label string) (sum float64) {
	e.t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// A sent is an activity that reached Teams, or was answered with an error.
type sent struct {
	conversation string
	text         string
	at           time.Time
	err          error
}

// A teamsSide is Teams. fail says what a call is answered with.
type teamsSide struct {
	mu   sync.Mutex
	log  []sent
	fail func(conversation, text string) error
}

func (s *teamsSide) take(ref adapter.Reference, a *adapter.Activity) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := a.Text
	for _, at := range a.Attachments {
		text += string(at.Content)
	}
	x := sent{conversation: ref.ConversationID, text: text, at: time.Now()}
	if s.fail != nil {
		x.err = s.fail(x.conversation, text)
	}
	s.log = append(s.log, x)
	return fmt.Sprintf("out%d", len(s.log)), x.err
}

func (s *teamsSide) Send(_ context.Context, ref adapter.Reference, a *adapter.Activity) (string, error) {
	return s.take(ref, a)
}

func (s *teamsSide) Update(_ context.Context, ref adapter.Reference, _ string, a *adapter.Activity) error {
	_, err := s.take(ref, a)
	return err
}

func (s *teamsSide) Typing(context.Context, adapter.Reference) error { return nil }

func (s *teamsSide) Member(_ context.Context, ref adapter.Reference, _ string) (adapter.ChannelAccount, error) {
	return adapter.ChannelAccount{Email: ref.ConversationID + "@example.com"}, nil
}

func (s *teamsSide) failing(f func(conversation, text string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// shown are the texts that a conversation shows, or was tried to, with the part in them.
func (s *teamsSide) tried(conversation, part string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.log {
		if x.conversation == conversation && strings.Contains(x.text, part) {
			out = append(out, x.text)
		}
	}
	return out
}

// A snowSide is an instance. fail says what a call is answered with.
type snowSide struct {
	mu       sync.Mutex
	calls    []string // operation and words
	sessions map[string]string
	receipts map[string]snow.ReceiptStatus
	reports  int
	fail     func(op string) error
}

func (s *snowSide) take(op, words string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSpace(op+" "+words))
	if s.fail != nil {
		return s.fail(op)
	}
	return nil
}

func (s *snowSide) RequestAgent(_ context.Context, c snow.Chat, r snow.AgentRequest) error {
	err := s.take("agent", r.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[string]string{}
	}
	s.sessions[c.Variables.ConversationID] = c.SessionID
	return err
}

func (s *snowSide) Say(_ context.Context, _ snow.Chat, w snow.Words) error {
	return s.take("message", w.Text)
}

func (s *snowSide) End(context.Context, snow.Chat, string) error          { return s.take("end", "") }
func (s *snowSide) Typing(context.Context, snow.Chat, string, bool) error { return nil }

func (s *snowSide) Report(_ context.Context, _ snow.Chat, _ string, receipts []snow.Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports++
	if s.fail != nil {
		if err := s.fail("report"); err != nil {
			return err
		}
	}
	if s.receipts == nil {
		s.receipts = map[string]snow.ReceiptStatus{}
	}
	for _, r := range receipts {
		s.receipts[r.MessageID] = r.Status
	}
	return nil
}

func (s *snowSide) FindUser(context.Context, string) ([]snow.User, error) { return nil, nil }

func (s *snowSide) CreateIncident(context.Context, snow.Incident) (string, error) {
	return "INC1", s.take("incident", "")
}

func (s *snowSide) failing(f func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

func (s *snowSide) sessionOf(conversation string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[conversation]
}

// done are the calls so far.
func (s *snowSide) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *snowSide) ticks() (ok, failed, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.receipts {
		if r == snow.SentToUser {
			ok++
		} else {
			failed++
		}
	}
	return ok, failed, s.reports
}

func unavailable(string) error { return &snow.Error{Op: "message", StatusCode: 503, Written: true} }

func TestAnOutageIsToldOnceAndNobodyIsPromisedAnAgent(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		const chats = 25
		name := func(i int) string { return fmt.Sprintf("chat%d", i) }
		for i := range chats {
			e.connect(name(i))
		}
		e.says("silent", "agent please")
		e.passes(time.Second)
		e.snow.failing(unavailable)
		for i := range chats {
			e.says(name(i), "are you there?")
		}
		e.passes(10 * time.Second)
		for i := range chats {
			if n := len(e.teams.tried(name(i), "can't be reached")); n != 1 {
				t.Errorf("%s was told %d times of the outage, want once", name(i), n)
			}
		}
		if n := len(e.teams.tried("silent", "can't be reached")); n != 1 {
			t.Errorf("who waits for an agent was told %d times of the outage, want once", n)
		}
		before := len(e.snow.done())
		e.passes(time.Minute)
		if n := len(e.snow.done()) - before; n < 10 || n > 13 {
			t.Errorf("%d calls in a minute of the outage, want a probe each 5 s", n)
		}
		e.says("late", "I want to talk to a person")
		e.passes(time.Second)
		if n := len(e.teams.tried("late", "can't bring you to a person")); n != 1 || len(e.teams.tried("late", "Shall I create a ticket")) != 1 {
			t.Errorf("an escalation during the outage shows %q", e.teams.tried("late", ""))
		}
		e.snow.failing(nil)
		e.passes(10 * time.Second)
		for _, who := range []string{name(0), name(chats - 1), "silent"} {
			if n := len(e.teams.tried(who, "can be reached again")); n != 1 {
				t.Errorf("%s was told %d times that the outage is over, want once", who, n)
			}
		}
		heard := 0
		for _, c := range e.snow.done()[before:] {
			if c == "message are you there?" {
				heard++
			}
		}
		if heard < chats {
			t.Errorf("after the outage %d words were sent, want those of all %d chats", heard, chats)
		}
		e.says("late", "I want to talk to a person")
		e.passes(time.Second)
		if e.snow.sessionOf("late") == "" {
			t.Error("after the outage nobody is asked for an agent")
		}
	})
}

func TestTheEndOfAnOutageIsToldAfterARestart(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		e.connect("talks")
		e.connect("listens")
		e.snow.failing(unavailable)
		for range 30 {
			e.says("talks", "hello?")
		}
		for i := range 25 { // the host fails for many
			e.says(fmt.Sprintf("other%d", i), "agent please")
		}
		e.passes(15 * time.Second)
		if n := len(e.teams.tried("listens", "can't be reached")); n != 1 {
			t.Fatalf("told %d times of the outage, want once", n)
		}
		e.stop()
		e.snow.failing(nil)
		e.start()
		e.passes(15 * time.Second)
		for _, who := range []string{"talks", "listens"} {
			if n := len(e.teams.tried(who, "can be reached again")); n != 1 {
				t.Errorf("%s was told %d times that it is over, want once", who, n)
			}
		}
	})
}

func TestALaneIsBlockedForABoundedTime(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		session := e.connect("chat")
		e.snow.failing(func(op string) error {
			if op == "message" {
				return &snow.Error{Op: op, StatusCode: 503, Written: true}
			}
			return nil
		})
		e.says("chat", "lost one")
		e.says("chat", "lost two")
		e.passes(4 * time.Minute)
		if n := len(e.teams.tried("chat", "could not be delivered")); n != 0 {
			t.Errorf("told after 4 minutes already: %d", n)
		}
		e.passes(90 * time.Second)
		for _, words := range []string{"lost one", "lost two"} {
			if n := len(e.teams.tried("chat", words)); n != 1 {
				t.Errorf("%q is offered %d times to be sent again, want once", words, n)
			}
		}
		e.snow.failing(nil)
		e.says("chat", "found")
		e.passes(10 * time.Second)
		if calls := e.snow.done(); !slices.Contains(calls, "message found") {
			t.Errorf("the lane is still blocked: %q", calls[len(calls)-1])
		}
		e.answers(session, "hello")
		e.passes(time.Second)
		if len(e.teams.tried("chat", "hello")) != 1 {
			t.Error("the other direction stands still")
		}
	})
}

func TestNeverRepeatReportsWhatIsUnclear(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, NeverRepeat: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.teams.failing(func(_, text string) error {
			if text == "lost?" {
				return &adapter.Error{Op: "send", StatusCode: 502, Written: true}
			}
			return nil
		})
		e.answers(session, "lost?")
		e.answers(session, "after")
		e.passes(10 * time.Second)
		if n := len(e.teams.tried("chat", "lost?")); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
		if n := len(e.teams.tried("chat", "after")); n != 1 {
			t.Errorf("what follows was sent %d times, want once", n)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 1 || failed != 1 {
			t.Errorf("%d ticks and %d failures, want one of each", ok, failed)
		}
	})
}

func TestUnderNeverRepeatABegunSendIsNotSentAgain(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, NeverRepeat: true}, func(e *engine) {
		session := e.connect("chat")
		e.stop()
		keys, err := store.NewKeyring(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			e.t.Fatal(err)
		}
		// The service accepts a message, begins to send it, and dies.
		st, err := bolt.Open(bolt.Options{Path: e.path, Keys: keys})
		if err != nil {
			e.t.Fatal(err)
		}
		b, err := bot.New(bot.Options{Store: st, Teams: e.teams, ServiceNow: e.snow, AppID: "app", Rules: e.rules})
		if err != nil {
			e.t.Fatal(err)
		}
		if err := b.ServiceNow(e.t.Context(), &snow.Event{SessionID: session, Items: []snow.Item{{ID: "m1", Kind: snow.KindText, Text: "sent?", FromAgent: true}}}); err != nil {
			e.t.Fatal(err)
		}
		l, err := st.Claim(e.t.Context(), store.ToTeams, time.Minute, 1)
		if err != nil {
			e.t.Fatal(err)
		}
		if err := st.Begin(e.t.Context(), l); err != nil {
			e.t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			e.t.Fatal(err)
		}
		e.start()
		e.passes(10 * time.Second)
		if n := len(e.teams.tried("chat", "sent?")); n != 0 {
			t.Errorf("sent %d times after the restart", n)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 0 || failed != 1 {
			t.Errorf("%d ticks and %d failures, want the failure alone", ok, failed)
		}
	})
}

func TestRepeatsAfterUnclearSendsAreCounted(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		left := 1
		e.teams.failing(func(_, text string) error {
			if text == "twice?" && left > 0 {
				left--
				return &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}
			}
			return nil
		})
		e.answers(session, "twice?")
		e.passes(10 * time.Second)
		if n := len(e.teams.tried("chat", "twice?")); n != 2 {
			t.Errorf("sent %d times, want once more", n)
		}
		if n := e.metric("snowbot_possible_repeats_total", "unclear outcome"); n != 1 {
			t.Errorf("counted %v possible repeats, want 1", n)
		}
	})
}

func TestTicksGoInBatches(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		e.snow.failing(func(op string) error {
			if op == "report" {
				return &snow.Error{Op: op, StatusCode: 429, RetryAfter: 5 * time.Second, Written: true}
			}
			return nil
		})
		for i := range 40 {
			e.answers(session, fmt.Sprint("m", i))
		}
		e.passes(3 * time.Second)
		e.snow.failing(nil)
		_, _, before := e.snow.ticks()
		e.passes(10 * time.Second)
		ok, failed, reports := e.snow.ticks()
		if ok != 40 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want 40 ticks", ok, failed)
		}
		if reports-before > 2 {
			t.Errorf("%d reports for what waited, want one or two", reports-before)
		}
	})
}

func TestTicksPauseWhenTheInstanceTakesNone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules bot.Rules
		quiet bool
	}{
		{"auto", bot.Rules{Ticks: true, TicksAuto: true, MaxSession: 24 * time.Hour, IdleWarning: -1}, true},
		{"on", bot.Rules{Ticks: true, MaxSession: 24 * time.Hour, IdleWarning: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.rules, func(e *engine) {
				session := e.connect("chat")
				e.snow.failing(func(op string) error {
					if op == "report" {
						return &snow.Error{Op: op, StatusCode: 405, Written: true, Err: snow.ErrNotEnabled}
					}
					return nil
				})
				for range 3 {
					e.answers(session, "hello")
					e.passes(time.Second)
				}
				_, _, reports := e.snow.ticks()
				if quiet := reports == 1; quiet != tt.quiet {
					t.Errorf("%d reports for 3 messages", reports)
				}
				e.passes(time.Hour)
				e.snow.failing(nil)
				e.answers(session, "an hour later")
				e.passes(time.Second)
				if ok, _, _ := e.snow.ticks(); ok != 1 {
					t.Errorf("%d ticks after an hour, want 1", ok)
				}
			})
		})
	}
}

func TestABurstOfTheAgentGoesOutWithinTheWindows(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf("message %d", i))
			e.answers(session, want[i])
		}
		e.passes(10 * time.Second)
		var got []string
		for _, text := range e.teams.tried("chat", "message ") {
			got = append(got, strings.Split(text, "\n\n")...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Teams shows (-want +got):\n%s", diff)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 100 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want 100 ticks", ok, failed)
		}
	})
}

func TestMessagesThatNeedNotWaitStayApart(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.post(session, snow.Event{Items: []snow.Item{
			{Kind: snow.KindText, Text: "one", FromAgent: true}, {Kind: snow.KindText, Text: "two", FromAgent: true}, {Kind: snow.KindText, Text: "three", FromAgent: true},
		}})
		e.passes(time.Second)
		for _, text := range []string{"one", "two", "three"} {
			if got := e.teams.tried("chat", text); !slices.Equal(got, []string{text}) {
				t.Errorf("%q shows as %q", text, got)
			}
		}
	})
}

func TestMergedWordsThatFailAreSentOneByOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error // of the merged one
		bad    string
		failed int
	}{
		{"refused together", &adapter.Error{Op: "send", StatusCode: 413, Code: "MessageSizeTooBig", Written: true}, "", 0},
		{"one of them is refused", &adapter.Error{Op: "send", StatusCode: 400, Written: true}, "message 12", 1},
		{"nobody knows", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, "", 0},
		{"nobody knows, twice", &adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}, "message 12", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
				session := e.connect("chat")
				failed := false
				e.teams.failing(func(_, text string) error {
					if strings.Contains(text, "\n\n") && !failed {
						failed = true
						return tt.err
					}
					if tt.bad != "" && slices.Contains(strings.Split(text, "\n\n"), tt.bad) {
						return tt.err
					}
					return nil
				})
				for i := range 20 {
					e.answers(session, fmt.Sprintf("message %d", i))
				}
				e.passes(2 * time.Minute)
				if !failed {
					t.Fatal("nothing was merged")
				}
				if ok, bad, _ := e.snow.ticks(); ok != 20-tt.failed || bad != tt.failed {
					t.Errorf("%d ticks and %d failures, want %d and %d", ok, bad, 20-tt.failed, tt.failed)
				}
				for i := range 20 {
					shown := 0
					for _, text := range e.teams.tried("chat", "message ") {
						if slices.Contains(strings.Split(text, "\n\n"), fmt.Sprintf("message %d", i)) {
							shown++
						}
					}
					if shown < 1 || shown > 2 {
						t.Errorf("message %d was sent %d times", i, shown)
					}
				}
			})
		})
	}
}

func TestAStopWhileLanesWaitLosesNothing(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		for i := range 50 {
			e.answers(session, fmt.Sprintf("message %d", i))
		}
		synctest.Wait()
		e.stop()
		e.start()
		e.passes(20 * time.Second)
		var got []string
		for _, text := range e.teams.tried("chat", "message ") {
			got = append(got, strings.Split(text, "\n\n")...)
		}
		if len(got) != 50 || got[0] != "message 0" || got[49] != "message 49" {
			t.Errorf("Teams shows %d messages: %q", len(got), got)
		}
		if ok, failed, _ := e.snow.ticks(); ok != 50 || failed != 0 {
			t.Errorf("%d ticks and %d failures, want 50 ticks", ok, failed)
		}
	})
}

func TestSendTimesSurviveARestart(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true, Pacing: true}, func(e *engine) {
		session := e.connect("chat")
		e.passes(30 * time.Second)
		for i := range 6 {
			e.answers(session, fmt.Sprint("before ", i))
		}
		synctest.Wait()
		e.stop()
		e.start()
		e.answers(session, "after")
		e.passes(10 * time.Second)
		e.teams.mu.Lock()
		defer e.teams.mu.Unlock()
		log := e.teams.log[len(e.teams.log)-7:]
		if took := log[6].at.Sub(log[0].at); log[6].text != "after" || took < time.Second {
			t.Errorf("the seventh send came %v after the first", took)
		}
	})
}

func TestWordsAfterASilenceAreOfferedAnotherChat(t *testing.T) {
	bubble(t, bot.Rules{}, func(e *engine) {
		session := e.connect("chat")
		e.passes(6 * time.Minute)
		if len(e.teams.tried("chat", "Are you still there?")) != 1 {
			t.Fatal("no warning")
		}
		e.post(session, snow.Event{Completed: true, Items: []snow.Item{{Kind: snow.KindSystem, Text: "closed"}}})
		e.passes(10 * time.Minute)
		if len(e.teams.tried("chat", "Nothing happened for a long time")) != 1 {
			t.Errorf("Teams shows %q", e.teams.tried("chat", ""))
		}
		e.says("chat", "sorry, I was in a meeting")
		e.passes(time.Second)
		if n := len(e.teams.tried("chat", "Would you like to talk to a person again?")); n != 1 {
			t.Errorf("offered %d times", n)
		}
		e.says("chat", "hello")
		e.passes(time.Second)
		if len(e.teams.tried("chat", "Hi!")) != 1 {
			t.Error("the bot does not answer after the offer")
		}
	})
}
