package bot

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/store"
)

func TestReplicasShareTheRateOfATenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = 30
		var n atomic.Int64
		var rooms []*room
		for i := range 3 {
			r := newRoom(all)
			r.replicas = func() int { return int(n.Load()) }
			for j := range 400 {
				r.waiting(fmt.Sprintf("%d/%d", i, j), kindText, time.Now(), newHost("teams"))
			}
			rooms = append(rooms, r)
		}
		// so many are sent in a stretch of time
		sent := func(stretch time.Duration) []int {
			end := time.Now().Add(stretch)
			by := make([]int, len(rooms))
			var all sync.WaitGroup
			for i, r := range rooms {
				all.Go(func() {
					for time.Now().Before(end) {
						c, course, pause := r.take(store.ToTeams)
						if c == nil {
							<-time.After(min(pause, time.Until(end)))
						} else if course == goOn {
							r.finish(c, 1, nil)
							by[i]++
						}
					}
				})
			}
			all.Wait()
			return by
		}
		if by := sent(time.Second); slices.Max(by) != 0 {
			t.Errorf("replicas that do not know of each other sent %d", by)
		}
		n.Store(3)
		<-time.After(time.Second)
		if by := sent(time.Second - time.Millisecond); !slices.Equal(by, []int{10, 10, 10}) {
			t.Errorf("three replicas sent %d in a second, want ten each", by)
		}
		n.Store(1)
		<-time.After(time.Second)
		if by := sent(time.Second - time.Millisecond); slices.Max(by) != all {
			t.Errorf("one that is alone sent %d in a second, want %d", by, all)
		}
	})
}

func TestReplicasWriteDownEverySend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]bool{0: true, 1: false, 2: true} {
			r := newRoom(30)
			r.waiting("c", kindText, time.Now(), newHost("teams"))
			c, _, _ := r.take(store.ToTeams)
			r.replicas = func() int { return n }
			r.finish(c, 1, nil)
			if s, busy := r.recent(c); s == nil || busy != want {
				t.Errorf("of %d replicas: the send is written down at once: %t, want %t", n, busy, want)
			}
		}
	})
}

func TestReplicasOpenABreakerTogether(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{1: 20, 2: 10, 3: 7, 4: 5, 9: 5} {
		h := newHost("teams")
		h.share = func() int { return n }
		calls := 0
		for ; !h.out() && calls < 50; calls++ {
			report, _ := h.ask()
			report(errors.New("away"))
		}
		if calls != want {
			t.Errorf("the breaker of one of %d replicas opened after %d calls, want %d", n, calls, want)
		}
	}
}
