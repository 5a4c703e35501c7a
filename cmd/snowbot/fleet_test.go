package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
)

// A fleet is several replicas of the real binary on one PostgreSQL database, behind a load balancer that hands each
// request to the next of them. It is a target of the history checker: Kill kills two of them in turn, and Start starts what
// does not run.
type fleet struct {
	replicas []*binary
	front    *httptest.Server
	turn     atomic.Uint64 // of the load balancer
	victim   int

	mu      sync.Mutex
	at      []history.Addresses // of each replica; empty while it does not run
	counted []int               // of possible repeats, by each that runs
}

// newFleet prepares replicas between two emulators. The variables given come on top.
func newFleet(t *testing.T, n int, teams *adaptertest.Channel, inst *snowtest.Instance, more map[string]string) *fleet {
	t.Helper()
	f := &fleet{at: make([]history.Addresses, n), counted: make([]int, n)}
	for range n {
		f.replicas = append(f.replicas, newBinary(t, teams, inst, maps.Clone(more)))
	}
	t.Cleanup(func() {
		for _, r := range f.replicas {
			if r.proc != nil {
				r.proc.kill()
			}
		}
		if f.front != nil {
			f.front.Close()
		}
	})
	return f
}

// Start implements history.Target.
func (f *fleet) Start(ctx context.Context) (history.Addresses, error) {
	g, starting := errgroup.WithContext(ctx)
	for i := range f.replicas {
		if f.address(i).Bot == "" {
			g.Go(func() error { return f.start(starting, i) })
		}
	}
	if err := g.Wait(); err != nil {
		return history.Addresses{}, err
	}
	if f.front == nil {
		routes := http.NewServeMux()
		routes.HandleFunc("/metrics", f.metrics)
		routes.Handle("/", &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "fleet"}) },
			Transport: f,
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				w.WriteHeader(http.StatusBadGateway) // it was killed in the middle of the request
			},
		})
		f.front = httptest.NewServer(routes)
	}
	return history.Addresses{
		Bot: f.front.URL + "/api/messages", Webhook: f.front.URL + "/api/v1/snowBot/receiveMessage", WebhookSecret: rigSecret,
		Metrics: f.front.URL + "/metrics",
	}, nil
}

// start starts a replica, again if the database is away just now.
func (f *fleet) start(ctx context.Context, i int) error {
	at, err := f.replicas[i].Start(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[i], f.counted[i] = at, 0
	return err
}

func (f *fleet) address(i int) history.Addresses {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at[i]
}

// kill kills one replica.
func (f *fleet) kill(i int) error {
	err := f.replicas[i].Kill()
	f.replicas[i].command = []string{"snowbot", "serve"} // the next one is of this version, whatever this one was
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[i] = history.Addresses{}
	return err
}

// Kill implements history.Target.
func (f *fleet) Kill() error {
	i := f.victim % min(2, len(f.replicas))
	f.victim++
	return f.kill(i)
}

// Stop implements history.Target.
func (f *fleet) Stop() error {
	g := errgroup.Group{}
	for i, r := range f.replicas {
		if f.address(i).Bot != "" {
			g.Go(r.Stop)
		}
	}
	return g.Wait()
}

// Drain implements history.Target.
func (f *fleet) Drain() error { return errors.New("a fleet is not drained") }

// RoundTrip is the load balancer: a replica that does not listen is passed over.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for range f.replicas {
		at := f.address(int(f.turn.Add(1) % uint64(len(f.replicas))))
		if at.Bot == "" {
			continue
		}
		to, err := url.Parse(at.Bot)
		if err != nil {
			return nil, err
		}
		out := r.Clone(r.Context())
		out.URL.Host, out.Body = to.Host, io.NopCloser(bytes.NewReader(body))
		res, err := http.DefaultTransport.RoundTrip(out)
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			continue
		}
		return res, err
	}
	return nil, errors.New("no replica listens")
}

// metrics says by how much the possible repeats that all of them count have grown since it was last asked.
func (f *fleet) metrics(w http.ResponseWriter, r *http.Request) {
	grown := make([]int, len(f.replicas))
	g, ctx := errgroup.WithContext(r.Context())
	for i := range f.replicas {
		at := f.address(i)
		if at.Bot == "" {
			continue
		}
		g.Go(func() error {
			n, err := readRepeats(ctx, at.Metrics)
			f.mu.Lock()
			defer f.mu.Unlock()
			grown[i] = n - f.counted[i]
			f.counted[i] = n
			return err
		})
	}
	if err := g.Wait(); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	sum := 0
	for _, n := range grown {
		sum += n
	}
	fmt.Fprintf(w, "snowbot_possible_repeats_total{cause=\"all\"} %d\n", sum)
}

func readRepeats(ctx context.Context, metrics string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, metrics, http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	sum := 0.0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "} "); ok && strings.HasPrefix(name, "snowbot_possible_repeats_total{") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return int(sum), nil
}

// tail is the end of what each replica has logged.
func (f *fleet) tail(lines int) string {
	var b strings.Builder
	for i, r := range f.replicas {
		all := strings.Split(r.logs.String(), "\n")
		fmt.Fprintf(&b, "replica %d:\n%s\n", i, strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
	return b.String()
}
