package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	sqlLockPerson = `SELECT no, id FROM conversations WHERE id IN (SELECT conversation FROM people WHERE person = $1)
ORDER BY id FOR UPDATE`
	sqlLockIdle = `SELECT no, id FROM conversations AS c WHERE filed <= $1 AND status = '' AND due IS NULL AND updated < $2
AND NOT EXISTS (SELECT FROM lanes AS l WHERE l.no = c.no AND (l.head IS NOT NULL OR l.until > $3))
ORDER BY filed LIMIT $4 FOR UPDATE SKIP LOCKED`
	sqlBusy = `SELECT DISTINCT no FROM lanes WHERE no = ANY($1) AND (head IS NOT NULL OR until > $2)`

	sqlEraseLetters       = `DELETE FROM letters WHERE conversation = ANY($1)`
	sqlEraseEvents        = `DELETE FROM events WHERE no = ANY($1)`
	sqlEraseLanes         = `DELETE FROM lanes WHERE no = ANY($1)`
	sqlEraseDeliveries    = `DELETE FROM deliveries WHERE no = ANY($1)`
	sqlEraseLines         = `DELETE FROM lines WHERE no = ANY($1)`
	sqlEraseKeys          = `DELETE FROM keys WHERE key IN (SELECT unnest(keys) FROM conversations WHERE id = ANY($1)) AND conversation = ANY($1)`
	sqlErasePeople        = `DELETE FROM people WHERE person IN (SELECT unnest(people) FROM conversations WHERE id = ANY($1)) AND conversation = ANY($1)`
	sqlEraseConversations = `DELETE FROM conversations WHERE id = ANY($1)`

	// Whoever is at a row at this moment is left alone; the next slice comes by again.
	sqlPruneEvents = `DELETE FROM events WHERE ctid = ANY (ARRAY (SELECT ctid FROM events
WHERE until <= coalesce($1::timestamptz, statement_timestamp()) ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPruneCommits = `DELETE FROM commits WHERE ctid = ANY (ARRAY (SELECT ctid FROM commits
WHERE at < statement_timestamp() - $1::bigint * interval '1 second' ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPruneLines = `DELETE FROM lines WHERE ctid = ANY (ARRAY (SELECT ctid FROM lines
WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPruneLetters = `DELETE FROM letters WHERE ctid = ANY (ARRAY (SELECT ctid FROM letters
WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sqlPruneFiles = `DELETE FROM files WHERE ctid = ANY (ARRAY (SELECT ctid FROM files
WHERE expires <= coalesce($1::timestamptz, statement_timestamp()) ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

// pruneFiles is how many files one Prune removes at most, whose parts are many rows.
const pruneFiles = 16

// Erase implements store.Store.
func (s *Store) Erase(ctx context.Context, person string) (n int, err error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if impossible(person) {
		return 0, nil
	}
	err = s.transact(ctx, func(ctx context.Context, t *tx) error {
		numbers, ids, err := lockThese(ctx, t, sqlLockPerson, person)
		if err != nil || len(ids) == 0 {
			return err
		}
		n = len(ids)
		t.do(sqlEraseLetters, ids)
		erase(t, numbers, ids)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// lockThese locks the conversations that a query chooses.
func lockThese(ctx context.Context, t *tx, sql string, args ...any) (numbers []int64, ids []string, err error) {
	t.ask(sql, args...).Query(func(rows pgx.Rows) error {
		var no int64
		var id string
		_, err := pgx.ForEachRow(rows, []any{&no, &id}, func() error {
			numbers, ids = append(numbers, no), append(ids, id)
			return nil
		})
		return err
	})
	err = t.send(ctx)
	return numbers, ids, err
}

// erase queues the removal of conversations that are locked.
func erase(t *tx, numbers []int64, ids []string) {
	t.changed = true
	t.do(sqlEraseLanes, numbers) // first, so that nobody claims them any more
	t.do(sqlEraseDeliveries, numbers)
	t.do(sqlEraseEvents, numbers)
	t.do(sqlEraseLines, numbers)
	t.do(sqlEraseKeys, ids)
	t.do(sqlErasePeople, ids)
	t.do(sqlEraseConversations, ids)
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, l store.Limits) (more bool, err error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	slice := l.Slice
	if slice <= 0 {
		slice = maxPage
	}
	err = s.transact(ctx, func(ctx context.Context, t *tx) error {
		t.changed = true
		counts := make([]int64, 4)
		var files int64
		t.ask(sqlNow, s.moment()).QueryRow(scanTime(&t.now))
		t.ask(sqlPruneEvents, s.moment(), slice).Exec(scanCount(&counts[0]))
		t.ask(sqlPruneCommits, tokensFor, slice).Exec(scanCount(&counts[1]))
		t.ask(sqlPruneFiles, s.moment(), min(slice, pruneFiles)).Exec(scanCount(&files))
		if !l.Lines.IsZero() {
			t.ask(sqlPruneLines, toTime(l.Lines), slice).Exec(scanCount(&counts[2]))
		}
		if !l.DeadLetters.IsZero() {
			t.ask(sqlPruneLetters, toTime(l.DeadLetters), slice).Exec(scanCount(&counts[3]))
		}
		if err := t.send(ctx); err != nil {
			return err
		}
		more = files >= int64(min(slice, pruneFiles))
		for _, n := range counts {
			more = more || n >= int64(slice)
		}
		if l.Conversations.IsZero() {
			return nil
		}
		full, err := pruneConversations(ctx, t, l, slice)
		more = more || full
		return err
	})
	return more && err == nil, err
}

// pruneConversations removes a slice of the conversations that nothing keeps, and reports whether it was full.
func pruneConversations(ctx context.Context, t *tx, l store.Limits, slice int) (bool, error) {
	numbers, ids, err := lockThese(ctx, t, sqlLockIdle, day(l.Conversations), toTime(l.Conversations), t.now, slice)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	full := len(ids) == slice
	// One of them may have got a delivery between the look at its lanes and its lock.
	busy := map[int64]bool{}
	t.ask(sqlBusy, numbers, t.now).Query(func(rows pgx.Rows) error {
		var no int64
		_, err := pgx.ForEachRow(rows, []any{&no}, func() error { busy[no] = true; return nil })
		return err
	})
	if err := t.send(ctx); err != nil {
		return false, err
	}
	var idleNumbers []int64
	var idle []string
	for i, no := range numbers {
		if !busy[no] {
			idleNumbers, idle = append(idleNumbers, no), append(idle, ids[i])
		}
	}
	erase(t, idleNumbers, idle)
	return full, nil
}
