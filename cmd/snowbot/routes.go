package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"snowbot/adapter"
	"snowbot/snow"
)

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
func (sv *service) alive(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, aliveText) }

// aliveText is what /healthz says.
const aliveText = "ok"

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
