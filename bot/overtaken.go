package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snowbot/store"
)

// ServiceNow keeps one chat a person, whatever the session: what is sent for one that is over would be said in the next, or end it.
// So a person has no other chat until ServiceNow knows of the end, as far as that does not take long; and what is sent later
// gives way to the next chat.

const (
	// endingFor is how long a person has no chat elsewhere because ServiceNow has not been told of the end of the last one.
	endingFor = time.Minute
	// overtakenFor is how long it is known after an end who might have another chat.
	overtakenFor = time.Hour
)

// overtaken reports whether the person of a session that is over has another one in the conversation, for which an agent was asked.
func (s *state) overtaken(id string) bool {
	x := s.Session
	return x != nil && x.ID != id && x.Person == s.person(id) && (!x.Requested.IsZero() || !x.Heard.IsZero())
}

// overtaken reports whether the person of a session that is over has another one, here or in another conversation.
func (b *Bot) overtaken(ctx context.Context, conversation string, s *state, id string) (bool, error) {
	p := s.past(id)
	if s.live(id) || s.overtaken(id) || p == nil || p.Live == "" {
		return s.overtaken(id), nil
	}
	holder, err := b.store.Find(ctx, liveKey(p.Live))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("look for another chat of the person: %w", err)
	}
	return err == nil && holder != conversation, nil
}
