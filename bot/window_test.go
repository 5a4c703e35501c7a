package bot

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// documented are the windows as Teams documents them.
var documented = []limit{{7, time.Second}, {8, 2 * time.Second}, {60, 30 * time.Second}, {1800, time.Hour}}

// exceeded returns a window that would have held more than it may, if Teams counted the sends at these times.
func exceeded(at []time.Time) (limit, bool) {
	for _, l := range documented {
		for i := range at {
			if j := i - l.n; j >= 0 && at[i].Sub(at[j]) < l.d {
				return l, true
			}
		}
	}
	return limit{}, false
}

func TestWindowsAreNeverExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &window{}
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		var counted []time.Time
		for range rapid.IntRange(1, 300).Draw(t, "sends") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 300, 900, 20_000}).Draw(t, "pause")) * time.Millisecond)
			if next := w.next(now); next.After(now) {
				if w.free(now) != 0 {
					t.Fatalf("%d free, and yet a send has to wait", w.free(now))
				}
				now = next
			}
			if next := w.next(now); next.After(now) {
				t.Fatalf("told to come at %v, and then at %v", now, next)
			}
			if w.free(now) < 1 {
				t.Fatal("none free at the time that was named")
			}
			w.flying++
			counted = append(counted, now.Add(time.Duration(rapid.IntRange(0, 800).Draw(t, "until it was counted"))*time.Millisecond))
			now = counted[len(counted)-1].Add(time.Duration(rapid.IntRange(0, 800).Draw(t, "until it was answered")) * time.Millisecond)
			w.flying--
			w.add(now, 1)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 { // only the state is left
				raw, err := json.Marshal(w.pack(now))
				if err != nil {
					t.Fatal(err)
				}
				if len(raw) > 1000 {
					t.Fatalf("the state grows by %d bytes", len(raw))
				}
				var s *sends
				if err := json.Unmarshal(raw, &s); err != nil {
					t.Fatal(err)
				}
				w = &window{}
				w.learn(s, now)
			}
		}
		if l, bad := exceeded(counted); bad {
			t.Fatalf("more than %d in %v", l.n, l.d)
		}
	})
}

func TestWindowOfAnHour(t *testing.T) {
	t.Parallel()
	w := &window{}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var at []time.Time
	for range 4000 {
		now = w.next(now)
		at = append(at, now)
		w.add(now, 1)
	}
	if l, bad := exceeded(at); bad {
		t.Errorf("more than %d in %v", l.n, l.d)
	}
	if took := at[len(at)-1].Sub(at[0]); took > 2*time.Hour+10*time.Minute { // 4,000 take two hours, and what the last 402 need
		t.Errorf("4,000 sends took %v", took)
	}
	if n := len(w.past); n > minutesKept+1 {
		t.Errorf("%d minutes are kept", n)
	}
}

func TestWindowsAreKeptOneBelow(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, l := range documented {
		w, now, n := &window{}, start, 0
		for now = w.next(now); now.Sub(start) < l.d; now = w.next(now) {
			w.add(now, 1)
			n++
		}
		if n != l.n-1 {
			t.Errorf("%d sends in %v, want %d, one below what is documented", n, l.d, l.n-1)
		}
	}
}

func TestASendWithoutAnAnswerCounts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w := &window{}
	w.add(now, 4)
	w.flying = 1 // typing, beside the lane
	if free := w.free(now); w.next(now).After(now) || free != 1 {
		t.Errorf("after four sends and with one under way %d may begin, want 1", free)
	}
	w.flying = 2
	if free := w.free(now); !w.next(now).After(now) || free != 0 {
		t.Errorf("after four sends and with two under way %d may begin, want none", free)
	}
}

func TestWindowLearnsOnce(t *testing.T) {
	t.Parallel()
	w := &window{}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range 5 {
		w.add(now.Add(time.Duration(i)*100*time.Millisecond), 1)
	}
	now = now.Add(500 * time.Millisecond)
	before := slices.Clone(w.recent)
	for range 3 {
		w.learn(w.pack(now), now)
	}
	if !slices.Equal(before, w.recent) || w.past[0].n != 5 {
		t.Errorf("what it knew already was counted again: %v, %v", w.recent, w.past)
	}
}

func TestAClockSetBackHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := &window{}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for range 6 {
		w.add(now, 1)
	}
	back := now.Add(-time.Hour)
	if next := w.next(back); next.After(back) {
		t.Errorf("after the clock was set back the next send waits for %v", next.Sub(back))
	}
}

func TestTenantRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := &rate{n: 5}
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		var at []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "pause")) * time.Millisecond)
			now = r.next(now)
			if r.free(now) < 1 {
				t.Fatal("none free at the time that was named")
			}
			at = append(at, now)
			r.add(now, 1)
			if n := len(at); n > 5 && now.Sub(at[n-6]) < time.Second {
				t.Fatal("six in a second")
			}
		}
	})
}
