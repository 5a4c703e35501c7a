package bolt

import (
	"encoding/binary"
	"fmt"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// Names of the buckets.
const (
	bucketMeta       = "meta"
	bucketRecords    = "records"
	bucketKeys       = "keys"
	bucketPeople     = "people"
	bucketLive       = "live"
	bucketTimers     = "timers"
	bucketAges       = "ages"
	bucketDeliveries = "deliveries"
	bucketEvents     = "events"
	bucketLines      = "lines"
	bucketLetters    = "letters"
	bucketFiles      = "files"
	bucketParts      = "parts"
)

// buckets are those of one transaction.
type buckets struct {
	meta, records, keys, people, live, timers, ages, deliveries, events, lines, letters, files, parts *bbolt.Bucket
}

func bucketsOf(tx *bbolt.Tx) buckets {
	get := func(name string) *bbolt.Bucket { return tx.Bucket([]byte(name)) }
	return buckets{
		meta: get(bucketMeta), records: get(bucketRecords), keys: get(bucketKeys), people: get(bucketPeople),
		live: get(bucketLive), timers: get(bucketTimers), ages: get(bucketAges),
		deliveries: get(bucketDeliveries), events: get(bucketEvents), lines: get(bucketLines),
		letters: get(bucketLetters), files: get(bucketFiles), parts: get(bucketParts),
	}
}

// A batch is the transaction that calls share. Calls run one after the other, each seeing what those
// before it have staged. What cannot be staged breaks the whole batch and with it the store: by then
// every refusal has been made, so that only a damaged file or a defect is left as the reason.
type batch struct {
	s       *Store
	now     time.Time
	moment  int64
	changed bool
	broken  error
	buckets

	lanes       map[laneKey]*lane          // touched
	written     map[string]*record         // records staged, by conversation; nil for those to be read again
	pushed      map[uint64]*store.Delivery // deliveries staged, by place; nil for those to be read again
	due         []timerChange
	moreLetters int // changes of the counts
	moreLive    int
	moreFiles   int

	moreFileBytes int64
}

func newBatch(s *Store, tx *bbolt.Tx) *batch {
	now := s.reading()
	b := &batch{s: s, now: now.UTC(), moment: s.moment(now), buckets: bucketsOf(tx), lanes: map[laneKey]*lane{}, written: map[string]*record{}, pushed: map[uint64]*store.Delivery{}}
	for _, bucket := range []*bbolt.Bucket{b.deliveries, b.lines, b.letters} {
		bucket.FillPercent = 0.9 // written at the end
	}
	return b
}

// put stages a row.
func (b *batch) put(bucket *bbolt.Bucket, key, row []byte) {
	b.touch(bucket, key)
	if err := bucket.Put(key, row); err != nil {
		b.breaks(err)
	}
}

// remove stages the removal of a row, if there is one.
func (b *batch) remove(bucket *bbolt.Bucket, key []byte) {
	b.touch(bucket, key)
	if err := bucket.Delete(key); err != nil {
		b.breaks(err)
	}
}

// touch notes that a row is changed.
func (b *batch) touch(bucket *bbolt.Bucket, key []byte) {
	b.changed = true
	switch bucket {
	case b.records:
		b.written[string(key)] = nil
	case b.deliveries:
		b.pushed[parseKey8(key)] = nil
	}
}

func (b *batch) breaks(err error) {
	if err != nil && b.broken == nil {
		b.broken = err
	}
}

// lane returns a lane to stage changes in.
func (b *batch) lane(key laneKey, conversation string) *lane {
	if l := b.lanes[key]; l != nil {
		return l
	}
	b.s.mu.Lock()
	l := b.s.index.lanes[key]
	if l == nil {
		l = &lane{key: key, conversation: conversation, order: -1, at: never}
	}
	l.staged = l.span
	b.s.mu.Unlock()
	b.lanes[key] = l
	return l
}

// push stages a delivery at the end of a lane, and returns its place. Its body is sealed already.
func (b *batch) push(l *lane, d *delivery) (place uint64) {
	d.no, d.to = l.key.no, l.key.to
	place, err := b.deliveries.NextSequence()
	b.breaks(err)
	b.put(b.deliveries, key8(place), d.row())
	l.staged.places = append(l.staged.places, place)
	if len(l.staged.places) == 1 {
		b.head(l, micros(d.NotBefore))
	}
	return place
}

// head stages that a lane has a new head.
func (b *batch) head(l *lane, notBefore int64) {
	b.s.turns++
	l.staged.notBefore, l.staged.turn = notBefore, b.s.turns
	l.staged.due = b.moment + l.staged.wait(micros(b.now))
}

// pop stages the removal of the first n deliveries of a lane.
func (b *batch) pop(l *lane, n int) {
	for _, place := range l.staged.places[:n] {
		b.remove(b.deliveries, key8(place))
	}
	l.staged.places = l.staged.places[n:]
	if n > 0 && len(l.staged.places) > 0 {
		at, _ := notBefore(b.deliveries.Get(key8(l.staged.places[0]))) // a damaged row is due, and Claim says so
		b.head(l, at)
	}
}

// record returns the row of a conversation, or nil. It must not be edited.
func (b *batch) record(conversation string) (*record, error) {
	r, staged := b.written[conversation]
	if !staged {
		r = b.s.records.get(conversation)
	}
	if r != nil {
		return r, nil
	}
	row := b.records.Get([]byte(conversation))
	if row == nil {
		return nil, nil
	}
	var err error
	if r, err = decodeRecord(row); err != nil {
		return nil, fmt.Errorf("record of %s: %w", conversation, err)
	}
	return r, nil
}

// publish makes what was committed visible. The mutex is held.
func (b *batch) publish() {
	s := b.s
	for _, l := range b.lanes {
		s.index.publish(l)
	}
	for _, c := range b.due {
		s.timers.set(c)
	}
	s.records.publish(b.written)
	s.recent.publish(b.pushed)
	s.letters += b.moreLetters
	s.live += b.moreLive
	s.files += b.moreFiles
	s.fileBytes += b.moreFileBytes
}

// key8 is a number as a key.
func key8(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseKey8(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
