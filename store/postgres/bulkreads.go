package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

// What most calls have to read is gathered as well, and read with one statement of each kind. All of it is read after the
// conversations were locked.
const (
	// sqlKnown looks for one event at a time. Joined, all of a conversation's would be read for each.
	sqlKnown = `SELECT q.n, q.hash FROM unnest($1::integer[], $2::text[], $3::uuid[]) AS q (n, conversation, hash)
JOIN conversations AS c ON c.id = q.conversation
CROSS JOIN LATERAL (SELECT FROM events AS e WHERE e.no = c.no AND e.hash = q.hash
AND e.until > coalesce($4::timestamptz, clock_timestamp()) LIMIT 1) AS e`
	sqlLanes = `SELECT q.n, l.token, l.due FROM unnest($1::integer[], $2::text[], $3::text[]) AS q (n, conversation, direction)
JOIN conversations AS c ON c.id = q.conversation
JOIN lanes AS l ON l.no = c.no AND l.direction = q.direction FOR UPDATE OF l`
	sqlHeads = `SELECT q.n, d.place, d.id, d.not_before, d.begun, d.failed, d.attempts
FROM unnest($1::integer[], $2::text[], $3::text[], $4::integer[]) AS q (n, conversation, direction, most)
JOIN conversations AS c ON c.id = q.conversation
CROSS JOIN LATERAL (SELECT place, id, not_before, begun, failed, attempts FROM deliveries
WHERE no = c.no AND direction = q.direction ORDER BY place LIMIT q.most) AS d ORDER BY q.n, d.place`
)

// A bulkReads is what is to be read, in columns, and where it goes.
type bulkReads struct {
	events struct {
		n            []int32 // place in known
		conversation []string
		hash         [][16]byte
		known        []*[][16]byte
		moment       *time.Time
	}
	lanes struct {
		n                       []int32 // place in views
		conversation, direction []string
		most                    []int32
		views                   []*laneView
	}
}

// addEvents gathers hashes of event ids of a conversation. Those that are known are added to known.
func (b *bulkReads) addEvents(conversation string, hashes [][16]byte, known *[][16]byte, moment *time.Time) {
	e := &b.events
	for _, h := range hashes {
		e.n = append(e.n, int32(len(e.known)))
		e.conversation = append(e.conversation, conversation)
		e.hash = append(e.hash, h)
	}
	e.known, e.moment = append(e.known, known), moment
}

// addLane gathers a lane, which is locked, and so many deliveries from its head.
func (b *bulkReads) addLane(lane store.Lane, most int, v *laneView) {
	*v = laneView{}
	l := &b.lanes
	l.n = append(l.n, int32(len(l.views)))
	l.conversation, l.direction = append(l.conversation, lane.Conversation), append(l.direction, string(lane.Direction))
	l.most, l.views = append(l.most, int32(most)), append(l.views, v)
}

// ask queues what was gathered.
func (b *bulkReads) ask(t *tx) {
	if e := b.events; len(e.n) > 0 {
		t.ask(sqlKnown, e.n, e.conversation, e.hash, e.moment).Query(func(rows pgx.Rows) error {
			var n int32
			var hash [16]byte
			_, err := pgx.ForEachRow(rows, []any{&n, &hash}, func() error {
				*e.known[n] = append(*e.known[n], hash)
				return nil
			})
			return err
		})
	}
	if l := b.lanes; len(l.n) > 0 {
		t.ask(sqlLanes, l.n, l.conversation, l.direction).Query(func(rows pgx.Rows) error { return scanLanes(rows, l.views) })
		t.ask(sqlHeads, l.n, l.conversation, l.direction, l.most).Query(func(rows pgx.Rows) error { return scanHeads(rows, l.views) })
	}
	*b = bulkReads{}
}

func scanLanes(rows pgx.Rows, views []*laneView) error {
	var n int32
	var token int64
	var due *time.Time
	_, err := pgx.ForEachRow(rows, []any{&n, &token, &due}, func() error {
		v := views[n]
		v.found, v.token, v.due = true, token, fromTime(due)
		return nil
	})
	return err
}

func scanHeads(rows pgx.Rows, views []*laneView) error {
	defer rows.Close()
	for rows.Next() {
		var n int32
		var h headRow
		var notBefore *time.Time
		var attempts []byte
		if err := rows.Scan(&n, &h.place, &h.id, &notBefore, &h.begun, &h.failed, &attempts); err != nil {
			return err
		}
		h.notBefore = fromTime(notBefore)
		var err error
		if h.attempts, err = decodeAttempts(attempts); err != nil {
			return err
		}
		views[n].head = append(views[n].head, h)
	}
	return rows.Err()
}
