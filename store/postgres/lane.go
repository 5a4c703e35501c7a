package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"snowbot/store"
)

const (
	sqlMove = `WITH gone AS (DELETE FROM deliveries WHERE no = $1 AND direction = $2 RETURNING *)
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, failed, attempts, body)
SELECT no, $3, $4 + row_number() OVER (ORDER BY place), id, kind, session, coalesce($5, accepted), not_before, failed, attempts, body
FROM gone`
	sqlDrop = `DELETE FROM deliveries WHERE no = $1 AND direction = $2`
	// sqlEmpty makes a lane's row follow its deliveries when there are none any more. A lease keeps it.
	sqlEmpty = `UPDATE lanes AS l SET head = NULL, due = NULL, at = NULL
WHERE no = $1 AND direction = $2 AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.no = $1 AND d.direction = $2)`
	sqlSweep = `DELETE FROM lanes WHERE no = $1 AND direction = $2 AND head IS NULL AND token = 0`
)

// deliver queues a delivery at the place that the conversation has counted for it.
func deliver(t *tx, c *conversation, o *store.Outgoing, sealed []byte) {
	accepted := o.Accepted
	if accepted.IsZero() {
		accepted = t.now
	}
	t.bulk.addDelivery(c.no, c.placed, o, accepted, sealed)
}

// moveLanes carries out the turn's Move, and queues its Drop. It returns the lanes that have to be refreshed
// still.
func moveLanes(ctx context.Context, t *tx, p *plan) (map[store.Direction]bool, error) {
	c := p.old
	touched := map[store.Direction]bool{}
	var emptied []store.Direction
	for _, m := range p.turn.Move {
		if m.From == m.To || c.new {
			continue
		}
		var accepted *time.Time
		if m.From == store.Held {
			accepted = &t.now
		}
		var n int64
		t.ask(sqlMove, c.no, string(m.From), string(m.To), c.placed, accepted).Exec(scanCount(&n))
		if err := t.send(ctx); err != nil { // how many there are numbers what follows
			return nil, err
		}
		c.placed += n
		touched[m.To] = true
		emptied = append(emptied, m.From)
	}
	if !c.new {
		for _, d := range p.turn.Drop {
			t.do(sqlDrop, c.no, string(d))
			emptied = append(emptied, d)
		}
	}
	for _, d := range emptied {
		touched[d] = true // moved back, perhaps
		t.do(sqlEmpty, c.no, string(d))
		t.do(sqlSweep, c.no, string(d))
	}
	return touched, nil
}

// refreshLanes queues that the rows of lanes follow their deliveries.
func refreshLanes(t *tx, c *conversation, touched map[store.Direction]bool) {
	for _, d := range sorted(touched) {
		t.bulk.refresh(c, d)
	}
}

// sorted returns directions by name, which is the order in which lanes are locked.
func sorted(set map[store.Direction]bool) []store.Direction {
	out := make([]store.Direction, 0, len(set))
	for d := range set {
		out = append(out, d)
	}
	slices.Sort(out)
	return out
}

// A laneView is a lane that was locked, and as much of its head as a lease holds, with one more.
type laneView struct {
	found bool
	token int64
	due   time.Time
	head  []headRow
}

// A headRow is what settling has to know of a delivery.
type headRow struct {
	place     int64
	id        string
	notBefore time.Time
	begun     bool
	failed    int32
	attempts  []store.Attempt
}

// fail counts a failed send, and returns the attempts as they are kept.
func (h *headRow) fail(at time.Time, outcome string) []byte {
	h.failed++
	h.attempts = store.AddAttempt(h.attempts, at, outcome)
	b, err := json.Marshal(h.attempts)
	if err != nil {
		panic("attempts as JSON: " + err.Error()) // times and valid strings
	}
	return b
}

func decodeAttempts(b []byte) ([]store.Attempt, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var out []store.Attempt
	err := json.Unmarshal(b, &out)
	return out, err
}
