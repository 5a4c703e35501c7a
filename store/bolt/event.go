package bolt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

const (
	// epoch is the span of expiry times that share a bucket of event ids, in seconds.
	epoch = int64(6 * time.Hour / time.Second)
	// marksKept is how many event ids a record holds. When there are more, the older ones leave for a
	// bucket, markSpill at a time, so that few conversations ever need it.
	marksKept = 64
	markSpill = 48
)

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
	now := seconds(b.now)
	taken := make([]mark, len(ids))
	fresh := make([]bool, len(ids))
	news := 0
	for i, id := range ids {
		taken[i] = markOf(id, b.now)
		fresh[i] = !isAmong(taken[:i], taken[i]) && !b.isKnown(old, taken[i], now)
		if fresh[i] {
			news++
		}
	}
	if len(ids) > 0 && news == 0 {
		return nil
	}
	p, err := b.plan(conversation, old, append([]bool(nil), fresh...), f) // the turn may write to its copy
	if err != nil {
		return err
	}
	p.row.marks = p.row.marks.current(now)
	for i, m := range taken {
		if fresh[i] {
			p.row.marks = append(p.row.marks, m[:]...)
		}
	}
	b.stage(p)
	return nil
}

// seconds rounds up.
func seconds(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

const (
	markSize = 16
	hashSize = 12
)

// A mark is how an event id is kept: a part of the hash of its name, and the second in which it may be
// forgotten.
type mark [markSize]byte

func markOf(id store.EventID, now time.Time) (m mark) {
	keep := id.Keep
	if keep <= 0 || keep > store.KeepMax {
		keep = store.KeepMax
	}
	sum := sha256.Sum256([]byte(id.Name))
	copy(m[:hashSize], sum[:])
	binary.BigEndian.PutUint32(m[hashSize:], uint32(seconds(now.Add(keep))))
	return m
}

func (m mark) expires() int64 { return int64(binary.BigEndian.Uint32(m[hashSize:])) }

func isAmong(list []mark, m mark) bool {
	return slices.ContainsFunc(list, func(other mark) bool { return [hashSize]byte(other[:]) == [hashSize]byte(m[:]) })
}

// marks are several, the oldest first.
type marks []byte

func (ms marks) at(i int) mark { return mark(ms[i*markSize:]) }
func (ms marks) len() int      { return len(ms) / markSize }

// know reports whether the marks have m and it is not to be forgotten yet.
func (ms marks) know(m mark, now int64) bool {
	for i := range ms.len() {
		if other := ms.at(i); other.expires() > now && string(other[:hashSize]) == string(m[:hashSize]) {
			return true
		}
	}
	return false
}

// current returns those that are not to be forgotten yet.
func (ms marks) current(now int64) marks {
	out := make(marks, 0, len(ms)+4*markSize)
	for i := range ms.len() {
		if m := ms.at(i); m.expires() > now {
			out = append(out, m[:]...)
		}
	}
	return out
}

// isKnown looks for an event in the record, and in the buckets if some were moved there.
func (b *batch) isKnown(old *record, m mark, now int64) bool {
	if old == nil {
		return false
	}
	if old.marks.know(m, now) {
		return true
	}
	prefix := key8(old.no)
	for e := now / epoch; now < old.spilled && e <= old.spilled/epoch; e++ {
		bucket := b.events.Bucket(key8(uint64(e)))
		if bucket == nil {
			continue
		}
		c := bucket.Cursor()
		for k, v := c.Seek(prefix); hasPrefix(k, prefix); k, v = c.Next() {
			if marks(v).know(m, now) {
				return true
			}
		}
	}
	return false
}

// spill stages the move of a record's older marks to a bucket, when there are too many.
func (b *batch) spill(r *record) {
	for r.marks.len() > marksKept {
		old := r.marks[:markSpill*markSize]
		var until int64
		for i := range old.len() {
			until = max(until, old.at(i).expires())
		}
		name := key8(uint64(until / epoch))
		bucket, err := b.events.CreateBucketIfNotExists(name)
		if err != nil {
			b.breaks(err)
			return
		}
		seq, err := bucket.NextSequence()
		b.breaks(err)
		b.put(bucket, append(key8(r.no), key8(seq)...), slices.Clone(old))
		r.spilled = max(r.spilled, until)
		r.marks = slices.Clone(r.marks[markSpill*markSize:])
	}
}

// forgetEvents stages the removal of what a conversation has in the buckets.
func (b *batch) forgetEvents(r *record) {
	if r.spilled == 0 {
		return
	}
	prefix := key8(r.no)
	b.breaks(b.events.ForEachBucket(func(name []byte) error {
		return b.removePrefix(b.events.Bucket(name), prefix)
	}))
}

// dropEpoch removes the oldest bucket of event ids if none of them has to be recognised any more. It
// reports whether it did.
func (b *batch) dropEpoch() bool {
	name, _ := b.events.Cursor().First()
	if name == nil || int64(parseKey8(name)+1)*epoch > seconds(b.now) {
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
