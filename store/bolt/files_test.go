package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
	"snowbot/store/bolt"
)

// TestPagesOfFilesAreUsedAgain: a database file is as large as what is kept at once, however much comes and goes.
func TestPagesOfFilesAreUsedAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := must(bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1), Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { s.Close() })
	apply(t, s, "c", func(*store.Turn) {})
	var size int64
	for round := range 8 {
		for n := range 4 {
			f := store.File{ID: fmt.Sprint(round, n), Conversation: "c", Expires: now.Add(time.Minute), Data: make([]byte, 3<<20)}
			if err := s.PutFile(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Minute)
		if more, err := s.Prune(t.Context(), store.Limits{}); more || err != nil {
			t.Fatalf("Prune: %t, %v", more, err)
		}
		got := must(os.Stat(path))(t).Size()
		if round < 2 { // the second may find the pages of the first in use yet
			size = got
		} else if got > size {
			t.Errorf("the file grew from %d to %d bytes in round %d", size, got, round)
		}
	}
	if size > 48<<20 {
		t.Errorf("the file has %d bytes for 12 MiB of files", size)
	}
}

// TestFilesAreInMemoryOnce: what is written is the caller's bytes and a slice, what is read the caller's bytes and a part. Not
// parallel, since it looks at the heap of the process.
func TestFilesAreInMemoryOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	apply(t, s, "c", func(*store.Turn) {})
	data := make([]byte, store.MaxFile)
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	const atOnce = 6
	for _, do := range []struct {
		name string
		run  func(n int)
		most uint64 // MiB beside what was there
	}{
		{"write", func(n int) {
			put(t, s, store.File{ID: fmt.Sprint(n), Conversation: "c", Data: data})
		}, 16},
		{"read", func(n int) {
			if _, err := s.File(t.Context(), fmt.Sprint(n)); err != nil {
				t.Error(err)
			}
		}, atOnce*10 + 16},
	} {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, most := m.HeapAlloc, uint64(0)
		var wg sync.WaitGroup
		for n := range atOnce {
			wg.Go(func() { do.run(n) })
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for tick := time.NewTicker(time.Millisecond); most == 0 || !closed(done); <-tick.C {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		grown := (most - min(most, before)) >> 20
		t.Logf("%s: %d MiB more", do.name, grown)
		if grown > do.most {
			t.Errorf("%d files at once: to %s them took %d MiB, want at most %d", atOnce, do.name, grown, do.most)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestDamagedFileIsTold: nothing that does not open is given out, whatever was done to a file's rows.
func TestDamagedFileIsTold(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(files, parts *bbolt.Bucket) error{
		"part changed": func(_, parts *bbolt.Bucket) error {
			k, v := parts.Cursor().First()
			v = append([]byte(nil), v...)
			v[len(v)-1] ^= 1
			return parts.Put(k, v)
		},
		"last part missing": func(_, parts *bbolt.Bucket) error {
			k, _ := parts.Cursor().Last()
			return parts.Delete(k)
		},
		"first part missing": func(_, parts *bbolt.Bucket) error {
			k, _ := parts.Cursor().First()
			return parts.Delete(k)
		},
		"part again": func(_, parts *bbolt.Bucket) error {
			k, v := parts.Cursor().Last()
			next := append([]byte(nil), k...)
			next[len(next)-1]++
			return parts.Put(next, append([]byte(nil), v...))
		},
		"parts exchanged": func(_, parts *bbolt.Bucket) error {
			c := parts.Cursor()
			k1, v1 := c.First()
			k2, v2 := c.Next()
			v1, v2 = append([]byte(nil), v1...), append([]byte(nil), v2...)
			return errors.Join(parts.Put(k1, v2), parts.Put(k2, v1))
		},
		"head of another": func(files, _ *bbolt.Bucket) error {
			return files.Put([]byte("f"), append([]byte(nil), files.Get([]byte("g"))...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "snowbot.db")
			s := open(t, path)
			apply(t, s, "c", func(*store.Turn) {})
			put(t, s, store.File{ID: "f", Conversation: "c", Name: "name", Data: make([]byte, 3*store.FilePart)})
			put(t, s, store.File{ID: "g", Conversation: "c"})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db := must(bbolt.Open(path, 0o600, nil))(t)
			err := db.Update(func(tx *bbolt.Tx) error { return damage(tx.Bucket([]byte("files")), tx.Bucket([]byte("parts"))) })
			db.Close()
			if err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			if f, err := s.File(t.Context(), "f"); !errors.Is(err, store.ErrWrongKey) || f.Data != nil || f.Name != "" {
				t.Errorf("File: %d bytes, %v, want ErrWrongKey", len(f.Data), err)
			}
			if _, err := s.File(t.Context(), "g"); err != nil {
				t.Errorf("the other file: %v", err)
			}
			put(t, s, store.File{ID: "f", Conversation: "c", Data: []byte("anew")})
			if f, err := s.File(t.Context(), "f"); err != nil || string(f.Data) != "anew" {
				t.Errorf("File that was put anew: %q, %v", f.Data, err)
			}
		})
	}
}

// TestFileThatIsGivenUpLeavesNothing: its caller leaves while it is being written.
func TestFileThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	apply(t, s, "c", func(*store.Turn) {})
	given := 0
	for n := 0; n < 40 || given == 0; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.PutFile(ctx, store.File{ID: "f", Conversation: "c", Expires: time.Now().Add(time.Hour), Data: make([]byte, 2<<20)})
		}()
		for s.Rows()["parts"] == 0 && !closed(t.Context().Done()) {
			runtime.Gosched()
		}
		cancel()
		err := <-done
		apply(t, s, "c", func(*store.Turn) {}) // which comes after all that was queued, the last part included
		want := 0
		switch _, kept := s.File(t.Context(), "f"); {
		case err != nil && !errors.Is(err, context.Canceled):
			t.Fatal(err)
		case err != nil && errors.Is(kept, store.ErrNotFound):
			given++
		case kept == nil: // it was too late, or may have been
			want = (2<<20 + store.FilePart - 1) / store.FilePart
		default:
			t.Fatalf("PutFile: %v, File: %v", err, kept)
		}
		if got := s.Rows()["parts"]; got != want {
			t.Fatalf("%d parts are left, want %d", got, want)
		}
		if err := s.ExtendFile(t.Context(), "f", time.Unix(1, 0)); want > 0 && err != nil {
			t.Fatal(err)
		}
		if _, err := s.Prune(t.Context(), store.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFileOnAFullDisk: the store fails, and when it is opened again there is neither the file nor any part of it.
func TestFileOnAFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := open(t, path)
	apply(t, s, "c", func(*store.Turn) {})
	s.LimitSize(2 << 20)
	err := s.PutFile(t.Context(), store.File{ID: "f", Conversation: "c", Expires: time.Now().Add(time.Hour), Data: make([]byte, 4<<20)})
	var failed *bolt.FailedError
	if !errors.As(err, &failed) {
		t.Fatalf("PutFile: %v, want a FailedError", err)
	}
	s.Close()
	s = open(t, path)
	if _, err := s.File(t.Context(), "f"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("File: %v, want ErrNotFound", err)
	}
	if rows := s.Rows(); rows["parts"]+rows["files"] != 0 {
		t.Errorf("%d parts and %d files are left", rows["parts"], rows["files"])
	}
	put(t, s, store.File{ID: "f", Conversation: "c", Data: make([]byte, 4<<20)})
}

// TestFormerFormatGetsFiles opens a file of the format that had none.
func TestFormerFormatGetsFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	filled(t, path)
	db := must(bbolt.Open(path, 0o600, nil))(t)
	err := db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("files")), tx.DeleteBucket([]byte("parts")), tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{2}))
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	put(t, s, store.File{ID: "f", Conversation: "c1", Data: []byte("data")})
	if r, err := s.Load(t.Context(), "c1"); err != nil || len(r.Data) != 10000 {
		t.Errorf("Load: %d bytes, %v", len(r.Data), err)
	}
}
