package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snowbot/store"
)

// Why a dead letter is not sent again.
var (
	// ErrSessionOver means that the session of the dead letter has ended. Whoever insists can send it all the same.
	ErrSessionOver = errors.New("its session is over")
	// ErrNotRetryable means that sending it again is of no use, whoever insists.
	ErrNotRetryable = errors.New("it cannot be sent any more")
)

// RetryOptions say how a dead letter is sent again.
type RetryOptions struct {
	// Force sends it although its session is over: the employee gets words of an agent who has left, or ServiceNow gets
	// words for a chat that it has closed, which a virtual agent may answer.
	Force bool
}

// Retry puts a dead letter at the end of its lane, under the ids it had. The error is [store.ErrNotFound] when it is
// gone, and wraps [ErrSessionOver] or [ErrNotRetryable] when it is refused, in which case it stays where it is.
//
// What belongs to the end of a session (its notice, its ticket, what ServiceNow is told of it) is not refused for it.
func Retry(ctx context.Context, st store.Store, l store.DeadLetter, o RetryOptions) error {
	if l.Lane.Direction == "" {
		return fmt.Errorf("%w: it is an event that no transition could take, not a delivery", ErrNotRetryable)
	}
	r, err := st.Load(ctx, l.Lane.Conversation)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: its conversation is gone", ErrNotRetryable)
	}
	if err != nil {
		return fmt.Errorf("load conversation: %w", err)
	}
	s, err := decodeState(&r)
	if err != nil {
		return err
	}
	err = s.mayRetry(&l)
	if err != nil && (!o.Force || !errors.Is(err, ErrSessionOver)) {
		return err
	}
	if kind := l.Delivery.Kind; err != nil && (kind == kindWords || kind == kindFile || kind == kindRemark) {
		if err := force(ctx, st, &l); err != nil {
			return err
		}
	}
	return st.Retry(ctx, l.ID)
}

// mayRetry says whether the worker of the lane would still send the delivery, and its reader still want it.
func (s *state) mayRetry(l *store.DeadLetter) error {
	id := l.Delivery.Session
	switch kind := l.Delivery.Kind; {
	case kind == kindTurn:
		if b, err := decodeBody(l.Delivery.Body); err != nil || b.Owner != s.Owner {
			return fmt.Errorf("%w: the conversation has changed hands since the bot was asked", ErrNotRetryable)
		}
		return nil
	case id == "", s.live(id), kind == kindTicket:
		return nil
	case kind == kindAgent:
		return fmt.Errorf("%w: the employee's wish for an agent is over", ErrNotRetryable)
	case kind == kindFailure, kind == kindEnd && l.Lane.Direction == store.ToTeams:
		return nil
	case s.past(id) == nil && l.Lane.Direction != store.ToTeams:
		return fmt.Errorf("%w: its session ended more than a day ago", ErrNotRetryable)
	case kind == kindEnd && s.Session != nil:
		return fmt.Errorf("%w: it would end the chat that is on now", ErrNotRetryable)
	case kind == kindEnd, kind == kindTick:
		return nil
	}
	return ErrSessionOver
}

// forcedMost bounds how many deliveries of a chat are forced at a time, so that its record stays small.
const forcedMost = 32

// force notes that words of a session that ended are to reach ServiceNow all the same; their lane would refuse them.
func force(ctx context.Context, st store.Store, l *store.DeadLetter) error {
	return st.Apply(ctx, l.Lane.Conversation, nil, func(t *store.Turn) error {
		s, err := decodeState(t.Record)
		if err != nil {
			return err
		}
		if s.live(l.Delivery.Session) {
			return nil
		}
		if s.Session != nil {
			return fmt.Errorf("%w: another chat is on, in which they would be said", ErrNotRetryable)
		}
		if s.past(l.Delivery.Session) == nil {
			return fmt.Errorf("%w: its session ended more than a day ago", ErrNotRetryable)
		}
		s.Forced = slices.DeleteFunc(s.Forced, func(id string) bool { return id == l.Delivery.ID })
		if len(s.Forced) >= forcedMost {
			return fmt.Errorf("%w: too many others of its chat are on their way; try again in a while", ErrNotRetryable)
		}
		s.Forced = append(s.Forced, l.Delivery.ID)
		return s.encode(t.Record, t.Record.Due)
	})
}
