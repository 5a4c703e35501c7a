package storetest

import (
	"context"
	"slices"
	"time"

	"snowbot/store"
)

// A watched store has its world learn what is to be sealed, and look for it in every error.
type watched struct {
	store.Store
	w *world
}

// learn wraps a transition.
func (s watched) learn(f func(*store.Turn) error) func(*store.Turn) error {
	if f == nil {
		return nil
	}
	return func(turn *store.Turn) error {
		err := f(turn)
		words := []string{string(turn.Record.Data)}
		for _, d := range turn.Deliver {
			words = append(words, string(d.Body))
		}
		for _, l := range turn.Lines {
			words = append(words, string(l.Data))
		}
		for _, l := range turn.Bury {
			words = append(words, string(l.Delivery.Body))
		}
		s.secret(words...)
		return err
	}
}

func (s watched) secret(words ...string) {
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) < 8 }) // which may be an id as well
	s.w.watch.Secret(words...)
	if s.w.h.Sealed != nil {
		s.w.h.Sealed(words...)
	}
}

func (s watched) PutFile(ctx context.Context, f store.File) error {
	s.secret(f.Name, string(f.Data[:min(len(f.Data), 100)]))
	return s.w.watch.Refused(s.Store.PutFile(ctx, f))
}

func (s watched) File(ctx context.Context, id string) (store.File, error) {
	f, err := s.Store.File(ctx, id)
	return f, s.w.watch.Refused(err)
}

func (s watched) Apply(ctx context.Context, conversation string, ids []store.EventID, f func(*store.Turn) error) error {
	return s.w.watch.Refused(s.Store.Apply(ctx, conversation, ids, s.learn(f)))
}

func (s watched) Settle(ctx context.Context, l *store.Lease, r store.Result, f func(*store.Turn) error) error {
	return s.w.watch.Refused(s.Store.Settle(ctx, l, r, s.learn(f)))
}

func (s watched) Claim(ctx context.Context, d store.Direction, ttl time.Duration, most int) (*store.Lease, error) {
	l, err := s.Store.Claim(ctx, d, ttl, most)
	return l, s.w.watch.Refused(err)
}

func (s watched) Load(ctx context.Context, conversation string) (store.Record, error) {
	r, err := s.Store.Load(ctx, conversation)
	return r, s.w.watch.Refused(err)
}
