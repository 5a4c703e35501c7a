package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"snowbot/store"
	"snowbot/store/bolt"
)

// A delivery is the same whether it is claimed for the first time, when it may be remembered, or again, when it is read from the
// file; and it is what was committed, whatever its makers and takers do to their copies.
func TestDeliveriesRemembered(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
	s, err := bolt.Open(bolt.Options{
		Path: filepath.Join(t.TempDir(), "snowbot.db"), Keys: testKeys(t, 1), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	const deliveries = 600 // more than are remembered
	var g errgroup.Group
	for i := range deliveries {
		g.Go(func() error {
			body := bytes.Repeat([]byte{byte(i)}, i*20) // some too long to be remembered, one empty
			defer clear(body)
			return s.Apply(t.Context(), fmt.Sprint("c", i), nil, func(turn *store.Turn) error {
				turn.Send(store.ToTeams, store.Delivery{ID: "d", Kind: "message", Session: "s", Accepted: now, Body: body})
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	claimAll := func() map[string]store.Delivery {
		all := map[string]store.Delivery{}
		for {
			l, err := s.Claim(t.Context(), store.ToTeams, time.Minute, 8)
			if errors.Is(err, store.ErrEmpty) {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			d := l.Deliveries[0]
			all[l.Lane.Conversation] = d
			all[l.Lane.Conversation+" body"] = store.Delivery{Body: bytes.Clone(d.Body)}
			clear(d.Body)
		}
	}
	first := claimAll()
	now = now.Add(2 * time.Minute)
	if d := cmp.Diff(claimAll(), first, cmp.Comparer(time.Time.Equal)); d != "" {
		t.Errorf("claimed again, and for the first time: %s", d)
	}
	for i := range deliveries {
		if got := first[fmt.Sprint("c", i, " body")].Body; !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, i*20)) {
			t.Fatalf("the body of delivery %d came back as %d bytes of %v", i, len(got), got[:min(len(got), 1)])
		}
	}
}
