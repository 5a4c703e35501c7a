package main

import (
	"context"
	"net/http"
	"time"

	"snowbot/bot"
	"snowbot/store"
)

// A sessionView is what is shown of a live session: ids and times, no names and no words.
type sessionView struct {
	ID           string    `json:"id"`
	Conversation string    `json:"conversation"`
	Status       string    `json:"status"`
	Since        time.Time `json:"since,omitzero"`  // when the employee asked for an agent
	Joined       time.Time `json:"joined,omitzero"` // when the agent joined
	Due          time.Time `json:"due,omitzero"`    // when the next timer runs out
	Updated      time.Time `json:"updated"`
}

// A sessionPage is a page of live sessions, in the order of their conversations' ids.
type sessionPage struct {
	Sessions []sessionView `json:"sessions"`
	Next     string        `json:"next,omitempty"` // the after of the next page
}

// A statsView counts.
type statsView struct {
	Live        int                     `json:"live"`
	DeadLetters int                     `json:"deadLetters"`
	Waiting     map[store.Direction]int `json:"waiting"`
	Version     string                  `json:"version"`
}

func (a *adminAPI) listSessions(ctx context.Context, r *http.Request) (any, error) {
	q, err := parameters(r, "after", "limit")
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	found, err := a.store.Sessions(ctx, q.Get("after"), limit)
	if err != nil {
		return nil, err
	}
	page := sessionPage{Sessions: make([]sessionView, 0, len(found))}
	for _, rec := range found {
		v := sessionView{Conversation: rec.ID, Status: rec.Status, Due: rec.Due, Updated: rec.Updated}
		s, live, err := bot.SessionOf(rec)
		if err != nil {
			a.log.Error("admin API: a conversation cannot be read", "conversation", rec.ID, "err", err)
		}
		if live {
			v.ID, v.Since, v.Joined = s.ID, s.Started, s.Joined
		}
		page.Sessions = append(page.Sessions, v)
	}
	if len(found) == limit {
		page.Next = found[len(found)-1].ID
	}
	return page, nil
}

func (a *adminAPI) stats(ctx context.Context, r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	s, err := a.store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	return statsView{Live: s.Live, DeadLetters: s.DeadLetters, Waiting: s.Waiting, Version: version()}, nil
}
