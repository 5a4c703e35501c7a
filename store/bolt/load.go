package bolt

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// format is the number of the layout of the file. A file with a higher one is refused.
const format = 3

// Keys of the meta bucket, beside keyLetters and keyMixed.
const (
	keyFormat = "format"
	keyClean  = "clean"
	keyMask   = "mask"
	keyCheck  = "check" // and the id of a sealing key
)

// checkText is what the check values say. It is no secret; that it opens is the point.
const checkText = "snowbot"

// load prepares a new file or checks an old one, and fills the memory.
func (s *Store) load(path string, copying bool) (err error) {
	defer func() { err = orDamaged(path, recover(), err) }()
	return s.db.Update(func(tx *bbolt.Tx) error {
		if err := prepare(tx, path); err != nil {
			return err
		}
		b := bucketsOf(tx)
		if !copying && b.meta.Get([]byte(keyCopying)) != nil {
			return fmt.Errorf("%s cannot be used: %w", path, errCopying)
		}
		if err := s.loadKeys(b.meta, path); err != nil {
			return err
		}
		clean := b.meta.Get([]byte(keyClean)) != nil
		if err := b.meta.Delete([]byte(keyClean)); err != nil {
			return err
		}
		if n, _ := binary.Uvarint(b.meta.Get([]byte(keyLetters))); n > 0 {
			s.letters = int(n)
		}
		s.loadLines(b)
		for c, k := first(b.live); k != nil; k, _ = c.Next() {
			s.live++
		}
		if err := s.loadTimers(b); err != nil {
			return damaged(path, err)
		}
		if err := s.loadFiles(b); err != nil {
			return damaged(path, err)
		}
		heads, err := s.loadLanes(b)
		if err != nil {
			return damaged(path, err)
		}
		if !clean {
			s.repeats = heads
		}
		return nil
	})
}

// loadLines finds out how the lines are ordered.
func (s *Store) loadLines(b buckets) {
	s.lines.mixed, _ = binary.Uvarint(b.meta.Get([]byte(keyMixed)))
	k, row := b.lines.Cursor().Last()
	if l, err := decodeLine(row); k != nil && err == nil && parseKey8(k) > s.lines.mixed {
		s.lines.last = l.at
	}
}

func first(b *bbolt.Bucket) (*bbolt.Cursor, []byte) {
	c := b.Cursor()
	k, _ := c.First()
	return c, k
}

// prepare makes the buckets of a new file, and refuses one that is not ours.
func prepare(tx *bbolt.Tx, path string) error {
	if meta := tx.Bucket([]byte(bucketMeta)); meta != nil && meta.Get([]byte(keyFormat)) != nil {
		f, _ := binary.Uvarint(meta.Get([]byte(keyFormat)))
		if f > format {
			return fmt.Errorf("%s was written by a newer snowbot (format %d, this one knows %d): install that version again, or restore a backup made before it", path, f, format)
		}
		if f < format { // rows of older layouts can be read
			if err := makeBuckets(tx); err != nil {
				return err
			}
			return meta.Put([]byte(keyFormat), binary.AppendUvarint(nil, format))
		}
		return nil
	}
	if k, _ := tx.Cursor().First(); k != nil {
		return fmt.Errorf("%s is a bbolt file of another program: set another path", path)
	}
	if err := makeBuckets(tx); err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), binary.AppendUvarint(nil, format))
}

// makeBuckets makes those that are not there.
func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range []string{
		bucketMeta, bucketRecords, bucketKeys, bucketPeople, bucketLive, bucketTimers, bucketAges,
		bucketDeliveries, bucketEvents, bucketLines, bucketLetters, bucketFiles, bucketParts,
	} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// loadKeys checks that every key that may have sealed something here is at hand, and reads the key
// behind Mask.
func (s *Store) loadKeys(meta *bbolt.Bucket, path string) error {
	var missing []string
	c := meta.Cursor()
	for k, v := c.Seek([]byte(keyCheck)); hasPrefix(k, []byte(keyCheck)); k, v = c.Next() {
		if text, err := s.keys.Open(store.CheckName(), v); err != nil || string(text) != checkText {
			missing = append(missing, fmt.Sprintf("%x", k[len(keyCheck):]))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s was sealed with a key that was not given (id %s): add it behind the first in DATA_ENCRYPTION_KEY, and drop it only after a rekey: %w",
			path, strings.Join(missing, ", "), store.ErrWrongKey)
	}
	id := s.keys.First()
	if check := append([]byte(keyCheck), id[:]...); meta.Get(check) == nil {
		if err := meta.Put(check, s.keys.Seal(store.CheckName(), []byte(checkText))); err != nil {
			return err
		}
	}
	sealed := meta.Get([]byte(keyMask))
	if sealed == nil {
		s.maskKey = make([]byte, store.KeySize)
		rand.Read(s.maskKey) // never fails
		return meta.Put([]byte(keyMask), s.keys.Seal(store.MaskName(), s.maskKey))
	}
	var err error
	if s.maskKey, err = s.keys.Open(store.MaskName(), sealed); err != nil {
		return fmt.Errorf("%s: the key behind the masked names: %w", path, err)
	}
	return nil
}

// loadTimers reads the records of the conversations that have a timer, which all with a live session have, and no others. They are
// opened too, so that a torn one is told now and not to the people in it.
func (s *Store) loadTimers(b buckets) error {
	c := b.timers.Cursor()
	for k, id := c.First(); k != nil; k, id = c.Next() {
		row := b.records.Get(id)
		if row == nil {
			return fmt.Errorf("timer of %q: %w", id, errRow)
		}
		r, err := decodeRecord(row)
		if err == nil {
			_, err = r.open(s.keys, string(id))
		}
		if err != nil {
			return fmt.Errorf("record of %q: %w", id, err)
		}
		s.timers.set(timerChange{no: r.no, conversation: string(id), due: r.due})
	}
	return nil
}

// loadLanes reads the deliveries that wait, and returns how many heads could have been on their way.
func (s *Store) loadLanes(b buckets) (heads int, err error) {
	var found []*lane
	now := micros(s.opened)
	s.index.ahead = now
	lanes := map[laneKey]*lane{}
	c := b.deliveries.Cursor()
	for k, row := c.First(); k != nil; k, row = c.Next() {
		d, err := decodeDelivery(row)
		if err == nil && d.to == noLane {
			err = errRow
		}
		if err != nil {
			return 0, fmt.Errorf("delivery %x: %w", k, err)
		}
		key := laneKey{d.no, d.to}
		l := lanes[key]
		if l == nil {
			l = &lane{key: key, conversation: d.conversation, order: -1, at: never}
			l.staged.notBefore = micros(d.NotBefore)
			// The order is that of before, and nothing waits for what the wall clock was when it was accepted.
			l.staged.due = min(max(micros(d.Accepted), l.staged.notBefore)-now, l.staged.wait(now))
			lanes[key] = l
			found = append(found, l)
			if d.to != held && l.staged.notBefore <= now {
				heads++
			}
		}
		l.staged.places = append(l.staged.places, parseKey8(k))
	}
	slices.SortStableFunc(found, func(a, b *lane) int { return cmp.Compare(a.staged.due, b.staged.due) })
	for _, l := range found {
		s.turns++
		l.staged.turn = s.turns
		s.index.publish(l)
	}
	return heads, nil
}

// markClean notes that nothing was under way, and writes the list of free pages, so that the next Open
// need not look for them.
func (s *Store) markClean() error {
	s.db.NoFreelistSync = false
	return s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyClean), []byte{1})
	})
}
