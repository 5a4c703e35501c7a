package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"snowbot/store/postgres"
)

// migrateCommand is for those who do not let the service change its schema by itself.
type migrateCommand struct {
	DatabaseURL databaseURL `env:"DATABASE_URL" name:"database-url" help:"The database, postgres://…, as a user that may make tables."`
}

// Run migrates. It can be interrupted and repeated.
func (c *migrateCommand) Run() error {
	if !c.DatabaseURL.isPostgres() {
		return &settingsError{[]string{"DATABASE_URL has to be that of a PostgreSQL database; a file needs no migration"}}
	}
	if err := c.DatabaseURL.check(); err != nil {
		return &settingsError{[]string{"DATABASE_URL " + err.Error()}}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	from, to, err := postgres.Migrate(ctx, string(c.DatabaseURL))
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; repeat it to go on")
	case err != nil:
		return err
	case from == to:
		fmt.Printf("the schema is up to date: %d\n", to)
	default:
		fmt.Printf("migrated from schema %d to %d\n", from, to)
	}
	return nil
}
