package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// EventHashSize is how many bytes of the SHA-256 of an event id's name a store keeps, all stores the same.
const EventHashSize = 12

// A Whole is everything that is kept of a conversation.
type Whole struct {
	Record Record
	// Deliveries are those of all lanes, by direction, and within each in order.
	Deliveries []Outgoing
	// Lines are the transcript, the oldest first, and Counted is how many lines there have been over its life.
	Lines   []NumberedLine
	Counted uint64
	Events  []KeptEvent
}

// A NumberedLine is a line with its number in the conversation, from 1.
type NumberedLine struct {
	N uint64
	Line
}

// A KeptEvent is an event id as a store keeps it: a part of the hash of its name, and the second in which it may be
// forgotten.
type KeptEvent struct {
	Hash  [EventHashSize]byte
	Until time.Time
}

// ErrNotEmpty means that a store is not empty, and not an unfinished copy of the same source either.
var ErrNotEmpty = errors.New("the target is not empty, and no unfinished copy of this source")

// A Copyable is a store that can be copied to another one, or that another one can be copied to. Nobody else may work on
// it meanwhile. Ranges of ids go from after one, without it, to the last, with it; an empty last is no bound.
type Copyable interface {
	Store
	// Size counts conversations, dead letters and files.
	Size(ctx context.Context) (n int, err error)
	// MaskKey is the key behind Mask.
	MaskKey() []byte
	// Dump returns up to limit conversations that come after an id, in the byte order of their ids, without the events
	// that need not be recognised any more at a time. What does not open is an error.
	Dump(ctx context.Context, after string, limit int, now time.Time) ([]Whole, error)
	// DumpLetters does so for dead letters.
	DumpLetters(ctx context.Context, after string, limit int) ([]DeadLetter, error)

	// FileIDs returns up to limit ids of files that come after one, in their byte order. Some may have expired.
	FileIDs(ctx context.Context, after string, limit int) ([]string, error)

	// BeginCopy makes an empty store the target of a copy, with the source's key behind Mask, and does nothing to one
	// that is so already. Until EndCopy it opens for nothing else. [ErrNotEmpty].
	BeginCopy(ctx context.Context, maskKey []byte) error
	// Restore replaces a range of conversations.
	Restore(ctx context.Context, after, last string, all []Whole) error
	// RestoreLetters replaces a range of dead letters.
	RestoreLetters(ctx context.Context, after, last string, all []DeadLetter) error
	// EndCopy makes the target a store like any other.
	EndCopy(ctx context.Context) error
}

// CopyName is how an unfinished copy names its source, in clear.
func CopyName(maskKey []byte) string {
	sum := sha256.Sum256(append([]byte("snowbot copy "), maskKey...))
	return hex.EncodeToString(sum[:8])
}

// copySlice is how many conversations or dead letters are copied in one commit.
const copySlice = 100

// Copy copies everything to an empty store: conversations with their lanes in order, transcripts, keys, event ids,
// dead letters and files that have not expired. What was copied is read back and compared. A copy that was broken off is gone on with by calling Copy
// again: what is there already is compared, and what differs is copied anew. Progress is told how many conversations,
// dead letters and files are done, and how many there are.
func Copy(ctx context.Context, from, to Copyable, progress func(done, all int)) error {
	size, err := from.Size(ctx)
	if err != nil {
		return err
	}
	if err := to.BeginCopy(ctx, from.MaskKey()); err != nil {
		return err
	}
	now, done := time.Now(), 0
	told := func(n int) {
		done += n
		if progress != nil {
			progress(done, max(done, size))
		}
	}
	err = copyAll(copying[Whole]{
		read: func(s Copyable, after string, limit int) ([]Whole, error) { return s.Dump(ctx, after, limit, now) },
		write: func(after, last string, all []Whole) error {
			return to.Restore(ctx, after, last, all)
		},
		id: func(w *Whole) string { return w.Record.ID },
	}, from, to, told)
	if err != nil {
		return fmt.Errorf("copy conversations: %w", err)
	}
	err = copyAll(copying[DeadLetter]{
		read: func(s Copyable, after string, limit int) ([]DeadLetter, error) {
			return s.DumpLetters(ctx, after, limit)
		},
		write: func(after, last string, all []DeadLetter) error {
			return to.RestoreLetters(ctx, after, last, all)
		},
		id: func(l *DeadLetter) string { return l.ID },
	}, from, to, told)
	if err != nil {
		return fmt.Errorf("copy dead letters: %w", err)
	}
	if err := copyFiles(ctx, from, to, told); err != nil {
		return fmt.Errorf("copy files: %w", err)
	}
	return to.EndCopy(ctx)
}

// copyFiles copies files one by one, since each is large. What the target has of a conversation that is not as it was
// went when that was copied anew.
func copyFiles(ctx context.Context, from, to Copyable, told func(n int)) error {
	for after := ""; ; {
		ids, err := from.FileIDs(ctx, after, copySlice)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := copyFile(ctx, from, to, id); err != nil {
				return err
			}
			told(1)
		}
		if len(ids) < copySlice {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// copyFile copies a file, unless it expires meanwhile.
func copyFile(ctx context.Context, from, to Copyable, id string) error {
	f, err := from.File(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for written := false; ; written = true {
		have, err := to.File(ctx, id)
		switch {
		case err == nil && have.equal(&f), written && errors.Is(err, ErrNotFound) && !time.Now().Before(f.Expires):
			return nil
		case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrWrongKey):
			return err
		case written:
			return fmt.Errorf("what was written as %s reads differently", id)
		}
		if err := to.PutFile(ctx, f); err != nil {
			return err
		}
	}
}

func (f *File) equal(g *File) bool {
	return f.ID == g.ID && f.Conversation == g.Conversation && f.Expires.Equal(g.Expires) && f.Name == g.Name &&
		f.ContentType == g.ContentType && bytes.Equal(f.Data, g.Data)
}

// copying is how one kind of thing is copied.
type copying[T any] struct {
	read  func(s Copyable, after string, limit int) ([]T, error)
	write func(after, last string, all []T) error
	id    func(*T) string
}

// copyAll copies slice by slice. A slice that is the same already is left alone.
func copyAll[T any](c copying[T], from, to Copyable, told func(n int)) error {
	for after := ""; ; {
		want, err := c.read(from, after, copySlice)
		if err != nil {
			return err
		}
		last := ""
		if len(want) == copySlice {
			last = c.id(&want[len(want)-1])
		}
		same, err := c.same(to, after, last, want)
		if err == nil && !same {
			if err = c.write(after, last, want); err == nil {
				same, err = c.same(to, after, last, want)
			}
		}
		switch {
		case err != nil:
			return err
		case !same:
			return fmt.Errorf("what was written after %q reads differently", after)
		}
		told(len(want))
		if last == "" {
			return nil
		}
		after = last
	}
}

// same reports whether the target has the same in a range, and nothing else.
func (c *copying[T]) same(to Copyable, after, last string, want []T) (bool, error) {
	have, err := c.read(to, after, copySlice+1)
	if errors.Is(err, ErrWrongKey) {
		return false, nil // broken off, or damaged: it is written anew
	}
	if err != nil {
		return false, err
	}
	for n := range have {
		if last != "" && c.id(&have[n]) > last {
			have = have[:n]
			break
		}
	}
	if len(have) != len(want) {
		return false, nil
	}
	for n := range want {
		a, err := json.Marshal(&want[n])
		if err != nil {
			return false, err
		}
		b, err := json.Marshal(&have[n])
		if err != nil {
			return false, err
		}
		if !bytes.Equal(a, b) {
			return false, nil
		}
	}
	return true, nil
}

// Normal puts a whole in the one form that all stores return: no empty slices that are not nil.
func (w *Whole) Normal() {
	r := &w.Record
	r.Keys, r.People, r.Data = orNil(r.Keys), orNil(r.People), orNil(r.Data)
	for n := range w.Deliveries {
		w.Deliveries[n].normal()
	}
	for n := range w.Lines {
		w.Lines[n].Data = orNil(w.Lines[n].Data)
	}
	w.Deliveries, w.Lines, w.Events = orNil(w.Deliveries), orNil(w.Lines), orNil(w.Events)
}

// Normal does so for a dead letter.
func (l *DeadLetter) Normal() { l.Delivery.normal() }

func (d *Delivery) normal() { d.Attempts, d.Body = orNil(d.Attempts), orNil(d.Body) }

func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}
