package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
	"snowbot/store/bolt"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string) bolt.Options
		want []string // in the error
	}{
		{"NoPath", func(t *testing.T, _ string) bolt.Options {
			return bolt.Options{Keys: testKeys(t, 1)}
		}, []string{"no path"}},
		{"NoKeys", func(_ *testing.T, path string) bolt.Options {
			return bolt.Options{Path: path}
		}, []string{"no keys"}},
		{"NegativeTimeout", func(t *testing.T, path string) bolt.Options {
			return bolt.Options{Path: path, Keys: testKeys(t, 1), LockTimeout: -1}
		}, []string{"negative"}},
		{"NoDirectory", func(t *testing.T, path string) bolt.Options {
			return bolt.Options{Path: filepath.Join(path, "sub", "x.db"), Keys: testKeys(t, 1)}
		}, []string{"directory", "make it"}},
		{"DirectoryIsAFile", func(t *testing.T, path string) bolt.Options {
			write(t, path, []byte("x"))
			return bolt.Options{Path: filepath.Join(path, "x.db"), Keys: testKeys(t, 1)}
		}, []string{"is not a directory"}},
		{"PathIsADirectory", func(t *testing.T, path string) bolt.Options {
			return bolt.Options{Path: filepath.Dir(path), Keys: testKeys(t, 1)}
		}, []string{"not a regular file", "another path"}},
		{"NotBbolt", func(t *testing.T, path string) bolt.Options {
			write(t, path, []byte(strings.Repeat("what is this? ", 9000)))
			return bolt.Options{Path: path, Keys: testKeys(t, 1)}
		}, []string{"not a store of snowbot", "backup"}},
		{"AnotherProgram", func(t *testing.T, path string) bolt.Options {
			db := must(bbolt.Open(path, 0o600, nil))(t)
			if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }); err != nil {
				t.Fatal(err)
			}
			db.Close()
			return bolt.Options{Path: path, Keys: testKeys(t, 1)}
		}, []string{"another program", "another path"}},
		{"CutShort", func(t *testing.T, path string) bolt.Options {
			filled(t, path)
			if err := os.Truncate(path, 5*4096); err != nil {
				t.Fatal(err)
			}
			return bolt.Options{Path: path, Keys: testKeys(t, 1)}
		}, []string{"cut short", "backup"}},
		{"CutAfterTheFirstMeta", func(t *testing.T, path string) bolt.Options {
			filled(t, path)
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
			return bolt.Options{Path: path, Keys: testKeys(t, 1)}
		}, []string{"cut short", "backup"}},
		{"NewerFormat", func(t *testing.T, path string) bolt.Options {
			filled(t, path)
			db := must(bbolt.Open(path, 0o600, nil))(t)
			if err := db.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{77})
			}); err != nil {
				t.Fatal(err)
			}
			db.Close()
			return bolt.Options{Path: path, Keys: testKeys(t, 1)}
		}, []string{"newer snowbot", "77"}},
		{"WrongKey", func(t *testing.T, path string) bolt.Options {
			filled(t, path)
			return bolt.Options{Path: path, Keys: testKeys(t, 2)}
		}, []string{"DATA_ENCRYPTION_KEY", testKeys(t, 1).First().String()}},
		{"InUse", func(t *testing.T, path string) bolt.Options {
			open(t, path)
			return bolt.Options{Path: path, Keys: testKeys(t, 1), LockTimeout: 50 * time.Millisecond}
		}, []string{"another snowbot", "PostgreSQL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := tt.make(t, filepath.Join(t.TempDir(), "snowbot.db"))
			s, err := bolt.Open(o)
			if err == nil {
				s.Close()
				t.Fatal("Open succeeded")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open: %v; want it to say %q", err, want)
				}
			}
		})
	}
}

func TestOpenWaitsOneSecondForTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	open(t, path)
	start := time.Now()
	if _, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)}); err == nil {
		t.Fatal("Open succeeded")
	}
	if took := time.Since(start); took < 900*time.Millisecond || took > 3*time.Second {
		t.Errorf("Open gave up after %v, want about a second", took)
	}
}

func TestFileIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestOneDamagedMetaIsSurvived(t *testing.T) {
	t.Parallel()
	for page := range 2 {
		path := filepath.Join(t.TempDir(), "snowbot.db")
		filled(t, path)
		f := must(os.OpenFile(path, os.O_RDWR, 0))(t)
		if _, err := f.WriteAt([]byte("damage"), int64(page*os.Getpagesize()+20)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		s := open(t, path) // the last commit is lost or not, by the page
		if _, err := s.Load(t.Context(), "c3"); err != nil {
			t.Errorf("Load with meta page %d damaged: %v", page, err)
		}
	}
}

func TestUncleanStopCountsHeads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := open(t, path)
	apply(t, s, "c1", func(turn *store.Turn) {
		turn.Send(store.ToTeams, store.Delivery{ID: "d1"})
		turn.Send(store.ToTeams, store.Delivery{ID: "d2"})
		turn.Send(store.ToServiceNow, store.Delivery{ID: "d3"})
		turn.Send(store.Held, store.Delivery{ID: "d4"})
		turn.Send(store.ToBot, store.Delivery{ID: "d5", NotBefore: turn.Now.Add(time.Hour)})
	})
	s.Crash()
	s = open(t, path)
	if got := s.PossibleRepeats(); got != 2 {
		t.Errorf("PossibleRepeats = %d after a crash, want 2", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := s.PossibleRepeats(); got != 0 {
		t.Errorf("PossibleRepeats = %d after Close, want 0", got)
	}
	s.Crash()
	if got := open(t, path).PossibleRepeats(); got != 2 {
		t.Errorf("PossibleRepeats = %d after another crash, want 2", got)
	}
}

func TestErasedStoreIsEmpty(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := bolt.Open(bolt.Options{
		Path: filepath.Join(t.TempDir(), "snowbot.db"), Keys: testKeys(t, 1), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fresh := s.Rows()
	for i := range 200 {
		if i%50 == 49 {
			put(t, s, store.File{ID: fmt.Sprint("f", i%100), Conversation: fmt.Sprint("c", i%2), Data: make([]byte, 300_000)})
		}
		if i%20 == 0 {
			now = now.Add(25 * time.Hour)
		}
		var ids []store.EventID
		for j := range 20 {
			ids = append(ids, store.EventID{Name: fmt.Sprint(i, j)})
		}
		err := s.Apply(t.Context(), fmt.Sprint("c", i%2), ids, func(turn *store.Turn) error {
			turn.Record.People = []string{"p", fmt.Sprint("p", i)}
			turn.Record.Keys = []string{fmt.Sprint("k", i)}
			turn.Record.Status = "live"
			turn.Record.Due = now
			turn.Send(store.ToTeams, store.Delivery{ID: "d"})
			turn.Lines = []store.Line{{Data: []byte("line")}}
			turn.Bury = []store.DeadLetter{{Reason: "r"}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	full := s.Rows()
	for name, n := range map[string]int{"records": 2, "keys": 2, "people": 4, "live": 2, "timers": 2, "ages": 2, "lines": 200, "deliveries": 200, "letters": 200, "files": 2, "parts": 38} {
		if full[name] != n {
			t.Errorf("%d rows of %s, want %d", full[name], name, n)
		}
	}
	if full["events"] == 0 {
		t.Error("no event ids left their records")
	}
	if n, err := s.Erase(t.Context(), "p"); n != 2 || err != nil {
		t.Errorf("Erase = %d, %v, want 2", n, err)
	}
	fresh["meta"]++ // the count of dead letters
	if diff := cmp.Diff(fresh, s.Rows()); diff != "" {
		t.Errorf("rows are left (-want +got):\n%s", diff)
	}
}

func TestWaitIsWokenAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	slow := 0
	for i := range 5 {
		woken := make(chan time.Time)
		go func() {
			for {
				if err := s.Wait(t.Context(), store.ToTeams); err != nil {
					t.Error(err)
				}
				if _, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 1); err == nil {
					woken <- time.Now()
					return
				}
			}
		}()
		apply(t, s, fmt.Sprint("c", i), func(turn *store.Turn) { turn.Send(store.ToTeams, store.Delivery{ID: "d"}) })
		start := time.Now()
		if (<-woken).Sub(start) > 300*time.Millisecond {
			slow++
		}
	}
	if slow > 2 { // one look at the clock takes a second
		t.Errorf("%d of 5 waiting calls were not woken", slow)
	}
}

func TestLoadIsReadFromWaitingLanesAndTimersOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := open(t, path)
	for _, c := range []string{"c1", "c2"} {
		apply(t, s, c, func(*store.Turn) {})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := must(bbolt.Open(path, 0o600, nil))(t)
	err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("records")).Put([]byte("c1"), []byte("damaged")) })
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if _, err := s.Load(t.Context(), "c2"); err != nil {
		t.Errorf("Load of another conversation: %v", err)
	}
	if _, err := s.Load(t.Context(), "c1"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load of a damaged record: %v", err)
	}
}

func TestDamagedBodyDoesNotBlockItsLane(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	s := open(t, path)
	apply(t, s, "c1", func(turn *store.Turn) {
		for _, id := range []string{"d1", "d2", "d3"} {
			turn.Send(store.ToTeams, store.Delivery{ID: id, Body: []byte("body")})
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := must(bbolt.Open(path, 0o600, nil))(t)
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("deliveries"))
		for _, place := range [][]byte{{0, 0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 0, 3}} {
			row := bytes.Clone(b.Get(place))
			row[len(row)-1] ^= 1
			if err := b.Put(place, row); err != nil {
				return err
			}
		}
		return nil
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9)
	if err != nil || len(l.Deliveries) != 1 || l.Deliveries[0].ID != "d2" {
		t.Fatalf("Claim = %+v, %v, want d2 alone", l, err)
	}
	if err := s.Settle(t.Context(), l, store.Result{Done: 1}, nil); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 9); !errors.Is(err, store.ErrEmpty) {
		t.Fatalf("Claim = %+v, %v, want ErrEmpty", l, err)
	}
	dead, err := s.DeadLetters(t.Context(), store.DeadLetterFilter{Reason: "damaged"})
	if err != nil || len(dead) != 2 || dead[0].Delivery.ID != "d1" || dead[1].Delivery.ID != "d3" {
		t.Errorf("DeadLetters = %+v, %v, want d1 and d3", dead, err)
	}
}

func open(t *testing.T, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// filled leaves a closed file with some pages in it.
func filled(t *testing.T, path string) {
	t.Helper()
	s := open(t, path)
	for _, c := range []string{"c1", "c2", "c3"} {
		apply(t, s, c, func(turn *store.Turn) { turn.Record.Data = make([]byte, 10000) })
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// put puts a file that expires in the far future.
func put(t *testing.T, s *bolt.Store, f store.File) {
	t.Helper()
	f.Expires = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := s.PutFile(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, s *bolt.Store, conversation string, f func(*store.Turn)) {
	t.Helper()
	if err := s.Apply(t.Context(), conversation, nil, func(turn *store.Turn) error { f(turn); return nil }); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// must returns a value that there has to be.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestDamagedPagesAreTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.db")
	filled(t, path)
	info := must(os.Stat(path))(t)
	f := must(os.OpenFile(path, os.O_RDWR, 0))(t)
	junk := bytes.Repeat([]byte{0xee}, int(info.Size())-2*os.Getpagesize())
	if _, err := f.WriteAt(junk, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)})
	if err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	if !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "backup") {
		t.Errorf("Open: %v", err)
	}
}
