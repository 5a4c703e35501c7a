package bolt

import (
	"bytes"
	"context"
	"fmt"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// rekeying remembers how far a round over everything sealed has come.
type rekeying struct {
	part  int    // which bucket
	after []byte // key in it
}

// Rekey implements store.Store. What is written meanwhile is sealed with the first key anyway, so one
// round over all rows is enough; a restart begins it again, which finds less to do.
func (s *Store) Rekey(ctx context.Context) (bool, error) {
	more := false
	err := s.do(ctx, func(b *batch) (err error) {
		more, err = b.rekeySlice()
		return err
	})
	return more && err == nil, err
}

// rekeySlice looks at one slice of one bucket.
func (b *batch) rekeySlice() (more bool, err error) {
	at := &b.s.rekey
	parts := []struct {
		bucket *bbolt.Bucket
		reseal func(key, row []byte) ([]change, error)
		slice  int
	}{
		{b.records, b.resealRecord, maxPage},
		{b.deliveries, b.resealDelivery, maxPage},
		{b.letters, b.resealLetter, maxPage},
		{b.files, b.resealFile, maxPage},
		{b.parts, b.resealPart, fileSlice},
	}
	if at.part == len(parts) {
		b.dropOldKeys()
		*at = rekeying{}
		return false, nil
	}
	part := parts[at.part]
	var changes []change
	c := part.bucket.Cursor()
	k, row := c.Seek(at.after)
	if at.after != nil && bytes.Equal(k, at.after) {
		k, row = c.Next()
	}
	last := at.after
	for n := 0; k != nil && n < part.slice && len(changes) < part.slice; k, row = c.Next() {
		n++
		more, err := part.reseal(k, row)
		if err != nil {
			return false, fmt.Errorf("rekey %x: %w", k, err)
		}
		changes = append(changes, more...)
		last = bytes.Clone(k)
	}
	for _, ch := range changes {
		b.put(ch.bucket, ch.key, ch.row)
	}
	if at.after = last; k == nil {
		at.part++
		at.after = nil
	}
	return true, nil
}

// A change is a row to be written.
type change struct {
	bucket   *bbolt.Bucket
	key, row []byte
}

// reseal returns the value sealed with the first key, or nil when it is or does not open.
func (b *batch) reseal(name string, sealed []byte) []byte {
	if id, ok := store.SealedBy(sealed); ok && id == b.s.keys.First() {
		return nil
	}
	plain, err := b.s.keys.Open(name, sealed)
	if err != nil {
		// All keys are there, so it is damaged, and keeping the old key would not help.
		b.s.log.Warn("a damaged value was left as it is", "err", err)
		return nil
	}
	return b.s.keys.Seal(name, plain)
}

// resealRecord also takes the conversation's lines, which do not name it.
func (b *batch) resealRecord(key, row []byte) ([]change, error) {
	id := string(key)
	r, err := decodeRecord(row)
	if err != nil {
		return nil, err
	}
	var changes []change
	if sealed := b.reseal(store.RecordName(id), r.sealed); sealed != nil {
		var e encoder
		r.head(&e)
		changes = append(changes, change{b.records, bytes.Clone(key), append(e, sealed...)})
	}
	err = b.walkLines(r, func(key []byte, l *line) (bool, error) {
		if sealed := b.reseal(store.LineName(id, l.n), l.sealed); sealed != nil {
			l.sealed = sealed
			changes = append(changes, change{b.lines, key, l.row()})
		}
		return true, nil
	})
	return changes, err
}

func (b *batch) resealDelivery(key, row []byte) ([]change, error) {
	d, err := decodeDelivery(row)
	if err != nil {
		return nil, err
	}
	if d.sealed = b.reseal(store.DeliveryName(d.conversation, d.ID), d.sealed); d.sealed == nil {
		return nil, nil
	}
	return []change{{b.deliveries, bytes.Clone(key), d.row()}}, nil
}

func (b *batch) resealLetter(key, row []byte) ([]change, error) {
	l, err := decodeLetter(row)
	if err != nil {
		return nil, err
	}
	if l.sealed = b.reseal(store.DeliveryName(l.conversation, l.ID), l.sealed); l.sealed == nil {
		return nil, nil
	}
	return []change{{b.letters, bytes.Clone(key), l.row()}}, nil
}

// dropOldKeys stages that only the first key is needed from now on.
func (b *batch) dropOldKeys() {
	b.put(b.meta, []byte(keyMask), b.s.keys.Seal(store.MaskName(), b.s.maskKey))
	id := b.s.keys.First()
	var old [][]byte
	c := b.meta.Cursor()
	for k, _ := c.Seek([]byte(keyCheck)); hasPrefix(k, []byte(keyCheck)); k, _ = c.Next() {
		if !bytes.Equal(k[len(keyCheck):], id[:]) {
			old = append(old, bytes.Clone(k))
		}
	}
	for _, k := range old {
		b.remove(b.meta, k)
	}
}
