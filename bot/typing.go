package bot

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// typingEvery is how often typing is shown at most; Teams shows it for about three seconds (Activity Protocol A6001).
const typingEvery = 3 * time.Second

// viewingAfter is how long after the last sign of it the agent is told that the employee types no more. Teams itself
// does not say so.
const viewingAfter = 3 * typingEvery

// A typist passes typing indicators on, both ways. They are best effort: never stored, never retried,
// dropped when there is much to do.
type typist struct {
	bot  *Bot
	todo chan typing
	// shown are those of employees that agents were shown, in order, each of which is to be followed by its end.
	shown chan shown
	mu    sync.Mutex
	last  map[typing]time.Time
}

// A typing says that somebody types in a conversation.
type typing struct {
	conversation string
	agent        bool
	over         bool // has stopped to
}

// A shown is a typing that an agent saw.
type shown struct {
	typing
	at time.Time // when it was offered
}

func newTypist(b *Bot) *typist {
	return &typist{bot: b, todo: make(chan typing, 256), shown: make(chan shown, 256), last: map[typing]time.Time{}}
}

func (t *typist) employee(conversation string) { t.offer(typing{conversation: conversation}) }
func (t *typist) agent(conversation string)    { t.offer(typing{conversation: conversation, agent: true}) }

func (t *typist) offer(y typing) {
	now := t.bot.now()
	t.mu.Lock()
	recent := now.Sub(t.last[y]) < typingEvery
	if !recent {
		if len(t.last) > 10_000 {
			clear(t.last)
		}
		t.last[y] = now
	}
	t.mu.Unlock()
	if recent {
		return
	}
	select {
	case t.todo <- y:
	default:
	}
}

func (t *typist) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range 4 {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case y := <-t.todo:
					t.bot.contain("typing", func() { t.pass(ctx, y) })
				}
			}
		})
	}
	g.Go(func() error { return t.follow(ctx) })
	return g.Wait()
}

// follow lets each typing of an employee be followed by its end, unless there was more of it.
func (t *typist) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-t.shown:
			pause(ctx, s.at.Add(viewingAfter).Sub(t.bot.now()))
			t.mu.Lock()
			more := t.last[s.typing].After(s.at)
			t.mu.Unlock()
			if !more {
				s.over = true
				t.bot.contain("typing", func() { t.pass(ctx, s.typing) })
			}
		}
	}
}

// pass shows one indicator, if the conversation is with an agent.
func (t *typist) pass(ctx context.Context, y typing) {
	ctx, cancel := context.WithTimeout(ctx, typingEvery)
	defer cancel()
	r, err := t.bot.store.Load(ctx, y.conversation)
	if err != nil {
		return
	}
	s, err := t.bot.states.read(&r)
	if err != nil || s.Session == nil || s.Session.Phase != connected {
		return
	}
	switch {
	case y.agent:
		if t.bot.hosts.get(teamsHost(s.Ref)).out() {
			return
		}
		answered := t.bot.room.typing(y.conversation, s.Ref.TenantID)
		if answered == nil {
			return
		}
		defer answered()
		err = t.bot.teams.Typing(ctx, s.Ref)
	case t.bot.hosts.get(instanceHost).out():
		return
	default:
		trial, wait := t.bot.limit.turn(time.Now())
		if wait > 0 {
			return
		}
		result := errNoCall
		defer func() { t.bot.limit.hear(time.Now(), trial, result) }()
		t.mu.Lock()
		at := t.last[y]
		t.mu.Unlock()
		chat, _ := t.bot.chat(s, s.Session.ID)
		err = t.bot.snow.Typing(ctx, chat, requestID(chat.SessionID, "typing"), !y.over)
		result = err
		if err == nil && !y.over {
			select {
			case t.shown <- shown{y, at}:
			default:
			}
		}
	}
	if err != nil {
		t.bot.log.Debug("typing not shown", "conversation", y.conversation, "err", err)
	}
}
