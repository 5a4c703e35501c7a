package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"snowbot/bot"
)

// deadLettersCommand looks at what was given up, and sends or drops it.
type deadLettersCommand struct {
	storeSettings
	List  lettersList  `cmd:"" default:"withargs" help:"List what was given up. No words are shown."`
	Show  lettersShow  `cmd:"" help:"Show dead letters with every attempt."`
	Retry lettersRetry `cmd:"" help:"Send dead letters again, under the ids they had."`
	Drop  lettersDrop  `cmd:"" help:"Remove dead letters for good."`
}

// letterChoice says which dead letters are meant.
type letterChoice struct {
	ID           []string `name:"id" sep:"none" help:"Only the dead letter of this id; may be repeated."`
	Conversation string   `help:"Only those of this conversation."`
	Reason       string   `help:"Only those given up for this reason, such as \"too old\"."`
	Since        string   `help:"Only those from this time on: RFC 3339, or how long ago, such as 2h or 30m."`
	Until        string   `help:"Only those before this time."`
}

// query turns the choice into parameters of the admin API.
func (c *letterChoice) query(now time.Time) (url.Values, error) {
	q := url.Values{}
	for name, value := range map[string]string{"conversation": c.Conversation, "reason": c.Reason} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]string{"since": c.Since, "until": c.Until} {
		if value == "" {
			continue
		}
		t, err := parseMoment(value, now)
		if err != nil {
			return nil, fmt.Errorf("--%s %w", name, err)
		}
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
	if len(q) > 0 && len(c.ID) > 0 {
		return nil, errors.New("--id chooses by itself; leave out the other filters")
	}
	return q, nil
}

// parseMoment reads a time, or how long before now it was.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, errors.New("has to be a time such as 2026-11-22T08:00:00Z, or how long ago, such as 2h")
	}
	return now.Add(-d), nil
}

// each calls f with the chosen dead letters, the oldest first, a page at a time.
func (c *letterChoice) each(ctx context.Context, client *adminClient, f func([]letterView) error) error {
	if len(c.ID) == 0 {
		q, err := c.query(time.Now())
		if err != nil {
			return err
		}
		return client.letters(ctx, q, f)
	}
	var found []letterView
	for _, id := range c.ID {
		v, err := client.letter(ctx, id, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		found = append(found, v)
	}
	return f(found)
}

// bulkChoice is the choice of a command that changes something: nothing at all is not everything.
type bulkChoice struct {
	letterChoice
	All bool `help:"All dead letters."`
}

// Validate is called before anything is done.
func (c *bulkChoice) Validate() error {
	q, err := c.query(time.Now())
	switch chosen := len(q) + len(c.ID); {
	case err != nil:
		return err
	case chosen == 0 && !c.All:
		return errors.New("say which dead letters: --id, --conversation, --reason, --since, --until, or --all")
	case chosen > 0 && c.All:
		return errors.New("--all is everything; leave out the other filters")
	}
	return nil
}

type lettersList struct {
	letterChoice
	JSON bool `name:"json" help:"One JSON object a line."`
}

// Validate is called before anything is done.
func (c *lettersList) Validate() error {
	_, err := c.query(time.Now())
	return err
}

// Run lists.
func (c *lettersList) Run(parent *deadLettersCommand) error {
	return parent.with(func(ctx context.Context, client *adminClient) error {
		n := 0
		err := c.each(ctx, client, func(page []letterView) error {
			n += len(page)
			if c.JSON {
				return printLines(page)
			}
			return printLetters(os.Stdout, page)
		})
		if err == nil && n == 0 && !c.JSON {
			fmt.Println("no dead letters")
		}
		return err
	})
}

type lettersShow struct {
	IDs  []string `arg:"" name:"id" help:"Ids of dead letters."`
	Body bool     `help:"With the words. They are a person's: handle them as such. The service notes it in its log."`
	JSON bool     `name:"json" help:"One JSON object a line."`
}

// Run shows.
func (c *lettersShow) Run(parent *deadLettersCommand) error {
	return parent.with(func(ctx context.Context, client *adminClient) error {
		q := url.Values{}
		if c.Body {
			q.Set("body", "true")
		}
		for i, id := range c.IDs {
			v, err := client.letter(ctx, id, q)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			if c.JSON {
				err = printLines([]letterView{v})
			} else {
				if i > 0 {
					fmt.Println()
				}
				err = printLetter(os.Stdout, &v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type lettersRetry struct {
	bulkChoice
	Force bool `help:"Also those whose session is over."`
	JSON  bool `name:"json" help:"One JSON object for each dead letter."`
}

// Run sends again.
func (c *lettersRetry) Run(parent *deadLettersCommand) error {
	return parent.with(func(ctx context.Context, client *adminClient) error {
		b := bulk{verb: resultRetried, json: c.JSON, do: func(ctx context.Context, id string) error {
			return client.retry(ctx, id, bot.RetryOptions{Force: c.Force})
		}}
		return b.run(ctx, &c.letterChoice, client)
	})
}

type lettersDrop struct {
	bulkChoice
	Yes  bool `help:"Yes, they cannot be had back."`
	JSON bool `name:"json" help:"One JSON object for each dead letter."`
}

// Validate is called before anything is done.
func (c *lettersDrop) Validate() error {
	if err := c.bulkChoice.Validate(); err != nil {
		return err
	}
	if !c.Yes {
		return errors.New("dropped dead letters cannot be had back; look at them with list, and then say --yes")
	}
	return nil
}

// Run drops.
func (c *lettersDrop) Run(parent *deadLettersCommand) error {
	return parent.with(func(ctx context.Context, client *adminClient) error {
		b := bulk{verb: resultDropped, json: c.JSON, do: client.drop}
		return b.run(ctx, &c.letterChoice, client)
	})
}
