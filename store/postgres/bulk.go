package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

// What most turns and settles write is gathered over the calls of a transaction and written with one statement for each
// table, after everything else: first what settles say, then what turns add. Since a conversation has one call in it, what
// is gathered of different calls is independent.
const (
	sqlDone = `DELETE FROM deliveries AS d USING unnest($1::bigint[], $2::text[], $3::bigint[]) AS q (no, direction, place)
WHERE d.no = q.no AND d.direction = q.direction AND d.place <= q.place`
	sqlEnd  = `DELETE FROM lanes AS l USING unnest($1::bigint[], $2::text[]) AS q (no, direction) WHERE l.no = q.no AND l.direction = q.direction`
	sqlRest = `UPDATE lanes AS l SET token = 0, until = NULL, head = q.head, due = q.due, at = q.due
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[]) AS q (no, direction, head, due) WHERE l.no = q.no AND l.direction = q.direction`
	sqlAddEvents = `INSERT INTO events (no, hash, until) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[])
ON CONFLICT (no, hash) DO UPDATE SET until = excluded.until`
	sqlDeliver = `INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bytea[])`
	// sqlRefresh makes the rows of lanes follow their deliveries, where there is another head than before. It says of which
	// lanes the head may be claimed.
	sqlRefresh = `INSERT INTO lanes AS l (no, direction, conversation, head, due, at)
SELECT q.no, q.direction, q.conversation, d.place, greatest(d.not_before, $4), CASE WHEN q.direction <> 'held' THEN greatest(d.not_before, $4) END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS q (no, direction, conversation)
CROSS JOIN LATERAL (SELECT place, not_before FROM deliveries WHERE no = q.no AND direction = q.direction ORDER BY place LIMIT 1) AS d
WHERE NOT EXISTS (SELECT FROM lanes AS o WHERE o.no = q.no AND o.direction = q.direction AND o.head = d.place)
ON CONFLICT (no, direction) DO UPDATE SET head = excluded.head, due = excluded.due,
at = CASE WHEN l.direction <> 'held' THEN greatest(l.until, excluded.due) END
RETURNING direction, direction <> 'held' AND (until IS NULL OR until <= $4)`
	sqlAddLines     = `INSERT INTO lines (no, n, at, data) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::bytea[])`
	sqlWriteRecords = `UPDATE conversations AS c SET status = q.status, due = q.due, updated = $2, filed = $3, lines = q.lines, placed = q.placed, data = q.data
FROM unnest($1::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bytea[]) AS q (id, status, due, lines, placed, data)
WHERE c.id = q.id`
)

// A bulk is what was gathered, in columns.
type bulk struct {
	done struct {
		no        []int64
		direction []string
		place     []int64
	}
	ended struct {
		no        []int64
		direction []string
	}
	resting struct {
		no        []int64
		direction []string
		head      []int64
		due       []*time.Time
	}
	events struct {
		no    []int64
		hash  [][16]byte
		until []time.Time
	}
	deliveries struct {
		no                  []int64
		direction           []string
		place               []int64
		id, kind, session   []string
		accepted, notBefore []*time.Time
		body                [][]byte
	}
	lanes struct {
		no                      []int64
		direction, conversation []string
	}
	lines struct {
		no, n []int64
		at    []*time.Time
		data  [][]byte
	}
	records struct {
		id, status    []string
		due           []*time.Time
		lines, placed []int64
		data          [][]byte
	}
}

// addDone gathers that a lane's deliveries up to a place go.
func (b *bulk) addDone(no int64, direction string, place int64) {
	d := &b.done
	d.no, d.direction, d.place = append(d.no, no), append(d.direction, direction), append(d.place, place)
}

// addEnd gathers that a lane has nothing left and its lease is over.
func (b *bulk) addEnd(no int64, direction string) {
	e := &b.ended
	e.no, e.direction = append(e.no, no), append(e.direction, direction)
}

// addRest gathers that a lane goes on without a lease.
func (b *bulk) addRest(no int64, direction string, head int64, due time.Time) {
	r := &b.resting
	r.no, r.direction = append(r.no, no), append(r.direction, direction)
	r.head, r.due = append(r.head, head), append(r.due, toTime(due))
}

func (b *bulk) addEvent(no int64, hash [16]byte, until time.Time) {
	e := &b.events
	e.no, e.hash, e.until = append(e.no, no), append(e.hash, hash), append(e.until, until)
}

func (b *bulk) addDelivery(no, place int64, o *store.Outgoing, accepted time.Time, sealed []byte) {
	d := &b.deliveries
	d.no, d.direction, d.place = append(d.no, no), append(d.direction, string(o.Direction)), append(d.place, place)
	d.id, d.kind, d.session = append(d.id, o.ID), append(d.kind, o.Kind), append(d.session, o.Session)
	d.accepted, d.notBefore = append(d.accepted, toTime(accepted)), append(d.notBefore, toTime(o.NotBefore))
	d.body = append(d.body, sealed)
}

func (b *bulk) refresh(c *conversation, d store.Direction) {
	l := &b.lanes
	l.no, l.direction = append(l.no, c.no), append(l.direction, string(d))
	l.conversation = append(l.conversation, c.rec.ID)
}

func (b *bulk) addLine(no, n int64, at time.Time, sealed []byte) {
	l := &b.lines
	l.no, l.n, l.at, l.data = append(l.no, no), append(l.n, n), append(l.at, toTime(at)), append(l.data, sealed)
}

func (b *bulk) addRecord(c *conversation, rec *store.Record, sealed []byte) {
	r := &b.records
	r.id, r.status, r.due = append(r.id, c.rec.ID), append(r.status, rec.Status), append(r.due, toTime(rec.Due))
	r.lines, r.placed, r.data = append(r.lines, c.lines), append(r.placed, c.placed), append(r.data, sealed)
}

// settle queues what was gathered of settles.
func (b *bulk) settle(t *tx) {
	if d := &b.done; len(d.no) > 0 {
		t.do(sqlDone, d.no, d.direction, d.place)
	}
	if e := &b.ended; len(e.no) > 0 {
		t.do(sqlEnd, e.no, e.direction)
	}
	if r := &b.resting; len(r.no) > 0 {
		t.do(sqlRest, r.no, r.direction, r.head, r.due)
	}
	b.done.no, b.done.direction, b.done.place = nil, nil, nil
	b.ended.no, b.ended.direction = nil, nil
	b.resting.no, b.resting.direction, b.resting.head, b.resting.due = nil, nil, nil, nil
}

// write queues what was gathered.
func (b *bulk) write(t *tx) {
	b.settle(t)
	if e := &b.events; len(e.no) > 0 {
		t.do(sqlAddEvents, e.no, e.hash, e.until)
	}
	if d := &b.deliveries; len(d.no) > 0 {
		t.do(sqlDeliver, d.no, d.direction, d.place, d.id, d.kind, d.session, d.accepted, d.notBefore, d.body)
	}
	if l := &b.lanes; len(l.no) > 0 {
		t.ask(sqlRefresh, l.no, l.direction, l.conversation, t.now).Query(func(rows pgx.Rows) error {
			var direction string
			var free bool
			_, err := pgx.ForEachRow(rows, []any{&direction, &free}, func() error {
				if free {
					t.wake(store.Direction(direction))
				}
				return nil
			})
			return err
		})
	}
	if l := &b.lines; len(l.no) > 0 {
		t.do(sqlAddLines, l.no, l.n, l.at, l.data)
	}
	if r := &b.records; len(r.id) > 0 {
		t.do(sqlWriteRecords, r.id, t.now, day(t.now), r.status, r.due, r.lines, r.placed, r.data)
	}
}
