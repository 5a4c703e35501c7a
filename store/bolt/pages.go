package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// What pages and their elements look like in a file of bbolt.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	elementSize  = 16
	bucketHeader = 16 // root page and sequence
	isBucket     = 1  // flag of an element
)

// deepest is how many levels of pages there may be: one page in each would be more than any disk holds.
const deepest = 64

// noFreelist stands where a file that was not closed cleanly has the page of its free pages.
const noFreelist = ^uint64(0)

// checkPages walks through all pages that are in use, and returns what is wrong with the first that is. bbolt itself would find
// out in a goroutine of its own, and end the process; or much later, when somebody needs the page.
func checkPages(f io.ReaderAt, m meta) error {
	w := &walk{file: f, meta: m, seen: make([]uint64, m.pages/64+1)}
	if m.freelist != noFreelist {
		page, err := w.page(m.freelist)
		if err == nil && page.flags != freelistPage {
			err = fmt.Errorf("page %d is no list of free pages", m.freelist)
		}
		if err != nil {
			return err
		}
	}
	return w.tree(m.root, bounds{})
}

// A walk goes through the tree of a file.
type walk struct {
	file io.ReaderAt
	meta meta
	seen []uint64 // a bit a page
	deep int      // levels below the root
	// Each level has one page in hand, so that a file of a million pages is not a million allocations.
	pages [deepest + 1][]byte
}

// A page is a page as it is in the file, with those that continue it.
type page struct {
	id    uint64
	flags uint16
	count int
	raw   []byte // from the header on
}

// page reads a page that is referred to, which happens once.
func (w *walk) page(id uint64) (*page, error) {
	raw := w.pages[w.deep]
	if raw == nil {
		raw = make([]byte, w.meta.pageSize)
		w.pages[w.deep] = raw
	}
	if id < 2 || id >= uint64(w.meta.pages) {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	if _, err := w.file.ReadAt(raw, int64(id)*w.meta.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	order := binary.NativeEndian
	more := uint64(order.Uint32(raw[12:]))
	if got := order.Uint64(raw); got != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	if id+more >= uint64(w.meta.pages) {
		return nil, fmt.Errorf("page %d goes beyond the last page", id)
	}
	for n := id; n <= id+more; n++ {
		if w.seen[n/64]&(1<<(n%64)) != 0 {
			return nil, fmt.Errorf("page %d is used twice", n)
		}
		w.seen[n/64] |= 1 << (n % 64)
	}
	if more > 0 {
		raw = append(raw[:w.meta.pageSize:w.meta.pageSize], make([]byte, int64(more)*w.meta.pageSize)...)
		if _, err := w.file.ReadAt(raw[w.meta.pageSize:], int64(id+1)*w.meta.pageSize); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return &page{id: id, flags: order.Uint16(raw[8:]), count: int(order.Uint16(raw[10:])), raw: raw}, nil
}

// Bounds say where keys have to be: from the first on, and before the end. Nil is no limit.
type bounds struct{ from, end []byte }

// next takes the next of some keys that have to be in order, and reports whether it is.
func (s *bounds) next(key []byte, first bool) bool {
	order := bytes.Compare(s.from, key)
	ok := len(key) > 0 && (order < 0 || first && order == 0) && (s.end == nil || bytes.Compare(key, s.end) < 0)
	s.from = key
	return ok
}

// tree walks from a page down.
func (w *walk) tree(id uint64, keys bounds) error {
	p, err := w.page(id)
	if err != nil {
		return err
	}
	if w.deep++; w.deep > deepest {
		return fmt.Errorf("page %d is too deep", id)
	}
	defer func() { w.deep-- }()
	if p.flags != branchPage {
		return w.leaf(p, keys)
	}
	if p.count == 0 {
		return fmt.Errorf("page %d leads nowhere", id)
	}
	order := binary.NativeEndian
	children, firsts := make([]uint64, p.count), make([][]byte, p.count+1)
	firsts[p.count] = keys.end
	for n := range p.count {
		e := p.element(n)
		if e == nil {
			return p.senseless(n)
		}
		key, ok := within(e, order.Uint32(e), order.Uint32(e[4:]))
		if !ok || !keys.next(key, n == 0) {
			return p.senseless(n)
		}
		children[n], firsts[n] = order.Uint64(e[8:]), key
	}
	for n, child := range children {
		if err := w.tree(child, bounds{firsts[n], firsts[n+1]}); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a page with rows, which may be part of a row itself.
func (w *walk) leaf(p *page, keys bounds) error {
	if p.flags != leafPage {
		return fmt.Errorf("page %d is neither branch nor leaf", p.id)
	}
	order := binary.NativeEndian
	for n := range p.count {
		e := p.element(n)
		if e == nil {
			return p.senseless(n)
		}
		flags, pos, size := order.Uint32(e), order.Uint32(e[4:]), order.Uint32(e[8:])
		key, keyOK := within(e, pos, size)
		value, ok := within(e, pos+size, order.Uint32(e[12:]))
		if !keyOK || !ok || flags > isBucket || !keys.next(key, n == 0) {
			return p.senseless(n)
		}
		if flags == isBucket {
			if err := w.bucket(p, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket checks what is in a bucket: a tree, or, while it is small, a page in place of it.
func (w *walk) bucket(in *page, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("page %d has half a bucket", in.id)
	}
	order := binary.NativeEndian
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, bounds{})
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader {
		return fmt.Errorf("page %d has half a bucket", in.id)
	}
	if w.deep++; w.deep > deepest {
		return fmt.Errorf("page %d has too many buckets in one another", in.id)
	}
	defer func() { w.deep-- }()
	return w.leaf(&page{id: in.id, flags: order.Uint16(inline[8:]), count: int(order.Uint16(inline[10:])), raw: inline}, bounds{})
}

// element returns the page from its n-th element on, or nil.
func (p *page) element(n int) []byte {
	at := pageHeader + n*elementSize
	if at+elementSize > len(p.raw) {
		return nil
	}
	return p.raw[at:]
}

// within cuts a piece out of a page. Its place counts from the element.
func within(element []byte, pos, size uint32) ([]byte, bool) {
	end := uint64(pos) + uint64(size)
	if end > uint64(len(element)) {
		return nil, false
	}
	return element[pos:end], true
}

func (p *page) senseless(n int) error {
	return fmt.Errorf("page %d: element %d makes no sense", p.id, n)
}

// damaged says what to do about a file that cannot be read.
func damaged(path string, what any) error {
	return fmt.Errorf("%s is damaged (%v): restore the last backup", path, what)
}
