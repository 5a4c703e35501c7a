package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
)

type serveCommand struct {
	settings
	Profile string `hidden:"" placeholder:"DIR" help:"Write profiles of the process there."`
}

// Run runs the service until SIGTERM or SIGINT.
func (c *serveCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	done, err := profile(c.Profile, "service")
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, &c.settings, os.Stderr), done())
}

// A shutdown takes ten seconds at most: requests under way are answered, while sends in hand, which have limits of their own, are finished.
const (
	drainRequests = 5 * time.Second
	drainAll      = 10 * time.Second
)

// databasePatience is how long a start waits for a database server that does not answer yet.
const databasePatience = time.Minute

// A service is everything that runs.
type service struct {
	log      *slog.Logger
	store    *database
	verifier *adapter.Verifier
	snow     *snow.Client
	bot      *bot.Bot
	public   http.Handler
	admin    http.Handler
	draining atomic.Bool
}

// serve wires the service and runs it until ctx ends. The order of the end: not ready, no more requests taken, sends in hand
// finished, store closed.
func serve(ctx context.Context, s *settings, logs io.Writer) error {
	conf, wrong := readConfig(s.ConfigFile)
	if err := joinProblems(s.check(), wrong); err != nil { // all that is wrong, at once
		return err
	}
	sv, err := newService(ctx, s, conf, slog.New(slog.NewJSONHandler(logs, nil)))
	if err != nil {
		return err
	}
	defer sv.close()
	public, err := listen(ctx, "LISTEN_ADDR", s.ListenAddr)
	if err != nil {
		return err
	}
	admin, err := listen(ctx, "ADMIN_LISTEN_ADDR", s.AdminListenAddr)
	if err != nil {
		public.Close()
		return err
	}
	return sv.run(ctx, public, admin)
}

func listen(ctx context.Context, name, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

func newService(ctx context.Context, s *settings, conf config, log *slog.Logger) (_ *service, err error) {
	sv := &service{log: log}
	defer func() {
		if err != nil {
			sv.close()
		}
	}()
	cloud, err := adapter.CloudByName(s.Cloud)
	if err != nil {
		return nil, err
	}
	metadata := s.OpenIDMetadata
	if metadata == "" {
		metadata = cloud.MetadataURL
	}
	hosts := adapter.HostPolicy{AllowLoopback: isLoopbackURL(metadata)}
	if sv.verifier, err = adapter.NewVerifier(adapter.VerifierOptions{
		AppID: s.AppID, MetadataURL: metadata, Issuer: cloud.Issuer, Log: log,
	}); err != nil {
		return nil, err
	}
	tokens, err := adapter.NewTokenSource(s.credentials(cloud, log))
	if err != nil {
		return nil, err
	}
	connector, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: hosts, Log: log})
	if err != nil {
		return nil, err
	}
	if sv.snow, err = snow.NewClient(snow.ClientOptions{
		Instance: s.Instance, Grant: s.Grant, ClientID: s.ClientID, ClientSecret: s.ClientSecret,
		Username: s.Username, Password: s.Password, MessageToken: s.MessageToken,
		HashSecret: s.HashSecret, AppInboundID: s.AppInboundID, Log: log,
		Accept: func(ctx context.Context, e *snow.Event) error { return sv.bot.ServiceNow(ctx, e) },
	}); err != nil {
		return nil, err
	}
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		return nil, fmt.Errorf("DATA_ENCRYPTION_KEY: %w", err)
	}
	create := conf.Database.Migrate == nil || *conf.Database.Migrate || !s.DatabaseURL.isPostgres()
	if sv.store, err = s.DatabaseURL.open(ctx, databaseOptions{keys: keys, log: log, create: create, serve: true, patience: databasePatience}); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if syncs := sv.store.syncs; syncs != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "snowbot_store_syncs_total", Help: "How often the database file was synced to disk.",
		}, func() float64 { return float64(syncs()) }))
	}
	rules := conf.rules(s)
	rules.Resolve, rules.Media = sv.snow.Resolve, sv.snow.MediaOf
	if sv.bot, err = bot.New(bot.Options{
		Store: sv.store.Store, Teams: connector, ServiceNow: sv.snow, AppID: s.AppID,
		Rules: rules, PossibleRepeats: sv.store.repeats,
		Replicas: sv.store.replicas, LostSettles: sv.store.lostSettles, Metrics: registry, Log: log,
	}); err != nil {
		return nil, err
	}
	return sv, sv.routes(s, hosts, registry)
}

// credentials are the bot's towards Microsoft.
func (s *settings) credentials(cloud adapter.Cloud, log *slog.Logger) adapter.Credentials {
	c := adapter.Credentials{
		AppID: s.AppID, AppType: s.AppType, TenantID: s.AppTenantID, Password: s.AppPassword,
		CertificatePEM: []byte(s.AppCertificate), FederatedTokenFile: s.FederatedFile,
		Cloud: cloud, TokenURL: s.TokenURL, Log: log,
	}
	if s.AppType == adapter.UserAssignedMSI && s.TokenURL == "" { // App Service sets these for every app that has any identity
		c.IdentityEndpoint, c.IdentityHeader = os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("IDENTITY_HEADER")
	}
	return c
}

// routes makes the two handlers.
func (sv *service) routes(s *settings, hosts adapter.HostPolicy, registry *prometheus.Registry) error {
	guesses := &adminGuard{now: time.Now}
	messages, err := adapter.NewHandler(adapter.HandlerOptions{
		Verifier: sv.verifier, AppID: s.AppID, Tenants: s.tenants(), Hosts: hosts,
		OnActivity: sv.bot.Activity, OnInvoke: sv.bot.Invoke, Log: sv.log,
		OnGuess: func(ctx context.Context) { guesses.failed(ctx) },
	})
	if err != nil {
		return err
	}
	webhook, err := snow.NewWebhook(snow.WebhookOptions{
		Secrets: list(s.WebhookSecret), BasicUser: s.WebhookUser, Header: s.WebhookHeader,
		Accept: sv.bot.ServiceNow, Log: sv.log,
	})
	if err != nil {
		return err
	}
	public := mux.NewRouter()
	public.Handle("/api/messages", messages)
	public.Handle("/api/v1/snowBot/receiveMessage", webhook)
	files := newFileServer(sv.bot.File, sv.log)
	files.fetched = sv.bot.Fetched
	public.Handle(filesPath+"/{token}", files)
	admin := mux.NewRouter()
	admin.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	adminRoutes(admin, sv, s.AdminToken)
	for _, r := range []*mux.Router{public, admin} {
		r.HandleFunc("/healthz", sv.alive).Methods(http.MethodGet, http.MethodHead)
		r.HandleFunc("/readyz", sv.ready).Methods(http.MethodGet, http.MethodHead)
	}
	sv.public, sv.admin = public, admin
	return nil
}

// alive says that the process answers.
func (sv *service) alive(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }

// ready says whether requests are welcome, and if not, why.
func (sv *service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	switch err := sv.store.ready(ctx); {
	case sv.draining.Load():
		answer(w, http.StatusServiceUnavailable, "shutting down")
	case err != nil:
		answer(w, http.StatusServiceUnavailable, "the database takes no commits")
	case !sv.verifier.Ready():
		answer(w, http.StatusServiceUnavailable, "signing keys not loaded")
	default:
		answer(w, http.StatusOK, "ready")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// run serves until ctx ends, or until something that cannot be done without fails.
func (sv *service) run(ctx context.Context, public, admin net.Listener) error {
	sv.log.Info("listening", "addr", public.Addr().String(), "admin", admin.Addr().String(), "version", version())
	g, failing := errgroup.WithContext(context.WithoutCancel(ctx))
	taking, stop := context.WithCancel(failing) // ends when no more work is taken
	defer stop()
	servers := []*http.Server{sv.server(sv.public), sv.server(sv.admin)}
	for i, l := range []net.Listener{public, admin} {
		g.Go(func() error {
			if err := servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error { return sv.verifier.Run(taking) })
	g.Go(func() error { return sv.bot.Run(taking) })
	g.Go(func() error { return tuneGarbage(taking) })
	g.Go(func() error {
		select {
		case <-sv.store.failed:
			return fmt.Errorf("the store failed; nothing more is accepted: %w", sv.store.err())
		case <-taking.Done():
			return nil
		}
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-failing.Done():
		}
		sv.draining.Store(true)
		sv.log.Info("shutting down")
		sv.exitLate()
		stop() // sends in hand are finished while requests are
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRequests)
		defer cancel()
		for _, s := range servers {
			if err := s.Shutdown(limit); err != nil {
				s.Close()
			}
		}
		return nil
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// exitLate ends the process if the shutdown takes too long. Nothing is lost: what is not settled is sent again.
func (sv *service) exitLate() {
	time.AfterFunc(drainAll, func() {
		sv.log.Error("shutdown took too long; what was in hand will be repeated after the next start")
		os.Exit(1)
	})
}

func (sv *service) server(h http.Handler) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(sv.log.Handler(), slog.LevelDebug),
	}
	(&lobby{most: mostWaiting}).guard(s)
	return s
}

func (sv *service) close() {
	if sv.snow != nil {
		sv.snow.Close()
	}
	if sv.store != nil {
		if err := sv.store.Close(); err != nil {
			sv.log.Error("store did not close cleanly", "err", err)
		}
	}
}
