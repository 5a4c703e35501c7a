package postgres

import (
	"time"

	"snowbot/store"
)

// What most turns write is gathered over the calls of a transaction and written with one statement for each
// table, after everything else. Since a conversation has one call in it, what is gathered of different calls is
// independent.
const (
	sqlAddEvents = `INSERT INTO events (no, hash, until) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[])
ON CONFLICT (no, hash) DO UPDATE SET until = excluded.until`
	sqlDeliver = `INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bytea[])`
	// sqlRefresh makes the rows of lanes follow their deliveries. What was the head before keeps the time
	// since when it is due.
	sqlRefresh = `INSERT INTO lanes AS l (no, direction, conversation, head, due, at)
SELECT q.no, q.direction, q.conversation, d.place, greatest(d.not_before, $4), CASE WHEN q.direction <> 'held' THEN greatest(d.not_before, $4) END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS q (no, direction, conversation)
CROSS JOIN LATERAL (SELECT place, not_before FROM deliveries WHERE no = q.no AND direction = q.direction ORDER BY place LIMIT 1) AS d
ON CONFLICT (no, direction) DO UPDATE SET head = excluded.head,
due = CASE WHEN l.head = excluded.head THEN l.due ELSE excluded.due END,
at = CASE WHEN l.direction <> 'held' THEN greatest(l.until, CASE WHEN l.head = excluded.head THEN l.due ELSE excluded.due END) END`
	sqlAddLines     = `INSERT INTO lines (no, n, at, data) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::bytea[])`
	sqlWriteRecords = `UPDATE conversations AS c SET status = q.status, due = q.due, updated = $2, filed = $3, lines = q.lines, placed = q.placed, data = q.data
FROM unnest($1::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bytea[]) AS q (id, status, due, lines, placed, data)
WHERE c.id = q.id`
)

// A bulk is what was gathered, in columns.
type bulk struct {
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

// write queues what was gathered.
func (b *bulk) write(t *tx) {
	if e := &b.events; len(e.no) > 0 {
		t.do(sqlAddEvents, e.no, e.hash, e.until)
	}
	if d := &b.deliveries; len(d.no) > 0 {
		t.do(sqlDeliver, d.no, d.direction, d.place, d.id, d.kind, d.session, d.accepted, d.notBefore, d.body)
	}
	if l := &b.lanes; len(l.no) > 0 {
		t.do(sqlRefresh, l.no, l.direction, l.conversation, t.now)
	}
	if l := &b.lines; len(l.no) > 0 {
		t.do(sqlAddLines, l.no, l.n, l.at, l.data)
	}
	if r := &b.records; len(r.id) > 0 {
		t.do(sqlWriteRecords, r.id, t.now, day(t.now), r.status, r.due, r.lines, r.placed, r.data)
	}
}
