package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"snowbot/store"
)

// A record has room for the last sessions of a day. That there were others, and whose they are, is kept beside it.

// formerAfter is how many sessions of a conversation have to end after one until it is noted beside the record. That is soon enough:
// the record has it for twice as long.
const formerAfter = pastMax / 2

// formerID is under what a session is noted: as a file without data, so that it goes when the conversation goes. No link leads to it.
func formerID(session string) string {
	sum := sha256.Sum256([]byte("snowbot former session " + session))
	return hex.EncodeToString(sum[:])
}

// noteFormer has the session noted that so many have followed.
func (c *change) noteFormer() {
	if n := len(c.state.Past) - 1 - formerAfter; n >= 0 {
		c.send(store.Links, kindFormer, c.state.Past[n].ID, body{})
	}
}

// keepFormer notes a session, for a day from now.
func (b *Bot) keepFormer(ctx context.Context, conversation, session string) error {
	err := b.store.PutFile(ctx, store.File{ID: formerID(session), Conversation: conversation, Expires: b.now().Add(lateFor)})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("note a former session: %w", err)
	}
	return nil
}

// findSession returns the conversation of a session that is live, or ended less than a day ago: [erased], if that was erased. The error is [store.ErrNotFound] when
// there is none.
func (b *Bot) findSession(ctx context.Context, session string) (conversation string, err error) {
	conversation, err = b.store.Find(ctx, sessionKey(session))
	if errors.Is(err, store.ErrNotFound) {
		var f store.File
		f, err = b.store.File(ctx, formerID(session))
		conversation = f.Conversation
	}
	return conversation, err
}
