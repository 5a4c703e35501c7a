package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// checkPublicURL asks for /healthz the way that Teams and ServiceNow come in. When no service runs, it answers itself.
func checkPublicURL(ctx context.Context, s *settings) []finding {
	if s.PublicURL == "" {
		return []finding{skipped("PUBLIC_URL is not set: nobody can check the way in")}
	}
	if checkURL(s.PublicURL) != nil {
		return []finding{skipped(fixSettings)}
	}
	address, err := url.JoinPath(s.PublicURL, "healthz")
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	want := aliveText
	if !runs(ctx, s) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.ListenAddr)
		if err != nil {
			return []finding{failed("no service runs, and LISTEN_ADDR cannot be used: "+err.Error(), "stop what uses LISTEN_ADDR, or set another")}
		}
		want = rand.Text()
		defer standIn(l, want)()
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	const next = "make the name, the certificate and the proxy lead to LISTEN_ADDR of this machine"
	body, err := fetch(ctx, client, address)
	switch {
	case err != nil:
		return []finding{failed(address+": "+plainError(err), next)}
	case strings.TrimSpace(body) != want:
		return []finding{failed(address+" is answered by something else", next)}
	}
	return []finding{ok("leads here: " + address)}
}

// checkFiles says whether files are passed on, and what nobody can check from here.
func checkFiles(_ context.Context, s *settings) []finding {
	conf, err := readConfig(s.ConfigFile)
	if err != nil || s.PublicURL != "" && checkURL(s.PublicURL) != nil {
		return []finding{skipped(fixSettings)}
	}
	if conf.rules(s).Files.Base == "" {
		why := "PUBLIC_URL is not set"
		if s.PublicURL != "" {
			why = "files.relay is false"
		}
		return []finding{skipped("files are not passed on, and both sides are told: " + why)}
	}
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return []finding{skipped(fixSettings)}
	}
	f := ok("passed on both ways")
	f.Next = "make sure that " + u.Hostname() + " is among the Trusted media domains of the provider application: elsewhere ServiceNow drops files without a word"
	return []finding{f}
}

// standIn answers on l in the place of the service, until the returned function is called.
func standIn(l net.Listener, text string) (stop func()) {
	server := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/healthz") {
				w.Header().Set("Retry-After", "10")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, text)
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // until stop
	}()
	return func() { server.Close(); <-ended }
}
