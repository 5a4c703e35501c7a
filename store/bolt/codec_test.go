package bolt

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/store"
)

func sample() (*delivery, *record, *line) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 6000, time.UTC)
	d := &delivery{no: 7, to: toBot, conversation: "c", sealed: []byte("sealed"), Delivery: store.Delivery{
		ID: "d", Kind: "k", Session: "s", Accepted: at, NotBefore: at.Add(time.Hour), Begun: true, Failed: 300,
		Attempts: []store.Attempt{{At: at, Outcome: "503"}, {}},
	}}
	r := &record{
		no: 1, lines: 2, lastLine: 3, filed: 4, marks: make(marks, 2*markSize), spilled: 5, updated: micros(at), due: -1,
		status: "live", keys: []string{"k1", ""}, people: []string{"p"}, sealed: []byte("sealed"),
	}
	return d, r, &line{no: 1, before: 2, n: 3, at: 4, sealed: []byte("sealed")}
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	d, r, ln := sample()
	all := cmp.AllowUnexported(delivery{}, letter{}, record{}, line{})
	gotDelivery, err := decodeDelivery(d.row())
	if diff := cmp.Diff(d, gotDelivery, all); diff != "" || err != nil {
		t.Errorf("delivery: %v %s", err, diff)
	}
	le := &letter{at: 9, reason: "r", delivery: *d}
	gotLetter, err := decodeLetter(le.row())
	if diff := cmp.Diff(le, gotLetter, all); diff != "" || err != nil {
		t.Errorf("letter: %v %s", err, diff)
	}
	var e encoder
	r.head(&e)
	gotRecord, err := decodeRecord(append(e, r.sealed...))
	if diff := cmp.Diff(r, gotRecord, all); diff != "" || err != nil {
		t.Errorf("record: %v %s", err, diff)
	}
	gotLine, err := decodeLine(ln.row())
	if diff := cmp.Diff(ln, gotLine, all); diff != "" || err != nil {
		t.Errorf("line: %v %s", err, diff)
	}
}

func sampleFile() *file {
	return &file{expires: -1, size: 3, mark: store.FileMark{1, 2, 3}, conversation: "c", sealed: []byte("sealed")}
}

func TestFileRowsComeBack(t *testing.T) {
	t.Parallel()
	f := sampleFile()
	got, err := decodeFile(f.row())
	if diff := cmp.Diff(f, got, cmp.AllowUnexported(file{})); diff != "" || err != nil {
		t.Errorf("file: %v %s", err, diff)
	}
	f.size = store.MaxFile + 1
	if _, err := decodeFile(f.row()); err == nil {
		t.Error("a file that is too large was read")
	}
}

// Damaged rows are told, and never make the decoder panic or take much memory.
func FuzzRows(f *testing.F) {
	d, r, ln := sample()
	var e encoder
	r.head(&e)
	for _, row := range [][]byte{d.row(), (&letter{delivery: *d}).row(), append(e, "sealed"...), ln.row(), sampleFile().row()} {
		for n := 0; n <= len(row); n += 3 {
			f.Add(row[:n])
		}
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		if d, err := decodeDelivery(row); err == nil {
			if again, err := decodeDelivery(d.row()); err != nil || !bytes.Equal(again.row(), d.row()) {
				t.Errorf("delivery row is not stable: %v", err)
			}
		}
		if f, err := decodeFile(row); err == nil {
			if again, err := decodeFile(f.row()); err != nil || !bytes.Equal(again.row(), f.row()) {
				t.Errorf("file row is not stable: %v", err)
			}
		}
		_, _ = decodeLetter(row)
		_, _ = decodeRecord(row)
		_, _ = decodeLine(row)
		_, _ = notBefore(row)
		_, _ = parseMeta(append(row, make([]byte, metaSize)...))
	})
}

func TestRowsOfTheFirstLayoutAreRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	e := encoder{}
	e.uint(1)
	e.int(0)
	e.uint(7)
	e.uint(uint64(toTeams))
	e.string("c1")
	e.int(micros(at))
	e.uint(0)
	e.uint(1) // failed once
	e.uint(1)
	e.int(micros(at))
	e.string("503")
	for _, s := range []string{"d1", "text", "s1"} {
		e.string(s)
	}
	d, err := decodeDelivery(append(e, "sealed"...))
	if err != nil {
		t.Fatal(err)
	}
	if a := d.Attempts; len(a) != 1 || a[0] != (store.Attempt{At: at, Outcome: "503", Times: 1, Last: at}) || d.ID != "d1" || string(d.sealed) != "sealed" {
		t.Errorf("the row is read as %+v", d)
	}
}
