package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"text/tabwriter"
)

// sessionsCommand lists the live sessions.
type sessionsCommand struct {
	storeSettings
	JSON bool `name:"json" help:"One JSON object a line."`
}

// Run lists.
func (c *sessionsCommand) Run() error {
	return c.with(func(ctx context.Context, client *adminClient) error {
		q, n := url.Values{}, 0
		for {
			var page sessionPage
			if err := client.get(ctx, "/sessions", q, &page); err != nil {
				return err
			}
			n += len(page.Sessions)
			if err := c.print(page.Sessions); err != nil {
				return err
			}
			if page.Next == "" {
				break
			}
			q.Set("after", page.Next)
		}
		if n == 0 && !c.JSON {
			fmt.Println("no live sessions")
		}
		return nil
	})
}

func (c *sessionsCommand) print(page []sessionView) error {
	if c.JSON {
		return printLines(page)
	}
	if len(page) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tSTATUS\tSINCE\tAGENT JOINED\tNEXT TIMER\tCONVERSATION")
	for _, s := range page {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", orDash(s.ID), orDash(s.Status), shown(s.Since), shown(s.Joined), shown(s.Due), orDash(s.Conversation))
	}
	return w.Flush()
}
