package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"snowbot/store"
)

// Names in the meta table.
const (
	metaMask  = "mask"
	metaCheck = "check " // and the id of a sealing key
)

// checkText is what the check values say. It is no secret; that it opens is the point.
const checkText = "snowbot"

const (
	sqlEncoding = `SELECT current_setting('server_encoding'), current_setting('fsync')`
	sqlMeta     = `SELECT name, value FROM meta`
	sqlAddMeta  = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	sqlGetMeta  = `SELECT value FROM meta WHERE name = $1`
	sqlSetMeta  = `UPDATE meta SET value = $2 WHERE name = $1`
	sqlDelMeta  = `DELETE FROM meta WHERE name LIKE 'check %' AND name <> $1`
)

// load checks the database, its schema and its keys, and reads the key behind Mask.
func (s *Store) load(ctx context.Context, o Options, c *pgxpool.Config) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer conn.Release()
	var encoding, fsync string
	if err := conn.QueryRow(ctx, sqlEncoding).Scan(&encoding, &fsync); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s: make one with ENCODING 'UTF8'", encoding)
	}
	if fsync == "off" {
		s.log.Warn("the database server runs with fsync off: a power failure there loses what was acknowledged")
	}
	if host := c.ConnConfig.Host; c.ConnConfig.TLSConfig == nil && !isLocal(c.ConnConfig) {
		s.log.Warn("the database is reached without TLS, as its URL demands", "host", host)
	}
	have, want, err := versions(ctx, conn.Conn())
	switch {
	case err != nil:
		return err
	case have < want && !o.Migrate:
		return &SchemaError{have, want}
	case have < want:
		from, to, err := migrate(ctx, c.ConnConfig)
		if err != nil {
			return err
		}
		s.log.Info("the database was migrated", "from", from, "to", to)
	}
	if err := conn.QueryRow(ctx, sqlSchema).Scan(&s.schema); err != nil {
		return err
	}
	if err := s.loadKeys(ctx, conn.Conn()); err != nil || o.Copying {
		return err
	}
	var copying bool
	if err := conn.QueryRow(ctx, sqlIsCopy).Scan(&copying); err != nil {
		return err
	}
	if copying {
		return errors.New("the database cannot be used: it is an unfinished copy: repeat the store copy that made it")
	}
	return nil
}

// missingKeys returns the ids of the keys that may have sealed something and are not at hand.
func (s *Store) missingKeys(rows pgx.Rows) (missing []string, err error) {
	var name string
	var value []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		if id, is := strings.CutPrefix(name, metaCheck); is {
			if text, err := s.keys.Open(store.CheckName(), value); err != nil || string(text) != checkText {
				missing = append(missing, id)
			}
		}
		return nil
	})
	return missing, err
}

// loadKeys checks that every key that may have sealed something here is at hand.
func (s *Store) loadKeys(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, sqlMeta)
	if err != nil {
		return err
	}
	missing, err := s.missingKeys(rows)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("the database was sealed with a key that was not given (id %s): add it behind the first in DATA_ENCRYPTION_KEY, and drop it only after a rekey: %w",
			strings.Join(missing, ", "), store.ErrWrongKey)
	}
	check := s.keys.Seal(store.CheckName(), []byte(checkText))
	if _, err := conn.Exec(ctx, sqlAddMeta, metaCheck+s.keys.First().String(), check); err != nil {
		return err
	}
	key := make([]byte, store.KeySize)
	rand.Read(key) // never fails
	if _, err := conn.Exec(ctx, sqlAddMeta, metaMask, s.keys.Seal(store.MaskName(), key)); err != nil {
		return err
	}
	var sealed []byte // another replica may have been first
	if err := conn.QueryRow(ctx, sqlGetMeta, metaMask).Scan(&sealed); err != nil {
		return err
	}
	if s.maskKey, err = s.keys.Open(store.MaskName(), sealed); err != nil {
		return fmt.Errorf("the key behind the masked names: %w", err)
	}
	return nil
}
