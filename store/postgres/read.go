package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	sqlLoad     = `SELECT no, id, status, keys, people, due, updated, data FROM conversations WHERE id = ANY($1)`
	sqlFind     = `SELECT key, conversation FROM keys WHERE key = ANY($1)`
	sqlSessions = `SELECT no, id, status, keys, people, due, updated, data FROM conversations
WHERE status <> '' AND id > $1 ORDER BY id LIMIT $2`
	sqlDue = `SELECT id FROM conversations WHERE due <= coalesce($1::timestamptz, statement_timestamp())
ORDER BY due, id LIMIT $2`
	sqlLines = `SELECT n, at, data FROM lines WHERE no = (SELECT no FROM conversations WHERE id = $1)
ORDER BY n DESC LIMIT $2`
	sqlAllLines = `SELECT n, at, data FROM lines WHERE no = $1 ORDER BY n DESC LIMIT $2`
	sqlOf       = `SELECT conversation FROM people WHERE person = $1 ORDER BY conversation`
)

func orNotFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// impossible reports whether nothing can be kept under a name. The server would take it for a fault of the statement.
func impossible(name string) bool { return store.CheckID("name", name) != nil }

// A sealedRecord is a record as it is kept.
type sealedRecord struct {
	no   int64
	rec  store.Record // without Data
	data []byte       // sealed; nil when there is no such record
}

func scanSealed(row pgx.Row) (r sealedRecord, err error) {
	var due *time.Time
	err = row.Scan(&r.no, &r.rec.ID, &r.rec.Status, &r.rec.Keys, &r.rec.People, &due, &r.rec.Updated, &r.data)
	r.rec.Due, r.rec.Updated = fromTime(due), r.rec.Updated.UTC()
	return r, err
}

// open returns the record, or ErrNotFound if there is none.
func (r sealedRecord) open(k *store.Keyring) (rec store.Record, err error) {
	if r.data == nil {
		return store.Record{}, store.ErrNotFound
	}
	rec = r.rec
	if rec.Data, err = k.Open(store.RecordName(rec.ID), r.data); err != nil {
		return store.Record{}, fmt.Errorf("record of %s: %w", rec.ID, err)
	}
	return rec, nil
}

// scanRecord takes a record.
func (s *Store) scanRecord(row pgx.Row) (rec store.Record, no int64, err error) {
	r, err := scanSealed(row)
	if err != nil {
		return store.Record{}, 0, orNotFound(err)
	}
	rec, err = r.open(s.keys)
	return rec, r.no, err
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, conversation string) (store.Record, error) {
	if err := s.usable(ctx); err != nil {
		return store.Record{}, err
	}
	if impossible(conversation) {
		return store.Record{}, store.ErrNotFound
	}
	r, err := s.loads.get(ctx, conversation)
	if err != nil {
		return store.Record{}, err
	}
	r.rec.Keys, r.rec.People = slices.Clone(r.rec.Keys), slices.Clone(r.rec.People) // others may have asked for it too
	return r.open(s.keys)
}

// loadAll reads the records of conversations, of which some may be named more than once.
func (s *Store) loadAll(ctx context.Context, ids []string) ([]sealedRecord, error) {
	out := make([]sealedRecord, len(ids))
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlLoad, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanSealed(rows)
			if err != nil {
				return err
			}
			for i, id := range ids {
				if id == r.rec.ID {
					out[i] = r
				}
			}
		}
		return rows.Err()
	})
	return out, err
}

// Find implements store.Store.
func (s *Store) Find(ctx context.Context, key string) (conversation string, err error) {
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	if impossible(key) {
		return "", store.ErrNotFound
	}
	conversation, err = s.finds.get(ctx, key)
	if err == nil && conversation == "" {
		err = store.ErrNotFound
	}
	return conversation, err
}

// findAll returns who declared keys; "" is nobody.
func (s *Store) findAll(ctx context.Context, keys []string) ([]string, error) {
	out := make([]string, len(keys))
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlFind, keys)
		if err != nil {
			return err
		}
		var key, conversation string
		_, err = pgx.ForEachRow(rows, []any{&key, &conversation}, func() error {
			for i := range keys {
				if keys[i] == key {
					out[i] = conversation
				}
			}
			return nil
		})
		return err
	})
	return out, err
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, limit int) (out []string, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		out, err = column(ctx, conn, sqlDue, s.moment(), max(limit, 0))
		return err
	})
	return out, err
}

// column runs a query for strings.
func column(ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]string, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Sessions implements store.Store.
func (s *Store) Sessions(ctx context.Context, after string, limit int) (out []store.Record, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		out = nil
		rows, err := conn.Query(ctx, sqlSessions, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			rec, _, err := s.scanRecord(rows)
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return rows.Err()
	})
	return out, err
}

// Lines implements store.Store.
func (s *Store) Lines(ctx context.Context, conversation string, limit int) (out []store.Line, err error) {
	if impossible(conversation) {
		return nil, s.usable(ctx)
	}
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlLines, conversation, max(limit, 0))
		if err != nil {
			return err
		}
		out, err = s.scanLines(rows, conversation)
		return err
	})
	return out, err
}

// scanLines takes lines, the last one first, and returns them the other way round.
func (s *Store) scanLines(rows pgx.Rows, conversation string) ([]store.Line, error) {
	var out []store.Line
	var n int64
	var at time.Time
	var sealed []byte
	_, err := pgx.ForEachRow(rows, []any{&n, &at, &sealed}, func() error {
		data, err := s.keys.Open(store.LineName(conversation, uint64(n)), sealed)
		if err != nil {
			return fmt.Errorf("line %d of %s: %w", n, conversation, err)
		}
		out = append(out, store.Line{At: at.UTC(), Data: data})
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// Export implements store.Store.
func (s *Store) Export(ctx context.Context, person string, f func(store.Record, []store.Line) error) error {
	if impossible(person) {
		return s.usable(ctx)
	}
	var conversations []string
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		conversations, err = column(ctx, conn, sqlOf, person)
		return err
	})
	if err != nil {
		return err
	}
	for _, conversation := range conversations {
		var rec store.Record
		var lines []store.Line
		err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
				r, no, err := s.scanRecord(tx.QueryRow(ctx, sqlLoad, []string{conversation}))
				if err != nil {
					return err
				}
				rows, err := tx.Query(ctx, sqlAllLines, no, nil)
				if err != nil {
					return err
				}
				rec = r
				lines, err = s.scanLines(rows, conversation)
				return err
			})
		})
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(rec.People, person):
			continue // erased or changed meanwhile
		case err != nil:
			return err
		}
		if err := f(rec, lines); err != nil {
			return err
		}
	}
	return nil
}
