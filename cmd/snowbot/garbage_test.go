package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing yet", 0, garbageMost},
		{"idle", 4 << 20, garbageMost},
		{"a few hundred chats", 16 << 20, 250},
		{"ten thousand chats", 40 << 20, 100},
		{"huge", 1 << 34, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := garbagePercent(tt.live); got != tt.want {
				t.Errorf("garbagePercent(%d) = %d, want %d", tt.live, got, tt.want)
			}
		})
	}
}
