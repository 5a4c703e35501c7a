package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// Times of a talk. None of them decides on a promise; they only keep a run from hanging.
const (
	patience = 60 * time.Second // for what has to come; then the check has its say
	recheck  = 200 * time.Millisecond
	askAgain = 3 * time.Second
)

const wish = "I want to talk to a person"

// A talk is one employee's conversation with the bot and, in one session after the other, with agents.
type talk struct {
	id      int32
	watch   *watch
	snow    *snowtest.Instance
	user    adaptertest.User
	chat    *adaptertest.Conversation
	rng     *rand.Rand
	session atomic.Int32
	signal  chan struct{}
	desk    chan snowtest.Chat // what was queued for the employee

	mu       sync.Mutex
	taken    map[string]bool // activities that were accepted
	messages map[Mark]*progress
	past     map[Direction]int32 // the last numbers of sessions that are over
	ended    map[int32]bool      // sessions whose end was shown
	gone     map[string]bool     // sessions, by clientSessionId, that nobody accepted and ServiceNow knows the end of
	joined   map[int32]bool      // sessions in which we know of an agent
	replies  int                 // of the bot itself
	shown    int                 // whatever the bot wrote

	quits int // sessions that were cancelled

	said map[Direction]*int32 // numbers given out; each direction has one writer at a time
}

// run talks until n messages of each direction were written, or enough says so.
func (t *talk) run(ctx context.Context, n int32, enough func() bool) error {
	for (*t.said[FromEmployee] < n || *t.said[FromAgent] < n) && !enough() {
		t.session.Add(1)
		size := min(3+t.rng.Int32N(12), max(n-*t.said[FromEmployee], n-*t.said[FromAgent]))
		if err := t.escalation(ctx, min(size, n-*t.said[FromEmployee]), min(size, n-*t.said[FromAgent])); err != nil {
			return fmt.Errorf("conversation %d session %d: %w", t.id, t.session.Load(), err)
		}
	}
	return nil
}

// escalation is one session: some messages of either side, and an end.
func (t *talk) escalation(ctx context.Context, fromEmployee, fromAgent int32) error {
	t.mark(Asked)
	if err := t.command(ctx, wish); err != nil {
		return err
	}
	if t.rng.IntN(8) == 0 {
		return t.cancelled(ctx, min(fromEmployee, t.rng.Int32N(3)))
	}
	chat, err := t.queued(ctx)
	if err != nil {
		return err
	}
	if t.rng.IntN(3) == 0 {
		held := t.rng.Int32N(fromEmployee + 1)
		fromEmployee -= held
		if err := t.write(ctx, held); err != nil {
			return err
		}
	}
	defer t.collect(chat.ID)
	_ = t.snow.Accept(ctx, chat.ID, fmt.Sprintf("Agent %d", t.id)) // if we did not take it, or have ended the session, that shows in the log
	pauses := rand.New(rand.NewPCG(t.rng.Uint64(), 1))
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return t.write(both, fromEmployee) })
	g.Go(func() error { return t.answer(both, chat.ID, fromAgent, pauses) })
	if err := g.Wait(); err != nil {
		return err
	}
	if t.rng.IntN(3) > 0 {
		_ = t.await(ctx, patience, func() bool { return t.resolved(chat.ID, 0) })
	}
	ending, err := t.end(ctx, chat.ID)
	if err != nil {
		return err
	}
	if err := t.over(ctx); err != nil {
		return err
	}
	_ = t.await(ctx, patience, func() bool { return t.resolved(chat.ID, ending) && t.closed(chat.ID) })
	return nil
}

// cancelled gives up before an agent joins.
func (t *talk) cancelled(ctx context.Context, held int32) error {
	if err := t.write(ctx, held); err != nil {
		return err
	}
	t.mark(Ending)
	if err := t.command(ctx, "cancel"); err != nil {
		return err
	}
	if err := t.over(ctx); err != nil {
		return err
	}
	// The chat ends at the desk, or never got there. Before ServiceNow has heard of the end, it may still come there, and would be taken
	// for the next one.
	t.quits++
	var chats []snowtest.Chat
	if err := t.await(ctx, patience, func() bool {
		if t.holds(func() bool { return len(t.gone) < t.quits }) {
			return false
		}
		for {
			select {
			case c := <-t.desk:
				chats = append(chats, c)
				continue
			default:
			}
			break
		}
		return !slices.ContainsFunc(chats, func(c snowtest.Chat) bool { return !t.closed(c.ID) })
	}); err == nil {
		t.mark(Closed)
	}
	t.forget()
	return ctx.Err()
}

// queued waits for the chat at the desk.
// A service that cannot reach ServiceNow says so instead of promising an agent; then the employee wishes again.
func (t *talk) queued(ctx context.Context) (snowtest.Chat, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	again := time.NewTicker(patience / 3)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if err := t.command(ctx, wish); err != nil {
				return snowtest.Chat{}, fmt.Errorf("nobody in the queue: %w", err)
			}
		case c := <-t.desk:
			if now, err := t.snow.Chat(c.ID); err == nil && now.State == snowtest.StateEnded {
				continue // of a session that was cancelled
			}
			t.watch.known(c.SessionID, t.session.Load())
			return c, nil
		case <-ctx.Done():
			return snowtest.Chat{}, fmt.Errorf("nobody in the queue: %w", ctx.Err())
		}
	}
}

// write has the employee write n messages, one after the other. Teams repeats what was not accepted.
func (t *talk) write(ctx context.Context, n int32) error {
	var held []adaptertest.Posted
	for range n {
		p, err := t.chat.Say(ctx, t.user, t.words(FromEmployee))
		if err == nil && p.Held {
			held = append(held, p) // the next one overtakes it
			continue
		}
		if err := t.insist(ctx, p); err != nil {
			return err
		}
	}
	_ = t.chat.Release(ctx) // an error is seen in the log, as a message that is not accepted
	for _, p := range held {
		if err := t.insist(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// command has the employee write something that is no test message.
func (t *talk) command(ctx context.Context, text string) error {
	p, _ := t.chat.Say(ctx, t.user, text)
	return t.insist(ctx, p)
}

// insist repeats an activity until it was accepted.
func (t *talk) insist(ctx context.Context, p adaptertest.Posted) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		_ = t.chat.Release(ctx)
		if t.holds(func() bool { return t.taken[p.ActivityID] }) {
			return nil
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
		p, _ = t.chat.Repeat(ctx, p)
	}
}

// answer has the agent write n messages. ServiceNow does not repeat. An agent whose words get lost again and again waits longer
// before the next.
func (t *talk) answer(ctx context.Context, chatID string, n int32, rng *rand.Rand) error {
	const short, long = 20 * time.Millisecond, 640 * time.Millisecond
	wait := short
	for range n {
		_, err := t.snow.Say(ctx, chatID, t.words(FromAgent))
		var lost *snowtest.PostError
		switch {
		case err == nil:
			pause(ctx, time.Duration(rng.IntN(3))*time.Millisecond)
			wait = short
		case errors.As(err, &lost):
			pause(ctx, wait)
			wait = min(2*wait, long)
		case errors.Is(err, snowtest.ErrNotLive), errors.Is(err, snowtest.ErrEnded):
			return nil // the service has ended it; the check will tell
		default:
			return err
		}
	}
	return ctx.Err()
}

// end ends the session from one side, and says when it began to.
func (t *talk) end(ctx context.Context, chatID string) (time.Duration, error) {
	ending := t.mark(Ending)
	byAgent := t.rng.IntN(2) == 0
	if byAgent {
		last := ""
		if t.rng.IntN(2) == 0 {
			last = "Goodbye. " + t.words(FromAgent)
		}
		do := t.snow.End
		if t.rng.IntN(2) == 0 {
			do = t.snow.EndSeparately
		}
		err := do(ctx, chatID, last)
		var lost *snowtest.PostError
		switch {
		case err == nil:
			if t.await(ctx, askAgain, t.isOver) == nil {
				return ending, nil
			}
		case !errors.As(err, &lost) && !errors.Is(err, snowtest.ErrEnded):
			return ending, err
		}
	}
	// ServiceNow repeats nothing, so an end that got lost is noticed by the employee.
	if t.holds(func() bool { return t.ended[t.session.Load()] }) {
		return ending, nil
	}
	return ending, t.command(ctx, "end chat")
}

func (t *talk) isOver() bool {
	return t.holds(func() bool { return t.ended[t.session.Load()] })
}

// over waits until the end was shown and everything before it is through: what the bot answers to words after the end comes last.
func (t *talk) over(ctx context.Context) error {
	if err := t.await(ctx, patience, t.isOver); err != nil && ctx.Err() != nil {
		return err
	}
	replies, shown := t.count()
	quiet := time.Now() // since then the bot has written nothing
	for time.Since(quiet) < patience {
		if err := t.command(ctx, "what is a payslip"); err != nil {
			return err
		}
		if t.await(ctx, askAgain, func() bool { now, _ := t.count(); return now > replies }) == nil {
			return nil
		}
		if _, now := t.count(); now > shown { // a busy machine
			shown, quiet = now, time.Now()
		}
	}
	return errors.New("the bot does not answer after the end of a session")
}

// count returns how often the bot has answered for itself, and how much it has written in all.
func (t *talk) count() (replies, shown int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.replies, t.shown
}

// words are those of the next message: of several kinds, each with its mark.
func (t *talk) words(d Direction) string {
	*t.said[d]++
	m := Mark{Conversation: t.id, Direction: d, Number: *t.said[d]}
	switch m.Number % 4 {
	case 0:
		return "two lines\nand *no* <b>markup</b> " + m.String()
	case 1:
		return m.String() + " ok"
	default:
		return "note " + m.String()
	}
}

// mark adds an event of the session that is on, of now.
func (t *talk) mark(k Kind) time.Duration {
	at := t.watch.at(time.Now())
	t.watch.record.Add(Event{Kind: k, Mark: Mark{Conversation: t.id}, Session: t.session.Load(), At: at})
	return at
}

func (t *talk) closed(chatID string) bool {
	c, err := t.snow.Chat(chatID)
	return err == nil && c.State == snowtest.StateEnded
}

// resolved reports whether nothing is left to wait for, by the same measure as the check. An ending of zero has not begun.
func (t *talk) resolved(chatID string, ending time.Duration) bool {
	c, err := t.snow.Chat(chatID)
	if err != nil {
		return true
	}
	there := map[Mark]bool{}
	for _, l := range c.Lines {
		switch {
		case l.From == snowtest.FromUser:
			for _, m := range Marks(l.Text, FromEmployee) {
				there[m] = true
			}
		case l.From == snowtest.FromAgent && l.Receipt != "":
			for _, m := range Marks(l.Text, FromAgent) {
				there[m] = true
			}
		}
	}
	return t.holds(func() bool {
		for m, p := range t.messages {
			owed := p.accepted > 0 && (ending == 0 || p.accepted <= ending) && (m.Direction == FromAgent || t.joined[t.session.Load()])
			late := p.late > 0 && c.State == snowtest.StateEnded && p.late >= t.watch.at(c.EndedAt)
			if owed && !there[m] && !p.told && !late {
				return false
			}
		}
		return true
	})
}

// collect reads what the agent's desk shows at the end.
func (t *talk) collect(chatID string) {
	c, err := t.snow.Chat(chatID)
	if err != nil {
		return
	}
	now, session := t.watch.at(time.Now()), t.session.Load()
	var events []Event
	for _, l := range c.Lines {
		switch l.From {
		case snowtest.FromUser:
			send := t.watch.sends.Add(1)
			for _, m := range Marks(l.Text, FromEmployee) {
				events = append(events, Event{Kind: Shown, Mark: m, Send: send, At: t.watch.at(l.At)})
			}
		case snowtest.FromAgent:
			k := Ticked
			if l.Receipt == snowtest.ReceiptError {
				k = Failed
			}
			for _, m := range Marks(l.Text, FromAgent) {
				if l.Receipt != "" {
					events = append(events, Event{Kind: k, Mark: m, At: now})
				}
			}
		case snowtest.FromSystem:
		}
	}
	if c.State == snowtest.StateEnded {
		events = append(events, Event{Kind: Closed, Mark: Mark{Conversation: t.id}, Session: session, At: t.watch.at(c.EndedAt)})
	}
	t.watch.record.Add(events...)
	t.forget()
}

// pause waits, or reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
