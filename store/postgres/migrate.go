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
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	sqlHasVersions = `SELECT to_regclass('goose_db_version') IS NOT NULL`
	sqlVersion     = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`
	// sqlOldest is the oldest schema whose programs work with this one too; without a word of it, none but its own.
	sqlOldest     = `SELECT coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM meta WHERE name = 'oldest'), $1)`
	sqlSchema     = `SELECT coalesce(current_schema(), '')`
	sqlLockSchema = `SELECT pg_advisory_lock($1)`
)

// A SchemaError means that the database has another schema than this program needs.
type SchemaError struct{ Have, Want int64 }

func (e *SchemaError) Error() string {
	if e.Have > e.Want {
		return fmt.Sprintf("the database was migrated by a newer snowbot (schema %d, this one knows %d): install that version again, or restore a backup made before it", e.Have, e.Want)
	}
	return fmt.Sprintf("the database has schema %d and this snowbot needs %d: run snowbot migrate first", e.Have, e.Want)
}

// Migrate brings the schema of the database up to the newest version, one replica at a time, and returns the version
// before and after; zero is an empty database. A schema that is newer than this program works with is a *SchemaError.
// Migrations only go forward.
func Migrate(ctx context.Context, url string) (from, to int64, err error) {
	c, err := poolConfig(Options{URL: url})
	if err != nil {
		return 0, 0, err
	}
	return migrate(ctx, c.ConnConfig)
}

// migrate waits for its turn, and does what is left to do then.
func migrate(ctx context.Context, c *pgx.ConnConfig) (from, to int64, err error) {
	c = c.Copy()
	for _, limit := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		delete(c.RuntimeParams, limit) // building an index takes what it takes
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return 0, 0, unreachable(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var schema string
	if err := conn.QueryRow(ctx, sqlSchema).Scan(&schema); err != nil {
		return 0, 0, err
	}
	if schema == "" {
		return 0, 0, errors.New("the database has no schema to use: create the one that search_path names")
	}
	lock := fnv.New64a()
	lock.Write([]byte("snowbot " + schema))
	if _, err := conn.Exec(ctx, sqlLockSchema, int64(lock.Sum64())); err != nil {
		return 0, 0, fmt.Errorf("wait for another migration: %w", err)
	}
	from, to, err = versions(ctx, conn)
	if err != nil || from >= to {
		return from, from, err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return from, from, err
	}
	db := stdlib.OpenDB(*c)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return from, from, err
	}
	if _, err := p.Up(ctx); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42501" {
			return from, from, fmt.Errorf("the database's user may not create tables in schema %s: grant it CREATE there, or run snowbot migrate as a user that may: %w", schema, err)
		}
		return from, from, fmt.Errorf("migrate the database: %w", err)
	}
	return from, to, nil
}

// versions returns the version that the schema has, zero for none, and the newest that is known here. A newer one is
// fine as long as the migrations after ours left everything in place that this version works with; what they say of that
// is in the meta table. If they did not, it is a *SchemaError.
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
	if have <= want {
		return have, want, nil
	}
	var oldest int64
	if err := conn.QueryRow(ctx, sqlOldest, have).Scan(&oldest); err != nil {
		return 0, 0, err
	}
	if oldest > want {
		return 0, 0, &SchemaError{have, want}
	}
	return have, want, nil
}
