package bolt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, conversation string) (store.Record, error) {
	var rec store.Record
	if err := s.check(ctx); err != nil {
		return rec, err
	}
	if rec, ok := s.records.load(conversation); ok {
		return rec, nil
	}
	err := s.read(func(tx *bbolt.Tx) (err error) {
		rec, _, err = s.load1(tx.Bucket([]byte(bucketRecords)), conversation)
		return err
	})
	return rec, err
}

// load1 reads a record.
func (s *Store) load1(records *bbolt.Bucket, conversation string) (store.Record, *record, error) {
	row := records.Get([]byte(conversation))
	if conversation == "" || row == nil {
		return store.Record{}, nil, store.ErrNotFound
	}
	r, err := decodeRecord(row)
	if err != nil {
		return store.Record{}, nil, fmt.Errorf("record of %s: %w", conversation, err)
	}
	rec, err := r.open(s.keys, conversation)
	if err != nil {
		return store.Record{}, nil, fmt.Errorf("record of %s: %w", conversation, err)
	}
	return rec, r, nil
}

// Find implements store.Store.
func (s *Store) Find(ctx context.Context, key string) (string, error) {
	if err := s.check(ctx); err != nil {
		return "", err
	}
	var conversation string
	err := s.read(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte(bucketKeys)).Get([]byte(key))
		if key == "" || v == nil {
			return store.ErrNotFound
		}
		conversation = string(v)
		return nil
	})
	return conversation, err
}

// Lines implements store.Store.
func (s *Store) Lines(ctx context.Context, conversation string, limit int) ([]store.Line, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	var lines []store.Line
	err := s.view(func(b buckets) error {
		row := b.records.Get([]byte(conversation))
		if conversation == "" || row == nil {
			return nil
		}
		r, err := decodeRecord(row)
		if err != nil {
			return fmt.Errorf("record of %s: %w", conversation, err)
		}
		lines, err = s.chain(b, conversation, r, limit)
		return err
	})
	return lines, err
}

// chain reads the last lines of a conversation, oldest first.
func (s *Store) chain(b buckets, conversation string, r *record, limit int) ([]store.Line, error) {
	var lines []store.Line
	err := b.walkLines(r, func(_ []byte, l *line) (bool, error) {
		if len(lines) >= limit {
			return false, nil
		}
		data, err := s.keys.Open(store.LineName(conversation, l.n), l.sealed)
		if err != nil {
			return false, fmt.Errorf("line %d of %s: %w", l.n, conversation, err)
		}
		lines = append(lines, store.Line{At: fromMicros(l.at), Data: data})
		return true, nil
	})
	slices.Reverse(lines)
	return lines, err
}

// walkLines gives f the lines of a conversation from the last backwards, until f has enough or a line
// has been pruned.
func (b *buckets) walkLines(r *record, f func(key []byte, l *line) (more bool, err error)) error {
	for at := r.lastLine; at != 0; {
		key := key8(at)
		row := b.lines.Get(key)
		if row == nil {
			return nil
		}
		l, err := decodeLine(row)
		if err != nil {
			return fmt.Errorf("line at %d: %w", at, err)
		}
		if l.no != r.no || l.before >= at {
			return fmt.Errorf("line at %d: %w", at, errRow)
		}
		if more, err := f(key, l); !more || err != nil {
			return err
		}
		at = l.before
	}
	return nil
}

// Sessions implements store.Store.
func (s *Store) Sessions(ctx context.Context, after string, limit int) ([]store.Record, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	var out []store.Record
	err := s.view(func(b buckets) error {
		c := b.live.Cursor()
		k, _ := c.Seek([]byte(after))
		if k != nil && string(k) == after {
			k, _ = c.Next()
		}
		for ; k != nil && len(out) < limit; k, _ = c.Next() {
			rec, _, err := s.load1(b.records, string(k))
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return nil
	})
	return out, err
}

// Export implements store.Store.
func (s *Store) Export(ctx context.Context, person string, f func(store.Record, []store.Line) error) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	var conversations []string
	err := s.view(func(b buckets) error {
		conversations = b.conversationsOf(person)
		return nil
	})
	if err != nil {
		return err
	}
	for _, conversation := range conversations {
		if err := s.check(ctx); err != nil {
			return err
		}
		var rec store.Record
		var lines []store.Line
		err := s.view(func(b buckets) error {
			var r *record
			var err error
			if rec, r, err = s.load1(b.records, conversation); err != nil {
				return err
			}
			lines, err = s.chain(b, conversation, r, int(r.lines))
			return err
		})
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(rec.People, person):
			continue // erased or changed meanwhile
		case err != nil:
			return err
		}
		if err := f(rec, lines); err != nil {
			return err
		}
	}
	return nil
}

// conversationsOf returns the conversations that hold data of a person.
func (b *buckets) conversationsOf(person string) []string {
	if person == "" {
		return nil
	}
	prefix := personKey(person, "")
	var out []string
	c := b.people.Cursor()
	for k, _ := c.Seek(prefix); hasPrefix(k, prefix); k, _ = c.Next() {
		out = append(out, string(k[len(prefix):]))
	}
	return out
}
