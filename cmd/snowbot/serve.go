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
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
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
