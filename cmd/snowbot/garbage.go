package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go collects garbage when the heap has doubled, by default. This service's heap is a few megabytes and most of what it
// allocates is gone with the request, so that it would collect dozens of times a second for the sake of memory that any
// machine has. A small heap may come to garbageWhole instead; a large one doubles as usual.
const (
	garbageWhole = 56 << 20
	garbageMost  = 800 // percent of the heap
	garbageLook  = time.Second
)

// tuneGarbage keeps the collector's target fitting to the heap, until ctx ends.
func tuneGarbage(ctx context.Context) error {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(garbageLook)
	defer tick.Stop()
	for set := 0; ; {
		metrics.Read(live)
		percent := garbagePercent(live[0].Value.Uint64())
		if d := percent - set; d < -set/8 || d > set/8 { // setting it stops the world for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// garbagePercent is how many percent a heap of so many live bytes may grow before it is collected.
func garbagePercent(live uint64) int {
	grow := garbageWhole - min(live, garbageWhole)
	return int(min(max(grow*100/max(live, 1), 100), garbageMost)) //nolint:gosec // between 100 and 800
}
