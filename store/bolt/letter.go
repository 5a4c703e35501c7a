package bolt

import (
	"context"
	"encoding/binary"
	"fmt"

	"snowbot/store"
)

// keyLetters is where the meta bucket keeps how many dead letters there are.
const keyLetters = "letters"

// maxPage is how many rows a list holds at most, which is also the default.
const maxPage = 1000

func pageSize(limit int) int {
	if limit <= 0 || limit > maxPage {
		return maxPage
	}
	return limit
}

// addLetter stages a dead letter. Its id grows with time.
func (b *batch) addLetter(l *letter) {
	l.at = micros(b.now)
	l.reason = store.Cut(l.reason)
	seq, err := b.letters.NextSequence()
	b.breaks(err)
	id := fmt.Sprintf("%012x%08x", max(b.now.UnixMilli(), 0), seq)
	b.put(b.letters, []byte(id), l.row())
	b.countLetters(1)
}

func (b *batch) countLetters(more int) {
	b.moreLetters += more
	b.s.mu.Lock()
	n := b.s.letters + b.moreLetters
	b.s.mu.Unlock()
	b.put(b.meta, []byte(keyLetters), binary.AppendUvarint(nil, uint64(n)))
}

// buryEvent stages a dead letter that never was a delivery.
func (b *batch) buryEvent(conversation string, dl *store.DeadLetter) {
	l := &letter{reason: dl.Reason, delivery: delivery{conversation: conversation, Delivery: dl.Delivery}}
	l.Begun, l.Failed, l.Attempts = false, 0, nil
	if l.Accepted.IsZero() {
		l.Accepted = b.now
	}
	l.sealed = b.s.keys.Seal(store.DeliveryName(conversation, l.ID), dl.Delivery.Body)
	b.addLetter(l)
}

// dropLetter stages the removal of a dead letter.
func (b *batch) dropLetter(id []byte) {
	b.remove(b.letters, id)
	b.countLetters(-1)
}

// DeadLetters implements store.Store.
func (s *Store) DeadLetters(ctx context.Context, f store.DeadLetterFilter) ([]store.DeadLetter, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	var out []store.DeadLetter
	err := s.view(func(b buckets) error {
		c := b.letters.Cursor()
		k, row := c.Seek([]byte(f.After))
		if k != nil && string(k) == f.After {
			k, row = c.Next()
		}
		for n := 0; k != nil && len(out) < pageSize(f.Limit); k, row = c.Next() {
			if n++; n%maxPage == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			l, err := decodeLetter(row)
			if err != nil {
				return fmt.Errorf("dead letter %s: %w", k, err)
			}
			if !l.matches(f) {
				continue
			}
			d, err := l.open(s.keys)
			if err != nil {
				d = l.Delivery // without its body, which is damaged
			}
			out = append(out, store.DeadLetter{
				ID:     string(k),
				Lane:   store.Lane{Conversation: l.conversation, Direction: l.to.direction()},
				Reason: l.reason, At: fromMicros(l.at), Delivery: d,
			})
		}
		return nil
	})
	return out, err
}

func (r *letter) matches(f store.DeadLetterFilter) bool {
	return (f.Conversation == "" || f.Conversation == r.conversation) &&
		(f.Reason == "" || f.Reason == r.reason) &&
		(f.Since.IsZero() || r.at >= micros(f.Since)) &&
		(f.Until.IsZero() || r.at < micros(f.Until))
}

// Retry implements store.Store.
func (s *Store) Retry(ctx context.Context, id string) error {
	return s.do(ctx, func(b *batch) error {
		l, err := b.letter(id)
		if err != nil {
			return err
		}
		rec, err := b.record(l.conversation)
		if err != nil {
			return err
		}
		if l.to == noLane || rec == nil {
			return store.ErrNotFound
		}
		d := l.delivery
		// Sealed with the first key like all that is written: a Rekey under way may have passed the end of the
		// deliveries already, and would then take the older key away.
		if d.sealed = b.reseal(store.DeliveryName(l.conversation, d.ID), l.sealed); d.sealed == nil {
			d.sealed = append([]byte(nil), l.sealed...)
		}
		d.Accepted, d.NotBefore = b.now, fromMicros(0)
		d.Failed, d.Attempts, d.Begun = 0, nil, false
		b.push(b.lane(laneKey{rec.no, l.to}, l.conversation), &d) // which sets its number anew
		b.dropLetter([]byte(id))
		return nil
	})
}

// Discard implements store.Store.
func (s *Store) Discard(ctx context.Context, id string) error {
	return s.do(ctx, func(b *batch) error {
		if _, err := b.letter(id); err != nil {
			return err
		}
		b.dropLetter([]byte(id))
		return nil
	})
}

func (b *batch) letter(id string) (*letter, error) {
	row := b.letters.Get([]byte(id))
	if id == "" || row == nil {
		return nil, store.ErrNotFound
	}
	return decodeLetter(row)
}

// check says why a call that only reads cannot be taken.
func (s *Store) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(ctx)
}
