package adapter

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// An inner test: from outside it would take thousands of signatures.
func TestProvenCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c provenCache
	id := func(i int) [sha256.Size]byte { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for i := range 5 * maxProven {
		c.put(id(i), proven{serviceURL: "x"})
		if _, ok := c.get(id(0)); !ok {
			t.Fatalf("a token in use was forgotten after %d others", i)
		}
		if _, ok := c.get(id(i)); !ok {
			t.Fatalf("token %d was forgotten at once", i)
		}
	}
	if n := len(c.young) + len(c.old); n > maxProven {
		t.Errorf("%d tokens are remembered, want at most %d", n, maxProven)
	}
	c.drop(id(0))
	if _, ok := c.get(id(0)); ok {
		t.Error("a dropped token is remembered")
	}
}
