package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"snowbot/store"
)

// ErrNotTold means that a session was ended, and that not both people have been told yet.
var ErrNotTold = errors.New("not everybody has been told of the end of a chat")

// erasePause is between two looks whether both have been told.
const erasePause = 100 * time.Millisecond

// EndSessions ends the live sessions of all conversations that hold words of a person (see [Person]), and returns when both sides
// have been told, or have been given up, also of sessions that had ended before: [store.Store.Erase] would erase with a conversation
// what tells them. When ctx ends before, and after a session was ended, the error is [ErrNotTold], and another call waits on. It needs
// a bot that runs, here or in another replica.
func (b *Bot) EndSessions(ctx context.Context, person string) error {
	for begun := false; ; {
		var live []string
		told := true
		err := b.store.Export(ctx, person, func(r store.Record, _ []store.Line) error {
			s, err := decodeState(&r)
			if err != nil {
				return err
			}
			if s.Session != nil {
				live = append(live, r.ID)
			}
			told = told && !s.untold()
			return nil
		})
		for _, conversation := range live {
			if err == nil {
				err = b.apply(ctx, conversation, nil, erasureEvent{})
				begun = begun || err == nil
			}
		}
		begun = begun || !told
		switch {
		case err == nil && told && len(live) == 0:
			return nil
		case ctx.Err() != nil && begun:
			return ErrNotTold
		case err != nil:
			return fmt.Errorf("end sessions: %w", err)
		}
		pause(ctx, erasePause)
	}
}

// untold reports whether somebody is still to be told of the end of a session.
func (s *state) untold() bool {
	return slices.ContainsFunc(s.Past, func(p ended) bool { return p.Untold > 0 })
}

// Untold reports whether a chat of the conversation is on, or has ended and not both sides have been told, or given up. What tells
// them would be erased with the record.
func Untold(r store.Record) bool {
	s, err := decodeState(&r)
	return r.Status != "" || err == nil && s.untold()
}

// errErased is an event without an id of its own, such as a timer, in a conversation that was erased meanwhile: it is not made again.
var errErased = errors.New("the conversation was erased")

// An erasureEvent says that the conversation is about to be erased.
type erasureEvent struct{}

func (erasureEvent) raw() []byte { return nil }

func (erasureEvent) apply(c *change) {
	if c.state.Session == nil {
		return
	}
	c.end(ending{reason: endErased, text: c.texts().Say(TextNoticeErased), tell: true})
}
