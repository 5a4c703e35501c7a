package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// A benchSchema is a schema of a PostgreSQL database that is there for one run.
type benchSchema struct {
	admin, name string
	url         string // with the schema as the only one that is searched
}

func newBenchSchema(ctx context.Context, admin string) (*benchSchema, error) {
	u, err := url.Parse(admin)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("--postgres is no URL")
	}
	s := &benchSchema{admin: admin, name: fmt.Sprintf("snowbot_bench_%d_%d", os.Getpid(), time.Now().UnixNano())}
	q := u.Query()
	q.Set("search_path", s.name)
	u.RawQuery = q.Encode()
	s.url = u.String()
	return s, s.exec(ctx, "CREATE SCHEMA "+pgx.Identifier{s.name}.Sanitize())
}

func (s *benchSchema) drop(ctx context.Context) error {
	return s.exec(context.WithoutCancel(ctx), "DROP SCHEMA "+pgx.Identifier{s.name}.Sanitize()+" CASCADE")
}

func (s *benchSchema) exec(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return fmt.Errorf("--postgres: %w", err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, statement)
	return err
}
