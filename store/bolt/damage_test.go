package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
)

// TestEachDamagedPageIsTold damages one page of a file after the other, and in several ways. The file is refused, unless the page is
// not in use, or the damage is within a sealed value: then whoever reads that is told. Nothing may panic, in whatever goroutine.
func TestEachDamagedPageIsTold(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*bolt.Store) error{
		"Closed":  (*bolt.Store).Close,
		"Crashed": func(s *bolt.Store) error { s.Crash(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "snowbot.db")
			s := open(t, path)
			variety(t, s)
			if err := leave(s); err != nil {
				t.Fatal(err)
			}
			whole := must(os.ReadFile(path))(t)
			length := int64(len(whole))
			whole = bytes.TrimRight(whole, "\x00") // most of it is not in use yet
			s = open(t, path)
			want := must(contents(t.Context(), s))(t)
			s.Crash()
			refused := 0
			size := os.Getpagesize()
			whole = append(whole, make([]byte, size-len(whole)%size)...)
			for at := 2 * size; at < len(whole); at += size {
				for _, d := range damages {
					file := bytes.Clone(whole)
					d.do(file[at:at+size], whole[at-size:at])
					write(t, path, file)
					if err := os.Truncate(path, length); err != nil {
						t.Fatal(err)
					}
					s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)})
					if err == nil {
						got, err := contents(t.Context(), s)
						letters, _ := s.DeadLetters(t.Context(), store.DeadLetterFilter{Reason: "damaged"})
						if got != want && err == nil && len(letters) == 0 {
							t.Errorf("page %d, %s: opened, and what is in it is not what was", at/size, d.name)
						}
						s.Crash()
						continue
					}
					refused++
					if !strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), path) {
						t.Errorf("page %d, %s: the error does not name file and backup: %v", at/size, d.name, err)
					}
				}
			}
			if refused < 40 {
				t.Errorf("only %d files were refused", refused)
			}
		})
	}
}

// damages are what a disk can do to a page, given the one before it.
var damages = []struct {
	name string
	do   func(page, before []byte)
}{
	{"not written", func(page, _ []byte) { clear(page) }},
	{"written over", func(page, _ []byte) { copy(page, bytes.Repeat([]byte{0xee}, len(page))) }},
	{"torn after a sector", func(page, _ []byte) { clear(page[512:]) }},
	{"torn before the last sectors", func(page, _ []byte) { clear(page[:len(page)-1024]) }},
	{"written by what belongs elsewhere", func(page, before []byte) { copy(page, before) }},
}

// variety fills a store with some of everything, on branches and leaves, and long rows too.
func variety(t *testing.T, s *bolt.Store) {
	t.Helper()
	for i := range 120 {
		apply(t, s, fmt.Sprint("c", i%40), func(turn *store.Turn) {
			turn.Record.People = []string{"p", fmt.Sprint("p", i%40)}
			turn.Record.Keys = []string{fmt.Sprint("k", i)}
			turn.Record.Status = "live"
			turn.Record.Due = time.Date(2090, 1, 1, 0, 0, i, 0, time.UTC)
			turn.Record.Data = bytes.Repeat([]byte{byte(i)}, 300)
			if i%10 == 0 { // in four lanes, one of them with long words
				turn.Send(store.ToTeams, store.Delivery{ID: fmt.Sprint("d", i), Body: make([]byte, 150+200*(i%40))})
			}
			turn.Lines = []store.Line{{Data: make([]byte, 150)}}
			turn.Bury = []store.DeadLetter{{Reason: "r", Delivery: store.Delivery{Body: make([]byte, 100)}}}
		})
	}
	for _, size := range []int{0, 100, 2*store.FilePart + 1} {
		put(t, s, store.File{ID: fmt.Sprint("f", size), Conversation: "c1", Data: bytes.Repeat([]byte{'f'}, size)})
	}
}

// contents is all that is in a store, as far as its methods tell.
func contents(ctx context.Context, s *bolt.Store) (string, error) {
	var all strings.Builder
	for i := range 40 {
		r, err := s.Load(ctx, fmt.Sprint("c", i))
		if err != nil {
			return "", err
		}
		lines, err := s.Lines(ctx, r.ID, 1000)
		if err != nil {
			return "", err
		}
		owner, err := s.Find(ctx, fmt.Sprint("k", 80+i))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&all, r, lines, owner)
	}
	for _, size := range []int{0, 100, 2*store.FilePart + 1} {
		f, err := s.File(ctx, fmt.Sprint("f", size))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&all, f)
	}
	letters, err := s.DeadLetters(ctx, store.DeadLetterFilter{})
	if err != nil {
		return "", err
	}
	sessions, err := s.Sessions(ctx, "", 1000)
	if err != nil {
		return "", err
	}
	stats, err := s.Stats(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&all, letters, sessions, stats.DeadLetters, stats.Live, stats.Waiting)
	rows := s.Rows()
	for _, bucket := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintln(&all, bucket, rows[bucket])
	}
	for {
		l, err := s.Claim(ctx, store.ToTeams, time.Hour, 100)
		if errors.Is(err, store.ErrEmpty) {
			return all.String(), nil
		}
		if err == nil {
			fmt.Fprintln(&all, l.Lane, l.Deliveries)
			err = s.Settle(ctx, l, store.Result{Done: len(l.Deliveries)}, func(*store.Turn) error { return nil })
		}
		if err != nil {
			return "", err
		}
	}
}
