package bolt

import bbolt "go.etcd.io/bbolt"

// Crash lets the file go as a process does that is killed: without Close's last words.
func (s *Store) Crash() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.wakeCommitter()
	<-s.ended
	s.db.Close()
}

// Commits counts the commits in the life of the file.
func (s *Store) Commits() (n int) {
	if err := s.read(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		return -1
	}
	return n
}

// Queued counts the calls that wait for a commit.
func (s *Store) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// LimitSize makes commits fail that would make the file larger.
func (s *Store) LimitSize(n int) {
	s.db.MaxSize = n
	s.db.AllocSize = 4096
}

// Rows counts the rows of each bucket.
func (s *Store) Rows() map[string]int {
	rows := map[string]int{}
	err := s.read(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			count := func(b *bbolt.Bucket) {
				c := b.Cursor()
				for k, v := c.First(); k != nil; k, v = c.Next() {
					if v != nil {
						rows[string(name)]++
					}
				}
			}
			count(b)
			return b.ForEachBucket(func(inner []byte) error { count(b.Bucket(inner)); return nil })
		})
	})
	if err != nil {
		return nil
	}
	return rows
}
