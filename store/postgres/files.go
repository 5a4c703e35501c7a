package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"snowbot/store"
)

const (
	sqlAddPart = `INSERT INTO file_parts (id, mark, n, data) VALUES ($1, $2, $3, $4)`
	// sqlLockOwner is what the reference of a file does too, but before the file's row is locked, as all others do it.
	sqlLockOwner = `SELECT id FROM conversations WHERE id = $1 FOR KEY SHARE`
	sqlPutFile   = `INSERT INTO files (id, conversation, expires, mark, size, head) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET conversation = excluded.conversation, expires = excluded.expires, mark = excluded.mark,
size = excluded.size, head = excluded.head`
	// sqlDropParts takes those of the file that was replaced. With its row locked, all that can be seen is there.
	sqlDropParts  = `DELETE FROM file_parts WHERE id = $1 AND mark <> $2`
	sqlExtendFile = `UPDATE files SET expires = $2 WHERE id = $1 AND expires > coalesce($3::timestamptz, statement_timestamp())`
	sqlFile       = `SELECT conversation, expires, mark, size, head FROM files
WHERE id = $1 AND expires > coalesce($2::timestamptz, statement_timestamp())`
	sqlParts   = `SELECT data FROM file_parts WHERE id = $1 AND mark = $2 ORDER BY n`
	sqlFileIDs = `SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT $2`

	sqlSealedFile  = `SELECT id, mark, head FROM files WHERE id > $1 ORDER BY id LIMIT 1`
	sqlSealedParts = `SELECT n, data FROM file_parts WHERE id = $1 AND mark = $2 AND n >= $3 AND substring(data FROM 2 FOR 4) <> $4
ORDER BY n LIMIT $5`
	sqlResealFile = `UPDATE files SET head = $3 WHERE id = $1 AND head = $2`
	sqlResealPart = `UPDATE file_parts SET data = $4 WHERE id = $1 AND mark = $2 AND n = $3`
)

const (
	// filesAtOnce is how many files a store writes and reads at once, so many connections they have at most.
	filesAtOnce = 4
	// partsAtOnce is how many parts are in memory at once, beside the file itself.
	partsAtOnce = 16
)

// transfer runs what writes or reads a file of so many bytes, when it is its turn. One without any goes at once.
func (s *Store) transfer(ctx context.Context, size int, run func() error) error {
	if size > 0 {
		select {
		case s.files <- struct{}{}:
			defer func() { <-s.files }()
		case <-ctx.Done():
		case <-s.closed:
		}
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	return run()
}

// PutFile implements store.Store.
func (s *Store) PutFile(ctx context.Context, f store.File) error {
	if err := f.Check(); err != nil {
		return err
	}
	var mark store.FileMark
	rand.Read(mark[:]) // never fails
	return s.transfer(ctx, len(f.Data), func() error {
		return s.transact(ctx, func(ctx context.Context, t *tx) error {
			n := 0
			for part := range slices.Chunk(f.Data, store.FilePart) {
				t.do(sqlAddPart, f.ID, [16]byte(mark), n, s.keys.Seal(store.FilePartName(mark, n), part))
				if n++; n%partsAtOnce == 0 {
					if err := t.send(ctx); err != nil {
						return err
					}
				}
			}
			owner := ""
			t.ask(sqlLockOwner, f.Conversation).Query(func(rows pgx.Rows) error {
				_, err := pgx.ForEachRow(rows, []any{&owner}, func() error { return nil })
				return err
			})
			if err := t.send(ctx); err != nil {
				return err
			}
			if owner == "" {
				return store.ErrNotFound
			}
			t.changed = true
			t.do(sqlPutFile, f.ID, f.Conversation, toTime(f.Expires), [16]byte(mark), len(f.Data), f.SealHead(s.keys, mark))
			t.do(sqlDropParts, f.ID, [16]byte(mark))
			return nil
		})
	})
}

// ExtendFile implements store.Store.
func (s *Store) ExtendFile(ctx context.Context, id string, expires time.Time) error {
	if err := store.CheckExpires(expires); err != nil {
		return err
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	if impossible(id) {
		return store.ErrNotFound
	}
	return s.transact(ctx, func(ctx context.Context, t *tx) error {
		var n int64
		t.ask(sqlExtendFile, id, toTime(expires), s.moment()).Exec(scanCount(&n))
		if err := t.send(ctx); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		t.changed = true
		return nil
	})
}

// File implements store.Store.
func (s *Store) File(ctx context.Context, id string) (f store.File, err error) {
	if err := s.usable(ctx); err != nil {
		return store.File{}, err
	}
	if impossible(id) {
		return store.File{}, store.ErrNotFound
	}
	var h fileHead
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		h, err = s.readHead(ctx, conn, id)
		return err
	})
	if err != nil {
		return store.File{}, err
	}
	if h.size == 0 {
		return s.together(h, nil)
	}
	err = s.transfer(ctx, h.size, func() error {
		return s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
			return pgx.BeginTxFunc(ctx, conn, snapshot, func(tx pgx.Tx) (err error) {
				f, err = s.readFile(ctx, tx, id)
				return err
			})
		})
	})
	if err != nil {
		return store.File{}, err
	}
	return f, nil
}

// A fileHead is all of a file but its data.
type fileHead struct {
	file   store.File // what is not sealed
	mark   [16]byte
	size   int
	sealed []byte
}

// readHead reads a file's row over a connection or in a transaction.
func (s *Store) readHead(ctx context.Context, from interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, id string,
) (fileHead, error) {
	h := fileHead{file: store.File{ID: id}}
	err := from.QueryRow(ctx, sqlFile, id, s.moment()).Scan(&h.file.Conversation, &h.file.Expires, &h.mark, &h.size, &h.sealed)
	h.file.Expires = h.file.Expires.UTC()
	return h, orNotFound(err)
}

// readFile reads a file and puts it together.
func (s *Store) readFile(ctx context.Context, tx pgx.Tx, id string) (store.File, error) {
	h, err := s.readHead(ctx, tx, id)
	if err != nil {
		return store.File{}, err
	}
	rows, err := tx.Query(ctx, sqlParts, id, h.mark)
	if err != nil {
		return store.File{}, err
	}
	defer rows.Close()
	return s.together(h, rows)
}

// together puts a file together from its head and its parts, which are nil when it has no data.
func (s *Store) together(h fileHead, parts pgx.Rows) (f store.File, err error) {
	r, err := store.ReadFile(s.keys, h.file, h.mark, h.sealed)
	if err == nil && parts != nil {
		var sealed pgtype.DriverBytes // as it is in the connection's buffer
		_, err = pgx.ForEachRow(parts, []any{&sealed}, func() error { return r.Add(sealed) })
	}
	if err == nil {
		f, err = r.File()
	}
	if errors.Is(err, store.ErrWrongKey) {
		err = fmt.Errorf("file %s: %w", h.file.ID, err)
	}
	if err != nil {
		return store.File{}, err
	}
	return f, nil
}

// FileIDs implements store.Copyable.
func (s *Store) FileIDs(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		ids, err = column(ctx, conn, sqlFileIDs, after, limit)
		return err
	})
	return ids, err
}

// resealFile seals the file that comes after one. It returns its id, or nothing when there are no more.
func (s *Store) resealFile(ctx context.Context, t *tx, after string) (id string, err error) {
	t.changed = true
	var mark [16]byte
	var head []byte
	t.ask(sqlSealedFile, after).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &mark, &head}, func() error { return nil })
		return err
	})
	if err := t.send(ctx); err != nil || id == "" {
		return "", err
	}
	if anew, is := s.reseal(store.FileName(id), head); is {
		t.resealed = true
		t.do(sqlResealFile, id, head, anew)
	}
	for next := 0; next >= 0; {
		if next, err = s.resealParts(ctx, t, id, mark, next); err != nil {
			return "", err
		}
	}
	return id, nil
}

// resealParts seals some parts of a file from one on, and returns which comes after them, or -1.
func (s *Store) resealParts(ctx context.Context, t *tx, id string, mark store.FileMark, from int) (next int, err error) {
	first := s.keys.First()
	var writes []func()
	next = -1
	t.ask(sqlSealedParts, id, [16]byte(mark), from, first[:], partsAtOnce).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var n int
			var sealed []byte
			if err := rows.Scan(&n, &sealed); err != nil {
				return err
			}
			if anew, is := s.reseal(store.FilePartName(mark, n), sealed); is {
				t.resealed = true
				writes = append(writes, func() { t.do(sqlResealPart, id, [16]byte(mark), n, anew) })
			}
			next = n + 1
		}
		return rows.Err()
	})
	if err := t.send(ctx); err != nil {
		return -1, err
	}
	for _, write := range writes {
		write()
	}
	return next, nil
}
