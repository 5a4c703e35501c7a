package history_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/bot/history"
	"snowbot/cmd/leaktest"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
	"snowbot/store/bolt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A local is the service in this process, with a clock that can be moved. It is stopped, not killed.
type local struct {
	teams *adaptertest.Channel
	snow  *snowtest.Instance
	path  string
	rules bot.Rules
	slow  time.Duration   // how long ServiceNow takes for anything but words
	watch *leaktest.Watch // of what is logged and counted
	ahead atomic.Int64
	stop  func() error
}

func (l *local) now() time.Time { return time.Now().Round(0).Add(time.Duration(l.ahead.Load())) }

const localSecret = "local-webhook-secret"

func (l *local) Start(context.Context) (history.Addresses, error) {
	keys, err := store.NewKeyring(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		return history.Addresses{}, err
	}
	st, err := bolt.Open(bolt.Options{Path: l.path, Keys: keys, Now: l.now, Log: l.watch.Log()})
	if err != nil {
		return history.Addresses{}, err
	}
	cloud, err := adapter.CloudByName("public")
	if err != nil {
		return history.Addresses{}, err
	}
	verifier, err := adapter.NewVerifier(adapter.VerifierOptions{
		AppID: l.teams.AppID(), MetadataURL: l.teams.MetadataURL(), Issuer: cloud.Issuer, Log: l.watch.Log(),
	})
	if err != nil {
		return history.Addresses{}, err
	}
	tokens, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: l.teams.AppID(), AppType: "SingleTenant", TenantID: l.teams.TenantID(), Password: l.teams.AppPassword(),
		Cloud: cloud, TokenURL: l.teams.TokenURL(), Log: l.watch.Log(),
	})
	if err != nil {
		return history.Addresses{}, err
	}
	hosts := adapter.HostPolicy{AllowLoopback: true}
	connector, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: hosts, Log: l.watch.Log()})
	if err != nil {
		return history.Addresses{}, err
	}
	id, secret, user, password := l.snow.Credentials()
	client, err := snow.NewClient(snow.ClientOptions{
		Instance: l.snow.URL(), ClientID: id, ClientSecret: secret, Username: user, Password: password, Log: l.watch.Log(),
	})
	if err != nil {
		return history.Addresses{}, err
	}
	registry := prometheus.NewRegistry()
	rules := l.rules
	rules.Ticks, rules.Resolve = true, client.Resolve
	service, err := bot.New(bot.Options{
		Store: st, Teams: connector, ServiceNow: client, AppID: l.teams.AppID(), Metrics: registry, Now: l.now, Workers: 8, Rules: rules,
		Log: l.watch.Log(),
	})
	if err != nil {
		return history.Addresses{}, err
	}
	messages, err := adapter.NewHandler(adapter.HandlerOptions{
		Verifier: verifier, AppID: l.teams.AppID(), Tenants: []string{l.teams.TenantID()}, Hosts: hosts,
		OnActivity: service.Activity, OnInvoke: service.Invoke, Log: l.watch.Log(),
	})
	if err != nil {
		return history.Addresses{}, err
	}
	webhook, err := snow.NewWebhook(snow.WebhookOptions{Secrets: []string{localSecret}, Accept: service.ServiceNow, Log: l.watch.Log()})
	if err != nil {
		return history.Addresses{}, err
	}
	routes := http.NewServeMux()
	routes.Handle("/api/messages", messages)
	routes.Handle("/webhook", webhook)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	routes.Handle("/metrics", metrics)
	front := httptest.NewServer(routes)

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = verifier.Run(ctx) })
	running.Go(func() { _ = service.Run(ctx) })
	l.stop = func() error {
		front.Close()
		cancel()
		running.Wait()
		l.watch.Serves(leaktest.Metrics, metrics)
		client.Close()
		return st.Close()
	}
	return history.Addresses{
		Bot: front.URL + "/api/messages", Webhook: front.URL + "/webhook", WebhookSecret: localSecret, Metrics: front.URL + "/metrics",
	}, nil
}

func (l *local) Stop() error { return l.stop() }

func (l *local) Kill() error { return errors.New("cannot be killed") }

func (l *local) Drain() error { return errors.New("cannot be drained") }

// run checks a history of the service in this process.
func (l *local) run(t *testing.T, p history.Plan, o adaptertest.Options) history.Report {
	t.Helper()
	p.Seed = rand.Uint64N(1 << 32)
	t.Logf("seed %d", p.Seed)
	o.Seed = p.Seed
	var err error
	if p.Teams, err = adaptertest.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Teams.Close() })
	if p.ServiceNow, err = snowtest.New(snowtest.Options{Seed: p.Seed, AgentNames: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.ServiceNow.Close)
	if l.slow > 0 {
		if _, err := p.ServiceNow.AddFault(snowtest.Fault{
			Kind: snowtest.FaultDelay, Delay: l.slow, Match: func(r snowtest.FaultRequest) bool { return r.Action != "message" },
		}); err != nil {
			t.Fatal(err)
		}
	}
	l.watch = leaktest.New(t)
	_, secret, _, password := p.ServiceNow.Credentials()
	l.watch.Secret(p.Teams.AppPassword(), secret, password, localSecret)
	t.Cleanup(p.Teams.Subscribe(func(x adaptertest.Exchange) { l.watch.Wire(x.RequestBody) }))
	t.Cleanup(p.ServiceNow.Subscribe(func(x snowtest.Exchange) { l.watch.Wire(x.RequestBody) }))
	l.teams, l.snow, l.path = p.Teams, p.ServiceNow, filepath.Join(t.TempDir(), "snowbot.db")
	p.Target = l
	report, err := history.Run(t.Context(), p)
	t.Log(report)
	if err != nil {
		t.Error(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	if report.Stops != p.Stops || report.Accepted < p.Conversations*p.Messages {
		t.Errorf("the run did too little: %s", report)
	}
	return report
}

// TestPromisesHoldWhileTheClockJumps moves the service's clock forth and back while all talk, and stops and starts it.
func TestPromisesHoldWhileTheClockJumps(t *testing.T) {
	t.Parallel()
	// A clock that can be moved has no monotonic reading, which leases go by. Further jumps would end them, as no real clock does.
	const jump = 6 * time.Second
	l := &local{}
	over := make(chan struct{})
	var jumping sync.WaitGroup
	jumping.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.ahead.Store(int64(jump) - rand.Int64N(2*int64(jump)))
			case <-over:
				return
			}
		}
	})
	defer jumping.Wait()
	defer close(over)
	l.run(t, history.Plan{Conversations: 20, Messages: 10, FaultRate: 0.05, Stops: 2}, adaptertest.Options{})
}

// TestPromisesHoldWhenSendsArePaced has Teams enforce its rate windows, so that agents' messages wait and are merged.
func TestPromisesHoldWhenSendsArePaced(t *testing.T) {
	t.Parallel()
	l := &local{rules: bot.Rules{Pacing: true}}
	report := l.run(t, history.Plan{Conversations: 6, Messages: 15, FaultRate: 0.05, Stops: 1}, adaptertest.Options{Windows: true})
	sends, shown := map[int32]bool{}, 0
	for _, e := range report.Record.Events() {
		if e.Kind == history.Shown && e.Mark.Direction == history.FromAgent {
			sends[e.Send] = true
			shown++
		}
	}
	if len(sends) == shown {
		t.Errorf("%d messages in %d sends: none were merged", shown, len(sends))
	}
}

// TestAChatOfASessionThatWasCancelledIsNotTakenForTheNext has ServiceNow take its time, so that who cancels has forgotten it when the
// chat comes to the desk.
func TestAChatOfASessionThatWasCancelledIsNotTakenForTheNext(t *testing.T) {
	t.Parallel()
	l := &local{slow: 100 * time.Millisecond}
	l.run(t, history.Plan{Conversations: 12, Messages: 20}, adaptertest.Options{})
}

// TestARunEndsWithItsService has a service that is gone when the run wants to stop it: whoever talks is not waited for.
func TestARunEndsWithItsService(t *testing.T) {
	t.Parallel()
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer teams.Close()
	now, err := snowtest.New(snowtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
		}
	}))
	defer front.Close()
	report, err := history.Run(t.Context(), history.Plan{Teams: teams, ServiceNow: now, Conversations: 1, KillEvery: time.Millisecond, Target: gone{front.URL}})
	if !errors.Is(err, errGone) || report.Accepted > 0 {
		t.Errorf("report %s, error %v; want an error, since the service is gone", report, err)
	}
}

// gone is a service that says that it has started, and of which only the metrics answer.
type gone struct{ metrics string }

var errGone = errors.New("there is no such process")

func (g gone) Start(context.Context) (history.Addresses, error) {
	return history.Addresses{Bot: g.metrics + "/api/messages", Webhook: g.metrics + "/webhook", Metrics: g.metrics + "/metrics"}, nil
}

func (gone) Stop() error  { return errGone }
func (gone) Kill() error  { return errGone }
func (gone) Drain() error { return errGone }
