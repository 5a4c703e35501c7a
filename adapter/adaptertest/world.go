package adaptertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// typingShown is how long Teams shows one typing activity.
const typingShown = 3 * time.Second

var (
	errUnknownMember = errors.New("no such user")
	errNotInstalled  = errors.New("the bot is not installed there")
)

// A User is a person in the tenant.
type User struct {
	ID          string `json:"id"` // 29:…
	Name        string `json:"name"`
	GivenName   string `json:"givenName,omitempty"`
	Surname     string `json:"surname,omitempty"`
	Email       string `json:"email,omitempty"`
	UPN         string `json:"userPrincipalName,omitempty"`
	AADObjectID string `json:"objectId"`
	Locale      string `json:"locale,omitempty"` // en-US by default
	Guest       bool   `json:"guest,omitempty"`  // a guest without an e-mail address stays without one
}

// AddUser adds a person. What u leaves empty is made up, apart from the e-mail address of a guest.
func (c *Channel) AddUser(u User) User {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.order) + 1
	def := func(s *string, to string) {
		if *s == "" {
			*s = to
		}
	}
	def(&u.ID, "29:1"+c.id(54))
	def(&u.AADObjectID, c.guid())
	def(&u.Name, fmt.Sprintf("User %d", n))
	given, surname, _ := strings.Cut(u.Name, " ")
	def(&u.GivenName, given)
	def(&u.Surname, surname)
	def(&u.UPN, fmt.Sprintf("user%d@contoso.example", n))
	def(&u.Locale, "en-US")
	if !u.Guest {
		def(&u.Email, u.UPN)
	}
	p := &u
	c.order = append(c.order, p)
	c.users[u.ID], c.users[strings.ToLower(u.AADObjectID)], c.users[strings.ToLower(u.UPN)] = p, p, p
	return u
}

// Users returns all people in the order they were added.
func (c *Channel) Users() []User {
	c.mu.RLock()
	defer c.mu.RUnlock()
	users := make([]User, 0, len(c.order))
	for _, u := range c.order {
		users = append(users, *u)
	}
	return users
}

// user finds a person by id or AAD object id, and by UPN where that is allowed.
func (c *Channel) user(id string, byUPN bool) (User, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	u := c.users[id]
	if u == nil {
		u = c.users[strings.ToLower(id)]
	}
	if u == nil || !byUPN && strings.Contains(id, "@") {
		return User{}, false
	}
	return *u, true
}

// A Conversation is a personal chat, a group chat or a thread in a channel. All its methods may be called at
// once from several goroutines.
type Conversation struct {
	channel *Channel
	id      string
	kind    string
	team    string // of a thread: the id of the channel, which is the team's own
	writing counter

	mu             sync.Mutex
	members        []User
	installed      bool
	blocked        bool
	messages       []*Message
	byID           map[string]*Message
	last           int64 // the latest id given
	typing         time.Time
	sends, lookups meter
	held           []Posted
	pictures       []Picture
}

// A counter counts what is under way at once.
type counter struct {
	mu        sync.Mutex
	now, most int
}

// Kinds of conversation, as Conversation.Kind and conversationType have them.
const (
	Personal  = "personal"
	GroupChat = "groupChat"
	Thread    = "channel"
)

// Personal returns the chat of one person with the bot, in which the bot is installed; there is one for each.
func (c *Channel) Personal(u User) *Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.personal[u.ID]; v != nil {
		return v
	}
	v := c.newConversation("a:1"+c.id(90), Personal, u)
	c.personal[u.ID] = v
	return v
}

// Group returns a new group chat, in which the bot is installed.
func (c *Channel) Group(users ...User) *Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newConversation("19:"+strings.ReplaceAll(c.guid(), "-", "")+"@thread.v2", GroupChat, users...)
}

// ChannelThread returns a thread in a new channel of a team in which the bot is installed.
func (c *Channel) ChannelThread(users ...User) *Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.thread("19:"+strings.ReplaceAll(c.guid(), "-", "")+"@thread.tacv2", users)
}

func (c *Channel) thread(channelID string, users []User) *Conversation {
	root := c.now().UnixMilli()
	for c.conversations[threadID(channelID, root)] != nil {
		root++
	}
	v := c.newConversation(threadID(channelID, root), Thread, users...)
	v.team = channelID
	return v
}

func threadID(channelID string, root int64) string {
	return channelID + ";messageid=" + strconv.FormatInt(root, 10)
}

func (c *Channel) newConversation(id, kind string, users ...User) *Conversation {
	v := &Conversation{
		channel: c, id: id, kind: kind, installed: true,
		members: slices.Clone(users), byID: map[string]*Message{},
	}
	c.conversations[id] = v
	c.chats = append(c.chats, v)
	return v
}

// newThread starts a thread in a channel that the bot knows.
func (c *Channel) newThread(channelID string) (*Conversation, error) {
	for _, v := range c.Conversations() {
		if v.team == channelID {
			members := v.Members()
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.thread(channelID, members), nil
		}
	}
	return nil, errNotInstalled
}

// personalOf finds the personal chat of somebody by id or AAD object id.
func (c *Channel) personalOf(id string) (*Conversation, error) {
	u, ok := c.user(id, false)
	if !ok {
		return nil, errUnknownMember
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if v := c.personal[u.ID]; v != nil {
		return v, nil
	}
	return nil, errNotInstalled
}

// Conversation returns the conversation with the id, or nil.
func (c *Channel) Conversation(id string) *Conversation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.conversations[id]
}

// Conversations returns all conversations in the order they came to be.
func (c *Channel) Conversations() []*Conversation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.chats)
}

// ID returns the conversation id: a:1… or 19:….
func (v *Conversation) ID() string { return v.id }

// Kind returns Personal, GroupChat or Thread.
func (v *Conversation) Kind() string { return v.kind }

// Members returns the people in the conversation.
func (v *Conversation) Members() []User {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.members)
}

// Block makes Teams refuse what the bot sends with 403 MessageWritesBlocked, as it does when the person has
// blocked the bot. The bot is not told.
func (v *Conversation) Block() { v.setBlocked(true) }

// Unblock ends Block.
func (v *Conversation) Unblock() { v.setBlocked(false) }

func (v *Conversation) setBlocked(blocked bool) {
	v.mu.Lock()
	v.blocked = blocked
	v.mu.Unlock()
	v.channel.changed()
}

// TypingUntil returns until when the chat shows that the bot is typing; a message of the bot ends it.
func (v *Conversation) TypingUntil() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.typing
}

// MaxInFlight returns how many sends, updates and deletions of the bot were under way at once at most, apart from
// typing and from those hit by a fault. A bot that keeps the order of what it sends has never more than one.
func (v *Conversation) MaxInFlight() int {
	v.writing.mu.Lock()
	defer v.writing.mu.Unlock()
	return v.writing.most
}

// startWrite counts a request that writes; the caller calls endWrite when it reports true.
func (v *Conversation) startWrite(r *request) bool {
	if r.method == http.MethodGet || bytes.Contains(r.body, []byte(`"type":"typing"`)) {
		return false
	}
	v.writing.mu.Lock()
	defer v.writing.mu.Unlock()
	v.writing.now++
	v.writing.most = max(v.writing.most, v.writing.now)
	return true
}

func (v *Conversation) endWrite() {
	v.writing.mu.Lock()
	defer v.writing.mu.Unlock()
	v.writing.now--
}

// has reports whether an id is of a member or of the bot. The caller holds the lock.
func (v *Conversation) has(id string) bool {
	return id == v.channel.BotID() || slices.ContainsFunc(v.members, func(u User) bool { return u.ID == id || strings.EqualFold(u.AADObjectID, id) })
}

// nextID gives out the id of a message: the time in milliseconds, or one more than the latest one. The caller
// holds the lock.
func (v *Conversation) nextID(at time.Time) string {
	v.last = max(v.last+1, at.UnixMilli())
	return strconv.FormatInt(v.last, 10)
}

// A Message is one message as the chat shows it now.
type Message struct {
	ID          string            `json:"id"`
	FromBot     bool              `json:"fromBot"`
	FromID      string            `json:"fromId"`
	FromName    string            `json:"fromName"`
	Type        string            `json:"type"`
	Text        string            `json:"text,omitempty"`
	TextFormat  string            `json:"textFormat,omitempty"` // markdown when the bot did not say
	Attachments []Attachment      `json:"attachments,omitempty"`
	At          time.Time         `json:"at"`
	EditedAt    time.Time         `json:"editedAt,omitzero"`
	Raw         json.RawMessage   `json:"raw"`               // the activity as it was sent last
	History     []json.RawMessage `json:"history,omitempty"` // what Raw was before, oldest first

	deleted bool
}

// Shows reports whether the message shows the words: in its text, or in any string of its cards.
func (m *Message) Shows(words string) bool {
	return strings.Contains(m.Text, words) || slices.ContainsFunc(m.Attachments, func(a Attachment) bool {
		var content any
		return json.Unmarshal(a.Content, &content) == nil && holds(content, words)
	})
}

func holds(v any, words string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, words)
	case []any:
		return slices.ContainsFunc(v, func(w any) bool { return holds(w, words) })
	case map[string]any:
		for _, w := range v {
			if holds(w, words) {
				return true
			}
		}
	}
	return false
}

// newMessage makes a message of an activity of the bot, without an id.
func newMessage(a *activity, r *request) *Message {
	m := &Message{
		FromBot: true, Type: a.Type, Text: a.Text, TextFormat: a.TextFormat,
		Attachments: a.Attachments, At: r.at, Raw: r.body,
	}
	if m.TextFormat == "" {
		m.TextFormat = "markdown"
	}
	return m
}

// add shows m and gives it an id. The caller holds the lock.
func (v *Conversation) add(m *Message) {
	m.ID = v.nextID(m.At)
	if m.FromBot {
		m.FromID, m.FromName = v.channel.BotID(), v.channel.opt.BotName
	}
	v.messages = append(v.messages, m)
	v.byID[m.ID] = m
	if keep := v.channel.opt.KeepLast; keep > 0 && len(v.messages) >= 2*keep {
		for _, old := range v.messages[:len(v.messages)-keep] {
			delete(v.byID, old.ID)
		}
		v.messages = slices.Clone(v.messages[len(v.messages)-keep:])
	}
}

// edit puts what n shows in the place of what m shows. History is bounded by keep when that is not 0.
func (m *Message) edit(n *Message, keep int) {
	m.History = append(m.History, m.Raw)
	if keep > 0 && len(m.History) > keep {
		m.History = slices.Clone(m.History[len(m.History)-keep:])
	}
	m.Type, m.Text, m.TextFormat, m.Attachments, m.Raw, m.EditedAt = n.Type, n.Text, n.TextFormat, n.Attachments, n.Raw, n.At
}

// Messages returns what the chat shows now, oldest first: messages of people and of the bot, updates in their
// place, deleted ones gone. With Options.KeepLast it returns that many at most.
func (v *Conversation) Messages() []Message {
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := v.messages
	if keep := v.channel.opt.KeepLast; keep > 0 && len(kept) > keep {
		kept = kept[len(kept)-keep:]
	}
	shown := make([]Message, 0, len(kept))
	for _, m := range kept {
		if !m.deleted {
			c := *m
			c.History = slices.Clone(m.History)
			shown = append(shown, c)
		}
	}
	return shown
}
