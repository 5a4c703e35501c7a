package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/store"
)

var fileCases = []testCase{
	{"FilesComeBack", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		sizes := []int{0, 1, store.FilePart - 1, store.FilePart, store.FilePart + 1, 16 * store.FilePart, 16*store.FilePart + 1, store.MaxFile}
		for _, size := range sizes {
			w.put(t, file(size))
		}
		for range 2 {
			for _, size := range sizes {
				w.has(t, file(size))
			}
			w.reopen(t)
		}
	}},
	{"EverythingOfAFileIsKept", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		f := store.File{
			ID: strings.Repeat("é", store.MaxString/2), Conversation: "c1", Expires: w.clock.now().Add(time.Hour + 1234567*time.Nanosecond),
			Name: "\x00\xff\u202e" + strings.Repeat("n", store.MaxString-5), ContentType: strings.Repeat("t", store.MaxString), Data: []byte("x"),
		}
		is(t, "PutFile", w.PutFile(t.Context(), f), nil)
		f.Expires = f.Expires.Truncate(time.Microsecond)
		w.has(t, f)
	}},
	{"PuttingAgainReplaces", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		w.apply(t, "c2", func(*store.Turn) {})
		f := w.dated(file(40 * store.FilePart))
		for _, size := range []int{40 * store.FilePart, 3, 20 * store.FilePart, 0} {
			f.Data, f.Name = f.Data[:size], fmt.Sprint("name ", size)
			f.Expires = f.Expires.Add(time.Hour)
			w.put(t, f)
			w.has(t, f)
			w.holds(t, 1, int64(size))
		}
		f.Conversation = "c2" // and no harm comes of it
		w.put(t, f)
		w.reopen(t)
		w.has(t, f)
		w.holds(t, 1, 0)
	}},
	{"FilesExpire", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		for n := range 3 {
			f := file(20*store.FilePart + n)
			f.Expires = w.clock.now().Add(time.Duration(n+1) * time.Minute)
			w.put(t, f)
		}
		ids := []string{file(20 * store.FilePart).ID, file(20*store.FilePart + 1).ID, file(20*store.FilePart + 2).ID}
		w.clock.advance(time.Minute - time.Microsecond)
		w.pruneAll(t, store.Limits{})
		w.holds(t, 3, 3*20*store.FilePart+3)
		is(t, "ExtendFile", w.ExtendFile(t.Context(), ids[2], w.clock.now().Add(time.Hour)), nil)
		w.clock.advance(time.Microsecond)
		w.gone(t, ids[0])
		is(t, "ExtendFile", w.ExtendFile(t.Context(), ids[0], w.clock.now().Add(time.Hour)), store.ErrNotFound)
		w.clock.advance(2 * time.Minute)
		w.gone(t, ids[1])
		w.pruneAll(t, store.Limits{})
		w.holds(t, 1, 20*store.FilePart+2)
		f := file(20*store.FilePart + 2)
		f.Expires = w.clock.now().Add(58*time.Minute - time.Microsecond)
		got, err := w.File(t.Context(), f.ID)
		is(t, "File", err, nil)
		same(t, "expires", got.Expires, f.Expires)
		w.reopen(t)
		w.gone(t, ids[0], ids[1])
		is(t, "ExtendFile", w.ExtendFile(t.Context(), f.ID, w.clock.now()), nil)
		w.gone(t, f.ID)
		w.pruneAll(t, store.Limits{})
		w.holds(t, 0, 0)
		w.put(t, file(1)) // and can be put again
		w.has(t, file(1))
	}},
	{"PruningManyFilesComesToAnEnd", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		for n := range 40 {
			f := file(n)
			if f.Expires = w.clock.now().Add(time.Minute); n%4 == 0 {
				f.Expires = w.clock.now().Add(time.Hour)
			}
			w.put(t, f)
		}
		w.clock.advance(time.Minute)
		if n := w.pruneAll(t, store.Limits{Slice: 3}); n < 10 {
			t.Errorf("30 files went in %d slices of 3", n)
		}
		w.holds(t, 10, 4*45)
	}},
	{"FilesGoWithTheirConversation", func(t *testing.T, w *world) {
		for _, c := range []string{"c1", "c2", "c3"} {
			w.apply(t, c, func(turn *store.Turn) { turn.Record.People = []string{"p" + c} })
			for n := range 2 {
				f := file(17*store.FilePart + n)
				f.ID, f.Conversation, f.Expires = fmt.Sprint(c, n), c, w.clock.now().Add(1000*time.Hour)
				w.put(t, f)
			}
		}
		n, err := w.Erase(t.Context(), "pc2")
		is(t, "Erase", err, nil)
		same(t, "erased", n, 1)
		w.gone(t, "c20", "c21")
		w.holds(t, 4, 4*17*store.FilePart+2)
		w.clock.advance(48 * time.Hour)
		w.apply(t, "c3", func(*store.Turn) {})
		w.pruneAll(t, store.Limits{Conversations: w.clock.now()})
		w.absent(t, "c1")
		w.gone(t, "c10", "c11")
		w.holds(t, 2, 2*17*store.FilePart+1)
		w.reopen(t)
		w.holds(t, 2, 2*17*store.FilePart+1)
	}},
	{"AFileNeedsItsConversation", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(turn *store.Turn) { turn.Record.People = []string{"p1"} })
		w.put(t, file(5))
		_, err := w.Erase(t.Context(), "p1")
		is(t, "Erase", err, nil)
		for _, size := range []int{1, 40 * store.FilePart} { // what was under way
			is(t, "PutFile", w.PutFile(t.Context(), w.dated(file(size))), store.ErrNotFound)
			w.gone(t, file(size).ID)
		}
		w.holds(t, 0, 0)
		w.gone(t, "", "nothing")
		is(t, "ExtendFile", w.ExtendFile(t.Context(), "nothing", w.clock.now()), store.ErrNotFound)
	}},
	{"WhatIsNoFileIsRefused", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		w.put(t, file(3))
		for name, spoil := range map[string]func(*store.File){
			"no id":                func(f *store.File) { f.ID = "" },
			"long id":              func(f *store.File) { f.ID = strings.Repeat("x", store.MaxString+1) },
			"id with NUL":          func(f *store.File) { f.ID = "a\x00b" },
			"id that is no text":   func(f *store.File) { f.ID = "\xff" },
			"no conversation":      func(f *store.File) { f.Conversation = "" },
			"no expiry":            func(f *store.File) { f.Expires = time.Time{} },
			"long name":            func(f *store.File) { f.Name = strings.Repeat("x", store.MaxString+1) },
			"long content type":    func(f *store.File) { f.ContentType = strings.Repeat("x", store.MaxString+1) },
			"data over the limit":  func(f *store.File) { f.Data = make([]byte, store.MaxFile+1) },
			"several of all these": func(f *store.File) { *f = store.File{} },
		} {
			f := w.dated(file(3))
			f.Name = "another name"
			spoil(&f)
			err := w.PutFile(t.Context(), f)
			if err == nil || errors.Is(err, store.ErrNotFound) || strings.Contains(err.Error(), "another") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.ExtendFile(t.Context(), file(3).ID, time.Time{}); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("ExtendFile without a time: %v", err)
		}
		w.has(t, file(3))
		w.holds(t, 1, 3)
	}},
	{"OneOfManyPutsWins", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				f := w.dated(file(35 * store.FilePart))
				for i := range f.Data {
					f.Data[i] = byte(n)
				}
				f.Name = fmt.Sprint(n)
				for range 3 {
					if err := w.PutFile(t.Context(), f); err != nil {
						t.Errorf("PutFile: %v", err)
					}
					got, err := w.File(t.Context(), f.ID) // of somebody
					if err != nil || len(got.Name) != 1 || !bytes.Equal(got.Data, bytes.Repeat([]byte{got.Name[0] - '0'}, len(f.Data))) {
						t.Errorf("File %q: %d bytes, %v", got.Name, len(got.Data), err)
					}
				}
			})
		}
		wg.Wait()
		w.holds(t, 1, 35*store.FilePart)
		w.pruneAll(t, store.Limits{})
		w.reopen(t)
		w.holds(t, 1, 35*store.FilePart)
	}},
	{"ErasingRacesWithPutting", func(t *testing.T, w *world) {
		for range 5 {
			w.apply(t, "c1", func(turn *store.Turn) { turn.Record.People = []string{"p1"} })
			done := make(chan error)
			go func() { done <- w.PutFile(t.Context(), w.dated(file(35*store.FilePart))) }()
			_, err := w.Erase(t.Context(), "p1")
			is(t, "Erase", err, nil)
			if err := <-done; err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("PutFile: %v", err)
			}
			w.gone(t, file(35*store.FilePart).ID)
			w.holds(t, 0, 0)
		}
	}},
	{"EndedContextLeavesNoFile", func(t *testing.T, w *world) {
		w.apply(t, "c1", func(*store.Turn) {})
		w.put(t, file(40*store.FilePart))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is(t, "PutFile", w.PutFile(ctx, w.dated(file(3))), ctx.Err())
		_, err := w.File(ctx, file(40*store.FilePart).ID)
		is(t, "File", err, ctx.Err())
		is(t, "ExtendFile", w.ExtendFile(ctx, file(3).ID, w.clock.now()), ctx.Err())
		w.gone(t, file(3).ID)
		w.has(t, file(40*store.FilePart))
		is(t, "Close", w.Close(), nil)
		is(t, "PutFile", w.PutFile(t.Context(), w.dated(file(3))), store.ErrClosed)
		_, err = w.File(t.Context(), file(3).ID)
		is(t, "File", err, store.ErrClosed)
		is(t, "ExtendFile", w.ExtendFile(t.Context(), file(3).ID, w.clock.now()), store.ErrClosed)
	}},
}

// file is a file of c1 whose other fields follow from its size.
func file(size int) store.File {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	return store.File{
		ID: fmt.Sprintf("file-%08d", size), Conversation: "c1", Name: fmt.Sprintf("%d bytes.bin", size),
		ContentType: "application/octet-stream", Data: data,
	}
}

// dated has a file expire an hour after the suite began, unless it says when.
func (w *world) dated(f store.File) store.File {
	if f.Expires.IsZero() {
		f.Expires = newClock().now().Add(time.Hour)
	}
	return f
}

// put puts a file, which has to succeed.
func (w *world) put(t *testing.T, f store.File) {
	t.Helper()
	if err := w.PutFile(t.Context(), w.dated(f)); err != nil {
		t.Fatalf("PutFile %s: %v", f.ID, err)
	}
}

// has checks that a file is there as it was put.
func (w *world) has(t *testing.T, f store.File) {
	t.Helper()
	got, err := w.File(t.Context(), f.ID)
	if err != nil {
		t.Fatalf("File %s: %v", f.ID, err)
	}
	f = w.dated(f)
	if !bytes.Equal(got.Data, f.Data) {
		t.Fatalf("file %s has %d bytes that are not the %d that were put", f.ID, len(got.Data), len(f.Data))
	}
	got.Data, f.Data = nil, nil
	same(t, "file", got, f)
}

// gone checks that there are no such files.
func (w *world) gone(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if f, err := w.File(t.Context(), id); !errors.Is(err, store.ErrNotFound) || f.Name != "" || f.Data != nil {
			t.Fatalf("File %q: %q with %d bytes, %v, want ErrNotFound", id, f.Name, len(f.Data), err)
		}
	}
}

// holds checks how much the store holds of files, which may be late.
func (w *world) holds(t *testing.T, files int, size int64) {
	t.Helper()
	w.eventually(t, fmt.Sprintf("%d files with %d bytes are kept", files, size), func() bool {
		st, err := w.Stats(t.Context())
		is(t, "Stats", err, nil)
		return st.Files == files && st.FileBytes == size
	})
}
