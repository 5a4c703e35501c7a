package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"snowbot/store"
)

// ServiceNow takes a message with a file, and fetches the file afterwards, or never: from a host that is not among its trusted
// media domains it fetches nothing, and tells nobody. So a while after each such message somebody looks.

const (
	// lookers is how many look at once. A look is two reads of the store.
	lookers = 2
	// fetchTime is how long ServiceNow may take to fetch a file.
	fetchTime = 10 * time.Minute
	// fetchedFor is how long it is known that a file was fetched, and how long a look is tried while the store cannot be read.
	fetchedFor = 24 * time.Hour
)

// fetchedID is under what it is kept that a token's file was fetched: as a file without data, so that it goes when the
// conversation goes. No link leads to it.
func fetchedID(token string) string {
	sum := sha256.Sum256([]byte("snowbot fetched file " + token))
	return hex.EncodeToString(sum[:])
}

// Fetched notes that a file was handed out whole, to whoever has the link that ends in token. It is durable when it returns.
func (b *Bot) Fetched(ctx context.Context, token string, f store.File) error {
	id := fetchedID(token)
	_, err := b.store.File(ctx, id)
	if errors.Is(err, store.ErrNotFound) { // the first time
		err = b.store.PutFile(ctx, store.File{ID: id, Conversation: f.Conversation, Expires: b.now().Add(fetchedFor)})
	}
	if err != nil {
		return fmt.Errorf("note that a file was fetched: %w", err)
	}
	return nil
}

// lookLater has somebody look whether the file of a message that ServiceNow has taken was fetched. The lane of such looks holds
// nothing else, so that nothing waits behind them.
func (c *change) lookLater(e *sentEvent) {
	c.send(store.Links, kindLook, e.delivery.Session, body{For: e.delivery.ID, File: e.body.File})
	c.turn.Deliver[len(c.turn.Deliver)-1].NotBefore = c.now.Add(min(fetchTime, c.rules.Files.AgentLink))
}

// look finds out whether a file was fetched.
func (b *Bot) look(ctx context.Context, conversation string, e *sentEvent) error {
	if e.body.For == "" {
		return errBroken
	}
	_, err := b.store.File(ctx, fetchedID(fileToken(b.store, conversation, e.body.For)))
	switch {
	case err == nil:
		e.fetched = true
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("look whether a file was fetched: %w", err)
	default:
		b.log.Warn("ServiceNow took a message with a file and has not fetched the file; "+
			"add PUBLIC_URL's host to Trusted media domains of the provider application (sys_cs_provider_application)",
			"delivery", e.body.For, "session", e.delivery.Session)
	}
	return nil
}

// looked tells both people of a file that was not fetched, while they still talk.
func (e *sentEvent) looked(c *change) {
	if e.fetched {
		c.count("files", "fetched")
		return
	}
	c.count("files", "not fetched")
	id := e.delivery.Session
	if !c.state.live(id) {
		return
	}
	told := c.texts().Say(TextFileNotRelayed)
	if f := e.body.File; f != nil && f.Name != "" {
		told = c.texts().Say(TextFileNotFetched, f.Name)
	}
	c.send(store.ToTeams, kindFailure, id, body{Activity: plain(told)})
	c.send(store.ToServiceNow, kindRemark, id, body{Text: c.agentTexts().Say(TextAttachmentNotRelayed)})
}
