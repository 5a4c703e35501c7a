package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"snowbot/store"
)

const (
	// look is how often a waiting call looks into the database by itself.
	look = time.Second
	// breath is how long a call waits after a claim found nothing although something is due: a lane that is
	// locked for the moment.
	breath = 5 * time.Millisecond
	// announceEvery is the least time between two notifications of a replica.
	announceEvery = 10 * time.Millisecond
	// ride is after how long a settle for which nobody waited is made durable, with time to do it in.
	ride = 30 * time.Millisecond
)

const (
	sqlListen = `LISTEN snowbot`
	sqlNotify = `SELECT pg_notify('snowbot', $1)`
	// sqlFlush commits next to nothing, and with it all that was committed before.
	sqlFlush = `SELECT pg_logical_emit_message(true, 'snowbot', '')`
	sqlSoon  = `SELECT q.direction, (extract(epoch FROM l.at - coalesce($2::timestamptz, statement_timestamp())) * 1000000)::bigint
FROM unnest($1::text[]) AS q (direction)
CROSS JOIN LATERAL (SELECT at FROM lanes WHERE direction = q.direction AND at IS NOT NULL ORDER BY at LIMIT 1) AS l`
)

// claimable are the directions whose lanes are claimed.
var claimable = []store.Direction{store.ToTeams, store.ToServiceNow, store.ToBot, store.ToTicks, store.Links}

// A hub lets waiting calls go, here and in the other replicas.
type hub struct {
	mu      sync.Mutex
	closed  bool
	waiters map[store.Direction][]chan struct{} // the longest waiting first
	empty   map[store.Direction]time.Time       // when a claim last found nothing
	news    map[store.Direction]bool            // to be announced
	ridden  time.Time                           // the first commit that is not known to be durable
	rode    time.Time                           // the last one
	riding  int                                 // how many settles were in them
	lost    int                                 // how many may not have come through
	kick    chan struct{}                       // for the announcer
}

func newHub() *hub {
	return &hub{
		waiters: map[store.Direction][]chan struct{}{}, empty: map[store.Direction]time.Time{},
		news: map[store.Direction]bool{}, kick: make(chan struct{}, 1),
	}
}

// committed makes known what a transaction has brought whose commit was sent at a time.
func (h *hub) committed(t *tx, sent time.Time) {
	h.mu.Lock()
	for d, n := range t.wakes {
		h.wakeSome(d, n)
		h.news[d] = true
	}
	switch {
	case !t.relaxed && h.rode.Before(sent): // it was written behind all of them
		h.ridden, h.riding = time.Time{}, 0
	case t.relaxed:
		h.rode = time.Now()
		h.riding += t.settles
		if h.ridden.IsZero() {
			h.ridden = h.rode
		}
	}
	work := len(h.news) > 0 || !h.ridden.IsZero()
	h.mu.Unlock()
	if work {
		select {
		case h.kick <- struct{}{}:
		default: // it knows
		}
	}
}

// severed notes that the server may have crashed, and taken with it what was not durable.
func (h *hub) severed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost += h.riding
	h.riding = 0
}

// LostSettles returns how many settles were reported done and may have been lost since it was last asked, because the
// server or the way to it broke down within the moment in which a lane's last settle need not be durable
// ([store.Store.Settle]). Their deliveries may be sent again.
func (s *Store) LostSettles() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	n := s.hub.lost
	s.hub.lost = 0
	return n
}

// missed notes that a claim found nothing.
func (h *hub) missed(d store.Direction) {
	h.mu.Lock()
	h.empty[d] = time.Now()
	h.mu.Unlock()
}

// wake lets calls go that wait for a direction. If they all find something they let as many go again.
func (h *hub) wake(d store.Direction, n int) {
	h.mu.Lock()
	h.wakeSome(d, n)
	h.mu.Unlock()
}

// wakeAll lets a call go that waits for each direction.
func (h *hub) wakeAll() {
	for _, d := range claimable {
		h.wake(d, 1)
	}
}

func (h *hub) wakeSome(d store.Direction, n int) {
	w := h.waiters[d]
	n = min(n, len(w))
	for _, c := range w[:n] {
		close(c)
	}
	h.waiters[d] = w[n:]
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for d, w := range h.waiters {
		for _, c := range w {
			close(c)
		}
		delete(h.waiters, d)
	}
}

// join makes a waiter, unless the hub is closed.
func (h *hub) join(d store.Direction) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan struct{})
	if h.closed {
		close(c)
	} else {
		h.waiters[d] = append(h.waiters[d], c)
	}
	return c
}

// leave takes a waiter out. One that was let go and has no use for it lets another go.
func (h *hub) leave(d store.Direction, c chan struct{}, unused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, other := range h.waiters[d] {
		if other == c {
			h.waiters[d] = append(h.waiters[d][:i:i], h.waiters[d][i+1:]...)
			return
		}
	}
	if unused {
		h.wakeSome(d, 1)
	}
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, d store.Direction) error {
	if !d.Known() {
		return fmt.Errorf("wait for %q: no such direction", d)
	}
	woken := s.hub.join(d)
	err := s.wait(ctx, d, woken)
	s.hub.leave(d, woken, err != nil)
	return err
}

func (s *Store) wait(ctx context.Context, d store.Direction, woken <-chan struct{}) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	k, err := s.soons.put(d)
	if err != nil {
		return err
	}
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-k.done:
	case <-woken:
	case <-timer.C: // there may be work all the same
	case <-ctx.Done():
	}
	if s.soons.leave(k) {
		return s.usable(ctx)
	}
	<-k.done
	if k.err != nil {
		return k.err
	}
	pause := k.a
	if pause <= 0 {
		s.hub.mu.Lock()
		since := time.Since(s.hub.empty[d])
		s.hub.mu.Unlock()
		if since > breath {
			return s.usable(ctx)
		}
		pause = breath
	}
	timer.Reset(pause)
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.usable(ctx)
}

// soonAll tells for how long there is nothing to claim, as far as that is known: at most until it is time to look again.
func (s *Store) soonAll(ctx context.Context, directions []store.Direction) ([]time.Duration, error) {
	var names []string
	for _, d := range directions {
		if !slices.Contains(names, string(d)) {
			names = append(names, string(d))
		}
	}
	pauses := map[string]time.Duration{}
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		clear(pauses)
		rows, err := conn.Query(ctx, sqlSoon, names, s.moment())
		if err != nil {
			return err
		}
		var name string
		var micros int64
		_, err = pgx.ForEachRow(rows, []any{&name, &micros}, func() error {
			pauses[name] = time.Duration(micros) * time.Microsecond
			return nil
		})
		return err
	})
	out := make([]time.Duration, len(directions))
	for i, d := range directions {
		pause, ok := pauses[string(d)]
		if out[i] = look; ok {
			out[i] = min(look, pause)
		}
	}
	return out, err
}

// announce tells the other replicas what there is to claim, and makes durable what nobody waited for.
func (s *Store) announce(ctx context.Context) {
	for {
		select {
		case <-s.hub.kick:
		case <-ctx.Done():
			return
		}
		if payload := s.hub.payload(s.schema, s.replica); payload != "" {
			if err := s.exec(ctx, sqlNotify, payload); err != nil {
				s.log.Warn("the other replicas could not be notified; they will look by themselves", "err", err)
			}
		}
		if !sleep(ctx, announceEvery) {
			return
		}
		s.hub.mu.Lock()
		ridden, rode := s.hub.ridden, s.hub.rode
		due := !ridden.IsZero() && time.Since(ridden) >= ride
		if due {
			s.hub.ridden = time.Time{}
		}
		s.hub.mu.Unlock()
		switch {
		case due:
			if err := s.exec(ctx, sqlFlush); err != nil {
				s.log.Warn("deliveries that were settled a moment ago may be repeated", "err", err)
				s.hub.severed()
				continue
			}
			s.hub.mu.Lock()
			if s.hub.rode.Equal(rode) { // or more have come meanwhile, and ride on
				s.hub.riding = 0
			}
			s.hub.mu.Unlock()
		case !ridden.IsZero():
			select {
			case s.hub.kick <- struct{}{}: // come back for it
			default:
			}
		}
	}
}

// exec runs a statement of its own that need not succeed.
func (s *Store) exec(ctx context.Context, sql string, args ...any) error {
	limited, cancel := s.within(ctx)
	defer cancel()
	_, err := s.pool.Exec(limited, sql, args...)
	if ctx.Err() != nil {
		return nil // the store is closing
	}
	return err
}

// payload takes what is to be announced.
func (h *hub) payload(schema, replica string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.news) == 0 {
		return ""
	}
	parts := []string{replica, schema}
	for _, d := range sorted(h.news) {
		parts = append(parts, string(d))
	}
	clear(h.news)
	return strings.Join(parts, "\n")
}

// listen lets calls go that wait for what other replicas announce.
func (s *Store) listen(ctx context.Context, c *pgx.ConnConfig) {
	c = c.Copy()
	for ctx.Err() == nil {
		err := s.listenOnce(ctx, c)
		if ctx.Err() == nil {
			s.log.Debug("notifications from the database were cut off", "err", err)
		}
		s.hub.wakeAll() // for what was missed
		sleep(ctx, time.Second)
	}
}

func (s *Store) listenOnce(ctx context.Context, c *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, sqlListen); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		parts := strings.Split(n.Payload, "\n")
		if len(parts) < 3 || parts[0] == s.replica || parts[1] != s.schema {
			continue
		}
		for _, d := range parts[2:] {
			s.hub.wake(store.Direction(d), 1)
		}
	}
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
