package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"snowbot/bot"
	"snowbot/store"
)

// A personRecord is one conversation of a person, as it is kept. It is theirs: handle it as such.
type personRecord struct {
	Conversation string          `json:"conversation"`
	Status       string          `json:"status,omitempty"`
	Updated      time.Time       `json:"updated"`
	State        json.RawMessage `json:"state,omitempty"`
	Transcript   []personLine    `json:"transcript,omitempty"`
}

// A personLine is a line of a transcript.
type personLine struct {
	At   time.Time       `json:"at"`
	Line json.RawMessage `json:"line"`
}

// A personPage is everything that is kept of a person.
type personPage struct {
	Conversations []personRecord `json:"conversations"`
}

// An erasedView says how many conversations were removed.
type erasedView struct {
	Erased int `json:"erased"`
}

// person reads whom a request is about, which may have more parameters.
func (a *adminAPI) person(r *http.Request, more ...string) (string, error) {
	q, err := parameters(r, append(more, "tenant", "user")...)
	if err != nil {
		return "", err
	}
	if err := checkPerson(q.Get("tenant"), q.Get("user")); err != nil {
		return "", badRequest(err.Error())
	}
	return bot.Person(a.store, q.Get("tenant"), q.Get("user")), nil
}

// checkPerson refuses what cannot name a person: people are found by ids, and addresses belong into no URL.
func checkPerson(tenant, user string) error {
	switch {
	case tenant == "" || user == "":
		return errors.New("say tenant and user: their ids in Entra")
	case strings.Contains(user, "@"):
		return errors.New("the user has to be the object id in Entra, not an address")
	}
	return nil
}

func personQuery(tenant, user string) url.Values {
	return url.Values{"tenant": {tenant}, "user": {user}}
}

func (a *adminAPI) exportPerson(ctx context.Context, r *http.Request) (any, error) {
	person, err := a.person(r)
	if err != nil {
		return nil, err
	}
	page := personPage{Conversations: []personRecord{}}
	err = a.store.Export(ctx, person, func(rec store.Record, lines []store.Line) error {
		p := personRecord{Conversation: rec.ID, Status: rec.Status, Updated: rec.Updated, State: asJSON(rec.Data)}
		for _, l := range lines {
			p.Transcript = append(p.Transcript, personLine{l.At, asJSON(l.Data)})
		}
		page.Conversations = append(page.Conversations, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("admin API: a person's data was exported", "conversations", len(page.Conversations))
	return page, nil
}

// asJSON returns JSON as it is, and anything else as a string.
func asJSON(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	s, err := json.Marshal(string(b))
	if err != nil {
		return nil
	}
	return s
}

// erasePatience is how long one request to erase waits until the people of a live chat have been told of its end.
const erasePatience = 5 * time.Second

func (a *adminAPI) erasePerson(ctx context.Context, r *http.Request) (any, error) {
	person, err := a.person(r, "now")
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get("now") != "true" {
		if err := a.endChats(ctx, person); err != nil {
			return nil, err
		}
	}
	n, err := bot.Erase(ctx, a.store, person, time.Now())
	if err != nil {
		return nil, err
	}
	a.log.Info("admin API: a person's data was erased", "conversations", n)
	return erasedView{n}, nil
}

// endChats ends the chats of somebody who is to be erased, or refuses to break them off: the agent would go on writing to nobody.
func (a *adminAPI) endChats(ctx context.Context, person string) error {
	if a.endSessions == nil {
		return a.store.Export(ctx, person, func(rec store.Record, _ []store.Line) error {
			if !bot.Untold(rec) {
				return nil
			}
			return &problem{
				http.StatusConflict, codeSessionLive,
				"a chat with an agent is on, or not everybody has been told of its end: start the service, so that they are, and repeat this; or say --now to break it off",
			}
		})
	}
	limit, cancel := context.WithTimeout(ctx, erasePatience)
	defer cancel()
	err := a.endSessions(limit, person)
	if errors.Is(err, bot.ErrNotTold) {
		return &problem{
			http.StatusConflict, codeNotTold,
			"a chat with an agent was ended, and not everybody could be told of it yet: repeat this in a while, or say --now to erase at once, which is the way out when snowbot dead-letters lists the end of the chat",
		}
	}
	return err
}
