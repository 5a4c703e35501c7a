package bot

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// typingEvery is how often typing is shown at most; Teams shows it for about three seconds (Activity Protocol A6001).
const typingEvery = 3 * time.Second

// A typist passes typing indicators on, both ways. They are best effort: never stored, never retried,
// dropped when there is much to do.
type typist struct {
	bot  *Bot
	todo chan typing
	mu   sync.Mutex
	last map[typing]time.Time
}

// A typing says that somebody types in a conversation.
type typing struct {
	conversation string
	agent        bool
}

func newTypist(b *Bot) *typist {
	return &typist{bot: b, todo: make(chan typing, 256), last: map[typing]time.Time{}}
}

func (t *typist) employee(conversation string) { t.offer(typing{conversation, false}) }
func (t *typist) agent(conversation string)    { t.offer(typing{conversation, true}) }

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
					t.pass(ctx, y)
				}
			}
		})
	}
	return g.Wait()
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
		err = t.bot.teams.Typing(ctx, s.Ref)
		answered()
	case t.bot.hosts.get(instanceHost).out():
		return
	default:
		chat, _ := t.bot.chat(s, s.Session.ID)
		err = t.bot.snow.Typing(ctx, chat, requestID(chat.SessionID, "typing"), true)
	}
	if err != nil {
		t.bot.log.Debug("typing not shown", "conversation", y.conversation, "err", err)
	}
}
