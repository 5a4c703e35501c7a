package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

// rekeying remembers how far a round over everything sealed has come.
type rekeying struct {
	mu sync.Mutex
	round
}

// A round goes over everything sealed once.
type round struct {
	part  int
	after string
	found bool // something that an older key had sealed
}

const (
	sqlSealedConversations = `SELECT no, id, data FROM conversations WHERE id > $1 ORDER BY id LIMIT $2`
	sqlSealedDeliveries    = `SELECT d.no, d.direction, d.place, c.id, d.id, d.body FROM conversations AS c JOIN deliveries AS d ON d.no = c.no
WHERE c.id > $1 AND c.id <= $2 AND substring(d.body FROM 2 FOR 4) <> $3`
	sqlSealedLines = `SELECT l.no, l.n, c.id, l.data FROM conversations AS c JOIN lines AS l ON l.no = c.no
WHERE c.id > $1 AND c.id <= $2 AND substring(l.data FROM 2 FOR 4) <> $3`
	sqlSealedLetters = `SELECT id, conversation, delivery, body FROM letters WHERE id > $1 ORDER BY id LIMIT $2`

	// What was changed meanwhile is sealed with the first key anyway.
	sqlResealConversation = `UPDATE conversations SET data = $3 WHERE id = $1 AND data = $2`
	sqlResealDelivery     = `UPDATE deliveries SET body = $5 WHERE no = $1 AND direction = $2 AND place = $3 AND body = $4`
	sqlResealLine         = `UPDATE lines SET data = $4 WHERE no = $1 AND n = $2 AND data = $3`
	sqlResealLetter       = `UPDATE letters SET body = $3 WHERE id = $1 AND body = $2`
)

// rekeySlice is how many rows are looked at in one call.
const rekeySlice = 200

// Rekey implements store.Store. All replicas have to seal with the first key already. What moved past a round while that was
// under way is found by another one, until one finds nothing.
func (s *Store) Rekey(ctx context.Context) (more bool, err error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	s.rekey.mu.Lock()
	defer s.rekey.mu.Unlock()
	var next round
	err = s.transact(ctx, func(ctx context.Context, t *tx) (err error) {
		next = s.rekey.round
		if next.after == "" && (next.part == 0 || next.part > 2) {
			if err := s.knowsKeys(ctx, t); err != nil {
				return err
			}
		}
		var last string
		switch next.part {
		case 0:
			last, err = s.resealConversations(ctx, t, next.after)
		case 1:
			last, err = s.resealLetters(ctx, t, next.after)
		case 2:
			last, err = s.resealFile(ctx, t, next.after)
		default:
			if more = next.found; !more {
				s.dropOldKeys(t)
			}
			next = round{}
			return nil
		}
		more, next.found = true, next.found || t.resealed
		if next.after = last; last == "" {
			next.part++
		}
		return err
	})
	if err != nil {
		return false, err
	}
	s.rekey.round = next
	return more, nil
}

// knowsKeys returns an error when another replica has a key that this one has not: what that has sealed is not damaged.
func (s *Store) knowsKeys(ctx context.Context, t *tx) error {
	var missing []string
	t.ask(sqlMeta).Query(func(rows pgx.Rows) (err error) {
		missing, err = s.missingKeys(rows)
		return err
	})
	if err := t.send(ctx); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("rekey: another replica was given a key that this one was not (id %s): restart this one with the same DATA_ENCRYPTION_KEY first: %w",
			strings.Join(missing, ", "), store.ErrWrongKey)
	}
	return nil
}

// reseal returns the value sealed with the first key, and whether it was not already. One that does not open is left as it is.
func (s *Store) reseal(name string, sealed []byte) ([]byte, bool) {
	if id, ok := store.SealedBy(sealed); ok && id == s.keys.First() {
		return nil, false
	}
	plain, err := s.keys.Open(name, sealed)
	if err != nil {
		// All keys are there, so it is damaged, and keeping the old key would not help.
		s.log.Warn("a damaged value was left as it is", "err", err)
		return nil, false
	}
	return s.keys.Seal(name, plain), true
}

// resealConversations queues a slice of the conversations with their deliveries and lines. It returns the last
// one, or nothing when there are no more.
func (s *Store) resealConversations(ctx context.Context, t *tx, after string) (last string, err error) {
	t.changed = true
	var writes []func()
	change := func(name string, sealed []byte, write func(sealed []byte)) {
		if anew, is := s.reseal(name, sealed); is {
			writes = append(writes, func() { write(anew) })
		}
	}
	t.ask(sqlSealedConversations, after, rekeySlice).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var no int64
			var id string
			var sealed []byte
			if err := rows.Scan(&no, &id, &sealed); err != nil {
				return err
			}
			last = id
			change(store.RecordName(id), sealed, func(anew []byte) { t.do(sqlResealConversation, id, sealed, anew) })
		}
		return rows.Err()
	})
	if err := t.send(ctx); err != nil || last == "" {
		return "", err
	}
	first := s.keys.First()
	t.ask(sqlSealedDeliveries, after, last, first[:]).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var no, place int64
			var direction, conversation, id string
			var sealed []byte
			if err := rows.Scan(&no, &direction, &place, &conversation, &id, &sealed); err != nil {
				return err
			}
			change(store.DeliveryName(conversation, id), sealed,
				func(anew []byte) { t.do(sqlResealDelivery, no, direction, place, sealed, anew) })
		}
		return rows.Err()
	})
	t.ask(sqlSealedLines, after, last, first[:]).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var no, n int64
			var conversation string
			var sealed []byte
			if err := rows.Scan(&no, &n, &conversation, &sealed); err != nil {
				return err
			}
			change(store.LineName(conversation, uint64(n)), sealed,
				func(anew []byte) { t.do(sqlResealLine, no, n, sealed, anew) })
		}
		return rows.Err()
	})
	err = t.send(ctx)
	t.resealed = len(writes) > 0
	for _, write := range writes {
		write()
	}
	return last, err
}

// resealLetters does so for dead letters.
func (s *Store) resealLetters(ctx context.Context, t *tx, after string) (last string, err error) {
	t.changed = true
	var writes []func()
	t.ask(sqlSealedLetters, after, rekeySlice).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id, conversation, delivery string
			var sealed []byte
			if err := rows.Scan(&id, &conversation, &delivery, &sealed); err != nil {
				return err
			}
			last = id
			if anew, is := s.reseal(store.DeliveryName(conversation, delivery), sealed); is {
				writes = append(writes, func() { t.do(sqlResealLetter, id, sealed, anew) })
			}
		}
		return rows.Err()
	})
	err = t.send(ctx)
	t.resealed = len(writes) > 0
	for _, write := range writes {
		write()
	}
	return last, err
}

// dropOldKeys queues that only the first key is needed from now on.
func (s *Store) dropOldKeys(t *tx) {
	t.changed = true
	t.do(sqlSetMeta, metaMask, s.keys.Seal(store.MaskName(), s.maskKey))
	t.do(sqlDelMeta, metaCheck+s.keys.First().String())
}
