package adapter

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	memberLife  = time.Hour
	memberLimit = 4096 // members kept
)

// Member looks up who a member of the conversation of ref is: names, e-mail address (guests may have
// none), Entra object id. userID is a 29: id, an Entra object id or a user principal name. Answers
// serve for an hour, at most 4096 of them; failures are not kept. Calls for the same member at the same time
// share one request, which the end of one caller's context does not cut short.
func (c *Connector) Member(ctx context.Context, ref Reference, userID string) (ChannelAccount, error) {
	const op = "member"
	// A thread has no members of its own; those of its channel are meant.
	conversation, _, _ := strings.Cut(ref.ConversationID, threadMark)
	if err := checkID(op, "conversation", conversation); err != nil {
		return ChannelAccount{}, err
	}
	if err := checkID(op, "user", userID); err != nil {
		return ChannelAccount{}, err
	}
	key := conversation + "\x00" + userID
	if m, ok := c.members.find(key, c.now()); ok {
		return m, nil
	}
	detached := context.WithoutCancel(ctx)
	found := c.lookups.DoChan(key, func() (any, error) {
		path := []string{"conversations", conversation, "members", userID}
		answer, err := c.call(detached, request{op: op, method: http.MethodGet, serviceURL: ref.ServiceURL, path: path})
		if err != nil {
			return nil, err
		}
		var m ChannelAccount
		if err := m.UnmarshalJSON(answer); err != nil {
			return nil, &Error{Op: op, StatusCode: http.StatusOK, Written: true, Err: err}
		}
		if m.AADObjectID == "" {
			m.AADObjectID = textOf(m.Extra["objectId"]) // as Teams' members name it
		}
		c.members.keep(key, m, c.now())
		return m, nil
	})
	select {
	case r := <-found:
		m, _ := r.Val.(ChannelAccount)
		m.detach() // callers share r.Val
		return m, r.Err
	case <-ctx.Done():
		return ChannelAccount{}, &Error{Op: op, Written: true, Err: safeCause(ctx.Err())}
	}
}

// A memberCache keeps members for a time. When it is half full it forgets those that were not
// found since it last was: two maps, of which the older goes. The zero value is empty.
type memberCache struct {
	mu         sync.Mutex
	young, old map[string]cachedMember
}

type cachedMember struct {
	member ChannelAccount
	until  time.Time
}

func (c *memberCache) find(key string, now time.Time) (ChannelAccount, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, young := c.young[key]
	if !young {
		m = c.old[key]
	}
	if !now.Before(m.until) {
		return ChannelAccount{}, false
	}
	if !young {
		c.add(key, m)
	}
	found := m.member
	found.detach()
	return found, true
}

func (c *memberCache) keep(key string, m ChannelAccount, now time.Time) {
	m.detach()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, cachedMember{member: m, until: now.Add(memberLife)})
}

func (c *memberCache) add(key string, m cachedMember) {
	if c.young == nil || len(c.young) >= memberLimit/2 {
		c.young, c.old = make(map[string]cachedMember), c.young
	}
	c.young[key] = m
}
