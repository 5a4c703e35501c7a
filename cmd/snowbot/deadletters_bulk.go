package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
)

// A bulk does one thing to many dead letters, the oldest first, so that a lane gets them in their old order.
type bulk struct {
	verb string // what has been done to one when it succeeded
	json bool
	do   func(ctx context.Context, id string) error
}

// A bulkFailure is a dead letter that stayed as it was.
type bulkFailure struct {
	ID    string `json:"id"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error"`
}

// run works through the choice. What one of them is refused for does not stop the others; a store that is gone does.
func (b *bulk) run(ctx context.Context, choice *letterChoice, client *adminClient) error {
	var ids []string
	err := choice.each(ctx, client, func(page []letterView) error {
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	bar := progressBar(len(ids), "dead letters",
		progressbar.OptionSetVisibility(len(ids) > 1 && isTerminal(os.Stderr)), progressbar.OptionShowCount(), progressbar.OptionFullWidth())
	var failed []bulkFailure
	done, over := 0, 0
	for _, id := range ids {
		if err = ctx.Err(); err != nil {
			err = errors.New("interrupted")
			break
		}
		err = b.do(ctx, id)
		var p *problem
		if errors.As(err, &p) && p.Status < 500 {
			failed = append(failed, bulkFailure{id, p.Code, p.Text})
			if p.Code == codeSessionOver {
				over++
			}
			err = nil
		} else if err != nil {
			break
		} else {
			done++
			if b.json {
				err = printLines([]letterResult{{ID: id, Result: b.verb}})
			}
		}
		_ = bar.Add(1)
	}
	_ = bar.Exit()
	b.report(done, over, failed)
	switch left := len(ids) - done - len(failed); {
	case err != nil:
		return fmt.Errorf("%w; %d were not looked at", err, left)
	case len(failed) > 0:
		return fmt.Errorf("%d of %d stay dead letters", len(failed), len(ids))
	}
	return nil
}

func (b *bulk) report(done, over int, failed []bulkFailure) {
	if b.json {
		_ = printLines(failed)
		return
	}
	fmt.Printf("%s: %d\n", b.verb, done)
	for _, f := range failed {
		fmt.Printf("%s: %s\n", f.ID, f.Error)
	}
	if over > 0 {
		fmt.Printf("%d of them would be sent with --force\n", over)
	}
}
