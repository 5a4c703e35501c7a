package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/schollz/progressbar/v3"

	"snowbot/store"
)

// storeCommand moves what is kept.
type storeCommand struct {
	Copy storeCopy `cmd:"" help:"Copy everything to another, empty database, and compare. Stop the service first; if it is broken off, repeat it."`
}

// storeCopy copies from one database to another, of either kind.
type storeCopy struct {
	DataKey string      `env:"DATA_ENCRYPTION_KEY" name:"data-encryption-key" help:"The keys of both. **Required.**"`
	From    databaseURL `arg:"" help:"Where everything is: bbolt:PATH or postgres://…"`
	To      databaseURL `arg:"" help:"Where it is to go."`
}

// Run copies.
func (c *storeCopy) Run() error {
	var e settingsError
	keys, err := store.ParseKeyring(c.DataKey)
	if err != nil {
		e.problems = append(e.problems, "DATA_ENCRYPTION_KEY: "+err.Error())
	}
	for i, u := range []databaseURL{c.From, c.To} {
		if err := u.check(); err != nil {
			e.problems = append(e.problems, []string{"<from> ", "<to> "}[i]+err.Error())
		}
	}
	if c.From == c.To {
		e.problems = append(e.problems, "both databases are the same")
	}
	if len(e.problems) > 0 {
		return &e
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	from, err := c.From.open(ctx, databaseOptions{keys: keys, log: log})
	if err != nil {
		return fmt.Errorf("from: %w", err)
	}
	defer from.Close()
	to, err := c.To.open(ctx, databaseOptions{keys: keys, log: log, create: true, copying: true})
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	n, err := copyStore(ctx, from, to)
	if closed := to.Close(); err == nil {
		err = closed
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; repeat it to go on")
	case err != nil:
		return err
	}
	fmt.Printf("copied and compared: %d conversations, dead letters and files; now set DATABASE_URL to the new database, and start nothing on the old one\n", n)
	return nil
}

// copyStore copies with a bar on the terminal, and returns how much there was.
func copyStore(ctx context.Context, from, to *database) (n int, err error) {
	source, ok1 := from.Store.(store.Copyable)
	target, ok2 := to.Store.(store.Copyable)
	if !ok1 || !ok2 {
		return 0, errors.New("this kind of database cannot be copied")
	}
	bar := progressBar(0, "copied", progressbar.OptionShowCount(), progressbar.OptionFullWidth())
	err = store.Copy(ctx, source, target, func(done, all int) {
		n = done
		bar.ChangeMax(max(all, 1))
		_ = bar.Set(done)
	})
	_ = bar.Exit()
	return n, err
}
