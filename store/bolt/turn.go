package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"snowbot/store"
)

const day = uint64(24 * time.Hour / time.Microsecond)

// A plan is a turn that has been taken and found possible, and not staged yet.
type plan struct {
	turn store.Turn
	old  *record // nil when the conversation is new
	row  record  // what is to be written; its number is zero when the conversation is new
	id   string
}

// plan runs f over a conversation. Nothing is staged.
func (b *batch) plan(id string, old *record, fresh []bool, f func(*store.Turn) error) (*plan, error) {
	p := &plan{id: id, old: old}
	rec := store.Record{ID: id}
	if old != nil {
		var err error
		if rec, err = old.open(b.s.keys, id); err != nil {
			return nil, err
		}
		p.row = *old
	}
	p.turn = store.Turn{Record: &rec, New: old == nil, Fresh: fresh, Now: b.now}
	if err := runTurn(f, &p.turn); err != nil {
		return nil, err
	}
	if err := p.turn.Check(id); err != nil {
		return nil, err
	}
	for _, key := range p.turn.Record.Keys {
		if old != nil && slices.Contains(old.keys, key) {
			continue
		}
		if owner := b.keys.Get([]byte(key)); owner != nil && string(owner) != id {
			return nil, &store.KeyTakenError{Key: key, Conversation: string(owner)}
		}
	}
	return p, nil
}

// stage writes what a plan says. It cannot be refused any more.
func (b *batch) stage(p *plan) {
	b.changed = true
	if p.old == nil {
		p.old = &record{}
		no, err := b.records.NextSequence()
		b.breaks(err)
		p.row.no = no
	}
	b.moveLanes(p)
	for i := range p.turn.Deliver {
		b.deliver(p, &p.turn.Deliver[i])
	}
	for _, l := range p.turn.Lines {
		b.addLine(p, l)
	}
	for i := range p.turn.Bury {
		b.buryEvent(p.id, &p.turn.Bury[i])
	}
	b.stageRecord(p)
}

// stageRecord writes the record, as changed now, and what points to it.
func (b *batch) stageRecord(p *plan) {
	p.row.updated = micros(b.now)
	b.writeRecord(p)
}

// writeRecord writes the record and what points to it.
func (b *batch) writeRecord(p *plan) {
	rec, row, id := p.turn.Record, &p.row, []byte(p.id)
	row.due = micros(rec.Due)
	row.status, row.keys, row.people = rec.Status, rec.Keys, rec.People

	differ(p.old.keys, rec.Keys,
		func(gone string) { b.remove(b.keys, []byte(gone)) },
		func(added string) { b.put(b.keys, []byte(added), id) })
	differ(p.old.people, rec.People,
		func(gone string) { b.remove(b.people, personKey(gone, p.id)) },
		func(added string) { b.put(b.people, personKey(added, p.id), []byte{}) })

	switch was, is := p.old.status != "", rec.Status != ""; {
	case is && !was:
		b.put(b.live, id, []byte{})
		b.moreLive++
	case was && !is:
		b.remove(b.live, id)
		b.moreLive--
	}
	b.stageTimer(p)

	if today := uint64(row.updated) / day; p.old.no == 0 || row.filed != today {
		if p.old.no != 0 {
			b.remove(b.ages, ageKey(row.filed, row.no))
		}
		row.filed = today
		b.put(b.ages, ageKey(today, row.no), id)
	}
	b.spill(row)
	b.put(b.records, id, row.encode(b.s.keys, p.id, rec.Data))
	b.written[p.id] = row.kept(rec.Data)
}

// stageTimer keeps the set of conversations with a timer. When the timers run out is in the records, and
// in memory.
func (b *batch) stageTimer(p *plan) {
	row := &p.row
	if row.due == p.old.due {
		return
	}
	switch {
	case p.old.due == 0:
		b.put(b.timers, key8(row.no), []byte(p.id))
	case row.due == 0:
		b.remove(b.timers, key8(row.no))
	}
	b.due = append(b.due, timerChange{no: row.no, conversation: p.id, due: row.due})
}

// moveLanes carries out the turn's Move and Drop.
func (b *batch) moveLanes(p *plan) {
	for _, m := range p.turn.Move {
		if m.From == m.To {
			continue
		}
		from, to := b.lane(laneKey{p.row.no, codeOf(m.From)}, p.id), b.lane(laneKey{p.row.no, codeOf(m.To)}, p.id)
		for _, place := range from.staged.places {
			d, err := decodeDelivery(bytes.Clone(b.deliveries.Get(key8(place))))
			if err != nil {
				b.breaks(fmt.Errorf("delivery %d: %w", place, err))
				return
			}
			d.Begun = false
			if m.From == store.Held {
				d.Accepted = b.now
			}
			b.push(to, d)
		}
		b.pop(from, len(from.staged.places))
	}
	for _, d := range p.turn.Drop {
		l := b.lane(laneKey{p.row.no, codeOf(d)}, p.id)
		b.pop(l, len(l.staged.places))
	}
}

// deliver adds a delivery to its lane.
func (b *batch) deliver(p *plan, o *store.Outgoing) {
	d := &delivery{conversation: p.id, Delivery: o.Delivery}
	d.Begun, d.Failed, d.Attempts = false, 0, nil
	if d.Accepted.IsZero() {
		d.Accepted = b.now
	}
	d.sealed = b.s.keys.Seal(store.DeliveryName(p.id, d.ID), d.Body)
	place := b.push(b.lane(laneKey{p.row.no, codeOf(o.Direction)}, p.id), d)
	b.pushed[place] = d.kept()
}

// addLine appends to the transcript.
func (b *batch) addLine(p *plan, l store.Line) {
	if l.At.IsZero() {
		l.At = b.now
	}
	p.row.lines++
	row := line{
		no: p.row.no, before: p.row.lastLine, n: p.row.lines, at: micros(l.At),
		sealed: b.s.keys.Seal(store.LineName(p.id, p.row.lines), l.Data),
	}
	p.row.lastLine = b.putLine(&row)
}

// lineSlack is by how much a line may be older than one before it, in microseconds, and count as being in order: clocks are
// set a little all the time.
const lineSlack = int64(time.Minute / time.Microsecond)

// keyMixed is where the meta bucket keeps lineOrder.mixed.
const keyMixed = "mixed lines"

// A lineOrder knows whether lines come in the order of their times, as they do unless the clock is set or they are copied
// conversation by conversation.
type lineOrder struct {
	mixed uint64 // the key of the last line that is older than one before it; those behind it are in order
	last  int64  // the time of the youngest of those
}

// putLine stages a line at the end of the bucket, and returns its key.
func (b *batch) putLine(l *line) (key uint64) {
	key, err := b.lines.NextSequence()
	b.breaks(err)
	o := &b.s.lines
	if l.at < o.last-lineSlack {
		o.mixed, o.last = key, l.at
		b.put(b.meta, []byte(keyMixed), binary.AppendUvarint(nil, key))
	}
	o.last = max(o.last, l.at)
	b.put(b.lines, key8(key), l.row())
	return key
}

// differ calls gone and added for what is in one list only.
func differ(was, is []string, gone, added func(string)) {
	for _, s := range was {
		if !slices.Contains(is, s) {
			gone(s)
		}
	}
	for _, s := range is {
		if !slices.Contains(was, s) {
			added(s)
		}
	}
}

func personKey(person, conversation string) []byte {
	b := make([]byte, 0, len(person)+1+len(conversation))
	b = append(append(b, person...), 0)
	return append(b, conversation...)
}

// ageKey sorts by day, and by age within it.
func ageKey(day, no uint64) []byte { return append(key8(day), key8(no)...) }
