package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"snowbot/snow"
	"snowbot/store"
)

// maxItems is how many items of a post are committed at once.
const maxItems = 500

// hashedKeep is how long a post whose items have no ids of their own is taken for a repeat, if it is the same to the
// byte: agents do say "ok" twice, and losing that is worse than showing it twice.
const hashedKeep = 2 * time.Second

// ServiceNow takes a post of ServiceNow. When it returns nil, the post and all that follows from it
// are durable; items that repeat do nothing. [snow.ErrUnknownSession] and [snow.ErrMismatch] say that
// it is none of ours.
func (b *Bot) ServiceNow(ctx context.Context, p *snow.Event) error {
	ctx, cancel := within(ctx, serviceNowPatience)
	defer cancel()
	conversation, session, err := b.locate(ctx, p)
	if err != nil {
		if !errors.Is(err, snow.ErrUnknownSession) && !errors.Is(err, snow.ErrMismatch) {
			b.mender.all() // the store could not say whose it is
		}
		return err
	}
	if conversation == erased {
		b.metrics.add([]count{{"late", "erased"}})
		return nil
	}
	b.mender.before(ctx, conversation)
	if err := b.accept(ctx, conversation, session, p, false); err != nil {
		b.mender.one(conversation)
		return err
	}
	return nil
}

// accept takes a post that is known to belong to a session. One that was read back is news only as far as it is not known.
func (b *Bot) accept(ctx context.Context, conversation, session string, p *snow.Event, readBack bool) error {
	if len(p.Items) > maxItems { // in several commits, so that none takes long; the flags go with the last
		first := *p
		first.Items, first.Completed, first.TakeControl, first.Status = p.Items[:maxItems], false, false, ""
		if err := b.accept(ctx, conversation, session, &first, readBack); err != nil {
			return err
		}
		rest := *p
		rest.Items = p.Items[maxItems:]
		return b.accept(ctx, conversation, session, &rest, readBack)
	}
	whole := "" // a name for all of it, once it is needed
	ids := make([]store.EventID, 0, len(p.Items)+1)
	quiet := !p.Completed && !p.TakeControl && p.Status == "" // nothing but what the items say
	for _, it := range p.Items {
		switch it.Kind {
		case snow.KindTyping:
			b.typist.agent(conversation)
		case snow.KindTypingEnd:
		default:
			quiet = false
		}
		id := store.EventID{Name: "servicenow/" + session + "/" + it.ID}
		if it.Hashed {
			if whole == "" {
				whole = digest(p.Raw)
			}
			id.Name, id.Keep = id.Name+"/"+whole, hashedKeep
		}
		ids = append(ids, id)
	}
	if quiet && (len(p.Items) > 0 || readBack) {
		return nil // typing is never stored
	}
	if p.Completed || p.TakeControl || p.Status != "" {
		// A repeat may bring no new item and yet the end. What the flags say has an effect once anyway.
		ids = append(ids, store.EventID{Name: "flags/" + uuid.NewString(), Keep: time.Second})
	}
	return b.apply(ctx, conversation, ids, &postEvent{session: session, post: p, readBack: readBack})
}

// locate finds the conversation and the session a post belongs to, and checks that everything in it
// belongs together. Nothing in the post is trusted; an absent value is not a mismatch.
func (b *Bot) locate(ctx context.Context, p *snow.Event) (conversation, session string, err error) {
	v := p.Variables
	if v.BotID != "" && v.BotID != b.appID && v.BotID != "28:"+b.appID {
		return "", "", fmt.Errorf("%w: bot id", snow.ErrMismatch)
	}
	session = p.SessionID
	switch {
	case session != "":
		conversation, err = b.findSession(ctx, session)
	case v.ConversationID != "":
		conversation, err = b.store.Find(ctx, conversationKey(v.ConversationID))
	default:
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", "", snow.ErrUnknownSession
	}
	if err != nil {
		return "", "", fmt.Errorf("find session: %w", err)
	}
	if conversation == erased {
		return conversation, session, nil // nothing is known of it to compare with
	}
	r, err := b.store.Load(ctx, conversation)
	if errors.Is(err, store.ErrNotFound) {
		return "", "", snow.ErrUnknownSession
	}
	if err != nil {
		return "", "", fmt.Errorf("load conversation: %w", err)
	}
	s, err := b.states.read(&r)
	if err != nil {
		return "", "", err
	}
	if session == "" {
		if s.Session == nil {
			return "", "", snow.ErrUnknownSession
		}
		session = s.Session.ID
	}
	switch {
	case v.ConversationID != "" && v.ConversationID != s.Ref.ConversationID:
		return "", "", fmt.Errorf("%w: conversation", snow.ErrMismatch)
	case v.TenantID != "" && v.TenantID != s.Ref.TenantID:
		return "", "", fmt.Errorf("%w: tenant", snow.ErrMismatch)
	case v.SessionID != "" && v.SessionID != session:
		return "", "", fmt.Errorf("%w: session", snow.ErrMismatch)
	}
	if of, _, ok := strings.Cut(p.RequestID, requestMark); ok && of != session {
		if _, err := b.store.Find(ctx, sessionKey(of)); err == nil {
			return "", "", fmt.Errorf("%w: request", snow.ErrMismatch)
		}
	}
	return conversation, session, nil
}

// requestMark stands between the session and the delivery in a request id, so that a request id says
// which session it belongs to.
const requestMark = "."

func requestID(session, delivery string) string { return session + requestMark + delivery }
