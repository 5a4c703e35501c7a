package main

import (
	"context"
	"net/http"
	"net/url"

	"snowbot/bot"
	"snowbot/store"
)

// A bulkPage says what became of a page of dead letters, the oldest first, so that a lane gets them in their old order.
type bulkPage struct {
	Results []letterResult `json:"results"`
	Next    string         `json:"next,omitempty"` // the after of the next page
}

// retryLetters sends all that a filter chooses again, a page at a time.
func (a *adminAPI) retryLetters(ctx context.Context, r *http.Request) (any, error) {
	f, q, err := bulkFilterOf(r, "force")
	if err != nil {
		return nil, err
	}
	var o bot.RetryOptions
	if o.Force, err = flagOf(q, "force"); err != nil {
		return nil, err
	}
	return a.bulk(ctx, f, resultRetried, func(l store.DeadLetter) error { return a.retry(ctx, l, o) })
}

// dropLetters removes all that a filter chooses, a page at a time.
func (a *adminAPI) dropLetters(ctx context.Context, r *http.Request) (any, error) {
	f, _, err := bulkFilterOf(r)
	if err != nil {
		return nil, err
	}
	return a.bulk(ctx, f, resultDropped, func(l store.DeadLetter) error { return a.drop(ctx, l.ID) })
}

// bulkFilterOf is filterOf for what changes something: nothing at all is not everything.
func bulkFilterOf(r *http.Request, more ...string) (f store.DeadLetterFilter, q url.Values, err error) {
	f, q, err = filterOf(r, append(more, "all")...)
	if err != nil {
		return f, q, err
	}
	all, err := flagOf(q, "all")
	if err != nil {
		return f, q, err
	}
	if chosen := f.Conversation != "" || f.Reason != "" || !f.Since.IsZero() || !f.Until.IsZero(); chosen == all {
		return f, q, badRequest("say which dead letters: conversation, reason, since, until; or all=true, and none of these")
	}
	return f, q, nil
}

// bulk does something to a page of dead letters. What one of them is refused for does not stop the others; a store that is gone does.
func (a *adminAPI) bulk(ctx context.Context, f store.DeadLetterFilter, done string, do func(store.DeadLetter) error) (any, error) {
	found, err := a.store.DeadLetters(ctx, f)
	if err != nil {
		return nil, err
	}
	page := bulkPage{Results: make([]letterResult, 0, len(found))}
	for _, l := range found {
		if ctx.Err() != nil { // the limit of a request; the rest is for the next
			break
		}
		switch err := do(l); {
		case err == nil:
			page.Results = append(page.Results, letterResult{ID: l.ID, Result: done})
		case problemOf(err).Status < http.StatusInternalServerError:
			p := problemOf(err)
			page.Results = append(page.Results, letterResult{ID: l.ID, Code: p.Code, Error: p.Text})
		default:
			return nil, err
		}
	}
	if n := len(page.Results); n > 0 && (n < len(found) || n == f.Limit) {
		page.Next = page.Results[n-1].ID
	}
	return page, nil
}
