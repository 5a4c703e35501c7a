package bolt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// epoch is the span of expiry times that share a bucket of event ids, in microseconds.
const epoch = int64(6 * time.Hour / time.Microsecond)

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, conversation string, ids []store.EventID, f func(*store.Turn) error) error {
	if err := store.CheckID("conversation", conversation); err != nil {
		return err
	}
	for _, id := range ids {
		if err := store.CheckID("event id", id.Name); err != nil {
			return err
		}
	}
	return s.do(ctx, func(b *batch) error { return b.apply(conversation, ids, f) })
}

func (b *batch) apply(conversation string, ids []store.EventID, f func(*store.Turn) error) error {
	old, err := b.record(conversation)
	if err != nil {
		return err
	}
	marks := make([]eventMark, len(ids))
	fresh := make([]bool, len(ids))
	news := 0
	for i, id := range ids {
		marks[i] = markOf(id, b.now)
		fresh[i] = !b.isKnown(old, marks[:i], marks[i])
		if fresh[i] {
			news++
		}
	}
	if len(ids) > 0 && news == 0 {
		return nil
	}
	given := append([]bool(nil), fresh...) // the turn may write to its copy
	p, err := b.plan(conversation, old, given, f)
	if err != nil {
		return err
	}
	b.stage(p)
	for i, m := range marks {
		if fresh[i] {
			b.remember(p.row.no, m)
		}
	}
	return nil
}

// An eventMark is how an event id is kept.
type eventMark struct {
	hash    [16]byte // of the name; the conversation's number is in the key
	expires int64
}

func markOf(id store.EventID, now time.Time) eventMark {
	keep := id.Keep
	if keep <= 0 || keep > store.KeepMax {
		keep = store.KeepMax
	}
	sum := sha256.Sum256([]byte(id.Name))
	return eventMark{hash: [16]byte(sum[:16]), expires: micros(now.Add(keep))}
}

func (m eventMark) key(no uint64) []byte {
	b := make([]byte, 0, 24)
	return append(binary.BigEndian.AppendUint64(b, no), m.hash[:]...)
}

// isKnown looks for an event among those before it in the call, and in the buckets that can hold it.
func (b *batch) isKnown(old *record, before []eventMark, m eventMark) bool {
	for _, other := range before {
		if other.hash == m.hash {
			return true
		}
	}
	if old == nil {
		return false
	}
	now := micros(b.now)
	last := micros(b.now.Add(store.KeepMax)) / epoch
	key := m.key(old.no)
	for e := now / epoch; e <= last; e++ {
		bucket := b.events.Bucket(key8(uint64(e)))
		if bucket == nil {
			continue
		}
		if v := bucket.Get(key); v != nil && int64(parseKey8(v)) > now {
			return true
		}
	}
	return false
}

// remember stages an event id.
func (b *batch) remember(no uint64, m eventMark) {
	name := key8(uint64(m.expires / epoch))
	bucket := b.events.Bucket(name)
	if bucket == nil {
		var err error
		if bucket, err = b.events.CreateBucket(name); err != nil {
			b.breaks(err)
			return
		}
	}
	b.put(bucket, m.key(no), key8(uint64(m.expires)))
}

// forgetEvents stages the removal of a conversation's event ids.
func (b *batch) forgetEvents(no uint64) {
	prefix := key8(no)
	b.breaks(b.events.ForEachBucket(func(name []byte) error {
		return b.removePrefix(b.events.Bucket(name), prefix)
	}))
}

// dropEpoch removes the oldest bucket of event ids if none of them has to be recognised any more. It
// reports whether it did.
func (b *batch) dropEpoch() bool {
	name, _ := b.events.Cursor().First()
	if name == nil || int64(parseKey8(name)+1)*epoch > micros(b.now) {
		return false
	}
	b.changed = true
	b.breaks(b.events.DeleteBucket(append([]byte(nil), name...)))
	return true
}

// removePrefix stages the removal of all rows whose keys begin with prefix.
func (b *batch) removePrefix(bucket *bbolt.Bucket, prefix []byte) error {
	var keys [][]byte
	c := bucket.Cursor()
	for k, _ := c.Seek(prefix); hasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		b.remove(bucket, k)
	}
	return nil
}

func hasPrefix(k, prefix []byte) bool {
	return len(k) >= len(prefix) && string(k[:len(prefix)]) == string(prefix)
}
