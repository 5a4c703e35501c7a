package main

import (
	"context"
	"net/http"
	"time"
)

// rekeySpan is how long one request seals.
const rekeySpan = 2 * time.Second

// A rekeyView says whether there may be more to do.
type rekeyView struct {
	More bool `json:"more"`
}

// rekey seals for a while.
func (a *adminAPI) rekey(ctx context.Context, r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	for start := time.Now(); ; {
		more, err := a.store.Rekey(ctx)
		if err != nil {
			return nil, err
		}
		if !more || time.Since(start) > rekeySpan {
			return rekeyView{more}, nil
		}
	}
}
