package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	"snowbot/bot/history"
)

// A benchTarget is the real service as a process that the history checker kills, drains and starts again, on one database.
type benchTarget struct {
	command []string // the program, and what it is told
	env     []string
	secret  string // of the webhook
	logs    io.Writer
	proc    *benchService // the last one started
}

// Start starts the program and waits until it is ready.
func (b *benchTarget) Start(ctx context.Context) (history.Addresses, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := startService(ctx, b.command[0], b.command[1:], b.env, b.logs)
	if err != nil {
		return history.Addresses{}, err
	}
	if b.proc != nil {
		<-b.proc.ended // it had the database, and now this one has
	}
	b.proc = p
	return history.Addresses{
		Bot: p.at.bot(), Webhook: p.at.webhook(), WebhookSecret: b.secret, Metrics: "http://" + p.at.Admin + "/metrics",
	}, b.ready(ctx, "http://"+p.at.Addr+"/readyz")
}

func (b *benchTarget) ready(ctx context.Context, url string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-b.proc.ended:
			return fmt.Errorf("the service did not become ready: %s", b.proc.how())
		case <-ctx.Done():
			return errors.New("the service does not become ready")
		}
	}
}

// Kill ends the program as a power cut would, apart from what the operating system has not written yet.
func (b *benchTarget) Kill() error {
	b.proc.kill()
	return nil
}

// Drain asks the program to end.
func (b *benchTarget) Drain() error { return b.proc.cmd.Process.Signal(syscall.SIGTERM) }

// Stop ends it in good order.
func (b *benchTarget) Stop() error {
	if b.proc == nil {
		return nil
	}
	return b.proc.stop()
}

// childEnv is an environment that holds nothing of this process's, apart from what an operating system cannot do without.
func childEnv(of map[string]string) []string {
	var env []string
	for name, value := range of {
		env = append(env, name+"="+value)
	}
	for _, name := range []string{"PATH", "SystemRoot", "TMPDIR", "TEMP"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	slices.Sort(env)
	return env
}
