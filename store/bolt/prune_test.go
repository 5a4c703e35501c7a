package bolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
)

// TestPruningLeavesNoLineBehind: a line that is pruned takes those of its conversation before it along, also when the clock was
// ahead when they were written. Without it, no erasure would find them.
func TestPruningLeavesNoLineBehind(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "snowbot.db"), Keys: testKeys(t, 1), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, at := range []time.Time{now.Add(1000 * time.Hour), now.Add(1001 * time.Hour), now, now.Add(time.Hour)} {
		err := s.Apply(t.Context(), "c", nil, func(turn *store.Turn) error {
			turn.Record.People = []string{"p"}
			turn.Lines = []store.Line{{At: at, Data: []byte("line")}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Prune(t.Context(), store.Limits{Lines: now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if got := s.Rows()["lines"]; got != 1 {
		t.Errorf("%d lines are left, want 1", got)
	}
	if n, err := s.Erase(t.Context(), "p"); n != 1 || err != nil {
		t.Errorf("Erase: %d, %v", n, err)
	}
	if got := s.Rows()["lines"]; got != 0 {
		t.Errorf("%d lines are left of somebody who was erased", got)
	}
}
