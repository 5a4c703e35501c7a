package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

type sandboxCommand struct {
	Addr string `default:"127.0.0.1:8787" help:"Where the page is served. A free port is taken when this one is in use."`
	Keep bool   `help:"Keep the database and the log of the service when it ends."`
}

// Run runs everything on this machine until SIGTERM or SIGINT.
func (c *sandboxCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the program itself: %w", err)
	}
	dir, err := os.MkdirTemp("", "snowbot-sandbox-")
	if err != nil {
		return err
	}
	if !c.Keep {
		defer os.RemoveAll(dir)
	}
	listener, err := listenNear(ctx, c.Addr)
	if err != nil {
		return err
	}
	s, err := newSandbox(sandboxOptions{Binary: binary, Dir: dir, Addr: listener.Addr().String()})
	if err != nil {
		listener.Close()
		return err
	}
	announce(os.Stdout, listener.Addr().String(), c, s.child.logPath)
	return s.run(ctx, listener)
}

// listenNear listens on addr, or on a free port of the same host when that port is in use.
func listenNear(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(addr)
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("the page cannot be served: %w", err)
	}
	return l, nil
}

// announce prints the one block that a newcomer reads.
func announce(w io.Writer, addr string, c *sandboxCommand, logPath string) {
	_, asked, _ := net.SplitHostPort(c.Addr)
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		addr = net.JoinHostPort("localhost", port)
	}
	note := ""
	if asked != "0" && asked != port {
		note = "  (" + c.Addr + " is in use)"
	}
	fate := ", removed at the end (--keep keeps it)"
	if c.Keep {
		fate = ", kept"
	}
	fmt.Fprintf(w, `
  snowbot sandbox: Teams and ServiceNow are emulated, the service between them is real.

    Open   http://%s/%s
    Try    as Mia, on the left:    I want to talk to a person
           as Sam, on the right:   press Accept, and write back
           then break something:   kill the service while a message is on its way
    Log    %s%s

  Ctrl-C ends everything.

`, addr, note, logPath, fate)
}

type sandboxOptions struct {
	Binary string // the program that serves
	Dir    string // for the database and the log
	Addr   string // of the page, which hands the service's files on; "" and no files pass
}

// A sandbox is an emulated Teams, an emulated ServiceNow, the real service between them as a child process, and a page.
type sandbox struct {
	teams *adaptertest.Channel
	now   *snowtest.Instance
	child *sandboxChild
	hub   *sandboxHub

	serviceAddr atomic.Pointer[string] // where the service listens, once it does

	doing sync.Mutex // one change of the emulated world at a time; taken before mu

	mu        sync.Mutex // never held while an emulator is called
	employees []*sandboxEmployee
	agents    []string
	dialect   snowtest.Dialect
	typing    map[string]time.Time // by session id: until when the desk shows that the employee types
	faults    sandboxFaults
}

// newSandbox starts the emulators. What it started ends with run, which has to be called.
func newSandbox(o sandboxOptions) (*sandbox, error) {
	s := &sandbox{
		hub: newSandboxHub(), agents: []string{sandboxAgents[0]}, dialect: snowtest.DialectOfficial,
		typing: map[string]time.Time{}, faults: sandboxFaults{remove: map[string]func(){}, mode: map[string]string{}},
	}
	var err error
	if s.teams, err = adaptertest.New(adaptertest.Options{BotName: "Snowbot", Windows: true, KeepLast: 500, LogSize: 1}); err != nil {
		return nil, err
	}
	messageToken := rand.Text()
	s.now, err = snowtest.New(snowtest.Options{
		Agents: []snowtest.Agent{{Name: sandboxAgents[0]}}, AgentNames: true, WaitTime: "2 Minutes",
		MessageAuth: snowtest.MessageAuth{Kind: snowtest.MessageAuthStatic, Secret: messageToken},
		Users:       sandboxUsers(), KeepLast: 500, TrustedMedia: []string{"127.0.0.1"},
	})
	if err != nil {
		s.teams.Close()
		return nil, err
	}
	secret := rand.Text()
	env := emulatedEnv(s.teams, s.now)
	env["SERVICENOW_MESSAGE_TOKEN"], env["WEBHOOK_SECRET"] = messageToken, secret
	env["DATA_ENCRYPTION_KEY"], env["DATABASE_URL"] = newDataKey(), "bbolt:"+filepath.Join(o.Dir, "snowbot.db")
	if _, port, err := net.SplitHostPort(o.Addr); err == nil {
		env["PUBLIC_URL"] = "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	s.child = newSandboxChild(o.Binary, filepath.Join(o.Dir, "service.log"), env)
	s.child.listening = func(addr string) {
		s.serviceAddr.Store(&addr)
		s.teams.SetBot("http://" + addr + "/api/messages")
		s.now.SetWebhook("http://"+addr+"/api/v1/snowBot/receiveMessage", secret)
	}
	s.child.changed = s.hub.touch
	return s, nil
}

// run serves the page until ctx ends, and then ends all that newSandbox and run have started.
func (s *sandbox) run(ctx context.Context, l net.Listener) error {
	defer s.teams.Close()
	defer s.now.Close()
	g, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: s.page(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the event streams
	}
	g.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(limit) != nil {
			return server.Close()
		}
		return nil
	})
	g.Go(func() error { return s.child.run(ctx) })
	g.Go(func() error { return s.child.probe(ctx) })
	g.Go(func() error { s.welcome(ctx); return nil })
	s.watch(ctx, g)
	return g.Wait()
}

// welcome lets the first employee install the app as soon as the service is ready for the first time.
func (s *sandbox) welcome(ctx context.Context) {
	for changed := s.hub.changed(); ; changed = s.hub.changed() {
		if s.child.status().State == serviceReady {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
	// What became of it is on the wire that the page shows. It is no end of the sandbox if the service is killed this early.
	_, _ = s.openEmployee(ctx, sandboxPeople[0].key)
}

// watch tells the page of whatever changes in the emulators, and lets ServiceNow's time pass.
func (s *sandbox) watch(ctx context.Context, g *errgroup.Group) {
	stopTeams := s.teams.Subscribe(func(e adaptertest.Exchange) { s.hub.record(wireOfTeams(&e)); s.teamsFault(e.Fault) })
	stopNow := s.now.Subscribe(func(e snowtest.Exchange) { s.hub.record(wireOfServiceNow(&e)); s.serviceNowSeen(&e) })
	g.Go(func() error {
		defer stopTeams()
		for changed := s.teams.Changed(); ; {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				changed = s.teams.Changed() // before the page looks, so that it misses nothing
				s.hub.touch()
			}
		}
	})
	g.Go(func() error {
		defer stopNow()
		_ = s.now.Wait(ctx, func() bool { // asked after every change
			s.hub.touch()
			return false
		})
		return nil
	})
	g.Go(func() error {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				_ = s.now.RunTimers(ctx) // what the webhook refuses is on the wire log
			}
		}
	})
}
