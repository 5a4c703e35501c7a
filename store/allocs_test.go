package store_test

import (
	"bytes"
	"testing"
)

// A kilobyte is about what a record holds.
var kilobyte = bytes.Repeat([]byte("d"), 1000)

func BenchmarkOpen(b *testing.B) {
	k := ring(b, 1)
	sealed := k.Seal("record/a", kilobyte)
	b.ReportAllocs()
	b.SetBytes(int64(len(kilobyte)))
	for b.Loop() {
		if _, err := k.Open("record/a", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// Allocations a sealed value may cost.
func TestAllocationBudgets(t *testing.T) {
	k := ring(t, 1)
	sealed := k.Seal("record/a", kilobyte)
	for _, tt := range []struct {
		name string
		most float64
		do   func()
	}{
		{"seal", 7, func() { k.Seal("record/a", kilobyte) }},
		{"open", 6, func() {
			if _, err := k.Open("record/a", sealed); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if n := testing.AllocsPerRun(200, tt.do); n > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.name, n, tt.most)
		} else {
			t.Logf("%s: %.0f allocations", tt.name, n)
		}
	}
}
