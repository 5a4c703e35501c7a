package bolt_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"snowbot/store"
)

// The commit that a call with many event ids is in keeps everyone waiting, so that its work must not grow
// with the square of their number.
func TestManyEventIDsAreCheap(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "snowbot.db"))
	// repeat returns how long a call takes whose ids are all known, and which therefore writes nothing.
	repeat := func(n int) time.Duration {
		ids := make([]store.EventID, n)
		for i := range ids {
			ids[i].Name = fmt.Sprint("e", i)
		}
		best := time.Duration(-1)
		for range 24 { // one of them will not be interrupted
			start := time.Now()
			if err := s.Apply(t.Context(), fmt.Sprint("c", n), ids, func(*store.Turn) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); best < 0 || took < best { // the first is new and takes longer
				best = took
			}
		}
		return best
	}
	few, many := repeat(store.MaxEvents/20), repeat(store.MaxEvents)
	if many > 100*few { // 20 is proportional, 400 is the square
		t.Errorf("%d ids took %v, and a twentieth of them %v", store.MaxEvents, many, few)
	}
}
