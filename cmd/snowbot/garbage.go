package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go collects garbage when the heap has doubled, by default. This service's heap is a few megabytes and most of what it
// allocates is gone with the request, so that under load it would collect dozens of times a second for the sake of memory that
// any machine has. So a small heap may come to garbageWhole while there is much to do. When there is little to do,
// garbage is collected as soon as there are a few megabytes: it would lie there for minutes.
const (
	garbageWhole  = 60 << 20
	garbageLeast  = 6 << 20
	garbageMost   = 800 // percent of the heap
	garbageCycles = 2   // collections a second that cost too little to be avoided
	garbageLook   = time.Second
)

// tuneGarbage keeps the collector's target fitting to the heap and to what is allocated, until ctx ends: after each collection,
// since the heap may grow to many times what it was between two looks at the clock, and each second.
func tuneGarbage(ctx context.Context) error {
	var g garbage
	collected := make(chan struct{}, 1)
	afterCollections(ctx, func() {
		select {
		case collected <- struct{}{}:
		default: // it has not been looked at yet
		}
	})
	tick := time.NewTicker(garbageLook)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g.measure(now.Sub(last))
			last = now
		case <-collected:
		}
		g.tune()
	}
}

// afterCollections calls f after each collection of garbage, until ctx ends.
func afterCollections(ctx context.Context, f func()) {
	type mark struct{ _ *mark } // with a pointer, or it would share its memory with others
	var again func(struct{})
	again = func(struct{}) {
		if ctx.Err() == nil {
			f()
			runtime.AddCleanup(new(mark), again, struct{}{})
		}
	}
	runtime.AddCleanup(new(mark), again, struct{}{})
}

// A garbage is what is known of the heap.
type garbage struct {
	allocated uint64 // bytes, since the start
	rate      uint64 // bytes a second
	set       int    // percent
}

// measure takes the rate of the last while.
func (g *garbage) measure(while time.Duration) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	now := sample[0].Value.Uint64()
	g.rate = uint64(float64(now-g.allocated) / max(while, time.Millisecond).Seconds())
	g.allocated = now
}

// tune sets the collector's target.
func (g *garbage) tune() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(sample)
	percent := garbagePercent(sample[0].Value.Uint64(), sample[1].Value.Uint64()+sample[2].Value.Uint64(), g.rate)
	if d := percent - g.set; d < -g.set/8 || d > g.set/8 { // setting it stops the world for a moment
		debug.SetGCPercent(percent)
		g.set = percent
	}
}

// garbagePercent is how many percent a heap of so many live bytes may grow before it is collected, of itself and the other roots,
// when so many bytes a second are allocated.
func garbagePercent(live, roots, rate uint64) int {
	most := max(garbageWhole-min(live, garbageWhole), live/2)
	least := min(max(garbageLeast, live/4), most)
	grow := min(max(rate/garbageCycles, least), most)
	return int(min(grow*100/max(live+roots, 1), garbageMost)) // 800 at most
}
