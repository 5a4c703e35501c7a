package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	sqlHasVersions = `SELECT to_regclass('goose_db_version') IS NOT NULL`
	sqlVersion     = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`
	sqlSchema      = `SELECT coalesce(current_schema(), '')`
	sqlLockSchema  = `SELECT pg_advisory_lock($1)`
)

// Migrate brings the schema of the database up to the newest version, one replica at a time. A schema that is
// newer than this program knows is an error. Migrations only go forward.
func Migrate(ctx context.Context, url string) error {
	c, err := poolConfig(Options{URL: url})
	if err != nil {
		return err
	}
	return migrate(ctx, c.ConnConfig)
}

// migrate waits for its turn, and does what is left to do then.
func migrate(ctx context.Context, c *pgx.ConnConfig) error {
	c = c.Copy()
	for _, limit := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		delete(c.RuntimeParams, limit) // building an index takes what it takes
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return fmt.Errorf("cannot connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var schema string
	if err := conn.QueryRow(ctx, sqlSchema).Scan(&schema); err != nil {
		return err
	}
	if schema == "" {
		return errors.New("the database has no schema to use: create the one that search_path names")
	}
	lock := fnv.New64a()
	lock.Write([]byte("snowbot " + schema))
	if _, err := conn.Exec(ctx, sqlLockSchema, int64(lock.Sum64())); err != nil {
		return fmt.Errorf("wait for another migration: %w", err)
	}
	have, want, err := versions(ctx, conn)
	if err != nil || have == want {
		return err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*c)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// versions returns the version that the schema has, zero for none, and the newest that is known here. It is
// an error when the schema is newer than that.
func versions(ctx context.Context, conn *pgx.Conn) (have, want int64, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		want = max(want, n)
	}
	var is bool
	if err := conn.QueryRow(ctx, sqlHasVersions).Scan(&is); err != nil || !is {
		return 0, want, err
	}
	if err := conn.QueryRow(ctx, sqlVersion).Scan(&have); err != nil {
		return 0, 0, err
	}
	if have > want {
		return 0, 0, fmt.Errorf("the database was migrated by a newer snowbot (schema %d, this one knows %d): install that version again, or restore a backup made before it", have, want)
	}
	return have, want, nil
}
