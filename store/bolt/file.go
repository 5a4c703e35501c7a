package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	bbolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A file of bbolt begins with two meta pages, of which the valid one with the higher transaction counts.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader   = 16 // bytes before the meta structure on its page
	metaSize     = 64
	smallestPage = 1 << 10
	largestPage  = 1 << 24
)

// mapping is how much address space the file gets, so that growing it need not wait for readers.
const mapping = 1 << 30

// openFile opens or makes the file, and says what is wrong with it before it can do harm.
func openFile(o Options) (db *bbolt.DB, err error) {
	dir := filepath.Dir(o.Path)
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("the directory of %s cannot be used: %w; make it, or set another path", o.Path, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s, which should hold %s, is not a directory", dir, filepath.Base(o.Path))
	}
	fresh, err := checkFile(o.Path)
	if err != nil {
		return nil, err
	}
	options := &bbolt.Options{
		Timeout: o.LockTimeout,
		// The list of free pages is written by Close only. After a crash it is found by reading the pages.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
	}
	if strconv.IntSize == 64 && runtime.GOOS != "windows" { // where a mapping makes the file larger
		options.InitialMmapSize = mapping
	}
	defer func() { err = orDamaged(o.Path, recover(), err) }()
	if !fresh {
		if err := checkTree(o.Path, *options); err != nil {
			return nil, err
		}
	}
	if db, err = bbolt.Open(o.Path, 0o600, options); err != nil {
		return nil, whyNot(o.Path, err)
	}
	if fresh {
		if err := syncDir(dir); err != nil {
			db.Close()
			return nil, err
		}
	}
	return db, nil
}

// whyNot says why bbolt cannot open a file, and what helps.
func whyNot(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s is in use: another snowbot has the file open; stop it first, or use PostgreSQL to run several", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be written: %w; give this user the right to write the file and its directory", path, err)
	}
	return fmt.Errorf("%s cannot be opened: %w", path, err)
}

// checkTree looks at the pages of a file while nobody writes it: read-only, bbolt looks at none.
func checkTree(path string, options bbolt.Options) error {
	options.ReadOnly = true
	db, err := bbolt.Open(path, 0o600, &options)
	if err != nil {
		return whyNot(path, err)
	}
	defer db.Close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m, ok := readMeta(f)
	if !ok {
		return damaged(path, "no meta page makes sense")
	}
	if err := checkPages(f, m); err != nil {
		return damaged(path, err)
	}
	return nil
}

// orDamaged makes an error of a panic, which is how bbolt reports pages that make no sense.
func orDamaged(path string, panicked any, err error) error {
	if panicked == nil {
		return err
	}
	return damaged(path, panicked)
}

// syncDir makes durable that a file is in a directory.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there, and need not be
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// checkFile looks at a file before it is mapped into memory, where a missing page would end the process.
// It reports whether there is nothing yet.
func checkFile(path string) (fresh bool, err error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("%s cannot be read: %w; give this user the right to read and write it", path, err)
	case err != nil:
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is not a regular file: set another path", path)
	}
	if info.Size() == 0 {
		return true, nil
	}
	m, ok := readMeta(f)
	if !ok {
		return false, fmt.Errorf("%s is not a store of snowbot, or its first pages are damaged: set another path, or restore the last backup", path)
	}
	if info, err = f.Stat(); err != nil { // again, since its owner may make it grow meanwhile
		return false, err
	}
	if want := m.pages * m.pageSize; info.Size() < want {
		return false, fmt.Errorf("%s was cut short: it has %d bytes of %d; restore the last backup", path, info.Size(), want)
	}
	return false, nil
}

// A meta is what a meta page says of the file.
type meta struct {
	pageSize, pages int64
	root            uint64 // page of the bucket of buckets
	freelist        uint64 // noFreelist when it has to be found by reading the pages
	tx              uint64
}

// readMeta returns the valid meta page that was written last.
func readMeta(f *os.File) (newest meta, ok bool) {
	consider := func(at int64) {
		b := make([]byte, pageHeader+metaSize)
		if _, err := f.ReadAt(b, at); err != nil {
			return
		}
		if m, valid := parseMeta(b[pageHeader:]); valid && (!ok || m.tx > newest.tx) {
			newest, ok = m, true
		}
	}
	consider(0)
	if ok {
		consider(newest.pageSize)
		return newest, ok
	}
	for at := int64(smallestPage); at <= largestPage && !ok; at *= 2 { // where the second is follows from the first
		consider(at)
	}
	return newest, ok
}

// parseMeta reads a meta structure in the machine's byte order.
func parseMeta(b []byte) (meta, bool) {
	order := binary.NativeEndian
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	size := order.Uint32(b[8:])
	n := order.Uint64(b[40:])
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[56:]) != h.Sum64() ||
		size < smallestPage || size > largestPage || n > 1<<40 {
		return meta{}, false
	}
	return meta{
		pageSize: int64(size), pages: int64(n), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), tx: order.Uint64(b[48:]),
	}, true
}
