package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

var _ store.Copyable = (*Store)(nil)

// keyCopying is where the meta bucket keeps of what it is an unfinished copy.
const keyCopying = "copying"

var errCopying = errors.New("it is an unfinished copy: repeat the store copy that made it")

// Size implements store.Copyable.
func (s *Store) Size(ctx context.Context) (n int, err error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	err = s.view(func(b buckets) error {
		n = b.records.Stats().KeyN + b.letters.Stats().KeyN + b.files.Stats().KeyN
		return nil
	})
	return n, err
}

// MaskKey implements store.Copyable.
func (s *Store) MaskKey() []byte { return bytes.Clone(s.maskKey) }

// Dump implements store.Copyable.
func (s *Store) Dump(ctx context.Context, after string, limit int, now time.Time) (out []store.Whole, err error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	err = s.view(func(b buckets) error {
		for c, k := seekAfter(b.records, after); k != nil && len(out) < limit; k, _ = c.Next() {
			w, err := s.whole(&batch{s: s, buckets: b, lanes: map[laneKey]*lane{}}, string(k), now)
			if err != nil {
				return err
			}
			out = append(out, w)
		}
		return nil
	})
	return out, err
}

// seekAfter returns a cursor at the first key that comes after another.
func seekAfter(b *bbolt.Bucket, after string) (*bbolt.Cursor, []byte) {
	c := b.Cursor()
	k, _ := c.Seek([]byte(after))
	if k != nil && string(k) == after {
		k, _ = c.Next()
	}
	return c, k
}

// whole reads everything of a conversation. Nobody else works on the store.
func (s *Store) whole(b *batch, id string, now time.Time) (w store.Whole, err error) {
	rec, row, err := s.load1(b.records, id)
	if err != nil {
		return w, err
	}
	w.Record, w.Counted = rec, row.lines
	b.eachMarks(row, seconds(now), func(ms marks) {
		for i := range ms.len() {
			if m := ms.at(i); m.expires() > seconds(now) {
				w.Events = append(w.Events, store.KeptEvent{Hash: m.hash(), Until: time.Unix(m.expires(), 0).UTC()})
			}
		}
	})
	slices.SortFunc(w.Events, func(a, b store.KeptEvent) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	err = b.walkLines(row, func(_ []byte, l *line) (bool, error) {
		data, err := s.keys.Open(store.LineName(id, l.n), l.sealed)
		w.Lines = append(w.Lines, store.NumberedLine{N: l.n, Line: store.Line{At: fromMicros(l.at), Data: data}})
		return true, err
	})
	if err != nil {
		return w, fmt.Errorf("transcript of %s: %w", id, err)
	}
	slices.Reverse(w.Lines)
	for to := toTeams; to < lanecodes; to++ {
		for _, place := range b.lane(laneKey{row.no, to}, id).staged.places {
			d, err := decodeDelivery(b.deliveries.Get(key8(place)))
			if err != nil {
				return w, fmt.Errorf("delivery %d of %s: %w", place, id, err)
			}
			open, err := d.open(s.keys)
			if err != nil {
				return w, fmt.Errorf("delivery %s of %s: %w", d.ID, id, err)
			}
			w.Deliveries = append(w.Deliveries, store.Outgoing{Direction: to.direction(), Delivery: open})
		}
	}
	slices.SortStableFunc(w.Deliveries, func(a, b store.Outgoing) int {
		return bytes.Compare([]byte(a.Direction), []byte(b.Direction))
	})
	w.Normal()
	return w, nil
}

// DumpLetters implements store.Copyable.
func (s *Store) DumpLetters(ctx context.Context, after string, limit int) (out []store.DeadLetter, err error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	err = s.view(func(b buckets) error {
		for c, k := seekAfter(b.letters, after); k != nil && len(out) < limit; k, _ = c.Next() {
			l, err := decodeLetter(b.letters.Get(k))
			if err != nil {
				return fmt.Errorf("dead letter %s: %w", k, err)
			}
			d, err := l.open(s.keys)
			if err != nil {
				return fmt.Errorf("dead letter %s: %w", k, err)
			}
			letter := store.DeadLetter{
				ID: string(k), Lane: store.Lane{Conversation: l.conversation, Direction: l.to.direction()},
				Reason: l.reason, At: fromMicros(l.at), Delivery: d,
			}
			letter.Normal()
			out = append(out, letter)
		}
		return nil
	})
	return out, err
}

// BeginCopy implements store.Copyable.
func (s *Store) BeginCopy(ctx context.Context, maskKey []byte) error {
	name := []byte(store.CopyName(maskKey))
	err := s.do(ctx, func(b *batch) error {
		switch was := b.meta.Get([]byte(keyCopying)); {
		case bytes.Equal(was, name):
			return nil
		case was != nil:
			return store.ErrNotEmpty
		}
		for _, bucket := range []*bbolt.Bucket{b.records, b.letters} {
			if _, k := first(bucket); k != nil {
				return store.ErrNotEmpty
			}
		}
		b.put(b.meta, []byte(keyMask), s.keys.Seal(store.MaskName(), maskKey))
		b.put(b.meta, []byte(keyCopying), name)
		return nil
	})
	if err == nil {
		s.maskKey = bytes.Clone(maskKey)
	}
	return err
}

// EndCopy implements store.Copyable.
func (s *Store) EndCopy(ctx context.Context) error {
	return s.do(ctx, func(b *batch) error {
		b.remove(b.meta, []byte(keyCopying))
		return nil
	})
}

// Restore implements store.Copyable.
func (s *Store) Restore(ctx context.Context, after, last string, all []store.Whole) error {
	return s.do(ctx, func(b *batch) error {
		b.changed = true
		var gone []string
		for c, k := seekAfter(b.records, after); k != nil && (last == "" || string(k) <= last); k, _ = c.Next() {
			gone = append(gone, string(k))
		}
		files, err := b.filesOf(gone) // which are copied after all conversations
		if err != nil {
			return err
		}
		b.dropFiles(files)
		for _, id := range gone {
			r, err := b.record(id)
			if err != nil {
				return err
			}
			b.forgetEvents(r)
			b.eraseConversation(id, r)
		}
		for i := range all {
			b.restore(&all[i])
		}
		return nil
	})
}

// restore stages a conversation that is not there.
func (b *batch) restore(w *store.Whole) {
	id := w.Record.ID
	no, err := b.records.NextSequence()
	b.breaks(err)
	p := &plan{id: id, old: &record{}, turn: store.Turn{Record: &w.Record}}
	p.row.no, p.row.updated = no, micros(w.Record.Updated)
	for _, l := range w.Lines {
		row := line{no: no, before: p.row.lastLine, n: l.N, at: micros(l.At), sealed: b.s.keys.Seal(store.LineName(id, l.N), l.Data)}
		p.row.lastLine = b.putLine(&row)
	}
	p.row.lines = w.Counted
	for i := range w.Deliveries {
		o := &w.Deliveries[i]
		d := &delivery{conversation: id, Delivery: o.Delivery}
		d.sealed = b.s.keys.Seal(store.DeliveryName(id, d.ID), d.Body)
		b.push(b.lane(laneKey{no, codeOf(o.Direction)}, id), d)
	}
	events := slices.Clone(w.Events)
	slices.SortFunc(events, func(a, b store.KeptEvent) int { return a.Until.Compare(b.Until) })
	for _, e := range events {
		m := markOf(e.Hash, e.Until)
		p.row.marks = append(p.row.marks, m[:]...)
	}
	b.writeRecord(p)
}

// RestoreLetters implements store.Copyable.
func (s *Store) RestoreLetters(ctx context.Context, after, last string, all []store.DeadLetter) error {
	return s.do(ctx, func(b *batch) error {
		b.changed = true
		var gone [][]byte
		for c, k := seekAfter(b.letters, after); k != nil && (last == "" || string(k) <= last); k, _ = c.Next() {
			gone = append(gone, bytes.Clone(k))
		}
		for _, k := range gone {
			b.dropLetter(k)
		}
		for i := range all {
			l := &all[i]
			row := letter{at: micros(l.At), reason: l.Reason, delivery: delivery{
				to: codeOf(l.Lane.Direction), conversation: l.Lane.Conversation, Delivery: l.Delivery,
				sealed: s.keys.Seal(store.DeliveryName(l.Lane.Conversation, l.Delivery.ID), l.Delivery.Body),
			}}
			b.put(b.letters, []byte(l.ID), row.row())
			b.countLetters(1)
		}
		return nil
	})
}
