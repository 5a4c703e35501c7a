// Package store says what snowbot keeps, and what a store has to promise.
//
// # One event, one commit
//
// Everything that happens to a conversation is an event: an activity from Teams, a post from
// ServiceNow, a timer, a delivery that was settled. An event is handled by one call of
// [Store.Apply] or [Store.Settle]: the store loads the conversation's [Record], runs a pure
// function over it, and commits what the function changed together with the event's identity.
// When the call returns nil, all of it is on disk; when it returns an error, none of it is.
//
// # Lanes
//
// What has to be sent is a [Delivery] in a [Lane]: one lane for each conversation and direction,
// first in, first out. A worker claims a lane, sends from its head, and settles. At most one
// holder of a lane can settle at a time; see [Lease].
//
// # Secrecy
//
// Record.Data, Delivery.Body, Line.Data, DeadLetter bodies and everything of a [File] that a person
// gave are sealed at rest with a [Keyring], bound to their logical name ([RecordName], [DeliveryName],
// [LineName], [FileName]), so that a value copied elsewhere does not open. Everything else is kept in clear and must therefore hold ids only: no
// names, no addresses, no words.
//
// # Values
//
// Ids, keys and the other clear strings are at most [MaxString] bytes of valid UTF-8 without NUL
// bytes; sealed values are at most [MaxData] bytes, the data of files [MaxFile]. Times come back in UTC, to the microsecond.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors that callers branch on.
var (
	// ErrNotFound means that there is no such record, key, dead letter or file.
	ErrNotFound = errors.New("not found")
	// ErrEmpty means that no lane of the direction has a delivery that is due.
	ErrEmpty = errors.New("nothing due")
	// ErrFenced means that the lease has passed to another holder. Nothing was changed.
	ErrFenced = errors.New("lease has passed on")
	// ErrClosed means that the store was closed. Nothing was changed.
	ErrClosed = errors.New("store closed")
	// ErrWrongKey means that a sealed value does not open: none of the keys sealed it, it belongs
	// elsewhere, or it was changed.
	ErrWrongKey = errors.New("sealed with another key, moved or damaged")
)

// A KeyTakenError means that a record declared a key that belongs to another conversation.
// Nothing was changed.
type KeyTakenError struct {
	Key          string
	Conversation string // the record that holds the key
}

func (e *KeyTakenError) Error() string {
	return fmt.Sprintf("key belongs to conversation %s", e.Conversation)
}

// A PanicError means that the function given to [Store.Apply] or [Store.Settle] panicked, and nothing was changed; or that the
// store did, in what it does for several callers at once. The panic's value is not part of the error's text, since it may hold words of a person.
type PanicError struct {
	Value any
	Stack []byte // where it panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panicked with a %T", e.Value) }

// A Direction says where the deliveries of a lane go.
type Direction string

// The directions. Stored, so they do not change.
const (
	ToTeams      Direction = "teams"
	ToServiceNow Direction = "servicenow"
	ToBot        Direction = "bot"   // turns of the bot's own handler
	ToTicks      Direction = "ticks" // delivery reports for the agent
	Links        Direction = "links" // links given out, to be looked at later: were they followed?
	Held         Direction = "held"  // never claimed: words that wait for an agent
)

// A Lane is the deliveries of one conversation in one direction, in order.
type Lane struct {
	Conversation string
	Direction    Direction
}

func (l Lane) String() string { return string(l.Direction) + ":" + l.Conversation }

// A Record is what is kept of one conversation. It stays under 4 KiB.
type Record struct {
	// ID names the conversation.
	ID string
	// Status is empty unless a session is live. [Store.Sessions] lists the records that have one.
	Status string
	// Keys are further names that [Store.Find] accepts. A key belongs to at most one record.
	Keys []string
	// People are the masked names ([Store.Mask]) of the persons whose data the record holds, for
	// [Store.Erase] and [Store.Export]. A person may be in many records.
	People []string
	// Due is when the next timer runs out; zero means never.
	Due time.Time
	// Updated is set by the store to the time of the commit.
	Updated time.Time
	// Data belongs to the caller, and is sealed at rest.
	Data []byte
}

// An EventID identifies an event within a conversation, so that a repeat has no second effect.
type EventID struct {
	Name string
	// Keep is how long a repeat is recognised, at most [KeepMax]; zero means [KeepMax].
	Keep time.Duration
}

// KeepMax is how long the store recognises a repeated event at least, and Keep at most.
const KeepMax = 24 * time.Hour

// A Delivery is something to be sent.
type Delivery struct {
	// ID is given by the caller and stays the same over all retries. Unique within the conversation.
	ID string
	// Kind and Session are the caller's, kept in clear.
	Kind    string
	Session string
	// Accepted is when the event that caused the delivery was accepted. A later attempt keeps it;
	// leaving [Held] and [Store.Retry] set it anew. The store sets it to the turn's time when it is zero.
	Accepted time.Time
	// NotBefore holds back the delivery, and with it all that follow in its lane.
	NotBefore time.Time
	// Begun reports that a send was begun ([Store.Begin]) and not settled.
	Begun bool
	// Attempts are the failed sends so far. Those that failed in the same way one after the other are one; the last [AttemptsKept] are kept.
	Attempts []Attempt
	// Failed counts all failed sends.
	Failed int
	// Body is the caller's, and is sealed at rest.
	Body []byte
}

// AttemptsKept is how many attempts a delivery remembers.
const AttemptsKept = 40

// An Attempt is a failed send, or several in a row that failed in the same way. Outcome must not hold words of a person; it is cut
// to [MaxString].
type Attempt struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Times   int       `json:"times"`
	Last    time.Time `json:"last"` // when it was tried for the last time
}

// AddAttempt returns the attempts with one more.
func AddAttempt(list []Attempt, at time.Time, outcome string) []Attempt {
	outcome = Cut(outcome)
	list = slices.Clone(list)
	if n := len(list); n > 0 && list[n-1].Outcome == outcome {
		list[n-1].Times++
		list[n-1].Last = at
		return list
	}
	list = append(list, Attempt{At: at, Outcome: outcome, Times: 1, Last: at})
	return list[max(0, len(list)-AttemptsKept):]
}

// A Line is one line of a conversation's transcript. Data is the caller's and is sealed at rest.
// The store sets At to the turn's time when it is zero.
type Line struct {
	At   time.Time
	Data []byte
}

// A Move takes all deliveries of one lane of the conversation to the end of another, in order. What is
// being sent under a lease moves as well, and the lease's Settle does not follow it.
type Move struct{ From, To Direction }

// A Turn is the handling of one event. The function given to Apply or Settle edits Record in place
// and fills in the rest; it does no I/O and may run more than once. It must not keep the turn.
type Turn struct {
	// Record is the conversation as it stands, never nil. Its ID must not be changed.
	Record *Record
	// New reports that there was no record yet.
	New bool
	// Fresh says of each event id given to Apply whether it is new; a repeat within one call is not.
	Fresh []bool
	// Now is the time of the turn.
	Now time.Time

	// Move and Drop are carried out first, in this order; then Deliver is added to the lanes. A lane
	// that is leased stays leased: what follows in it waits until the lease is settled or runs out, and
	// Settle has no effect on deliveries that were taken away meanwhile.
	Move    []Move
	Drop    []Direction
	Deliver []Outgoing
	// Lines are appended to the transcript.
	Lines []Line
	// Bury adds dead letters that never were deliveries: events the function could not take.
	Bury []DeadLetter
}

// Outgoing is a delivery and the direction it is to go. Begun, Failed and Attempts are ignored.
type Outgoing struct {
	Direction Direction
	Delivery
}

// Send adds d to the lane of the given direction.
func (t *Turn) Send(to Direction, d Delivery) { t.Deliver = append(t.Deliver, Outgoing{to, d}) }

// A Lease is the right to send from the head of a lane and to settle, until a time. When it has
// passed on, Settle and Begin fail with [ErrFenced]. That does not stop a send that is under way, so
// a send's own deadline has to be earlier than Until.
type Lease struct {
	Lane Lane
	// Deliveries is a run from the head of the lane, at least one, all of them due.
	Deliveries []Delivery
	// Until is when the lease runs out. It keeps the monotonic reading of the store's clock, if that gives one,
	// and with it the clock's time zone, so that a deadline that follows from it holds when the clock is set.
	Until time.Time
	// Lapsed reports that the lane's last lease ran out without a settle. Its holder may have died in the middle of a send.
	Lapsed bool
	// Token is the store's.
	Token uint64
}

// Next says what becomes of the first delivery that was not done.
type Next int

const (
	// Release leaves it at the head of the lane, due as before.
	Release Next = iota
	// Again leaves it at the head of the lane, due at Result.At. The attempt is counted.
	Again
	// Bury makes it a dead letter. The attempt is counted.
	Bury
)

// A Result is what came of a lease.
type Result struct {
	// Done deliveries from the head were delivered and are removed.
	Done int
	// Next is what becomes of the one after them, if the lease holds one.
	Next Next
	// At is when it is due again.
	At time.Time
	// Outcome is kept with the attempt; see [Attempt].
	Outcome string
	// Reason is kept with the dead letter, cut to [MaxString].
	Reason string
}

// A DeadLetter is a delivery that was given up, or an event that no transition could take.
type DeadLetter struct {
	// ID is set by the store.
	ID       string
	Lane     Lane // Direction is empty for an event
	Reason   string
	At       time.Time // set by the store
	Delivery Delivery
}

// A DeadLetterFilter chooses dead letters; zero fields choose all.
type DeadLetterFilter struct {
	Conversation string
	Reason       string
	Since, Until time.Time // from Since on, before Until
	After        string    // ids after this one, for paging
	Limit        int       // at most 1,000, which is also the default
}

// Limits says what Prune removes: everything older than these times. A zero time keeps all.
type Limits struct {
	Lines         time.Time // transcript lines
	DeadLetters   time.Time
	Conversations time.Time // records without a live session, timer, or delivery
	Slice         int       // how many rows of each at most in one call; default 1,000
}

// Stats are counts for metrics and health checks. They may be a second old, or older where counting takes long.
type Stats struct {
	Waiting     map[Direction]int // deliveries in lanes
	DeadLetters int
	Live        int   // records with a status
	Files       int   // until Prune removes them
	FileBytes   int64 // of their data
}

// A Store keeps conversations. Each method is atomic, and safe for concurrent use. A context that
// ends makes a method return early with the context's error; the change may then have been made, but
// a function given to the method is not called any more once the method has returned.
type Store interface {
	// Apply handles one event of a conversation, which may have up to [MaxEvents] ids; more are an error, and
	// nothing changes. The record is created when there is none. When
	// ids has members and all of them are known, f is not called and nothing changes. When f
	// returns an error, Apply returns it and changes nothing, and the ids stay unknown.
	// A panic of f becomes a *PanicError. A *KeyTakenError means that Record.Keys collides with another
	// record.
	Apply(ctx context.Context, conversation string, ids []EventID, f func(*Turn) error) error

	// Load returns the record of a conversation, or ErrNotFound.
	Load(ctx context.Context, conversation string) (Record, error)

	// Find returns the conversation that declared the key, or ErrNotFound.
	Find(ctx context.Context, key string) (conversation string, err error)

	// Mask returns the name under which a person, an e-mail address or the like may be kept in
	// clear: an HMAC under a key of this store.
	Mask(s string) string

	// Claim leases a lane of the direction whose head is due, with at most max deliveries from its head.
	// Lanes are claimed in the order in which they became due. A lease that has run out does not hold
	// its lane any more, but its holder can settle until another has claimed. The run is cut where it
	// reaches [MaxRun] bytes of bodies. ErrEmpty means there is none, as for [Held] always.
	Claim(ctx context.Context, d Direction, ttl time.Duration, max int) (*Lease, error)

	// Wait returns nil when Claim of the direction may succeed, and the context's error when ctx ends. It may
	// be early.
	Wait(ctx context.Context, d Direction) error

	// Begin makes durable that the head of the lease is about to be sent. ErrFenced also means that the
	// head was dropped or moved meanwhile, and must not be sent.
	Begin(ctx context.Context, l *Lease) error

	// Settle ends a lease: what was done is removed, the next one is treated as the result says, and
	// f, unless nil, edits the record in the same commit. When f returns an error nothing changes and
	// the lease goes on. A settle that empties its lane, and has no f, may return up to 50 ms before it is durable.
	Settle(ctx context.Context, l *Lease, r Result, f func(*Turn) error) error

	// Due returns up to limit conversations whose timer has run out, the earliest first.
	Due(ctx context.Context, limit int) ([]string, error)

	// Lines returns the last limit lines of a conversation's transcript, oldest first; none when there is no
	// such conversation.
	Lines(ctx context.Context, conversation string, limit int) ([]Line, error)

	// Sessions returns up to limit records with a status, in the byte order of their ids, that come
	// after the given id.
	Sessions(ctx context.Context, after string, limit int) ([]Record, error)

	// DeadLetters returns the dead letters that the filter chooses, by id, which is their age.
	DeadLetters(ctx context.Context, f DeadLetterFilter) ([]DeadLetter, error)

	// Retry puts the delivery of a dead letter at the end of its lane under its old ID, due at once, with
	// no attempts and accepted now. ErrNotFound if there is none, if it was an event, or if its
	// conversation is gone.
	Retry(ctx context.Context, id string) error

	// Discard removes a dead letter. ErrNotFound if there is none.
	Discard(ctx context.Context, id string) error

	// PutFile keeps a file until it expires, and replaces the one with the same ID, if there is one; until it
	// returns, that one is there. ErrNotFound means that there is no such conversation, so that what is under way
	// for somebody who was erased does not come back. What [File.Check] refuses is another error.
	PutFile(ctx context.Context, f File) error

	// ExtendFile sets anew when a file expires, without its data being written again. ErrNotFound if there is none, or
	// if it has expired.
	ExtendFile(ctx context.Context, id string, expires time.Time) error

	// File returns a file. ErrNotFound if there is none, or if it has expired; ErrWrongKey if any of it is damaged.
	File(ctx context.Context, id string) (File, error)

	// Erase removes every record of a person (a masked name), with all rows and files of those conversations,
	// and returns how many conversations there were.
	Erase(ctx context.Context, person string) (int, error)

	// Export calls f with every record of a person, and its transcript, until f returns an error. Each
	// record is consistent with its transcript; f may call the store.
	Export(ctx context.Context, person string, f func(Record, []Line) error) error

	// Prune removes a slice of what is older than the limits, of event ids that need not be recognised
	// any more, and of files that have expired. It reports whether there may be more.
	Prune(ctx context.Context, l Limits) (more bool, err error)

	// Rekey seals a slice of what older keys sealed with the first key of the keyring. It reports whether
	// there may be more; when there is none, the older keys are not needed any more.
	Rekey(ctx context.Context) (more bool, err error)

	// Stats counts.
	Stats(ctx context.Context) (Stats, error)

	// Close ends all calls under way and closes the store. Later calls fail with ErrClosed, except Close.
	Close() error
}
