package bolt

import (
	"bytes"
	"context"

	"snowbot/store"
)

// pruning remembers how far a round over the conversations and one over the lines have come, so that those that are old
// and must stay are not looked at in every slice.
type pruning struct {
	after []byte // key in the ages bucket; nil at the start of a round
	line  uint64 // key in the lines bucket; zero at the start of a round
}

// Erase implements store.Store.
func (s *Store) Erase(ctx context.Context, person string) (int, error) {
	n := 0
	err := s.do(ctx, func(b *batch) error {
		conversations := b.conversationsOf(person)
		rows := make([]*record, len(conversations))
		for i, c := range conversations {
			r, err := b.record(c)
			if err != nil {
				return err
			}
			rows[i] = r
		}
		if len(conversations) == 0 {
			return nil
		}
		files, err := b.filesOf(conversations)
		if err != nil {
			return err
		}
		if err := b.eraseLetters(conversations); err != nil {
			return err
		}
		b.dropFiles(files)
		for i, r := range rows {
			if r == nil {
				b.remove(b.people, personKey(person, conversations[i]))
				continue
			}
			b.forgetEvents(r)
			b.eraseConversation(conversations[i], r)
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// eraseConversation stages the removal of a conversation's record, lanes and lines.
func (b *batch) eraseConversation(id string, r *record) {
	key := []byte(id)
	for to := toTeams; to < lanecodes; to++ {
		l := b.lane(laneKey{r.no, to}, id)
		b.pop(l, len(l.staged.places))
		l.erased = true
	}
	var lines [][]byte
	b.breaks(b.walkLines(r, func(key []byte, _ *line) (bool, error) {
		lines = append(lines, key)
		return true, nil
	}))
	for _, k := range lines {
		b.remove(b.lines, k)
	}
	for _, k := range r.keys {
		if string(b.keys.Get([]byte(k))) == id { // or the one it went to has been copied already
			b.remove(b.keys, []byte(k))
		}
	}
	for _, p := range r.people {
		b.remove(b.people, personKey(p, id))
	}
	if r.status != "" {
		b.remove(b.live, key)
		b.moreLive--
	}
	if r.due != 0 {
		b.remove(b.timers, key8(r.no))
		b.due = append(b.due, timerChange{no: r.no})
	}
	b.remove(b.ages, ageKey(r.filed, r.no))
	b.remove(b.records, key)
}

// eraseLetters stages the removal of the dead letters of conversations.
func (b *batch) eraseLetters(conversations []string) error {
	of := make(map[string]bool, len(conversations))
	for _, c := range conversations {
		of[c] = true
	}
	var gone [][]byte
	c := b.letters.Cursor()
	for k, row := c.First(); k != nil; k, row = c.Next() {
		l, err := decodeLetter(row)
		if err != nil {
			return err
		}
		if of[l.conversation] {
			gone = append(gone, bytes.Clone(k))
		}
	}
	for _, k := range gone {
		b.dropLetter(k)
	}
	return nil
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, l store.Limits) (bool, error) {
	slice := l.Slice
	if slice <= 0 {
		slice = maxPage
	}
	if err := s.check(ctx); err != nil {
		return false, err
	}
	expired, err := s.expiredFiles(min(slice, pruneFiles)) // not in the commit, which others wait for
	if err != nil {
		return false, err
	}
	more := false
	err = s.do(ctx, func(b *batch) error {
		if err := b.pruneFiles(expired); err != nil {
			return err
		}
		more = len(expired) == min(slice, pruneFiles)
		more = b.dropEpoch() || more
		if !l.Lines.IsZero() {
			more = b.pruneLines(micros(l.Lines), slice) || more
		}
		if !l.DeadLetters.IsZero() {
			full, err := b.pruneLetters(micros(l.DeadLetters), slice)
			if err != nil {
				return err
			}
			more = full || more
		}
		if !l.Conversations.IsZero() {
			full, err := b.pruneConversations(micros(l.Conversations), slice)
			if err != nil {
				return err
			}
			more = full || more
		}
		return nil
	})
	return more && err == nil, err
}

// pruneLines looks at a slice of the lines, removes those that are old, and reports whether it used up the slice. A round
// ends at the first line behind which none can be old.
func (b *batch) pruneLines(before int64, slice int) bool {
	var gone [][]byte
	at := &b.s.prune.line
	looked := 0
	c := b.lines.Cursor()
	k, row := c.Seek(key8(*at + 1))
	for ; k != nil && looked < slice; k, row = c.Next() {
		l, err := decodeLine(row)
		old := err != nil || l.at < before
		if !old && parseKey8(k) > b.s.lines.mixed && l.at >= before+lineSlack {
			k = nil
			break
		}
		looked++
		*at = parseKey8(k)
		if old {
			gone = append(gone, bytes.Clone(k))
		}
	}
	if k == nil {
		*at = 0
	}
	for _, key := range gone {
		b.removeLine(key)
	}
	return k != nil
}

// removeLine stages the removal of a line, and of those of its conversation before it, whatever their times say: they could
// not be found without it.
func (b *batch) removeLine(key []byte) {
	for row := b.lines.Get(key); row != nil; row = b.lines.Get(key) {
		l, err := decodeLine(row)
		b.remove(b.lines, key)
		if err != nil || l.before >= parseKey8(key) {
			return
		}
		key = key8(l.before)
	}
}

func (b *batch) pruneLetters(before int64, slice int) (bool, error) {
	var gone [][]byte
	c := b.letters.Cursor()
	for k, row := c.First(); k != nil && len(gone) < slice; k, row = c.Next() {
		l, err := decodeLetter(row)
		if err != nil {
			return false, err
		}
		if l.at >= before {
			break
		}
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		b.dropLetter(k)
	}
	return len(gone) == slice, nil
}

// pruneConversations looks at a slice of the conversations that have not changed since a day that is
// old enough, and removes those that nothing keeps.
func (b *batch) pruneConversations(before int64, slice int) (bool, error) {
	type old struct {
		id string
		r  *record
	}
	var gone []old
	looked := 0
	c := b.ages.Cursor()
	k, id := c.First()
	if after := b.s.prune.after; after != nil {
		if k, id = c.Seek(after); bytes.Equal(k, after) {
			k, id = c.Next()
		}
	}
	last := uint64(before) / day
	full := false
	for ; k != nil && parseKey8(k[:8]) <= last; k, id = c.Next() {
		if looked == slice {
			full = true
			break
		}
		looked++
		b.s.prune.after = bytes.Clone(k)
		r, err := b.record(string(id))
		if err != nil || r == nil || r.updated >= before || r.status != "" || r.due != 0 || b.hasWork(r.no) {
			continue
		}
		gone = append(gone, old{string(id), r})
	}
	if !full {
		b.s.prune.after = nil
	}
	ids := make([]string, len(gone))
	for i, o := range gone {
		ids[i] = o.id
	}
	files, err := b.filesOf(ids)
	if err != nil {
		return false, err
	}
	b.dropFiles(files)
	for _, o := range gone {
		b.eraseConversation(o.id, o.r)
	}
	return full, nil
}

// hasWork reports whether a conversation has deliveries or a lease that has not run out.
func (b *batch) hasWork(no uint64) bool {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	for to := toTeams; to < lanecodes; to++ {
		key := laneKey{no, to}
		if l := b.lanes[key]; l != nil && len(l.staged.places) > 0 {
			return true
		}
		if l := b.s.index.lanes[key]; l != nil && (len(l.places) > 0 || l.token != 0 && l.until > b.moment) {
			return true
		}
	}
	return false
}
