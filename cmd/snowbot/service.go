package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"snowbot/adapter"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/store"
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

// newService makes all that the service needs, from the outside in. What was made is closed again when something fails.
func newService(ctx context.Context, s *settings, conf config, log *slog.Logger) (_ *service, err error) {
	sv := &service{log: log}
	defer func() {
		if err != nil {
			sv.close()
		}
	}()
	hosts := adapter.HostPolicy{Extra: conf.Hosts}
	connector, err := sv.connectTeams(s, &hosts)
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
	if err = sv.openStore(ctx, s, conf); err != nil {
		return nil, err
	}
	registry := newRegistry(sv.store)
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

// connectTeams makes the verifier of what Microsoft sends and the client that answers. A metadata address on this machine is that of
// an emulator: its hosts are here too.
func (sv *service) connectTeams(s *settings, hosts *adapter.HostPolicy) (*adapter.Connector, error) {
	cloud, err := adapter.CloudByName(s.Cloud)
	if err != nil {
		return nil, err
	}
	metadata := s.metadata(cloud)
	hosts.AllowLoopback = isLoopbackURL(metadata)
	if sv.verifier, err = adapter.NewVerifier(adapter.VerifierOptions{
		AppID: s.AppID, MetadataURL: metadata, Issuer: cloud.Issuer, Log: sv.log,
	}); err != nil {
		return nil, err
	}
	tokens, err := adapter.NewTokenSource(s.credentials(cloud, sv.log))
	if err != nil {
		return nil, err
	}
	return adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: *hosts, Log: sv.log})
}

// openStore opens the database, and makes it or brings it up to date, unless the configuration leaves that to snowbot migrate.
func (sv *service) openStore(ctx context.Context, s *settings, conf config) error {
	keys, err := store.ParseKeyring(s.DataKey)
	if err != nil {
		return fmt.Errorf("DATA_ENCRYPTION_KEY: %w", err)
	}
	create := conf.Database.Migrate == nil || *conf.Database.Migrate || !s.DatabaseURL.isPostgres()
	sv.store, err = s.DatabaseURL.open(ctx, databaseOptions{keys: keys, log: sv.log, create: create, serve: true, patience: databasePatience})
	return err
}

// newRegistry has the metrics of the process and of the database. The bot adds its own.
func newRegistry(db *database) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if db.syncs != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "snowbot_store_syncs_total", Help: "How often the database file was synced to disk.",
		}, func() float64 { return float64(db.syncs()) }))
	}
	return registry
}

// metadata is where Microsoft says with which keys it signs.
func (s *settings) metadata(cloud adapter.Cloud) string {
	return cmp.Or(s.OpenIDMetadata, cloud.MetadataURL)
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
