package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	// MaxFile is how many bytes a file's data may have: 10 MiB.
	MaxFile = 10 << 20
	// FilePart is how many bytes of a file are sealed together, the last part may have fewer: a file is written and
	// read part by part, so that it is in memory only once. Two sealed parts, with their keys, just fit into 32 KiB.
	FilePart = 16_000
)

// A File is something that a person sent, kept for as long as a link to it is good.
type File struct {
	// ID is given by the caller and kept in clear: the mask of a link, never the link itself. At most [MaxString] bytes.
	ID string
	// Conversation is whose it is, and kept in clear. The file goes with the conversation's record.
	Conversation string
	// Expires is the time from which the file is not there any more. [Store.Prune] then removes it.
	Expires time.Time
	// Name and ContentType are words of a person, sealed at rest: any bytes, at most [MaxString] each.
	Name, ContentType string
	// Data is at most [MaxFile] bytes, sealed at rest.
	Data []byte
}

// Check returns an error when the file cannot be kept. Stores call it before they do anything.
func (f *File) Check() error {
	errs := []error{CheckID("file id", f.ID), CheckID("file's conversation", f.Conversation), CheckExpires(f.Expires)}
	if len(f.Name) > MaxString {
		errs = append(errs, fmt.Errorf("file name is longer than %d bytes", MaxString))
	}
	if len(f.ContentType) > MaxString {
		errs = append(errs, fmt.Errorf("file's content type is longer than %d bytes", MaxString))
	}
	if len(f.Data) > MaxFile {
		errs = append(errs, fmt.Errorf("file is longer than %d bytes", MaxFile))
	}
	return errors.Join(errs...)
}

// CheckExpires returns an error when a file cannot expire then, which is only when no time is said.
func CheckExpires(t time.Time) error {
	if t.IsZero() {
		return errors.New("file has no time at which it expires")
	}
	return nil
}

// A FileMark names the data of one [Store.PutFile]. It is random, and kept in clear.
type FileMark [16]byte

// headLayout is the number of the layout of a head.
const headLayout = 1

// SealHead seals everything about a file but its data, under its id. It holds the mark too, so that the parts of the
// data, which are sealed under the mark, belong to this head alone, and the size, so that none of them can be missing.
func (f *File) SealHead(k *Keyring, mark FileMark) []byte {
	head := make([]byte, 0, 1+len(mark)+2*binary.MaxVarintLen64+len(f.Name)+len(f.ContentType))
	head = append(head, headLayout)
	head = append(head, mark[:]...)
	head = binary.AppendUvarint(head, uint64(len(f.Data)))
	head = binary.AppendUvarint(head, uint64(len(f.Name)))
	head = append(head, f.Name...)
	head = append(head, f.ContentType...)
	return k.Seal(FileName(f.ID), head)
}

// A FileReader puts a file together again.
type FileReader struct {
	keys *Keyring
	file File
	mark FileMark
	size int
	next int // part
}

// ReadFile opens the head of a file of which ID, Conversation and Expires are known. Everything that is not as it was
// sealed is an [ErrWrongKey], here and later.
func ReadFile(k *Keyring, f File, mark FileMark, head []byte) (*FileReader, error) {
	plain, err := k.Open(FileName(f.ID), head)
	if err != nil {
		return nil, err
	}
	if len(plain) <= len(mark) || plain[0] != headLayout || FileMark(plain[1:1+len(mark)]) != mark {
		return nil, ErrWrongKey
	}
	plain = plain[1+len(mark):]
	size, n := binary.Uvarint(plain)
	if n <= 0 || size > MaxFile {
		return nil, ErrWrongKey
	}
	plain = plain[n:]
	name, n := binary.Uvarint(plain)
	if n <= 0 || name > uint64(len(plain)-n) {
		return nil, ErrWrongKey
	}
	plain = plain[n:]
	f.Name, f.ContentType = string(plain[:name]), string(plain[name:])
	f.Data = make([]byte, 0, size)
	return &FileReader{keys: k, file: f, mark: mark, size: int(size)}, nil
}

// Add opens the next part of the data.
func (r *FileReader) Add(sealed []byte) error {
	if len(r.file.Data)+len(sealed)-SealOverhead > r.size {
		return ErrWrongKey
	}
	data, err := r.keys.AppendOpen(r.file.Data, FilePartName(r.mark, r.next), sealed)
	if err != nil {
		return err
	}
	r.file.Data = data
	r.next++
	return nil
}

// File returns the file when nothing is missing.
func (r *FileReader) File() (File, error) {
	if len(r.file.Data) != r.size {
		return File{}, ErrWrongKey
	}
	return r.file, nil
}
