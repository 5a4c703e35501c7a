//go:build unix

package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"snowbot/store"
)

// BenchmarkBesideFiles is how long a call takes, of eight at a time, while so many files of 10 MiB are being written without a pause.
func BenchmarkBesideFiles(b *testing.B) {
	for _, writers := range []int{0, 1, 4} {
		b.Run(fmt.Sprintf("files=%d", writers), func(b *testing.B) {
			s := benchStore(b, filepath.Join(b.TempDir(), "snowbot.db"))
			turn := func(t *store.Turn) error { t.Record.Data = make([]byte, 1000); return nil }
			if err := s.Apply(b.Context(), "c", nil, turn); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var files, calls sync.WaitGroup
			var mu sync.Mutex
			var took, puts []time.Duration
			data := make([]byte, store.MaxFile)
			for w := range writers {
				files.Go(func() {
					for ctx.Err() == nil {
						start := time.Now()
						f := store.File{ID: fmt.Sprint(w), Conversation: "c", Expires: start.Add(time.Hour), Data: data}
						if err := s.PutFile(ctx, f); err != nil && ctx.Err() == nil {
							b.Error(err)
						}
						mu.Lock()
						puts = append(puts, time.Since(start))
						mu.Unlock()
					}
				})
			}
			n := max(b.N/8, 1)
			b.ResetTimer()
			for w := range 8 {
				calls.Go(func() {
					for range n {
						start := time.Now()
						if err := s.Apply(b.Context(), fmt.Sprint("c", w), nil, turn); err != nil {
							b.Error(err)
						}
						mu.Lock()
						took = append(took, time.Since(start))
						mu.Unlock()
					}
				})
			}
			calls.Wait()
			b.StopTimer()
			cancel()
			files.Wait()
			for name, list := range map[string][]time.Duration{"call": took, "file": puts} {
				if slices.Sort(list); len(list) > 0 {
					b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, name+"-p50-ms")
					b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, name+"-p99-ms")
				}
			}
		})
	}
}
