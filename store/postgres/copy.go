package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

var _ store.Copyable = (*Store)(nil)

const (
	sqlIsCopy     = `SELECT EXISTS (SELECT FROM meta WHERE name = 'copying')`
	sqlCopyOf     = `SELECT coalesce((SELECT convert_from(value, 'UTF8') FROM meta WHERE name = 'copying'), '')`
	sqlNotEmpty   = `SELECT EXISTS (SELECT FROM conversations) OR EXISTS (SELECT FROM letters)`
	sqlMarkCopy   = `INSERT INTO meta (name, value) VALUES ('copying', convert_to($1, 'UTF8'))`
	sqlUnmarkCopy = `DELETE FROM meta WHERE name = 'copying'`
	sqlLockMeta   = `LOCK TABLE meta IN EXCLUSIVE MODE`
	sqlSize       = `SELECT (SELECT count(*) FROM conversations) + (SELECT count(*) FROM letters) + (SELECT count(*) FROM files)`
	sqlAtWork     = `SELECT count(*) FROM replicas WHERE at > clock_timestamp() - $1::bigint * interval '1 second'`

	sqlWholeRecords = `SELECT no, id, status, keys, people, due, updated, data, lines FROM conversations WHERE id > $1 ORDER BY id LIMIT $2`
	sqlWholeLines   = `SELECT no, n, at, data FROM lines WHERE no = ANY($1) ORDER BY no, n`
	// sqlWholeEvents rounds up to the second, as all stores do in a copy.
	sqlWholeEvents = `SELECT no, hash, ceil(extract(epoch FROM until))::bigint FROM events WHERE no = ANY($1)
AND ceil(extract(epoch FROM until)) > $2::bigint ORDER BY no, hash`
	sqlWholeDeliveries = `SELECT id, kind, session, accepted, not_before, begun, failed, attempts, body, no, direction FROM deliveries
WHERE no = ANY($1) ORDER BY no, direction, place`
	sqlWholeLetters = `SELECT delivery, kind, session, accepted, not_before, false, failed, attempts, body, id, conversation, direction, reason, at
FROM letters WHERE id > $1 ORDER BY id LIMIT $2`

	sqlLockRange           = `SELECT no, id FROM conversations WHERE id > $1 AND ($2 = '' OR id <= $2) ORDER BY id FOR UPDATE`
	sqlRestoreConversation = `INSERT INTO conversations (id, status, keys, people, due, updated, filed, lines, placed, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING no`
	// sqlRestoreKeys takes a key over whose last owner has not been copied anew yet.
	sqlRestoreKeys = `INSERT INTO keys (key, conversation) SELECT unnest($1::text[]), $2
ON CONFLICT (key) DO UPDATE SET conversation = excluded.conversation`
	sqlRestoreDelivery = `INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, begun, failed, attempts, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	sqlEraseLetterRange = `DELETE FROM letters WHERE id > $1 AND ($2 = '' OR id <= $2)`
	sqlRestoreLetter    = `INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, failed, attempts, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
)

// Size implements store.Copyable. It refuses a database that replicas work on.
func (s *Store) Size(ctx context.Context) (n int, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if err := idle(ctx, conn.QueryRow); err != nil {
			return err
		}
		return conn.QueryRow(ctx, sqlSize).Scan(&n)
	})
	return n, err
}

// idle returns an error while replicas work on the database.
func idle(ctx context.Context, query func(context.Context, string, ...any) pgx.Row) error {
	n := 0
	if err := query(ctx, sqlAtWork, silence).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%d replicas work on the database: stop them, and wait ten seconds if one of them was killed", n)
	}
	return nil
}

// MaskKey implements store.Copyable.
func (s *Store) MaskKey() []byte { return bytes.Clone(s.maskKey) }

// Dump implements store.Copyable.
func (s *Store) Dump(ctx context.Context, after string, limit int, now time.Time) ([]store.Whole, error) {
	var d dump
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		d = dump{keys: s.keys, at: map[int64]int{}}
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			for _, part := range []func(context.Context, pgx.Tx) error{
				func(ctx context.Context, tx pgx.Tx) error { return d.records(ctx, tx, s, after, limit) },
				d.lines, d.deliveries,
				func(ctx context.Context, tx pgx.Tx) error { return d.events(ctx, tx, now) },
			} {
				if err := part(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for i := range d.all {
		d.all[i].Normal()
	}
	return d.all, err
}

// A dump is conversations being read.
type dump struct {
	keys *store.Keyring
	all  []store.Whole
	no   []int64
	at   map[int64]int // where each number is
}

func (d *dump) records(ctx context.Context, tx pgx.Tx, s *Store, after string, limit int) error {
	rows, err := tx.Query(ctx, sqlWholeRecords, after, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var lines int64
		rec, no, err := s.scanRecord(rowWith{rows, &lines})
		if err != nil {
			return err
		}
		d.at[no] = len(d.all)
		d.no = append(d.no, no)
		d.all = append(d.all, store.Whole{Record: rec, Counted: uint64(lines)})
	}
	return rows.Err()
}

// rowWith is a row with a column more than its reader knows.
type rowWith struct {
	pgx.Row
	more any
}

// Scan implements pgx.Row.
func (r rowWith) Scan(to ...any) error { return r.Row.Scan(append(to, r.more)...) }

func (d *dump) lines(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, sqlWholeLines, d.no)
	if err != nil {
		return err
	}
	var no, n int64
	var at time.Time
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&no, &n, &at, &sealed}, func() error {
		w := &d.all[d.at[no]]
		data, err := d.keys.Open(store.LineName(w.Record.ID, uint64(n)), sealed)
		if err != nil {
			return fmt.Errorf("line %d of %s: %w", n, w.Record.ID, err)
		}
		w.Lines = append(w.Lines, store.NumberedLine{N: uint64(n), Line: store.Line{At: at.UTC(), Data: data}})
		return nil
	})
	return err
}

func (d *dump) deliveries(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, sqlWholeDeliveries, d.no)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var no int64
		var direction string
		x, sealed, err := scanDelivery(rows, &no, &direction)
		if err != nil {
			return err
		}
		w := &d.all[d.at[no]]
		if x.Body, err = d.keys.Open(store.DeliveryName(w.Record.ID, x.ID), sealed); err != nil {
			return fmt.Errorf("delivery %s of %s: %w", x.ID, w.Record.ID, err)
		}
		inUTC(&x)
		w.Deliveries = append(w.Deliveries, store.Outgoing{Direction: store.Direction(direction), Delivery: x})
	}
	return rows.Err()
}

func inUTC(d *store.Delivery) {
	for i := range d.Attempts {
		d.Attempts[i].At, d.Attempts[i].Last = d.Attempts[i].At.UTC(), d.Attempts[i].Last.UTC()
	}
}

func (d *dump) events(ctx context.Context, tx pgx.Tx, now time.Time) error {
	rows, err := tx.Query(ctx, sqlWholeEvents, d.no, now.Add(time.Second-1).Unix())
	if err != nil {
		return err
	}
	var no, until int64
	var hash [16]byte
	_, err = pgx.ForEachRow(rows, []any{&no, &hash, &until}, func() error {
		w := &d.all[d.at[no]]
		w.Events = append(w.Events, store.KeptEvent{Hash: [store.EventHashSize]byte(hash[:store.EventHashSize]), Until: time.Unix(until, 0).UTC()})
		return nil
	})
	return err
}

// DumpLetters implements store.Copyable.
func (s *Store) DumpLetters(ctx context.Context, after string, limit int) (out []store.DeadLetter, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		out = nil
		rows, err := conn.Query(ctx, sqlWholeLetters, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l store.DeadLetter
			var direction string
			d, sealed, err := scanDelivery(rows, &l.ID, &l.Lane.Conversation, &direction, &l.Reason, &l.At)
			if err != nil {
				return err
			}
			if d.Body, err = s.keys.Open(store.DeliveryName(l.Lane.Conversation, d.ID), sealed); err != nil {
				return fmt.Errorf("dead letter %s: %w", l.ID, err)
			}
			inUTC(&d)
			l.Lane.Direction, l.At, l.Delivery = store.Direction(direction), l.At.UTC(), d
			l.Normal()
			out = append(out, l)
		}
		return rows.Err()
	})
	return out, err
}

// BeginCopy implements store.Copyable.
func (s *Store) BeginCopy(ctx context.Context, maskKey []byte) error {
	name := store.CopyName(maskKey)
	err := s.transact(ctx, func(ctx context.Context, t *tx) error {
		var was string
		var full bool
		n := 0
		t.do(sqlLockMeta)
		t.ask(sqlCopyOf).QueryRow(func(row pgx.Row) error { return row.Scan(&was) })
		t.ask(sqlNotEmpty).QueryRow(func(row pgx.Row) error { return row.Scan(&full) })
		t.ask(sqlAtWork, silence).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		if err := t.send(ctx); err != nil {
			return err
		}
		switch {
		case n > 0:
			return fmt.Errorf("%d replicas work on the target: stop them, and wait ten seconds if one of them was killed", n)
		case was == name:
			return nil
		case was != "" || full:
			return store.ErrNotEmpty
		}
		t.changed = true
		t.do(sqlSetMeta, metaMask, s.keys.Seal(store.MaskName(), maskKey))
		t.do(sqlMarkCopy, name)
		return nil
	})
	if err == nil {
		s.maskKey = bytes.Clone(maskKey)
	}
	return err
}

// EndCopy implements store.Copyable.
func (s *Store) EndCopy(ctx context.Context) error {
	return s.transact(ctx, func(_ context.Context, t *tx) error {
		t.changed = true
		t.do(sqlUnmarkCopy)
		return nil
	})
}

// Restore implements store.Copyable.
func (s *Store) Restore(ctx context.Context, after, last string, all []store.Whole) error {
	return s.transact(ctx, func(ctx context.Context, t *tx) error {
		t.ask(sqlNow, s.moment()).QueryRow(scanTime(&t.now))
		numbers, ids, err := lockThese(ctx, t, sqlLockRange, after, last)
		if err != nil {
			return err
		}
		erase(t, numbers, ids)
		found := make([]*conversation, len(all))
		for i := range all {
			w, c := &all[i], &conversation{}
			rec := &w.Record
			c.rec.ID, c.placed = rec.ID, int64(len(w.Deliveries))
			found[i] = c
			t.ask(sqlRestoreConversation, rec.ID, rec.Status, notNil(rec.Keys), notNil(rec.People), toTime(rec.Due), toTime(rec.Updated),
				day(rec.Updated), int64(w.Counted), c.placed, s.keys.Seal(store.RecordName(rec.ID), rec.Data)).
				QueryRow(func(row pgx.Row) error { return row.Scan(&c.no) })
			t.do(sqlRestoreKeys, notNil(rec.Keys), rec.ID)
			t.do(sqlAddPeople, notNil(rec.People), rec.ID)
		}
		if err := t.send(ctx); err != nil {
			return err
		}
		for i := range all {
			s.restore(t, found[i], &all[i])
		}
		return nil
	})
}

// restore queues what belongs to a conversation that was written.
func (s *Store) restore(t *tx, c *conversation, w *store.Whole) {
	touched := map[store.Direction]bool{}
	for i := range w.Deliveries {
		o := &w.Deliveries[i]
		touched[o.Direction] = true
		t.do(sqlRestoreDelivery, c.no, string(o.Direction), int64(i+1), o.ID, o.Kind, o.Session, toTime(o.Accepted), toTime(o.NotBefore),
			o.Begun, o.Failed, encodeAttempts(o.Attempts), s.keys.Seal(store.DeliveryName(c.rec.ID, o.ID), o.Body))
	}
	refreshLanes(t, c, touched)
	for _, l := range w.Lines {
		t.bulk.addLine(c.no, int64(l.N), l.At, s.keys.Seal(store.LineName(c.rec.ID, l.N), l.Data))
	}
	for _, e := range w.Events {
		var hash [16]byte
		copy(hash[:], e.Hash[:])
		t.bulk.addEvent(c.no, hash, e.Until)
	}
}

// encodeAttempts is the JSON of attempts, or nothing.
func encodeAttempts(list []store.Attempt) []byte {
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("attempts as JSON: " + err.Error()) // times and valid strings
	}
	return b
}

// RestoreLetters implements store.Copyable.
func (s *Store) RestoreLetters(ctx context.Context, after, last string, all []store.DeadLetter) error {
	return s.transact(ctx, func(_ context.Context, t *tx) error {
		t.changed = true
		t.do(sqlEraseLetterRange, after, last)
		for i := range all {
			l := &all[i]
			d := &l.Delivery
			t.do(sqlRestoreLetter, l.ID, l.Lane.Conversation, string(l.Lane.Direction), l.Reason, toTime(l.At), d.ID, d.Kind, d.Session,
				toTime(d.Accepted), toTime(d.NotBefore), d.Failed, encodeAttempts(d.Attempts),
				s.keys.Seal(store.DeliveryName(l.Lane.Conversation, d.ID), d.Body))
		}
		return nil
	})
}
