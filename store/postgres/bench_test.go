package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/store"
	"snowbot/store/postgres"
	"snowbot/store/postgres/postgrestest"
)

// BenchmarkMessages takes messages through Apply, Claim and Settle, as many at a time as there are writers,
// over 10,000 conversations and a server that syncs. A message has an event id, a record of 1 KiB and a body
// of 400 bytes.
func BenchmarkMessages(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			own, err := postgrestest.Start(postgrestest.Options{Fsync: true, Own: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(own.Stop)
			s := open(b, postgres.Options{URL: own.Schema(b, b.Name())})
			body, data := bytes.Repeat([]byte("b"), 400), bytes.Repeat([]byte("d"), 1000)
			var n, settled atomic.Int64
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var senders, appliers sync.WaitGroup
			b.ResetTimer()
			for range min(writers, 8) {
				senders.Go(func() { drainAll(ctx, b, s, &settled, int64(b.N)) })
			}
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
			b.ReportMetric(float64(own.CPU().Microseconds())/float64(b.N), "server-us/message")
		})
	}
}

// BenchmarkApply is Apply alone.
func BenchmarkApply(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			own, err := postgrestest.Start(postgrestest.Options{Fsync: true, Own: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(own.Stop)
			s := open(b, postgres.Options{URL: own.Schema(b, b.Name())})
			data := bytes.Repeat([]byte("d"), 1000)
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						err := s.Apply(b.Context(), fmt.Sprint("c", i%10000), []store.EventID{{Name: fmt.Sprint(i)}}, func(t *store.Turn) error {
							t.Record.Data = data
							t.Send(store.Held, store.Delivery{ID: "d", Body: data[:400]})
							return nil
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
			b.ReportMetric(float64(own.CPU().Microseconds())/float64(b.N), "server-us/apply")
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

// BenchmarkReplicas takes messages through several stores on one database, as replicas would, 64 at a time through each.
func BenchmarkReplicas(b *testing.B) {
	for _, replicas := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			own, err := postgrestest.Start(postgrestest.Options{Fsync: true, Own: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(own.Stop)
			url := own.Schema(b, b.Name())
			body := bytes.Repeat([]byte("b"), 400)
			var n, settled atomic.Int64
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var all sync.WaitGroup
			var stores []*postgres.Store
			for range replicas {
				stores = append(stores, open(b, postgres.Options{URL: url, Replica: true}))
			}
			b.ResetTimer()
			for _, s := range stores {
				for range 8 {
					all.Go(func() { drainAll(ctx, b, s, &settled, int64(b.N)) })
				}
				for range 64 {
					all.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							id := fmt.Sprint("message-", i)
							err := s.Apply(ctx, fmt.Sprint("c", i*7919%10000), []store.EventID{{Name: id}}, func(t *store.Turn) error {
								t.Record.Data = body
								t.Send(store.ToServiceNow, store.Delivery{ID: id, Body: body})
								return nil
							})
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
