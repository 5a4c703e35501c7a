package postgres

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"snowbot/store"
)

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, conversationID string, ids []store.EventID, f func(*store.Turn) error) error {
	if err := store.CheckID("conversation", conversationID); err != nil {
		return err
	}
	if err := store.CheckEvents(ids); err != nil {
		return err
	}
	hashes := make([][16]byte, len(ids))
	asked := make([][16]byte, 0, 2*len(ids)) // also as they come from a copy
	for i, id := range ids {
		sum := sha256.Sum256([]byte(id.Name))
		hashes[i] = [16]byte(sum[:])
		asked = append(asked, hashes[i], short(hashes[i]))
	}
	var known [][16]byte
	c := &call{conversation: conversationID, create: true, whole: true}
	if len(ids) > 0 {
		c.reads = func(t *tx) {
			known = nil
			t.reads.addEvents(conversationID, asked, &known, s.moment())
		}
	}
	c.run = func(ctx context.Context, t *tx, cv *conversation) error {
		fresh := make([]bool, len(ids))
		seen := make(map[[16]byte]bool, len(ids))
		for _, h := range known {
			seen[short(h)] = true
		}
		added := 0
		for i, h := range hashes {
			if fresh[i] = !seen[short(h)]; fresh[i] {
				seen[short(h)] = true
				added++
			}
		}
		if len(ids) > 0 && added == 0 {
			// What it repeats may be seen and not be on the standby yet, when the wait for it was cut short. An empty commit,
			// which others share, waits for both.
			t.changed = true
			return nil
		}
		p, err := s.plan(ctx, t, c, cv, slices.Clone(fresh), f) // the turn may write to its copy
		if err != nil {
			return err
		}
		for i, h := range hashes {
			if fresh[i] {
				t.bulk.addEvent(cv.no, h, t.now.Add(keep(ids[i])))
			}
		}
		return stage(ctx, t, p)
	}
	return s.do(ctx, c)
}

// short is as much of a hash as every store keeps.
func short(hash [16]byte) (h [16]byte) {
	copy(h[:], hash[:store.EventHashSize])
	return h
}

// keep is how long a repeat of the event is recognised.
func keep(id store.EventID) time.Duration {
	if id.Keep <= 0 || id.Keep > store.KeepMax {
		return store.KeepMax
	}
	return id.Keep
}
