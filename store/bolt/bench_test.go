//go:build unix

package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/bolt"
)

// BenchmarkMessages takes messages through Apply, Claim and Settle, as many at a time as there are writers,
// over 10,000 conversations. A message has an event id, a record of 1 KiB and a body of 400 bytes.
func BenchmarkMessages(b *testing.B) {
	for _, writers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := benchStore(b, filepath.Join(b.TempDir(), "snowbot.db"))
			body, data := bytes.Repeat([]byte("b"), 400), bytes.Repeat([]byte("d"), 1000)
			var n, settled atomic.Int64
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var senders, appliers sync.WaitGroup
			for range 8 {
				senders.Go(func() { drainAll(ctx, b, s, &settled, int64(b.N)) })
			}
			b.ResetTimer()
			cpu, commits := cpuTime(), s.Commits()
			for range writers {
				appliers.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						id := fmt.Sprint("message-", i)
						err := s.Apply(ctx, fmt.Sprintf("19:conversation-%d@thread.v2", i*7919%10000), []store.EventID{{Name: id}}, func(t *store.Turn) error {
							t.Record.Status = "live"
							t.Record.Due = t.Now.Add(time.Hour)
							t.Record.Data = append(t.Record.Data[:0], data...)
							t.Send(store.ToServiceNow, store.Delivery{ID: id, Kind: "message", Body: body})
							return nil
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			appliers.Wait()
			applied := b.Elapsed()
			senders.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/applied.Seconds(), "applies/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(b.N)/float64(s.Commits()-commits), "messages/commit")
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/message")
		})
	}
}

// drainAll settles deliveries until there were as many as there should be.
func drainAll(ctx context.Context, b *testing.B, s store.Store, settled *atomic.Int64, want int64) {
	for settled.Load() < want {
		l, err := s.Claim(ctx, store.ToServiceNow, time.Minute, 8)
		if errors.Is(err, store.ErrEmpty) {
			wait, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			err = s.Wait(wait, store.ToServiceNow)
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				b.Error(err)
				return
			}
			continue
		}
		if err == nil {
			err = s.Settle(ctx, l, store.Result{Done: len(l.Deliveries)}, nil)
		}
		if err != nil {
			b.Error(err)
			return
		}
		settled.Add(int64(len(l.Deliveries)))
	}
}

// BenchmarkKnownEvent is a call all of whose ids are known. The commit that it is in keeps everyone waiting, so that the time for
// an id must not grow with the number of them.
func BenchmarkKnownEvent(b *testing.B) {
	for _, n := range []int{store.MaxEvents / 20, store.MaxEvents} {
		b.Run(fmt.Sprintf("ids=%d", n), func(b *testing.B) {
			s := benchStore(b, filepath.Join(b.TempDir(), "snowbot.db"))
			defer s.Close()
			ids := make([]store.EventID, n)
			for i := range ids {
				ids[i].Name = fmt.Sprint("e", i)
			}
			known := func() {
				if err := s.Apply(b.Context(), "c", ids, func(*store.Turn) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			known()
			for b.Loop() {
				known()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/id")
		})
	}
}

// BenchmarkOpen opens a file of 100,000 conversations of which 10,000 have deliveries.
func BenchmarkOpen(b *testing.B) {
	for _, clean := range []bool{true, false} {
		b.Run(fmt.Sprintf("clean=%t", clean), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "snowbot.db")
			s := benchStore(b, path)
			fill(b, s, 100_000, 10_000)
			for b.Loop() {
				b.StopTimer()
				if clean {
					s.Close()
				} else {
					s.Crash()
				}
				b.StartTimer()
				s = benchStore(b, path)
			}
		})
	}
}

func fill(b *testing.B, s store.Store, records, waiting int) {
	data := bytes.Repeat([]byte("d"), 1000)
	var wg sync.WaitGroup
	var n atomic.Int64
	for range 256 {
		wg.Go(func() {
			for i := n.Add(1); i <= int64(records); i = n.Add(1) {
				err := s.Apply(b.Context(), fmt.Sprintf("19:conversation-%d@thread.v2", i), nil, func(t *store.Turn) error {
					t.Record.Data = data
					if i <= int64(waiting) {
						t.Record.Due = t.Now.Add(time.Hour)
						t.Send(store.ToTeams, store.Delivery{ID: "d", Body: data})
					}
					return nil
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func benchStore(b *testing.B, path string) *bolt.Store {
	b.Helper()
	s, err := bolt.Open(bolt.Options{Path: path, Keys: testKeys(b, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
