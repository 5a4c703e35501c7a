package bolt

// Crash lets the file go as a process does that is killed: without Close's last words.
func (s *Store) Crash() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.wakeCommitter()
	<-s.ended
	s.db.Close()
}
