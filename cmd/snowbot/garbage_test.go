package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	const busy = 300 << 20
	for _, tt := range []struct {
		name              string
		live, roots, rate uint64
		want              int
	}{
		{"nothing yet", 0, 0, 0, garbageMost},
		{"nothing to do", 8 << 20, 2 << 20, 1 << 20, 60},
		{"a few messages a second", 8 << 20, 2 << 20, 64 << 20, 320},
		{"two hundred chats", 14 << 20, 6 << 20, busy, 230},
		{"a small heap", 4 << 20, 1 << 20, busy, garbageMost},
		{"ten thousand chats", 40 << 20, 10 << 20, busy, 40},
		{"ten thousand chats, and nothing to do", 40 << 20, 10 << 20, 1 << 20, 20},
		{"huge", 1 << 34, 0, 1 << 36, 50},
		{"huge, and nothing to do", 1 << 34, 0, 0, 25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := garbagePercent(tt.live, tt.roots, tt.rate); got != tt.want {
				t.Errorf("garbagePercent(%d, %d, %d) = %d, want %d", tt.live, tt.roots, tt.rate, got, tt.want)
			}
		})
	}
}
