package main

import (
	"context"
	"io"
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
	}, p.ready(ctx)
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
