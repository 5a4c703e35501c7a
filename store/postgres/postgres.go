// Package postgres keeps conversations in a PostgreSQL database, for several replicas at once.
//
// # Durability
//
// Every change is committed synchronously before its call returns, except the claim of a lane and a lane's
// last settle ([store.Store.Settle]), which the server may lose in a crash within 50 ms and which are not
// undone by anything else. Calls of different conversations that are waiting at the same time share a
// transaction, and so do claims of a direction, and reads of records. Each transaction leaves a row with a random token. When the answer to a commit is lost, the
// token is looked up by inserting it again: that waits for the transaction if it is still under way, keeps it
// from committing later if it has not come so far, and so finds out what became of it, also after a failover.
//
// With synchronous replication a commit waits for the standby. When that wait is cut short, as by a lost connection,
// the server keeps the commit all the same, seen by all and on itself alone. So neither a look-up nor a repeat of a
// known event is answered from what is seen: both commit something of their own, which waits for all before it.
//
// # Replicas
//
// Any replica takes any call. The lock on a conversation's row orders its turns and settles, over all
// replicas. A lane is leased by a random token in its row, which Settle and Begin compare under the lane's
// lock. After a change a replica wakes its own waiting calls at once, and the others by NOTIFY at most every
// 10 ms; a waiting call looks by itself each second.
//
// # Locks
//
// A transaction locks conversations in the order of their ids, then lanes. Claim locks lanes only, skips
// those that are locked and waits for nothing, so it is in nobody's way. Isolation is READ COMMITTED: what a
// turn reads is read after its conversation was locked. Transactions that clash all the same, which may
// happen over keys, are repeated.
//
// # Files
//
// The data of a file is written and read in parts, in one transaction, of which a replica has few under way at once: the
// connections are there for the other calls too. A file refers to its conversation and a part to its file, so that
// they go with these, also when a program erases or prunes them that is older than files are.
//
// # Time
//
// Everything that is decided by time is decided by the database's clock.
package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"snowbot/store"
)

// Store is a store.Store in a PostgreSQL database.
type Store struct {
	pool    *pgxpool.Pool
	keys    *store.Keyring
	clock   func() time.Time // nil for the database's
	log     *slog.Logger
	maskKey []byte
	schema  string // for notifications
	replica string
	limit   time.Duration // for one exchange with the server

	queue  *queue
	claims map[store.Direction]*share[terms, claimed]
	loads  *share[string, sealedRecord]
	finds  *share[string, string]
	soons  *share[store.Direction, time.Duration]
	hub    *hub
	member bool // it works beside the other replicas
	pulse  pulse
	rekey  rekeying
	tally  tally
	files  chan struct{} // a member for each file on its way

	closed chan struct{} // Close was called
	once   sync.Once
	stop   context.CancelFunc // ends the listener and the announcer
	cut    context.CancelFunc // ends every exchange with the server
	// within bounds one exchange with the server, by limit and by cut.
	within func(context.Context) (context.Context, context.CancelFunc)
	wg     sync.WaitGroup
	done   chan struct{} // Close has ended
}

// farewell is how long Close waits for what is under way.
const farewell = 3 * time.Second

var _ store.Store = (*Store)(nil)

// Open connects to the database, migrates it if it may, and starts what works in the background until Close.
// The error says what to do about it: when a key is missing, when the schema is newer or older than this
// program's, when the database cannot keep what snowbot needs.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Keys == nil {
		return nil, errors.New("no keys given for the database")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	h := newHub()
	c.BeforeClose = func(conn *pgx.Conn) { // whoever found it broken, and be it the pool itself
		if conn.IsClosed() {
			h.severed()
			_ = conn.PgConn().Conn().Close() // it may be silent, and would wait for a goodbye
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, unreachable(err)
	}
	s := &Store{
		pool: pool, keys: o.Keys, clock: o.Now, log: o.Log, replica: uuid.NewString(),
		limit: o.StatementTimeout + 5*time.Second, queue: newQueue(), hub: h, member: o.Replica,
		files: make(chan struct{}, filesAtOnce), tally: newTally(), pulse: newPulse(), closed: make(chan struct{}), done: make(chan struct{}),
	}
	if err := s.load(ctx, o, c); err != nil {
		pool.Close()
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.bound(context.WithoutCancel(ctx))
	s.queue.members.Add(committers)
	for range committers {
		s.wg.Go(func() { s.commits(background) })
	}
	s.shares(background)
	s.wg.Go(func() { s.listen(background, c.ConnConfig) })
	s.wg.Go(func() { s.announce(background) })
	if s.member {
		s.wg.Go(func() { s.beats(background) })
	}
	return s, nil
}

// bound sets up within and cut.
func (s *Store) bound(ctx context.Context) {
	life, cut := context.WithCancel(ctx)
	s.cut = cut
	s.within = func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithTimeout(ctx, s.limit)
		unhook := context.AfterFunc(life, cancel)
		return ctx, func() {
			unhook()
			cancel()
		}
	}
}

// shares starts what answers questions that are asked at the same time.
func (s *Store) shares(ctx context.Context) {
	s.claims = map[store.Direction]*share[terms, claimed]{}
	for _, d := range claimable {
		h := newShare(func(ctx context.Context, asked []terms) ([]claimed, error) { return s.claimAll(ctx, d, asked) })
		h.unwanted = s.free
		s.claims[d] = h
		h.start(ctx)
	}
	s.loads, s.finds, s.soons = newShare(s.loadAll), newShare(s.findAll), newShare(s.soonAll)
	s.loads.start(ctx)
	s.finds.start(ctx)
	s.soons.start(ctx)
}

// endShares closes the shares, and returns what waits until all that was asked is answered.
func (s *Store) endShares() (wait func()) {
	all := []interface {
		close()
		wait()
	}{s.loads, s.finds, s.soons}
	for _, h := range s.claims {
		all = append(all, h)
	}
	for _, h := range all {
		h.close()
	}
	return func() {
		for _, h := range all {
			h.wait()
		}
	}
}

// Mask implements store.Store.
func (s *Store) Mask(name string) string {
	mac := hmac.New(sha256.New, s.maskKey)
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// moment returns the time that overrides the database's clock, or nil.
func (s *Store) moment() *time.Time {
	if s.clock == nil {
		return nil
	}
	now := s.clock().UTC().Truncate(time.Microsecond)
	return &now
}

// usable says why a call cannot be taken.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// told puts an error as the contract has it.
func (s *Store) told(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && kindOf(err) == lost && errors.Is(s.usable(ctx), store.ErrClosed) {
		return store.ErrClosed
	}
	return endedBy(ctx, err)
}

// Close commits what has been taken, ends all calls and lets the database go. What the server does not answer within three
// seconds is given up. Leases that were not settled run out by themselves.
func (s *Store) Close() error {
	s.once.Do(func() {
		late := time.AfterFunc(farewell, s.cut)
		close(s.closed)
		s.queue.close()
		s.hub.close()
		wait := s.endShares()
		s.queue.members.Wait()
		wait()
		s.stop()
		s.wg.Wait()
		s.pool.Close()
		late.Stop()
		s.cut()
		close(s.done)
	})
	<-s.done
	return nil
}
