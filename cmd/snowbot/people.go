package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

// personChoice says whom a command is about.
type personChoice struct {
	Tenant string `env:"MICROSOFT_APP_TENANT_ID" help:"The person's tenant; the app's by default."`
	User   string `arg:"" help:"The person's object id in Entra."`
}

// Validate is called before anything is done.
func (c *personChoice) Validate() error {
	if c.Tenant == "" {
		return errors.New("say in which tenant: set MICROSOFT_APP_TENANT_ID, or give --tenant")
	}
	return checkPerson(c.Tenant, c.User)
}

// exportCommand prints what is kept of a person.
type exportCommand struct {
	storeSettings
	personChoice
}

// Run exports. The words of agents are not kept, and so are not part of it.
func (c *exportCommand) Run() error {
	return c.with(func(ctx context.Context, client *adminClient) error {
		var page personPage
		if err := client.get(ctx, "/people", personQuery(c.Tenant, c.User), &page); err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(page)
	})
}

// eraseLimit is how long erase tries until the people of a live chat have been told of its end.
const eraseLimit = 30 * time.Second

// eraseCommand removes what is kept of a person.
type eraseCommand struct {
	storeSettings
	personChoice
	Yes bool `help:"Yes, it cannot be had back."`
	Now bool `help:"Break off a live chat, without the agent being told of its end."`
}

// Validate is called before anything is done.
func (c *eraseCommand) Validate() error {
	if err := c.personChoice.Validate(); err != nil {
		return err
	}
	if !c.Yes {
		return errors.New("what is erased cannot be had back, and a live chat with an agent is ended; look at it with export, and then say --yes")
	}
	return nil
}

// Run erases.
func (c *eraseCommand) Run() error {
	return c.with(func(ctx context.Context, client *adminClient) error {
		q := personQuery(c.Tenant, c.User)
		q.Set("now", strconv.FormatBool(c.Now))
		var v erasedView
		for until := time.Now().Add(eraseLimit); ; {
			err := client.call(ctx, http.MethodDelete, "/people", q, &v)
			if p := (*problem)(nil); errors.As(err, &p) && p.Code == codeNotTold && time.Now().Before(until) {
				continue
			}
			if err != nil {
				return err
			}
			break
		}
		if v.Erased == 0 {
			fmt.Println("nothing was kept of this person; if there should have been, check the object id and the tenant (--tenant)")
			return nil
		}
		fmt.Printf("erased: %d conversations\n", v.Erased)
		return nil
	})
}
