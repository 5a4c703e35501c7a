package bot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/cmd/leaktest"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
	"snowbot/store/bolt"
)

// A desk is the whole service between both emulators: Teams on one side, an instance on the other, everything in
// between real. Tests speak as the employee and as the agent.
type desk struct {
	watch *leaktest.Watch // of what is logged
	t     testing.TB
	teams *adaptertest.Channel
	snow  *snowtest.Instance
	mia   adaptertest.User
	chat  *adaptertest.Conversation
	path  string
	rules bot.Rules
	// channel is how Teams is emulated.
	channel adaptertest.Options
	bot     *bot.Bot
	hand    bot.Handler

	keys  *store.Keyring
	store store.Store
	out   atomic.Bool                   // the store, when wrap heeds it
	wrap  func(store.Store) store.Store // what the bot gets instead; nil is the store itself
	front *httptest.Server
	stop  func()
}

const webhookSecret = "desk-webhook-secret"

// open starts a desk. The employee is Mia, who has the bot installed.
func open(t testing.TB, edit ...func(*desk, *snowtest.Options)) *desk {
	t.Helper()
	d := &desk{t: t, path: filepath.Join(t.TempDir(), "snowbot.db")}
	d.rules.Ticks = true
	o := snowtest.Options{AgentNames: true, WebhookSecret: webhookSecret, WaitTime: "2 Minutes"}
	for _, e := range edit {
		e(d, &o)
	}
	teams, err := adaptertest.New(d.channel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	d.teams = teams
	inst, err := snowtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inst.Close() })
	d.snow = inst
	_, secret, _, password := inst.Credentials()
	d.watch = leaktest.New(t)
	d.watch.Secret(teams.AppPassword(), secret, password, webhookSecret)
	t.Cleanup(teams.Subscribe(func(x adaptertest.Exchange) { d.watch.Wire(x.RequestBody) }))
	t.Cleanup(inst.Subscribe(func(x snowtest.Exchange) { d.watch.Wire(x.RequestBody) }))
	key := bytes.Repeat([]byte{7}, 32)
	if d.keys, err = store.NewKeyring(key); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(func() { d.stop() })
	d.mia = teams.AddUser(adaptertest.User{Name: "Mia Khan", Email: "mia.khan@example.com"})
	d.chat = teams.Personal(d.mia)
	return d
}

// start runs the service on the desk's database.
func (d *desk) start() {
	t := d.t
	t.Helper()
	log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}), d.watch.Log().Handler()))
	st, err := bolt.Open(bolt.Options{Path: d.path, Keys: d.keys, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d.store = st
	cloud, err := adapter.CloudByName("public")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := adapter.NewVerifier(adapter.VerifierOptions{
		AppID: d.teams.AppID(), MetadataURL: d.teams.MetadataURL(), Issuer: cloud.Issuer, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	hosts := adapter.HostPolicy{AllowLoopback: true}
	id, secret, user, password := d.snow.Credentials()
	client, err := snow.NewClient(snow.ClientOptions{
		Instance: d.snow.URL(), ClientID: id, ClientSecret: secret, Username: user, Password: password, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := d.rules
	rules.Resolve = client.Resolve
	var kept store.Store = st
	if d.wrap != nil {
		kept = d.wrap(st)
	}
	d.bot, err = bot.New(bot.Options{
		Store: kept, Teams: d.connector(log), ServiceNow: client, Handler: d.hand, AppID: d.teams.AppID(), Rules: rules, Workers: 4, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := adapter.NewHandler(adapter.HandlerOptions{
		Verifier: verifier, AppID: d.teams.AppID(), Tenants: []string{d.teams.TenantID()}, Hosts: hosts,
		OnActivity: d.bot.Activity, OnInvoke: d.bot.Invoke, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	webhook, err := snow.NewWebhook(snow.WebhookOptions{Secrets: []string{webhookSecret}, Accept: d.bot.ServiceNow, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	routes := mux.NewRouter()
	routes.Handle("/api/messages", messages)
	routes.Handle("/api/v1/snowBot/receiveMessage", webhook)
	d.front = httptest.NewServer(routes)
	d.teams.SetBot(d.front.URL + "/api/messages")
	d.snow.SetWebhook(d.webhook(), webhookSecret)

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- verifier.Run(ctx) }()
	go func() { ended <- d.bot.Run(ctx) }()
	stopped := false
	d.stop = func() {
		if stopped {
			return
		}
		stopped = true
		d.front.Close()
		cancel()
		for range 2 {
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Errorf("run: %v", err)
			}
		}
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
		client.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

// connector is a new way to the desk's Teams.
func (d *desk) connector(log *slog.Logger) *adapter.Connector {
	d.t.Helper()
	cloud, err := adapter.CloudByName("public")
	if err != nil {
		d.t.Fatal(err)
	}
	tokens, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: d.teams.AppID(), AppType: "SingleTenant", TenantID: d.teams.TenantID(), Password: d.teams.AppPassword(),
		Cloud: cloud, TokenURL: d.teams.TokenURL(), Log: log,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	connector, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: adapter.HostPolicy{AllowLoopback: true}, GCCServiceURL: d.teams.ServiceURL(), Log: log})
	if err != nil {
		d.t.Fatal(err)
	}
	return connector
}

func (d *desk) webhook() string { return d.front.URL + "/api/v1/snowBot/receiveMessage" }

// within is how long a test waits for something that has to happen.
func (d *desk) within() context.Context {
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	d.t.Cleanup(cancel)
	return ctx
}

// says has the employee write, and demands that it is accepted.
func (d *desk) says(text string) adaptertest.Posted {
	d.t.Helper()
	p, err := d.chat.Say(d.within(), d.mia, text)
	if err != nil || p.Status != http.StatusOK {
		d.t.Fatalf("say %q: status %d, %v", text, p.Status, err)
	}
	return p
}

// sees waits until Teams shows the words.
func (d *desk) sees(words string) adaptertest.Message {
	d.t.Helper()
	m, err := d.teams.WaitText(d.within(), d.chat, words)
	if err != nil {
		d.t.Fatalf("Teams never showed %q: %v\nit shows %q", words, err, d.shown())
	}
	return m
}

// shown is what the bot has written in Teams.
func (d *desk) shown() []string {
	var out []string
	for _, m := range d.chat.Messages() {
		if m.FromBot {
			out = append(out, m.Text+cardText(m))
		}
	}
	return out
}

// waits until the agent's desk has a chat in the state.
func (d *desk) waits(s snowtest.State) snowtest.Chat {
	d.t.Helper()
	c, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.State == s })
	if err != nil {
		d.t.Fatalf("no chat is %s: %v", s, err)
	}
	return c
}

// connect brings Mia and the agent Sam together.
func (d *desk) connect() snowtest.Chat {
	d.t.Helper()
	d.says("I want to talk to a person")
	c := d.waits(snowtest.StateQueued)
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		d.t.Fatal(err)
	}
	d.sees("Sam Ortiz")
	return d.waits(snowtest.StateLive)
}

// cardText is the card of a message, if it has one.
func cardText(m adaptertest.Message) string {
	for _, a := range m.Attachments {
		return string(a.Content)
	}
	return ""
}

// presses has the employee press the button of a card whose data has the verb.
func (d *desk) presses(verb string) {
	d.t.Helper()
	messages := d.chat.Messages()
	for i := len(messages) - 1; i >= 0; i-- {
		for _, b := range buttons(messages[i]) {
			if b.Data["snowbot"] != verb {
				continue
			}
			p, err := d.chat.Submit(d.within(), d.mia, messages[i].ID, b.Data)
			if err != nil || p.Status != http.StatusOK {
				d.t.Fatalf("press %q: status %d, %v", verb, p.Status, err)
			}
			return
		}
	}
	d.t.Fatalf("no card has a button %q; Teams shows %q", verb, d.shown())
}

type cardButton struct {
	Title string         `json:"title"`
	Data  map[string]any `json:"data"`
}

func buttons(m adaptertest.Message) []cardButton {
	var out []cardButton
	for _, a := range m.Attachments {
		var c struct {
			Actions []cardButton `json:"actions"`
		}
		if json.Unmarshal(a.Content, &c) == nil {
			out = append(out, c.Actions...)
		}
	}
	return out
}

// requests are the bodies of what the instance was asked, with the action, "" for words.
func (d *desk) requests(action string) []map[string]any {
	var out []map[string]any
	for _, x := range d.snow.Log() {
		if x.Direction != snowtest.In || !strings.HasSuffix(x.Path, "/bot/integration") {
			continue
		}
		var body map[string]any
		if json.Unmarshal([]byte(x.RequestBody), &body) != nil {
			continue
		}
		if got, _ := body["action"].(string); got == action {
			out = append(out, body)
		}
	}
	return out
}

// count is how many messages of the bot show the words.
func (d *desk) count(words string) int {
	n := 0
	for _, m := range d.chat.Messages() {
		if m.FromBot && m.Shows(words) {
			n++
		}
	}
	return n
}

// settles waits until nothing is left to be delivered.
func (d *desk) settles() {
	d.t.Helper()
	ctx := d.within()
	for {
		s, err := d.store.Stats(ctx)
		if err != nil {
			d.t.Fatalf("the lanes never ran empty: %v", err)
		}
		left := 0
		for dir, n := range s.Waiting {
			if dir != store.Held && dir != store.Links {
				left += n
			}
		}
		if left == 0 {
			return
		}
		runtime.Gosched()
	}
}

// answers has the agent write.
func (d *desk) answers(c snowtest.Chat, text string) string {
	d.t.Helper()
	id, err := d.snow.Say(d.within(), c.ID, text)
	if err != nil {
		d.t.Fatalf("agent says %q: %v", text, err)
	}
	return id
}

// hears waits until the agent's desk shows the employee's words.
func (d *desk) hears(c snowtest.Chat, text string) snowtest.Line {
	d.t.Helper()
	l, err := d.snow.WaitLine(d.within(), c.ID, text)
	if err != nil {
		d.t.Fatalf("the agent never saw %q: %v", text, err)
	}
	return l
}
