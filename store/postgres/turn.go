package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"snowbot/store"
)

const (
	// sqlLock gives the record only of those conversations that are to be handed to a turn.
	sqlLock = `SELECT c.no, c.id, c.lines, c.placed, c.status, c.due, c.updated,
CASE WHEN q.whole THEN c.keys END, CASE WHEN q.whole THEN c.people END, CASE WHEN q.whole THEN c.data END
FROM unnest($1::text[], $2::boolean[]) AS q (id, whole) JOIN conversations AS c ON c.id = q.id ORDER BY c.id FOR UPDATE OF c`
	sqlPlaceholders = `INSERT INTO conversations (id, updated, filed, data)
SELECT id, $2, 0, '' FROM unnest($1::text[]) AS t (id) ORDER BY id
ON CONFLICT (id) DO NOTHING RETURNING no, id`
	sqlRemovePlaceholder = `DELETE FROM conversations WHERE no = $1 AND data = ''`
	sqlWriteNames        = `UPDATE conversations SET keys = $2, people = $3 WHERE id = $1`
	sqlAddKeys           = `INSERT INTO keys (key, conversation) SELECT key, $2 FROM unnest($1::text[]) AS t (key) ORDER BY key ON CONFLICT (key) DO NOTHING`
	sqlOwners            = `SELECT key, conversation FROM keys WHERE key = ANY($1)`
	sqlRemoveKeys        = `DELETE FROM keys WHERE key = ANY($1) AND conversation = $2`
	sqlAddPeople         = `INSERT INTO people (person, conversation) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING`
	sqlRemovePeople      = `DELETE FROM people WHERE person = ANY($1) AND conversation = $2`
)

// A conversation is a row that was locked.
type conversation struct {
	no      int64
	rec     store.Record // Data is in sealed; only the ID is sure to be there unless the call asked for the whole
	lines   int64
	placed  int64
	sealed  []byte
	new     bool // made by this transaction
	written bool
}

// lockConversations queues the lock of the conversations of calls, which are added to found.
func lockConversations(t *tx, calls []*call, found map[string]*conversation) {
	ids, whole := make([]string, len(calls)), make([]bool, len(calls))
	for i, c := range calls {
		ids[i], whole[i] = c.conversation, c.whole
	}
	t.ask(sqlLock, ids, whole).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			c := &conversation{}
			var due *time.Time
			err := rows.Scan(&c.no, &c.rec.ID, &c.lines, &c.placed, &c.rec.Status, &due, &c.rec.Updated,
				&c.rec.Keys, &c.rec.People, &c.sealed)
			if err != nil {
				return err
			}
			c.rec.Due, c.rec.Updated = fromTime(due), c.rec.Updated.UTC()
			found[c.rec.ID] = c
		}
		return rows.Err()
	})
}

// makePlaceholders queues rows for conversations that are to come. They are locked like all that a
// transaction has made.
func makePlaceholders(t *tx, ids []string, found map[string]*conversation) {
	t.ask(sqlPlaceholders, ids, t.now).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			c := &conversation{new: true}
			if err := rows.Scan(&c.no, &c.rec.ID); err != nil {
				return err
			}
			found[c.rec.ID] = c
		}
		return rows.Err()
	})
}

// A plan is a turn that was taken and found possible, and not queued yet.
type plan struct {
	turn store.Turn
	old  *conversation
	gone []string // keys
	// What the turn gave, sealed: its bytes are its caller's, who may leave from then on.
	record                 []byte
	bodies, lines, letters [][]byte // of Deliver, Lines and Bury
}

// plan runs the function of a call over its conversation, and takes the keys that it declares. Nothing else is queued.
func (s *Store) plan(ctx context.Context, t *tx, of *call, c *conversation, fresh []bool, f func(*store.Turn) error) (*plan, error) {
	rec := c.rec
	if !c.new {
		data, err := s.keys.Open(store.RecordName(rec.ID), c.sealed)
		if err != nil {
			return nil, fmt.Errorf("record of %s: %w", rec.ID, err)
		}
		rec.Data = data
	}
	// The turn may edit its lists in place, and the old ones are still needed.
	rec.Keys, rec.People = slices.Clone(c.rec.Keys), slices.Clone(c.rec.People)
	p := &plan{old: c, turn: store.Turn{Record: &rec, New: c.new, Fresh: fresh, Now: t.now}}
	if err := runTurn(f, &p.turn); err != nil {
		return nil, err
	}
	if err := p.turn.Check(c.rec.ID); err != nil {
		return nil, err
	}
	is := p.turn.Record
	is.Keys, is.People = slices.Clone(is.Keys), slices.Clone(is.People)
	s.seal(p)
	of.ran()
	p.gone = without(c.rec.Keys, is.Keys)
	return p, takeKeys(ctx, t, c.rec.ID, without(is.Keys, c.rec.Keys))
}

// seal seals what a turn gave.
func (s *Store) seal(p *plan) {
	id := p.old.rec.ID
	p.record = s.keys.Seal(store.RecordName(id), p.turn.Record.Data)
	for i := range p.turn.Deliver {
		o := &p.turn.Deliver[i]
		p.bodies = append(p.bodies, s.keys.Seal(store.DeliveryName(id, o.ID), o.Body))
	}
	for i, l := range p.turn.Lines {
		p.lines = append(p.lines, s.keys.Seal(store.LineName(id, uint64(p.old.lines)+uint64(i)+1), l.Data))
	}
	for i := range p.turn.Bury {
		d := &p.turn.Bury[i].Delivery
		p.letters = append(p.letters, s.keys.Seal(store.DeliveryName(id, d.ID), d.Body))
	}
}

// takeKeys takes new keys, or returns a *store.KeyTakenError and takes none. Whoever is about to take one of
// them in another transaction is waited for.
func takeKeys(ctx context.Context, t *tx, id string, added []string) error {
	for len(added) > 0 {
		t.do(sqlAddKeys, added, id)
		owners := map[string]string{}
		t.ask(sqlOwners, added).Query(func(rows pgx.Rows) error {
			var key, owner string
			_, err := pgx.ForEachRow(rows, []any{&key, &owner}, func() error { owners[key] = owner; return nil })
			return err
		})
		if err := t.send(ctx); err != nil {
			return err
		}
		for _, key := range added {
			if owner := owners[key]; owner != "" && owner != id {
				t.do(sqlRemoveKeys, added, id)
				return &store.KeyTakenError{Key: key, Conversation: owner}
			}
		}
		if len(owners) == len(added) {
			return nil
		}
		// The owner of one has just let it go.
	}
	return nil
}

// stage queues what a plan says. It cannot be refused any more.
func stage(ctx context.Context, t *tx, p *plan) error {
	t.changed, t.relaxed = true, false
	c := p.old
	if len(p.turn.Move)+len(p.turn.Drop) > 0 {
		t.bulk.settle(t) // what was delivered is not to be moved
	}
	touched, err := moveLanes(ctx, t, p)
	if err != nil {
		return err
	}
	for i := range p.turn.Deliver {
		o := &p.turn.Deliver[i]
		c.placed++
		deliver(t, c, o, p.bodies[i])
		touched[o.Direction] = true
	}
	refreshLanes(t, c, touched)
	for i, l := range p.turn.Lines {
		if l.At.IsZero() {
			l.At = t.now
		}
		c.lines++
		t.bulk.addLine(c.no, c.lines, l.At, p.lines[i])
	}
	for i := range p.turn.Bury {
		buryEvent(t, c.rec.ID, &p.turn.Bury[i], p.letters[i])
	}
	stageRecord(t, p)
	return nil
}

// stageRecord queues the record and what points to it, except for its new keys.
func stageRecord(t *tx, p *plan) {
	c, rec := p.old, p.turn.Record
	if len(p.gone) > 0 {
		t.do(sqlRemoveKeys, p.gone, c.rec.ID)
	}
	if gone := without(c.rec.People, rec.People); len(gone) > 0 {
		t.do(sqlRemovePeople, gone, c.rec.ID)
	}
	if added := without(rec.People, c.rec.People); len(added) > 0 {
		t.do(sqlAddPeople, added, c.rec.ID)
	}
	if !slices.Equal(rec.Keys, c.rec.Keys) || !slices.Equal(rec.People, c.rec.People) {
		t.do(sqlWriteNames, c.rec.ID, notNil(rec.Keys), notNil(rec.People))
	}
	t.bulk.addRecord(c, rec, p.record)
	c.written = true
}

// without returns what is in list and not in other.
func without(list, other []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// day returns the number of a time's day.
func day(t time.Time) int32 { return int32(t.Unix() / (24 * 60 * 60)) }

// toTime is a time as a parameter: nil when it is zero.
func toTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

func fromTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// scanTime takes a time that a query returns.
func scanTime(to *time.Time) func(pgx.Row) error {
	return func(row pgx.Row) error {
		err := row.Scan(to)
		*to = to.UTC()
		return err
	}
}

// scanCount takes how many rows a statement changed.
func scanCount(to *int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error { *to = tag.RowsAffected(); return nil }
}
