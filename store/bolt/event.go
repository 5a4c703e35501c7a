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
	if err := store.CheckEvents(ids); err != nil {
		return err
	}
	a := arrivalOf(ids)
	return s.do(ctx, func(b *batch) error { return b.apply(conversation, a, f) })
}

// An arrival is the event ids of a call. It is made before the call is queued, so that others who share the
// commit do not wait for it.
type arrival struct {
	hashes []hash
	keep   []time.Duration
	repeat []bool       // of one before it in the same call
	first  map[hash]int // where each is, and its repeats are not; nil when they are few
}

// fewIDs is how many event ids are found faster one after the other than in a map.
const fewIDs = 8

func arrivalOf(ids []store.EventID) *arrival {
	a := &arrival{hashes: make([]hash, 0, len(ids)), keep: make([]time.Duration, len(ids)), repeat: make([]bool, len(ids))}
	if len(ids) > fewIDs {
		a.first = make(map[hash]int, len(ids))
	}
	for i, id := range ids {
		h := hashOf(id.Name)
		a.keep[i] = id.Keep
		if id.Keep <= 0 || id.Keep > store.KeepMax {
			a.keep[i] = store.KeepMax
		}
		a.repeat[i] = a.find(&h) >= 0
		a.hashes = append(a.hashes, h)
		if a.first != nil && !a.repeat[i] {
			a.first[h] = i
		}
	}
	return a
}

// find returns where an id is for the first time, or -1.
func (a *arrival) find(h *hash) int {
	if a.first == nil {
		for i := range a.hashes {
			if a.hashes[i] == *h {
				return i
			}
		}
		return -1
	}
	if i, ok := a.first[*h]; ok {
		return i
	}
	return -1
}

// fresh says of each id whether it is new, and how many are.
func (a *arrival) fresh(b *batch, old *record) (fresh []bool, news int) {
	fresh = make([]bool, len(a.hashes))
	for i, repeat := range a.repeat {
		if !repeat {
			fresh[i] = true
			news++
		}
	}
	if old == nil || news == 0 {
		return fresh, news
	}
	now := seconds(b.now)
	b.eachMarks(old, now, func(ms marks) {
		for ; len(ms) >= markSize; ms = ms[markSize:] {
			m := (*mark)(ms)
			if i := a.find((*hash)(m[:hashSize])); i >= 0 && fresh[i] && m.expires() > now {
				fresh[i] = false
				news--
			}
		}
	})
	return fresh, news
}

func (b *batch) apply(conversation string, a *arrival, f func(*store.Turn) error) error {
	old, err := b.record(conversation)
	if err != nil {
		return err
	}
	fresh, news := a.fresh(b, old)
	if len(fresh) > 0 && news == 0 {
		return nil
	}
	p, err := b.plan(conversation, old, append([]bool(nil), fresh...), f) // the turn may write to its copy
	if err != nil {
		return err
	}
	p.row.marks = p.row.marks.current(seconds(b.now))
	for i, h := range a.hashes {
		if fresh[i] {
			m := markOf(h, b.now.Add(a.keep[i]))
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
	hashSize = store.EventHashSize
)

// A hash stands for the name of an event id.
type hash [hashSize]byte

func hashOf(name string) hash {
	sum := sha256.Sum256([]byte(name))
	return hash(sum[:hashSize])
}

// A mark is how an event id is kept: a part of the hash of its name, and the second in which it may be
// forgotten.
type mark [markSize]byte

func markOf(h hash, until time.Time) (m mark) {
	copy(m[:hashSize], h[:])
	binary.BigEndian.PutUint32(m[hashSize:], uint32(seconds(until)))
	return m
}

func (m mark) hash() hash     { return hash(m[:hashSize]) }
func (m mark) expires() int64 { return int64(binary.BigEndian.Uint32(m[hashSize:])) }

// marks are several, the oldest first.
type marks []byte

func (ms marks) at(i int) mark { return mark(ms[i*markSize:]) }
func (ms marks) len() int      { return len(ms) / markSize }

// current returns those that are not to be forgotten yet.
func (ms marks) current(now int64) marks {
	out := make(marks, 0, len(ms)+4*markSize)
	for ; len(ms) >= markSize; ms = ms[markSize:] {
		if m := (*mark)(ms); m.expires() > now {
			out = append(out, m[:]...)
		}
	}
	return out
}

// eachMarks gives f the marks in a record, and those in the buckets if some were moved there.
func (b *batch) eachMarks(old *record, now int64, f func(marks)) {
	f(old.marks)
	prefix := key8(old.no)
	for e := now / epoch; now < old.spilled && e <= old.spilled/epoch; e++ {
		bucket := b.events.Bucket(key8(uint64(e)))
		if bucket == nil {
			continue
		}
		c := bucket.Cursor()
		for k, v := c.Seek(prefix); hasPrefix(k, prefix); k, v = c.Next() {
			f(marks(v))
		}
	}
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
		r.marks = r.marks[markSpill*markSize:]
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
