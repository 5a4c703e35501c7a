package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"snowbot/bot"
	"snowbot/store"
)

// adminPage is how many rows a page of the admin API holds at most, which is also the default.
const adminPage = 1000

// A letterView is what is shown of a dead letter: ids, codes, times and sizes. Words only when asked for.
type letterView struct {
	ID           string    `json:"id"`
	At           time.Time `json:"at"`
	Reason       string    `json:"reason"`
	Conversation string    `json:"conversation"`
	Direction    string    `json:"direction,omitempty"` // empty for an event
	Kind         string    `json:"kind"`
	Session      string    `json:"session,omitempty"`
	Delivery     string    `json:"delivery"`
	Accepted     time.Time `json:"accepted"`
	Failed       int       `json:"failed"` // sends that failed
	BodyBytes    int       `json:"bodyBytes"`
	// Attempts are the failed sends, those that failed alike in a row as one. They and Body are left out of lists.
	Attempts []store.Attempt `json:"attempts,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
}

// A letterPage is a page of dead letters, the oldest first.
type letterPage struct {
	Letters []letterView `json:"deadLetters"`
	Next    string       `json:"next,omitempty"` // the after of the next page
}

// A letterResult says what became of a dead letter. One that stays as it was has a code and an error.
type letterResult struct {
	ID     string `json:"id"`
	Result string `json:"result,omitempty"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`
}

const (
	resultRetried = "retried"
	resultDropped = "dropped"
)

func viewLetter(l *store.DeadLetter) letterView {
	d := &l.Delivery
	return letterView{
		ID: l.ID, At: l.At, Reason: l.Reason, Conversation: l.Lane.Conversation, Direction: string(l.Lane.Direction),
		Kind: d.Kind, Session: d.Session, Delivery: d.ID, Accepted: d.Accepted, Failed: d.Failed, BodyBytes: len(d.Body),
	}
}

func (a *adminAPI) listLetters(ctx context.Context, r *http.Request) (any, error) {
	f, _, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	found, err := a.store.DeadLetters(ctx, f)
	if err != nil {
		return nil, err
	}
	page := letterPage{Letters: make([]letterView, 0, len(found))}
	for i := range found {
		page.Letters = append(page.Letters, viewLetter(&found[i]))
	}
	if len(found) == f.Limit {
		page.Next = found[len(found)-1].ID
	}
	return page, nil
}

// filterOf reads which dead letters are meant. More are the names of parameters that come on top.
func filterOf(r *http.Request, more ...string) (f store.DeadLetterFilter, q url.Values, err error) {
	if q, err = parameters(r, append(more, "conversation", "reason", "since", "until", "after", "limit")...); err != nil {
		return f, q, err
	}
	f = store.DeadLetterFilter{Conversation: q.Get("conversation"), Reason: q.Get("reason"), After: q.Get("after")}
	if f.Since, err = timeOf(q, "since"); err != nil {
		return f, q, err
	}
	if f.Until, err = timeOf(q, "until"); err != nil {
		return f, q, err
	}
	f.Limit, err = limitOf(q)
	return f, q, err
}

func (a *adminAPI) showLetter(ctx context.Context, r *http.Request) (any, error) {
	q, err := parameters(r, "body")
	if err != nil {
		return nil, err
	}
	withBody, err := flagOf(q, "body")
	if err != nil {
		return nil, err
	}
	l, err := a.letter(ctx, r)
	if err != nil {
		return nil, err
	}
	v := viewLetter(&l)
	v.Attempts = l.Delivery.Attempts
	if withBody {
		a.log.Info("admin API: the words of a dead letter were shown", "letter", l.ID, "conversation", l.Lane.Conversation)
		if v.Body = l.Delivery.Body; !json.Valid(v.Body) {
			if v.Body, err = json.Marshal(string(l.Delivery.Body)); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func (a *adminAPI) retryLetter(ctx context.Context, r *http.Request) (any, error) {
	q, err := parameters(r, "force")
	if err != nil {
		return nil, err
	}
	var o bot.RetryOptions
	if o.Force, err = flagOf(q, "force"); err != nil {
		return nil, err
	}
	l, err := a.letter(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := a.retry(ctx, l, o); err != nil {
		return nil, err
	}
	return letterResult{ID: l.ID, Result: resultRetried}, nil
}

func (a *adminAPI) retry(ctx context.Context, l store.DeadLetter, o bot.RetryOptions) error {
	err := bot.Retry(ctx, a.store, l, o)
	if err == nil {
		a.log.Info("admin API: a dead letter is sent again", "letter", l.ID, "lane", l.Lane.String(), "delivery", l.Delivery.ID, "forced", o.Force)
	}
	return err
}

func (a *adminAPI) dropLetter(ctx context.Context, r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	id, err := letterID(r)
	if err != nil {
		return nil, err
	}
	if err := a.drop(ctx, id); err != nil {
		return nil, err
	}
	return letterResult{ID: id, Result: resultDropped}, nil
}

func (a *adminAPI) drop(ctx context.Context, id string) error {
	err := a.store.Discard(ctx, id)
	if err == nil {
		a.log.Info("admin API: a dead letter was dropped", "letter", id)
	}
	return err
}

func letterID(r *http.Request) (string, error) {
	id, err := url.PathUnescape(mux.Vars(r)["id"])
	if err != nil || id == "" || len(id) > store.MaxString || !isText(id) {
		return "", store.ErrNotFound
	}
	return id, nil
}

// letter returns the dead letter that the path names. The store lists in the order of ids, and of the ids that follow
// the name less its last character few come before it.
func (a *adminAPI) letter(ctx context.Context, r *http.Request) (store.DeadLetter, error) {
	id, err := letterID(r)
	if err != nil {
		return store.DeadLetter{}, err
	}
	_, last := utf8.DecodeLastRuneInString(id)
	for after := id[:len(id)-last]; ; {
		found, err := a.store.DeadLetters(ctx, store.DeadLetterFilter{After: after, Limit: 32})
		if err != nil {
			return store.DeadLetter{}, err
		}
		for _, l := range found {
			if l.ID == id {
				return l, nil
			}
			if after = l.ID; after > id {
				return store.DeadLetter{}, store.ErrNotFound
			}
		}
		if len(found) == 0 {
			return store.DeadLetter{}, store.ErrNotFound
		}
	}
}

func timeOf(q url.Values, name string) (time.Time, error) {
	if !q.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, q.Get(name))
	if err != nil {
		return t, badRequest(name + " has to be a time as in RFC 3339, such as 2026-11-22T08:00:00Z")
	}
	return t, nil
}

func limitOf(q url.Values) (int, error) {
	if !q.Has("limit") {
		return adminPage, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 || n > adminPage {
		return 0, badRequest("limit has to be a number from 1 to " + strconv.Itoa(adminPage))
	}
	return n, nil
}

func flagOf(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, badRequest(name + " has to be true or false")
	}
	return v, nil
}
