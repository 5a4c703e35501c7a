package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"snowbot/store"
)

// Rows are a few fields in clear followed by one sealed value. Integers are varints, strings carry
// their length, times are microseconds since 1970 with zero for the zero time. Every row starts
// with its layout's number.

var errRow = errors.New("damaged row")

// rowLayout is what is written. Layout 1 had no count of attempts that failed alike.
const rowLayout = 2

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// encoder appends to a row.
type encoder []byte

func (e *encoder) uint(v uint64)   { *e = binary.AppendUvarint(*e, v) }
func (e *encoder) int(v int64)     { *e = binary.AppendVarint(*e, v) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); *e = append(*e, s...) }

func (e *encoder) strings(list []string) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.string(s)
	}
}

// decoder takes fields off a row. After the first that does not fit, all are zero and bad is set.
type decoder struct {
	layout uint64
	rest   []byte
	bad    bool
}

// newDecoder checks the layout's number.
func newDecoder(row []byte) *decoder {
	d := &decoder{rest: row}
	if d.layout = d.uint(); d.layout < 1 || d.layout > rowLayout {
		d.fail()
	}
	return d
}

func (d *decoder) fail() { d.rest, d.bad = nil, true }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) marks() marks {
	m := marks(d.string())
	if len(m)%markSize != 0 {
		d.fail()
		return nil
	}
	return m
}

func (d *decoder) strings() []string {
	n := d.uint()
	if n > uint64(len(d.rest)) { // each takes a byte at least
		d.fail()
		return nil
	}
	var list []string
	for range n {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) err() error {
	if d.bad {
		return errRow
	}
	return nil
}

// record is a row of the records bucket. The sealed data is apart from it until it is wanted.
type record struct {
	no       uint64 // the conversation's number, never used again
	lines    uint64 // transcript lines so far
	lastLine uint64 // the key of the last of them in the lines bucket
	filed    uint64 // the day under which the ages bucket has the conversation
	marks    marks  // event ids of late
	spilled  int64  // until when event ids in the events bucket have to be looked at, in seconds
	updated  int64
	due      int64
	status   string
	keys     []string
	people   []string
	sealed   []byte // of a row that was read; valid as long as the transaction

	opened bool // data is what sealed would be opened to, and sealed is not there; see recordCache
	data   []byte
}

func (r *record) encode(keys *store.Keyring, id string, data []byte) []byte {
	size := 64 + len(r.status) + len(r.marks) + len(data) + store.SealOverhead
	for _, list := range [][]string{r.keys, r.people} {
		for _, s := range list {
			size += 2 + len(s)
		}
	}
	e := make(encoder, 0, size)
	r.head(&e)
	return keys.AppendSeal(e, store.RecordName(id), data)
}

// head encodes everything before the sealed data.
func (r *record) head(e *encoder) {
	e.uint(rowLayout)
	e.uint(r.no)
	e.uint(r.lines)
	e.uint(r.lastLine)
	e.uint(r.filed)
	e.string(string(r.marks))
	e.int(r.spilled)
	e.int(r.updated)
	e.int(r.due)
	e.string(r.status)
	e.strings(r.keys)
	e.strings(r.people)
}

func decodeRecord(row []byte) (*record, error) {
	d := newDecoder(row)
	r := &record{
		no:       d.uint(),
		lines:    d.uint(),
		lastLine: d.uint(),
		filed:    d.uint(),
		marks:    d.marks(),
		spilled:  d.int(),
		updated:  d.int(),
		due:      d.int(),
		status:   d.string(),
		keys:     d.strings(),
		people:   d.strings(),
	}
	r.sealed = d.rest
	return r, d.err()
}

// open returns the record as the contract has it. Nothing in it is shared, so that it may be edited.
func (r *record) open(keys *store.Keyring, id string) (store.Record, error) {
	data := bytes.Clone(r.data)
	if !r.opened {
		var err error
		if data, err = keys.Open(store.RecordName(id), r.sealed); err != nil {
			return store.Record{}, err
		}
	}
	return store.Record{
		ID: id, Status: r.status, Keys: slices.Clone(r.keys), People: slices.Clone(r.people),
		Due: fromMicros(r.due), Updated: fromMicros(r.updated), Data: data,
	}, nil
}

// delivery is a row of the deliveries bucket, and the tail of one of the letters bucket.
type delivery struct {
	no           uint64 // of the conversation when it was written
	to           lanecode
	conversation string
	store.Delivery
	sealed []byte // the body; of a row that was read valid as long as the transaction
}

func (r *delivery) encode(e *encoder) {
	e.uint(rowLayout)
	e.int(micros(r.NotBefore)) // first, since it is read most
	e.uint(r.no)
	e.uint(uint64(r.to))
	e.string(r.conversation)
	e.int(micros(r.Accepted))
	begun := uint64(0)
	if r.Begun {
		begun = 1
	}
	e.uint(begun)
	e.uint(uint64(r.Failed))
	e.uint(uint64(len(r.Attempts)))
	for _, a := range r.Attempts {
		e.int(micros(a.At))
		e.string(a.Outcome)
		e.uint(uint64(a.Times))
		e.int(micros(a.Last))
	}
	e.string(r.ID)
	e.string(r.Kind)
	e.string(r.Session)
	*e = append(*e, r.sealed...)
}

func (r *delivery) row() []byte {
	e := make(encoder, 0, 64+len(r.conversation)+len(r.ID)+len(r.Kind)+len(r.Session)+len(r.sealed))
	r.encode(&e)
	return e
}

func decodeDelivery(row []byte) (*delivery, error) {
	d := newDecoder(row)
	r := &delivery{}
	r.NotBefore = fromMicros(d.int())
	r.no = d.uint()
	r.to = lanecode(d.uint())
	if r.to >= lanecodes {
		d.fail()
	}
	r.conversation = d.string()
	r.Accepted = fromMicros(d.int())
	r.Begun = d.uint() == 1
	r.Failed = int(d.uint())
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
		n = 0
	}
	for range n {
		a := store.Attempt{At: fromMicros(d.int()), Outcome: d.string(), Times: 1}
		if a.Last = a.At; d.layout > 1 {
			a.Times, a.Last = int(d.uint()), fromMicros(d.int())
		}
		r.Attempts = append(r.Attempts, a)
	}
	r.ID = d.string()
	r.Kind = d.string()
	r.Session = d.string()
	r.sealed = d.rest
	return r, d.err()
}

// notBefore reads only that field of a delivery's row.
func notBefore(row []byte) (int64, error) {
	d := newDecoder(row)
	return d.int(), d.err()
}

// open returns the delivery as the contract has it.
func (r *delivery) open(keys *store.Keyring) (store.Delivery, error) {
	body, err := keys.Open(store.DeliveryName(r.conversation, r.ID), r.sealed)
	if err != nil {
		return store.Delivery{}, err
	}
	d := r.Delivery
	d.Body = body
	return d, nil
}

// failed counts a failed send.
func (r *delivery) failed(at time.Time, outcome string) {
	r.Failed++
	r.Attempts = store.AddAttempt(r.Attempts, at, outcome)
}

// letter is a row of the letters bucket.
type letter struct {
	at       int64
	reason   string
	delivery // to no lane when it is an event
}

func (r *letter) row() []byte {
	e := make(encoder, 0, 128+len(r.reason)+len(r.conversation)+len(r.ID)+len(r.Kind)+len(r.Session)+len(r.sealed))
	e.uint(rowLayout)
	e.int(r.at)
	e.string(r.reason)
	r.encode(&e)
	return e
}

func decodeLetter(row []byte) (*letter, error) {
	d := newDecoder(row)
	r := &letter{at: d.int(), reason: d.string()}
	if d.bad {
		return nil, errRow
	}
	tail, err := decodeDelivery(d.rest)
	if err != nil {
		return nil, err
	}
	r.delivery = *tail
	return r, nil
}

// file is a row of the files bucket. Its data is in the parts bucket, under its mark.
type file struct {
	expires      int64
	size         uint64 // of the data
	mark         store.FileMark
	conversation string
	sealed       []byte // the head; of a row that was read valid as long as the transaction
}

func (r *file) row() []byte {
	e := make(encoder, 0, 64+len(r.conversation)+len(r.sealed))
	e.uint(rowLayout)
	e.int(r.expires)
	e.uint(r.size)
	e = append(e, r.mark[:]...)
	e.string(r.conversation)
	return append(e, r.sealed...)
}

func decodeFile(row []byte) (*file, error) {
	d := newDecoder(row)
	r := &file{expires: d.int(), size: d.uint()}
	if r.size > store.MaxFile {
		d.fail()
	}
	if n := copy(r.mark[:], d.rest); n < len(r.mark) {
		d.fail()
	} else {
		d.rest = d.rest[n:]
	}
	r.conversation = d.string()
	r.sealed = d.rest
	return r, d.err()
}

// line is a row of the lines bucket. The lines of a conversation are a chain from the last backwards.
type line struct {
	no     uint64 // of the conversation
	before uint64 // the key of the line before it; zero for the first
	n      uint64 // which line of the conversation, from 1
	at     int64
	sealed []byte
}

func (r *line) row() []byte {
	e := make(encoder, 0, 40+len(r.sealed))
	e.uint(rowLayout)
	e.int(r.at)
	e.uint(r.no)
	e.uint(r.before)
	e.uint(r.n)
	return append(e, r.sealed...)
}

func decodeLine(row []byte) (*line, error) {
	d := newDecoder(row)
	r := &line{at: d.int(), no: d.uint(), before: d.uint(), n: d.uint()}
	r.sealed = d.rest
	return r, d.err()
}
