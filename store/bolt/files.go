package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"snowbot/store"
)

const (
	// fileSlice is how many parts of a file go into one commit: a quarter of a megabyte, which the calls that share the
	// commit hardly notice. What is written before the last slice is not there until the row in the files bucket is.
	fileSlice = 16
	// pruneFiles is how many files one Prune removes at most.
	pruneFiles = 16
)

// PutFile implements store.Store.
func (s *Store) PutFile(ctx context.Context, f store.File) (err error) {
	if err := f.Check(); err != nil {
		return err
	}
	row := &file{expires: micros(f.Expires), size: uint64(len(f.Data)), conversation: f.Conversation}
	rand.Read(row.mark[:]) // never fails
	row.sealed = f.SealHead(s.keys, row.mark)
	defer func() {
		if err != nil {
			s.forgetParts(f.ID, row.mark)
		}
	}()
	// Its bytes go from the caller's hands to the file's pages slice by slice, in one buffer.
	buf := make([]byte, 0, min(fileSlice, parts(len(f.Data)))*(store.FilePart+store.SealOverhead))
	for n, rest := 0, f.Data; ; {
		slice := rest[:min(len(rest), fileSlice*store.FilePart)]
		rest = rest[len(slice):]
		first, sealed := n, buf
		for part := 0; part < len(slice); part += store.FilePart {
			sealed = s.keys.AppendSeal(sealed, store.FilePartName(row.mark, n), slice[part:min(len(slice), part+store.FilePart)])
			n++
		}
		err := s.fileCommit(ctx, func(b *batch) error {
			if b.records.Get([]byte(f.Conversation)) == nil {
				return store.ErrNotFound
			}
			old, err := b.file(f.ID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			for at, n := sealed, first; len(at) > 0; n++ {
				part := at[:min(len(at), store.FilePart+store.SealOverhead)]
				b.put(b.parts, partKey(row.mark, n), part)
				at = at[len(part):]
			}
			if len(rest) == 0 {
				b.putFile(f.ID, old, row)
			}
			return nil
		})
		if err != nil || len(rest) == 0 {
			return err
		}
	}
}

// fileCommit has a slice of a file committed. One at a time, so that no commit has more than one.
func (s *Store) fileCommit(ctx context.Context, run func(*batch) error) error {
	select {
	case s.filing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.filing }()
	return s.do(ctx, run)
}

// forgetParts has the parts removed of a file that was not put after all. If it cannot, the next Open does.
func (s *Store) forgetParts(id string, mark store.FileMark) {
	s.mu.Lock()
	if s.usable(context.Background()) == nil {
		s.enqueue(&call{done: make(chan struct{}), run: func(b *batch) error {
			row, err := b.file(id)
			if err != nil && !errors.Is(err, store.ErrNotFound) || row != nil && row.mark == mark {
				return err // its caller left while it was committed
			}
			b.dropParts(mark)
			return nil
		}}, false)
	}
	s.mu.Unlock()
	s.wakeCommitter()
}

// ExtendFile implements store.Store.
func (s *Store) ExtendFile(ctx context.Context, id string, expires time.Time) error {
	if err := store.CheckExpires(expires); err != nil {
		return err
	}
	return s.do(ctx, func(b *batch) error {
		row, err := b.file(id)
		if err != nil {
			return err
		}
		if row.expires <= micros(b.now) {
			return store.ErrNotFound
		}
		row.expires = micros(expires)
		b.put(b.files, []byte(id), row.row())
		return nil
	})
}

// File implements store.Store.
func (s *Store) File(ctx context.Context, id string) (f store.File, err error) {
	if err := s.check(ctx); err != nil {
		return store.File{}, err
	}
	now := micros(s.now())
	err = s.view(func(b buckets) error {
		row, err := b.file(id)
		if err != nil {
			return err
		}
		if row.expires <= now {
			return store.ErrNotFound
		}
		f, err = b.readFile(s.keys, id, row)
		return err
	})
	return f, err
}

// file returns the row of a file.
func (b *buckets) file(id string) (*file, error) {
	row := b.files.Get([]byte(id))
	if id == "" || row == nil {
		return nil, store.ErrNotFound
	}
	r, err := decodeFile(row)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", id, err)
	}
	return r, nil
}

// readFile puts a file together.
func (b *buckets) readFile(keys *store.Keyring, id string, row *file) (store.File, error) {
	known := store.File{ID: id, Conversation: row.conversation, Expires: fromMicros(row.expires)}
	r, err := store.ReadFile(keys, known, row.mark, row.sealed)
	if err != nil {
		return store.File{}, fmt.Errorf("file %s: %w", id, err)
	}
	c := b.parts.Cursor()
	for k, v := c.Seek(row.mark[:]); hasPrefix(k, row.mark[:]); k, v = c.Next() {
		if err := r.Add(v); err != nil {
			return store.File{}, fmt.Errorf("file %s: %w", id, err)
		}
	}
	f, err := r.File()
	if err != nil {
		return store.File{}, fmt.Errorf("file %s: %w", id, err)
	}
	return f, nil
}

// putFile stages a file whose parts are there, and the removal of the one that it replaces, if there is one.
func (b *batch) putFile(id string, old, row *file) {
	if old != nil {
		b.dropFile(id, old)
	}
	b.put(b.files, []byte(id), row.row())
	b.moreFiles++
	b.moreFileBytes += int64(row.size)
}

// dropFile stages the removal of a file.
func (b *batch) dropFile(id string, row *file) {
	b.dropParts(row.mark)
	b.remove(b.files, []byte(id))
	b.moreFiles--
	b.moreFileBytes -= int64(row.size)
}

// dropParts stages the removal of all parts with a mark.
func (b *batch) dropParts(mark store.FileMark) {
	var gone [][]byte
	c := b.parts.Cursor()
	for k, _ := c.Seek(mark[:]); hasPrefix(k, mark[:]); k, _ = c.Next() {
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		b.remove(b.parts, k)
	}
}

// filesOf returns the files of conversations, by id.
func (b *buckets) filesOf(conversations []string) (map[string]*file, error) {
	if len(conversations) == 0 {
		return nil, nil
	}
	of := make(map[string]bool, len(conversations))
	for _, c := range conversations {
		of[c] = true
	}
	found := map[string]*file{}
	c := b.files.Cursor()
	for k, row := c.First(); k != nil; k, row = c.Next() {
		r, err := decodeFile(row)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", k, err)
		}
		if of[r.conversation] {
			found[string(k)] = r
		}
	}
	return found, nil
}

// dropFiles stages the removal of some files.
func (b *batch) dropFiles(files map[string]*file) {
	for id, r := range files {
		b.dropFile(id, r)
	}
}

// expiredFiles returns some of the files that have expired.
func (s *Store) expiredFiles(limit int) (ids []string, err error) {
	now := micros(s.now())
	err = s.view(func(b buckets) error {
		c := b.files.Cursor()
		for k, row := c.First(); k != nil && len(ids) < limit; k, row = c.Next() {
			r, err := decodeFile(row)
			if err != nil {
				return fmt.Errorf("file %s: %w", k, err)
			}
			if r.expires <= now {
				ids = append(ids, string(k))
			}
		}
		return nil
	})
	return ids, err
}

// pruneFiles stages the removal of those of some files that have expired still.
func (b *batch) pruneFiles(ids []string) error {
	expired := map[string]*file{}
	for _, id := range ids {
		row, err := b.file(id)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case row.expires <= micros(b.now):
			expired[id] = row
		}
	}
	b.dropFiles(expired)
	return nil
}

// loadFiles counts the files, and removes parts that belong to none: a crash came before the last of them.
func (s *Store) loadFiles(b buckets) error {
	known := map[store.FileMark]bool{}
	c := b.files.Cursor()
	for k, row := c.First(); k != nil; k, row = c.Next() {
		r, err := decodeFile(row)
		if err != nil {
			return fmt.Errorf("file %q: %w", k, err)
		}
		known[r.mark] = true
		s.files++
		s.fileBytes += int64(r.size)
	}
	var lost [][]byte
	c = b.parts.Cursor()
	for k, _ := c.First(); k != nil; {
		mark, err := parseMark(k)
		if err != nil {
			return fmt.Errorf("part of a file %x: %w", k, err)
		}
		if known[mark] { // on to the next file
			k, _ = c.Seek(append(mark[:], bytes.Repeat([]byte{0xff}, partNumber)...))
			continue
		}
		lost = append(lost, bytes.Clone(k))
		k, _ = c.Next()
	}
	for _, k := range lost {
		if err := b.parts.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// partNumber is how many bytes the number of a part has in its key.
const partNumber = 4

// parts is how many parts so many bytes have.
func parts(size int) int { return (size + store.FilePart - 1) / store.FilePart }

// partKey is a mark and a number.
func partKey(mark store.FileMark, n int) []byte {
	return binary.BigEndian.AppendUint32(mark[:], uint32(n)) // hundreds
}

func parseMark(key []byte) (mark store.FileMark, err error) {
	if len(key) != len(mark)+partNumber {
		return mark, errRow
	}
	return store.FileMark(key[:len(mark)]), nil
}

// resealFile does so for a file's head.
func (b *batch) resealFile(key, row []byte) ([]change, error) {
	f, err := decodeFile(row)
	if err != nil {
		return nil, err
	}
	if f.sealed = b.reseal(store.FileName(string(key)), f.sealed); f.sealed == nil {
		return nil, nil
	}
	return []change{{b.files, bytes.Clone(key), f.row()}}, nil
}

// resealPart does so for a part of a file's data.
func (b *batch) resealPart(key, row []byte) ([]change, error) {
	mark, err := parseMark(key)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(key[len(mark):])
	sealed := b.reseal(store.FilePartName(mark, int(n)), row)
	if sealed == nil {
		return nil, nil
	}
	return []change{{b.parts, bytes.Clone(key), sealed}}, nil
}

// FileIDs implements store.Copyable.
func (s *Store) FileIDs(ctx context.Context, after string, limit int) (ids []string, err error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	err = s.view(func(b buckets) error {
		for c, k := seekAfter(b.files, after); k != nil && len(ids) < limit; k, _ = c.Next() {
			ids = append(ids, string(k))
		}
		return nil
	})
	return ids, err
}
