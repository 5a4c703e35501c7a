package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/snow"
	"snowbot/store"
)

// Gap repair. ServiceNow posts once, as a rule, so what it posted while nobody took it is lost, unless somebody reads it back: after
// an outage of ours at once, and from time to time what was lost between the two, which neither side knows of.
const (
	repairsAtOnce = 4
	repairWait    = 2 * time.Second // that a post waits for what came before it; ServiceNow waits for five
	repairLimit   = 10 * time.Second
	// repairReach is how far back messages are read: of older ones it is not known whether they were shown.
	repairReach = lateFor - time.Hour
)

// A mender reads back, for each live session after an outage of ours, what ServiceNow keeps of it. What is known already has no
// effect, as with any repeat.
type mender struct {
	bot     *Bot
	enabled bool
	every   time.Duration // 0: after outages only

	mu      sync.Mutex
	survey  bool            // all live sessions are to be looked at
	gaps    map[string]*gap // by conversation
	denied  bool            // the instance does not let us read
	changed chan struct{}   // closed when any of these has changed
}

// A gap is a conversation that may have missed something.
type gap struct {
	due    time.Time
	tries  int
	inHand bool
	stale  bool // more may have been missed since it was taken in hand
	urgent bool // a post waits for it
	quiet  bool // nothing says that anything was missed, so that no post waits for it
}

func newMender(b *Bot) *mender {
	return &mender{bot: b, enabled: b.rules.GapRepair, every: b.rules.GapEvery, survey: b.rules.GapRepair, gaps: map[string]*gap{}, changed: make(chan struct{})}
}

// change runs f under the lock, and wakes whoever waits for a change.
func (m *mender) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

// all has every live session looked at: there may have been an outage.
func (m *mender) all() {
	if m.enabled {
		m.change(func() { m.survey = !m.denied })
	}
}

// one has a conversation looked at: a post of its session was not taken.
func (m *mender) one(conversation string) {
	if m.enabled {
		m.change(func() { m.note(conversation, false) })
	}
}

// note notes that a conversation may have missed something.
func (m *mender) note(conversation string, quiet bool) {
	switch g := m.gaps[conversation]; {
	case m.denied:
	case g == nil:
		m.gaps[conversation] = &gap{quiet: quiet}
	case !quiet:
		g.stale, g.quiet = g.inHand, false
	}
}

// before waits, for a short time, until what a conversation missed is shown, so that a new post does not overtake it.
func (m *mender) before(ctx context.Context, conversation string) {
	if !m.enabled {
		return
	}
	limit := time.NewTimer(repairWait)
	defer limit.Stop()
	for {
		m.mu.Lock()
		g, changed := m.gaps[conversation], m.changed
		if (g == nil || g.quiet) && !m.survey {
			m.mu.Unlock()
			return
		}
		hurry := g != nil && !g.urgent
		m.mu.Unlock()
		if hurry {
			m.change(func() { g.urgent = true })
			continue
		}
		select {
		case <-changed:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// run mends until ctx ends.
func (m *mender) run(ctx context.Context) error {
	if !m.enabled {
		return nil
	}
	var g errgroup.Group
	defer func() { _ = g.Wait() }()
	g.SetLimit(repairsAtOnce)
	round := time.Now().Add(m.every)
	for ctx.Err() == nil {
		m.mu.Lock()
		survey, changed := m.survey, m.changed
		conversation, wait := m.next()
		m.mu.Unlock()
		if conversation != "" {
			g.Go(func() error { m.mend(ctx, conversation); return nil })
			continue
		}
		rest := time.Until(round)
		switch due := m.every > 0 && rest <= 0; {
		case survey || due:
			if due {
				round = time.Now().Add(m.every)
			}
			err := errPanic
			m.bot.contain("repair", func() { err = m.look(ctx, !survey) })
			if errors.Is(err, store.ErrClosed) {
				return err
			} else if err != nil && ctx.Err() == nil {
				m.bot.log.Error("cannot look for gaps; will try again", "err", err)
				pause(ctx, time.Second)
			}
		default:
			if m.every > 0 {
				wait = min(wait, rest)
			}
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-changed:
			case <-t.C:
			}
			t.Stop()
		}
	}
	return nil
}

// look notes every live session as one that may have missed something.
func (m *mender) look(ctx context.Context, quiet bool) error {
	var found []string
	err := m.bot.eachSession(ctx, func(r store.Record, _ *state) error {
		found = append(found, r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	m.change(func() {
		if !quiet {
			m.survey = false
		}
		for _, conversation := range found {
			m.note(conversation, quiet)
		}
	})
	return nil
}

// next takes in hand a gap that is due, those first that a post waits for, or says how long none is.
func (m *mender) next() (conversation string, wait time.Duration) {
	now := time.Now()
	wait = time.Hour
	var best *gap
	for name, g := range m.gaps {
		switch {
		case g.inHand:
		case g.due.After(now):
			wait = min(wait, g.due.Sub(now))
		case best == nil || g.urgent && !best.urgent:
			conversation, best = name, g
		}
	}
	if best != nil {
		best.inHand = true
	}
	return conversation, wait
}

// mend reads back what the session of a conversation missed, and accepts it as if it had been posted.
func (m *mender) mend(ctx context.Context, conversation string) {
	again, err := time.Minute, errPanic
	m.bot.contain("repair", func() { again, err = m.try(ctx, conversation) })
	if err != nil && ctx.Err() == nil {
		m.bot.log.Warn("cannot read back what ServiceNow posted", "conversation", conversation, "again in", again, "err", err)
	}
	m.change(func() {
		g := m.gaps[conversation]
		switch {
		case m.denied, again == 0 && !g.stale:
			delete(m.gaps, conversation)
		case again == 0:
			*g = gap{}
		default:
			g.inHand, g.stale, g.tries, g.due = false, false, g.tries+1, time.Now().Add(again+backoff(g.tries))
		}
	})
}

// try is one attempt. A time to wait is returned when another one is to be made.
func (m *mender) try(ctx context.Context, conversation string) (again time.Duration, err error) {
	b := m.bot
	s, err := b.loadState(ctx, conversation)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, nil
	case err != nil:
		return time.Second, err
	case s.Session == nil:
		return 0, nil
	case s.Session.Unnamed:
		b.metrics.add([]count{{"repair", "without ids"}}) // what was shown would be shown again
		return 0, nil
	}
	report, wait := b.hosts.get(instanceHost).ask()
	if report == nil {
		return max(wait, time.Second), nil
	}
	reading, cancel := context.WithTimeout(ctx, repairLimit)
	defer cancel()
	result := errNoCall
	defer func() { report(result) }()
	chat, err := b.snow.ReadBack(reading, s.Session.ID, b.now().Add(-repairReach))
	if ctx.Err() != nil {
		return time.Second, ctx.Err()
	}
	result = health(err)
	if err != nil {
		o, asked := classify(store.ToServiceNow, err)
		if o.fate == never {
			m.deny(err)
			return 0, nil
		}
		return max(politely(asked), time.Second), err
	}
	if !chat.Found && s.Session.Phase == connected {
		b.metrics.add([]count{{"repair", "not visible"}})
		b.log.Warn("ServiceNow shows no record of a live chat: may the integration user read sys_cs_conversation?", "session", s.Session.ID)
	}
	post := &snow.Event{SessionID: s.Session.ID, Completed: chat.Over}
	for _, x := range chat.Messages {
		post.Items = append(post.Items, x.Items...)
	}
	if err := b.accept(ctx, conversation, s.Session.ID, post, true); err != nil {
		return time.Second, err
	}
	return 0, nil
}

// deny gives up reading until the next start.
func (m *mender) deny(err error) {
	m.bot.metrics.add([]count{{"repair", "denied"}})
	m.change(func() {
		if !m.denied {
			m.bot.log.Error("gap repair is off until the next start: the integration user needs to read sys_cs_conversation and sys_cs_message", "err", err)
		}
		m.denied, m.survey = true, false
		clear(m.gaps)
	})
}
