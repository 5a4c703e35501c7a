// Package bolt keeps conversations in one file, for one process, with bbolt.
//
// # Durability
//
// Every change is committed with an fsync before its call returns, except that a lane's last settle may
// ride up to 50 ms ([store.Store.Settle]). All writers share commits: one goroutine commits, and whoever
// arrives meanwhile is in the next commit, so that a burst costs a few syncs and a single call waits for
// nobody. A commit that fails leaves it open what is on disk. From then on every call fails with a
// *FailedError, [Store.Failed] is closed, and the process should end: opening the file again finds out.
//
// # Memory
//
// The file belongs to this process alone, so leases, the order in which lanes and timers fall due, and
// counts live in memory. They are loaded from the deliveries that wait and from the index of timers, not
// from the conversations. What a call stages becomes visible to others after its commit. The records of some
// hundred conversations that had a commit lately are kept opened, so that a message reads the file little.
//
// # Time
//
// Leases and the order of lanes go by the monotonic readings of the clock, so that setting the wall clock
// neither ends a lease nor holds up a lane. A delivery's NotBefore is compared with the wall clock when the
// delivery comes to the head of its lane, and what it has to wait then is measured by the monotonic clock:
// one that was put off for ten seconds goes after ten seconds, even if the wall clock is set back meanwhile.
// When the wall clock is set forward, what that makes due goes at once.
//
// # Layout
//
//	meta        format, clean mark, key checks, the key behind Mask, the count of dead letters
//	records     conversation -> number, event ids of late, indexed fields, sealed data
//	keys        key -> conversation
//	people      person NUL conversation
//	live        conversations with a status
//	timers      number -> conversation, of those with a Due
//	ages        day number -> conversation: the day of the last change, for Prune
//	deliveries  in the order of commits: lane, header, sealed body
//	events      per six hours of expiry: the older event ids of conversations with many
//	lines       in the order of commits, each with the key of the conversation's line before it
//	letters     dead letters by id
//	files       id -> conversation, time of expiry, mark, sealed head
//	parts       mark and number -> sealed part of a file's data
//
// Deliveries and lines are written at the end of their buckets and event ids stay with the record while
// they are few, so that a commit touches few pages beside one for each record. Event ids in buckets leave
// by the bucket.
//
// # Files
//
// What people send to each other is up to ten megabytes, and the other calls must not wait for that: its parts go
// into several commits, at most a quarter of a megabyte into each, and the last one makes the file visible. Parts that
// belong to no file, after a crash, are removed when the file is opened. The pages of files that are gone are used again.
package bolt

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"snowbot/store"
)

// Options say where the file is and what it depends on.
type Options struct {
	// Path of the file. It is made, readable by its owner only, when there is none.
	Path string
	// Keys seal what is kept. Required.
	Keys *store.Keyring
	// Now is the clock; time.Now when nil. When its times have monotonic readings, leases go by these.
	Now func() time.Time
	// Copying opens the target of an unfinished copy, too; see [store.Copyable].
	Copying bool
	// Log gets what an operator should know; nothing is logged when nil.
	Log *slog.Logger
	// LockTimeout is how long Open waits for the file to be let go; one second when zero.
	LockTimeout time.Duration
	// Fatal is called once, on a goroutine of the store, after a commit failed. It should end the process.
	// It must not call Close.
	Fatal func(error)
}

// A FailedError is returned by every call after a commit failed. What the calls under way have changed
// is known when the file is opened again.
type FailedError struct{ Err error }

func (e *FailedError) Error() string {
	return "the store cannot commit any more and has to be opened again: " + e.Err.Error()
}

func (e *FailedError) Unwrap() error { return e.Err }

// Store is a store.Store in a file.
type Store struct {
	db      *bbolt.DB
	keys    *store.Keyring
	clock   func() time.Time
	opened  time.Time // the first reading; moments count from it
	log     *slog.Logger
	fatal   func(error)
	maskKey []byte
	repeats int
	prune   pruning   // the committer's
	rekey   rekeying  // the committer's
	turns   uint64    // the committer's: heads so far
	lines   lineOrder // the committer's

	records recordCache
	recent  deliveryCache
	syncs   atomic.Uint64 // see Syncs

	kick   chan struct{} // there is something to commit
	ended  chan struct{} // the committer has ended
	failed chan struct{}
	filing chan struct{} // has a member while a slice of a file is being committed

	mu      sync.Mutex // guards what follows
	queue   []*call
	hurry   bool // the queue holds a call that somebody waits for
	closing bool
	err     error // *FailedError
	index   *index
	timers  *timers
	letters int
	live    int
	tokens  uint64 // the last lease's
	files   int

	fileBytes int64
}

var _ store.Store = (*Store)(nil)

// now returns the time to the microsecond, in UTC, as it is kept: the wall clock's.
func (s *Store) now() time.Time { return s.reading().UTC() }

// reading is now with the monotonic clock's reading, if the clock gave one. Calling UTC on it would lose that.
func (s *Store) reading() time.Time {
	t := s.clock()
	return t.Add(-time.Duration(t.Nanosecond()) % time.Microsecond)
}

// moment returns how long after Open a reading was taken, in microseconds. Leases and the order of lanes
// go by it, so that nothing happens to them when the wall clock is set. With a clock that gives no
// monotonic readings, it follows the wall clock.
func (s *Store) moment(reading time.Time) int64 { return reading.Sub(s.opened).Microseconds() }

// Open opens or makes the file. The error says what to do about it: when another process has the file,
// when it is damaged, when it was written by a newer version, when a key is missing.
func Open(o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("no path given for the store's file")
	}
	if o.Keys == nil {
		return nil, errors.New("no keys given for the store's file")
	}
	if o.LockTimeout < 0 {
		return nil, fmt.Errorf("lock time-out %v is negative", o.LockTimeout)
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := openFile(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, keys: o.Keys, clock: o.Now, log: o.Log, fatal: o.Fatal,
		kick: make(chan struct{}, 1), ended: make(chan struct{}), failed: make(chan struct{}), filing: make(chan struct{}, 1),
		index: newIndex(), timers: newTimers(), tokens: rand.Uint64() >> 1,
	}
	s.opened = s.reading()
	if err := s.load(o.Path, o.Copying); err != nil {
		db.Close()
		return nil, err
	}
	if s.repeats > 0 {
		s.log.Warn("the store was not closed cleanly: sends that were under way may be repeated", "lanes", s.repeats)
	}
	go s.commits()
	return s, nil
}

// PossibleRepeats returns how many lanes had a head that may have been in the middle of a send when the
// file was last left without Close. Heads whose send was made durable have Delivery.Begun set.
func (s *Store) PossibleRepeats() int { return s.repeats }

// Syncs returns how often the file was synced for a commit since it was opened: twice for each, for its pages and for the
// page that makes them count.
func (s *Store) Syncs() uint64 { return s.syncs.Load() }

// Failed is closed when a commit has failed. [Store.Err] tells why.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns a *FailedError after a commit has failed, and nil before.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Mask implements store.Store.
func (s *Store) Mask(name string) string {
	mac := hmac.New(sha256.New, s.maskKey)
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Stats implements store.Store.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return store.Stats{}, err
	}
	st := store.Stats{Waiting: map[store.Direction]int{}, DeadLetters: s.letters, Live: s.live, Files: s.files, FileBytes: s.fileBytes}
	for to := toTeams; to < lanecodes; to++ {
		st.Waiting[to.direction()] = s.index.waiting[to]
	}
	return st, nil
}

// usable says why a call cannot be taken. The mutex is held.
func (s *Store) usable(ctx context.Context) error {
	switch {
	case s.err != nil:
		return s.err
	case s.closing:
		return store.ErrClosed
	}
	return ctx.Err()
}

// Close commits what has been taken, ends all calls, marks the file as cleanly closed and lets it go.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.index.wakeAll()
	s.mu.Unlock()
	s.wakeCommitter()
	<-s.ended
	if !first {
		return nil
	}
	err := s.Err()
	if err == nil {
		err = s.markClean()
	}
	return errors.Join(err, s.db.Close())
}
