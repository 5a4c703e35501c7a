package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"snowbot/store"
	"snowbot/store/bolt"
)

// What is remembered of records must never differ from what is in the file, however many conversations take turns, and whoever edits what
// was given to them.
func TestRecordsRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snowbot.db")
	open := func() *bolt.Store {
		s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(t, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open()
	const conversations = 1500 // more than are remembered
	turn := func(i, round int) error {
		key, data := fmt.Sprint("key-", i), fmt.Append(nil, "data ", i, " ", round)
		err := s.Apply(t.Context(), fmt.Sprint("c", i), []store.EventID{{Name: fmt.Sprint(round)}}, func(turn *store.Turn) error {
			if round > 0 {
				if want := fmt.Sprint("data ", i, " ", round-1); string(turn.Record.Data) != want {
					return fmt.Errorf("turn %d of %d found %q, not %q", round, i, turn.Record.Data, want)
				}
			}
			turn.Record.Keys, turn.Record.Data = append(turn.Record.Keys[:0], key), data
			return nil
		})
		if err != nil {
			return err
		}
		clear(data) // it was the caller's
		r, err := s.Load(t.Context(), fmt.Sprint("c", i))
		clear(r.Data)
		clear(r.Keys)
		return err
	}
	for round := range 2 {
		var g errgroup.Group
		g.SetLimit(256)
		for i := range conversations {
			g.Go(func() error { return turn(i, round) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	failed := s.Apply(t.Context(), "c1499", nil, func(turn *store.Turn) error {
		clear(turn.Record.Data)
		clear(turn.Record.Keys)
		return errors.New("changed its mind")
	})
	if failed == nil {
		t.Fatal("a turn that failed was taken")
	}
	before := map[string]store.Record{}
	for i := range conversations {
		id := fmt.Sprint("c", i)
		r, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		before[id] = r
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	for id, r := range before {
		again, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(again, r, cmp.Comparer(time.Time.Equal)); d != "" {
			t.Fatalf("%s in the file, and as it was remembered: %s", id, d)
		}
	}
}
