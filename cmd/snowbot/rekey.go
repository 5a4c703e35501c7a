package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// rekeyCommand seals everything with the first key.
type rekeyCommand struct{ storeSettings }

// Run seals. It can be interrupted, and repeated: what is done is done.
func (c *rekeyCommand) Run() error {
	return c.with(func(ctx context.Context, client *adminClient) error {
		for {
			var v rekeyView
			if err := client.call(ctx, http.MethodPost, "/rekey", nil, &v); err != nil {
				if ctx.Err() != nil {
					return errors.New("interrupted; repeat it to go on")
				}
				return err
			}
			if !v.More {
				fmt.Println("everything is sealed with the first key; the older ones can be dropped from DATA_ENCRYPTION_KEY")
				return nil
			}
		}
	})
}
