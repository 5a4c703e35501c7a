package bot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/cmd/leaktest"
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
	watch    *leaktest.Watch // of what is logged
	stop     func()
	posts    int
	wrap     func(store.Store) store.Store // unless nil
}

// bubble runs a test with an engine.
func bubble(t *testing.T, rules bot.Rules, f func(e *engine)) {
	t.Helper()
	t.Parallel()
	path, watch := filepath.Join(t.TempDir(), "snowbot.db"), leaktest.New(t)
	synctest.Test(t, func(t *testing.T) {
		e := &engine{t: t, path: path, watch: watch, rules: rules, teams: &teamsSide{}, snow: &snowSide{}}
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
	if e.store, err = bolt.Open(bolt.Options{Path: e.path, Keys: keys, Log: e.watch.Log()}); err != nil {
		e.t.Fatal(err)
	}
	e.registry = prometheus.NewRegistry()
	var kept store.Store = e.store
	if e.wrap != nil {
		kept = e.wrap(kept)
	}
	e.bot, err = bot.New(bot.Options{
		Store: kept, Teams: e.teams, ServiceNow: e.snow, AppID: "app", Rules: e.rules, Workers: 4,
		Metrics: e.registry, PossibleRepeats: e.store.PossibleRepeats(), Log: e.watch.Log(),
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
		e.watch.Serves(leaktest.Metrics, promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}))
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
	e.watch.Said(text)
	e.does(conversation, &adapter.Activity{Type: adapter.TypeMessage, Text: text})
}

// does has an activity of the employee arrive.
func (e *engine) does(conversation string, a *adapter.Activity) {
	e.t.Helper()
	e.posts++
	a.ID, a.ServiceURL, a.ChannelID = fmt.Sprintf("in%d", e.posts), "https://smba.example.com/emea/", "msteams"
	a.Conversation = &adapter.ConversationAccount{ID: conversation, TenantID: "tenant", ConversationType: "personal"}
	a.From = &adapter.ChannelAccount{ID: "29:" + conversation, AADObjectID: "aad-" + conversation, Name: "Mia"}
	a.Recipient = &adapter.ChannelAccount{ID: "28:app", Name: "Bot"}
	if err := e.bot.Activity(e.t.Context(), a); err != nil {
		e.t.Fatalf("%s %q: %v", a.Type, a.Text, err)
	}
}

// presses has the employee of a conversation press the last button with the verb.
func (e *engine) presses(conversation, verb string) {
	e.t.Helper()
	sent := e.teams.tried(conversation, fmt.Sprintf("%q:%q", "snowbot", verb))
	if len(sent) == 0 {
		e.t.Fatalf("no button %q; Teams shows %q", verb, e.teams.tried(conversation, ""))
	}
	var card struct {
		Actions []struct{ Data json.RawMessage }
	}
	if err := json.Unmarshal([]byte(sent[len(sent)-1]), &card); err != nil {
		e.t.Fatal(err)
	}
	e.does(conversation, &adapter.Activity{Type: adapter.TypeMessage, Value: card.Actions[0].Data})
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
	e.watch.Said(text)
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

// waits has ServiceNow put the employee into the queue.
func (e *engine) waits(conversation string) {
	e.t.Helper()
	e.post(e.snow.sessionOf(conversation), snow.Event{Items: []snow.Item{{Kind: snow.KindWait}}})
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

func TestASendThatPanicsIsAFailedAttempt(t *testing.T) {
	bubble(t, bot.Rules{Ticks: true}, func(e *engine) {
		session := e.connect("chat")
		left := 1
		e.teams.failing(func(_, text string) error {
			if text == "hello" && left > 0 {
				left--
				panic("a mistake")
			}
			return nil
		})
		e.answers(session, "hello")
		e.answers(session, "behind")
		e.passes(10 * time.Second)
		if shown := e.teams.tried("chat", ""); !slices.Contains(shown, "hello") || shown[len(shown)-1] != "behind" {
			t.Errorf("Teams shows %q", shown)
		}
		if n := e.metric("snowbot_conversation_events_total", "panics"); n != 1 {
			t.Errorf("%v panics were counted, want 1", n)
		}
		if n := e.metric("snowbot_possible_repeats_total", "unclear outcome"); n != 1 {
			t.Errorf("%v possible repeats were counted, want 1: Teams had been called", n)
		}
	})
}
