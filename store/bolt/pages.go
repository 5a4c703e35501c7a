package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What bbolt writes on a page: a header, then elements of 16 bytes that say where their key and value are, or which page is below.
const (
	elementSize  = 16
	bucketHeader = 16 // root page and sequence, before the page of a small bucket itself

	flagBranch = 1
	flagLeaf   = 2
	flagBucket = 1 // of an element: its value is a bucket

	noFreelist = ^uint64(0)
	deepest    = 64 // levels of a tree: one page in each would be more than any disk holds
)

var errPages = errors.New("pages that make no sense")

// A pageWalk follows every page that a file refers to. bbolt does so too when it looks for free pages after a crash, but in a goroutine
// of its own, where a page that makes no sense ends the process.
type pageWalk struct {
	f        io.ReaderAt
	pageSize int64
	pages    int64
	seen     []uint64 // a bit for each page
}

// checkPages walks over the whole file. It is for one whose list of free pages is not written.
func checkPages(f io.ReaderAt, m meta) error {
	w := &pageWalk{f: f, pageSize: m.pageSize, pages: m.pages, seen: make([]uint64, m.pages/64+1)}
	return w.page(m.root, deepest)
}

// page checks the page of that number and all below it.
func (w *pageWalk) page(no uint64, levels int) error {
	if levels == 0 || no < 2 || no >= uint64(w.pages) { //nolint:gosec // checked to be small
		return errPages
	}
	header := make([]byte, pageHeader)
	if _, err := w.f.ReadAt(header, int64(no)*w.pageSize); err != nil { //nolint:gosec // below pages
		return err
	}
	overflow := uint64(binary.NativeEndian.Uint32(header[12:]))
	if binary.NativeEndian.Uint64(header) != no || no+overflow >= uint64(w.pages) { //nolint:gosec // as above
		return errPages
	}
	for p := no; p <= no+overflow; p++ {
		if w.seen[p/64]&(1<<(p%64)) != 0 {
			return errPages
		}
		w.seen[p/64] |= 1 << (p % 64)
	}
	b := make([]byte, int64(1+overflow)*w.pageSize)                //nolint:gosec // no longer than the file
	if _, err := w.f.ReadAt(b, int64(no)*w.pageSize); err != nil { //nolint:gosec // as above
		return err
	}
	return w.elements(b, levels)
}

// elements checks what is on a page, header included.
func (w *pageWalk) elements(b []byte, levels int) error {
	order := binary.NativeEndian
	if len(b) < pageHeader {
		return errPages
	}
	flags, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	leaf := flags == flagLeaf
	if !leaf && (flags != flagBranch || count == 0) || pageHeader+count*elementSize > len(b) {
		return errPages
	}
	for i := range count {
		e := b[pageHeader+i*elementSize:]
		if !leaf {
			if err := w.branch(e, levels); err != nil {
				return err
			}
			continue
		}
		at, key, value := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		if at+key+value > uint64(len(e)) {
			return errPages
		}
		if order.Uint32(e)&flagBucket != 0 {
			if err := w.bucket(e[at+key:at+key+value], levels); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *pageWalk) branch(e []byte, levels int) error {
	order := binary.NativeEndian
	if uint64(order.Uint32(e))+uint64(order.Uint32(e[4:])) > uint64(len(e)) {
		return errPages
	}
	return w.page(order.Uint64(e[8:]), levels-1)
}

// bucket checks a bucket, which has pages of its own or is small enough to be the value itself.
func (w *pageWalk) bucket(value []byte, levels int) error {
	switch {
	case levels == 0 || len(value) < bucketHeader:
		return errPages
	case binary.NativeEndian.Uint64(value) != 0:
		return w.page(binary.NativeEndian.Uint64(value), levels-1)
	default:
		return w.elements(value[bucketHeader:], levels-1)
	}
}

// damaged says what to do about a file that cannot be read.
func damaged(path string, what any) error {
	return fmt.Errorf("%s is damaged (%v): restore the last backup", path, what)
}
