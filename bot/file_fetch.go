package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"snowbot/adapter"
	"snowbot/snow"
	"snowbot/store"
)

// Tries of a fetch. They are few and end soon, since all that follows in the lane of a chat waits for them.
const (
	fetchTries = 3
	fetchWait  = 10 * time.Second // the longest between two
	fetchAge   = time.Minute      // of what is not tried again
)

// A fetchError says why the file of a delivery is not there to be sent.
type fetchError struct {
	why   failure       // of a file that never will be
	after time.Duration // of one that may be later: how long the other side wishes to be left alone
	err   error         // holds neither names nor addresses
}

func (e *fetchError) Error() string { return fetchMark + e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// fetchMark begins the outcome of an attempt for which no file was there. Stored, so it does not change.
const fetchMark = "no file: "

// unfetchable is what an error of either side says of a file.
func unfetchable(err error) *fetchError {
	e := &fetchError{err: err}
	var he *adapter.HostError
	var ae *adapter.Error
	var se *snow.Error
	switch {
	case errors.Is(err, adapter.ErrFileTooLarge), errors.Is(err, snow.ErrMediaTooLarge):
		e.why = failFileTooBig
	case errors.Is(err, adapter.ErrFileGone), errors.Is(err, snow.ErrMediaGone), errors.Is(err, snow.ErrNotMedia):
		e.why = failFileGone
	case errors.As(err, &he):
		e.why = failFileHost
	case errors.As(err, &ae):
		o := find(teamsOutcomes, teamsStatus(ae))
		if e.after = ae.RetryAfter; o.fate == never {
			e.why = failFileGone
		}
	case errors.As(err, &se):
		o := find(serviceNowOutcomes, serviceNowStatus(se))
		if e.after = se.RetryAfter; o.fate == never {
			e.why = failFileGone
		}
	}
	return e
}

var (
	errFileType  = errors.New("its type is not passed on")
	errFileRoom  = errors.New("no room: too much is kept of files that were sent already")
	errFilesBusy = errors.New("too many files at once")
	errFileLater = errors.New("it was fetched, and there was no time or leave to send it at once")
	errFilesOff  = errors.New("files are not passed on")
)

// next returns how long after e the delivery is tried again, if it is.
func (e *fetchError) next(d *store.Delivery, now time.Time) (wait time.Duration, more bool) {
	n := unfetched(d)
	switch {
	case e.why != "":
		return 0, false
	case errors.Is(e.err, errFileLater):
		return time.Millisecond, true
	case e.after > fetchWait || now.Sub(d.Accepted) > fetchAge:
		return 0, false
	case errors.Is(e.err, errFilesBusy):
		return min(backoff(d.Failed), fetchWait), true
	case n+1 >= fetchTries:
		return 0, false
	case n == 0:
		return max(fetchWait/2, e.after), true
	default:
		return fetchWait, true
	}
}

// unfetched is how many earlier tries of a delivery had no file.
func unfetched(d *store.Delivery) (n int) {
	for _, a := range d.Attempts {
		asked := !strings.HasSuffix(a.Outcome, errFilesBusy.Error()) && !strings.HasSuffix(a.Outcome, errFileLater.Error())
		if asked && strings.HasPrefix(a.Outcome, fetchMark) {
			n += a.Times
		}
	}
	return n
}

// unfetchedFile reports whether a delivery is a file that may not be there yet. It is fetched even while ServiceNow takes no calls, since
// Teams gives it out for a few minutes only.
func unfetchedFile(d *store.Delivery) bool {
	return d.Kind == kindFile && !slices.ContainsFunc(d.Attempts, func(a store.Attempt) bool {
		return !strings.HasPrefix(a.Outcome, fetchMark) || strings.HasSuffix(a.Outcome, errFileLater.Error())
	})
}

// A source is where a file is fetched.
type source struct {
	slots *slots
	host  string
	fetch func(context.Context) (store.File, error)
}

// kept returns the file of a delivery, which is fetched unless that has been done or is being done, and the link under which it can
// be had for a while from now. Any error is a *fetchError.
func (b *Bot) kept(ctx context.Context, c *claim, delivery string, life time.Duration, from source) (f store.File, link string, err error) {
	token := fileToken(b.store, c.lease.Lane.Conversation, delivery)
	id := fileID(token)
	alone, ok := b.fetching.take(ctx, id) // its send may come while it is fetched ahead
	if !ok {
		return f, "", &fetchError{err: errFilesBusy}
	}
	defer alone()
	f, err = b.storedFile(ctx, id, life)
	if errors.Is(err, store.ErrNotFound) {
		f, err = b.fetchFile(ctx, c, id, life, from)
	}
	return f, b.rules.Files.link(token), err
}

// storedFile returns a file that was fetched before, and keeps it for longer.
func (b *Bot) storedFile(ctx context.Context, id string, life time.Duration) (store.File, error) {
	release, ok := b.reading.take(ctx, "")
	if !ok {
		return store.File{}, &fetchError{err: errFilesBusy}
	}
	defer release()
	f, err := b.store.File(ctx, id)
	if err == nil {
		err = b.store.ExtendFile(ctx, id, b.now().Add(life))
	}
	if err != nil {
		return f, &fetchError{err: fmt.Errorf("read it: %w", err)}
	}
	return f, nil
}

// fetchFile fetches a file and keeps it. Meanwhile the claim does not count as a call of the host that its lane leads to: a file
// that hangs says nothing of that host, and takes nothing of the rate of the tenant. So much is left of ctx that there may be a send.
func (b *Bot) fetchFile(ctx context.Context, c *claim, id string, life time.Duration, from source) (f store.File, err error) {
	b.room.aside(c)
	defer func() {
		if !b.room.back(c) && err == nil {
			err = &fetchError{err: errFileLater}
		}
	}()
	until, _ := ctx.Deadline()
	fetching, cancel := context.WithDeadline(ctx, until.Add(-leastSend))
	defer cancel()
	release, ok := from.slots.take(fetching, from.host)
	if !ok {
		return f, &fetchError{err: errFilesBusy}
	}
	defer release()
	if f, err = from.fetch(fetching); err != nil {
		return f, unfetchable(err)
	}
	if f.ContentType = plainType(f.ContentType); !b.rules.Files.takes(f.ContentType) {
		return f, &fetchError{why: failFileType, err: errFileType}
	}
	if s, err := b.store.Stats(ctx); err == nil && s.FileBytes+int64(len(f.Data)) > b.rules.Files.Total {
		b.log.Warn("a file is not passed on: the files in the database have reached their limit; see files in the configuration", "delivery", c.lease.Deliveries[0].ID, "bytes", s.FileBytes)
		return f, &fetchError{why: failFileRoom, err: errFileRoom}
	}
	f.ID, f.Conversation, f.Expires = id, c.lease.Lane.Conversation, b.now().Add(life)
	keeping, done := context.WithTimeout(context.WithoutCancel(ctx), settleLimit) // which the lease leaves room for
	defer done()
	if err = b.store.PutFile(keeping, f); err != nil {
		return f, &fetchError{err: fmt.Errorf("keep it: %w", err)}
	}
	if time.Until(until) < leastSend {
		return f, &fetchError{err: errFileLater}
	}
	return f, nil
}

// Bounds of what is in memory: files that are fetched for one side, those of them that come from one host, and files that are read
// from the store.
const (
	filesAtOnce  = 4
	filesOfHost  = 2
	filesReading = 4
)

// filesPatience is how long a send waits until there is room for its file. Then its lane makes way for others.
const filesPatience = time.Second

// slots bound how many files are in memory at once, and how many of one host, so that one that hangs leaves room for the others.
type slots struct {
	most, ofHost int

	mu     sync.Mutex
	taken  int
	byHost map[string]int
	freed  chan struct{} // closed when a slot is given back, and then another one
}

func newSlots(most, ofHost int) *slots {
	return &slots{most: most, ofHost: ofHost, byHost: map[string]int{}, freed: make(chan struct{})}
}

// take returns what gives the slot back, unless there is none for a while.
func (s *slots) take(ctx context.Context, host string) (release func(), ok bool) {
	room := time.NewTimer(filesPatience)
	defer room.Stop()
	for {
		freed := s.try(host)
		if freed == nil {
			return func() { s.giveBack(host) }, true
		}
		select {
		case <-freed:
		case <-room.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}

// try takes a slot, or returns what to wait for.
func (s *slots) try(host string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.byHost[host] >= s.ofHost {
		return s.freed
	}
	s.taken++
	s.byHost[host]++
	return nil
}

func (s *slots) giveBack(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byHost[host]--; s.byHost[host] == 0 {
		delete(s.byHost, host)
	}
	close(s.freed)
	s.freed = make(chan struct{})
}
