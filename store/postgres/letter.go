package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

// maxPage is how many rows a list holds at most, which is also the default.
const maxPage = 1000

func pageSize(limit int) int {
	if limit <= 0 || limit > maxPage {
		return maxPage
	}
	return limit
}

const (
	// An id is the time in milliseconds and a number, in hexadecimal, so that it sorts by age.
	sqlBuryEvent = `INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, body)
VALUES (lpad(to_hex(greatest((extract(epoch FROM $1::timestamptz) * 1000)::bigint, 0)), 12, '0') || lpad(to_hex(nextval('letter_numbers')), 12, '0'),
$2, '', $3, $1, $4, $5, $6, $7, $8, $9)`
	sqlBuryDelivery = `INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, failed, attempts, body)
SELECT lpad(to_hex(greatest((extract(epoch FROM $1::timestamptz) * 1000)::bigint, 0)), 12, '0') || lpad(to_hex(nextval('letter_numbers')), 12, '0'),
$2, direction, $3, $1, id, kind, session, accepted, not_before, $7, $8, body
FROM deliveries WHERE no = $4 AND direction = $5 AND place = $6`
	sqlLetters = `SELECT delivery, kind, session, accepted, not_before, false, failed, attempts, body, id, conversation, direction, reason, at
FROM letters WHERE id > $1 AND ($2 = '' OR conversation = $2) AND ($3 = '' OR reason = $3)
AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5) ORDER BY id LIMIT $6`
	sqlLetterOf   = `SELECT conversation FROM letters WHERE id = $1 AND direction <> ''`
	sqlLockLetter = `SELECT direction, delivery, body FROM letters WHERE id = $1 FOR UPDATE`
	sqlRetry      = `INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, body)
SELECT $2, direction, $3, delivery, kind, session, $4, $5 FROM letters WHERE id = $1`
	sqlPlaced  = `UPDATE conversations SET placed = $2 WHERE id = $1`
	sqlDiscard = `DELETE FROM letters WHERE id = $1`
)

// buryEvent queues a dead letter that never was a delivery.
func buryEvent(t *tx, id string, dl *store.DeadLetter, sealed []byte) {
	d := &dl.Delivery
	accepted := d.Accepted
	if accepted.IsZero() {
		accepted = t.now
	}
	t.do(sqlBuryEvent, t.now, id, store.Cut(dl.Reason), d.ID, d.Kind, d.Session, toTime(accepted), toTime(d.NotBefore), sealed)
}

// buryDelivery queues a dead letter of a delivery that failed. The delivery is to be removed afterwards.
func (s *Store) buryDelivery(t *tx, c *conversation, d store.Direction, h *headRow, r store.Result) {
	attempts := h.fail(t.now, r.Outcome)
	t.do(sqlBuryDelivery, t.now, c.rec.ID, store.Cut(r.Reason), c.no, string(d), h.place, h.failed, attempts)
}

// DeadLetters implements store.Store.
func (s *Store) DeadLetters(ctx context.Context, f store.DeadLetterFilter) ([]store.DeadLetter, error) {
	if f.Conversation != "" && impossible(f.Conversation) || f.Reason != "" && impossible(f.Reason) {
		return nil, s.usable(ctx)
	}
	var out []store.DeadLetter
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		out = nil
		rows, err := conn.Query(ctx, sqlLetters, f.After, f.Conversation, f.Reason, toTime(f.Since), toTime(f.Until), pageSize(f.Limit))
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
			// One that does not open is shown without its body.
			d.Body, _ = s.keys.Open(store.DeliveryName(l.Lane.Conversation, d.ID), sealed)
			l.Lane.Direction, l.At, l.Delivery = store.Direction(direction), l.At.UTC(), d
			out = append(out, l)
		}
		return rows.Err()
	})
	return out, err
}

// Retry implements store.Store.
func (s *Store) Retry(ctx context.Context, letter string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if impossible(letter) {
		return store.ErrNotFound
	}
	var id string
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, sqlLetterOf, letter).Scan(&id)
		return orNotFound(err)
	})
	if err != nil {
		return err
	}
	var direction, delivery string
	var body []byte
	return s.do(ctx, &call{
		conversation: id,
		reads: func(t *tx) {
			direction = ""
			t.ask(sqlLockLetter, letter).Query(func(rows pgx.Rows) error {
				_, err := pgx.ForEachRow(rows, []any{&direction, &delivery, &body}, func() error { return nil })
				return err
			})
		},
		run: func(_ context.Context, t *tx, c *conversation) error {
			if c == nil || direction == "" {
				return store.ErrNotFound
			}
			t.changed = true
			c.placed++
			// Sealed with the first key like all that is written: a Rekey under way may have passed the deliveries already,
			// and would then take the older key away.
			if anew, is := s.reseal(store.DeliveryName(c.rec.ID, delivery), body); is {
				body = anew
			}
			t.do(sqlRetry, letter, c.no, c.placed, t.now, body)
			t.do(sqlPlaced, c.rec.ID, c.placed)
			t.do(sqlDiscard, letter)
			refreshLanes(t, c, map[store.Direction]bool{store.Direction(direction): true})
			return nil
		},
	})
}

// Discard implements store.Store.
func (s *Store) Discard(ctx context.Context, id string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if impossible(id) {
		return store.ErrNotFound
	}
	var n int64
	return s.transact(ctx, func(ctx context.Context, t *tx) error {
		t.ask(sqlDiscard, id).Exec(scanCount(&n))
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
