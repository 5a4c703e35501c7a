package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	defaultTimeout = 8 * time.Second
	defaultGCC     = "https://smba.infra.gcc.teams.microsoft.com/gcc"
)

// ConnectorOptions configure a [Connector]. Tokens is required.
type ConnectorOptions struct {
	Tokens TokenSource
	// Hosts says which service URLs may be called; those get the token (see [HostPolicy.CheckToken]).
	Hosts HostPolicy
	// HTTP is the client to use. By default one that keeps up to 128 idle connections to a host, dials within 5 s
	// and speaks TLS 1.2 or newer, and HTTP/2 where offered. Redirects are never followed, and calls of the API take
	// its transport only.
	HTTP *http.Client
	// Timeout bounds a whole call: getting a token, sending, repeating. The default is 8 s.
	Timeout time.Duration
	// GCCServiceURL is where a call is repeated that was answered 403 InvalidBotApiHost. The default is
	// Teams' host for the Government Community Cloud.
	GCCServiceURL string
	Now           func() time.Time
	Log           *slog.Logger
}

// A Connector is a client of the Bot Connector REST API, version 3. It is safe for concurrent use. It
// paces and repeats nothing by itself, since sends have no idempotency key; two answers that surely
// had no effect are the exceptions: 401 is repeated once with a new token, and 403 InvalidBotApiHost once on
// the GCC host.
//
// All errors are of type [*Error]; a service URL that is not allowed is a [*HostError] within.
type Connector struct {
	tokens    TokenSource
	hosts     HostPolicy
	http      *http.Client
	transport http.RoundTripper // of http
	timeout   time.Duration
	gcc       string
	now       func() time.Time
	log       *slog.Logger

	members memberCache
	lookups singleflight.Group
}

// NewConnector refuses options without a token source, with a negative timeout, or with a GCC host
// that the policy does not allow.
func NewConnector(o ConnectorOptions) (*Connector, error) {
	if o.Tokens == nil {
		return nil, errors.New("connector: a token source is missing")
	}
	if o.Timeout < 0 {
		return nil, errors.New("connector: the timeout is negative")
	}
	c := &Connector{
		tokens: o.Tokens, hosts: o.Hosts, http: clientWithoutRedirects(o.HTTP),
		timeout: o.Timeout, gcc: o.GCCServiceURL, now: o.Now, log: o.Log,
	}
	if c.transport = c.http.Transport; c.transport == nil {
		c.transport = http.DefaultTransport
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.gcc == "" {
		c.gcc = defaultGCC
	}
	if _, err := c.base(c.gcc); err != nil {
		return nil, fmt.Errorf("connector: the GCC service URL: %w", err)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Send posts a to the conversation of ref and returns the id it got, which is "" when the answer has
// none. From, recipient, conversation and channel are taken from ref, and id and times are left out, since
// the channel gives those (Activity Protocol A2031, A2041); a itself stays as it is. Without a type
// it is a message.
func (c *Connector) Send(ctx context.Context, ref Reference, a *Activity) (id string, err error) {
	return c.post(ctx, "send", ref, "", a)
}

// Reply is Send with activityID as the activity that a answers. In Teams the conversation alone decides
// where a message appears; replyToId does not.
func (c *Connector) Reply(ctx context.Context, ref Reference, activityID string, a *Activity) (id string, err error) {
	const op = "reply"
	if err := checkID(op, "activity", activityID); err != nil {
		return "", err
	}
	return c.post(ctx, op, ref, activityID, a)
}

// Typing shows for about three seconds that the bot is writing.
func (c *Connector) Typing(ctx context.Context, ref Reference) error {
	_, err := c.post(ctx, "typing", ref, "", &Activity{Type: TypeTyping})
	return err
}

func (c *Connector) post(ctx context.Context, op string, ref Reference, activityID string, a *Activity) (string, error) {
	body, err := outgoing(op, ref, activityID, a)
	if err != nil {
		return "", err
	}
	path := []string{"conversations", ref.ConversationID, "activities"}
	if activityID != "" {
		path = append(path, activityID)
	}
	answer, err := c.call(ctx, request{op: op, method: http.MethodPost, serviceURL: ref.ServiceURL, path: path, body: body})
	if err != nil {
		return "", err
	}
	return idOf(answer), nil
}

// Update replaces the activity with that id, which the bot has sent, by a.
func (c *Connector) Update(ctx context.Context, ref Reference, activityID string, a *Activity) error {
	const op = "update"
	if err := checkID(op, "activity", activityID); err != nil {
		return err
	}
	body, err := outgoing(op, ref, "", a)
	if err != nil {
		return err
	}
	path := []string{"conversations", ref.ConversationID, "activities", activityID}
	_, err = c.call(ctx, request{op: op, method: http.MethodPut, serviceURL: ref.ServiceURL, path: path, body: body})
	return err
}

// Delete deletes the activity with that id, which the bot has sent.
func (c *Connector) Delete(ctx context.Context, ref Reference, activityID string) error {
	const op = "delete"
	if err := checkID(op, "activity", activityID); err != nil {
		return err
	}
	path := []string{"conversations", ref.ConversationID, "activities", activityID}
	_, err := c.call(ctx, request{op: op, method: http.MethodDelete, serviceURL: ref.ServiceURL, path: path})
	return err
}

// ConversationParameters say which conversation to create. For a personal chat those are the bot, one member
// (by its 29: id or Entra object id) and the tenant; for a thread in a channel IsGroup, ChannelData
// with the channel, and the Activity that starts it.
type ConversationParameters struct {
	IsGroup     bool             `json:"isGroup"`
	Bot         *ChannelAccount  `json:"bot,omitempty"`
	Members     []ChannelAccount `json:"members,omitempty"`
	TenantID    string           `json:"tenantId,omitempty"`
	ChannelData json.RawMessage  `json:"channelData,omitempty"` // by default the tenant, where Teams looks for it
	Activity    *Activity        `json:"activity,omitempty"`
}

// A ConversationResource is a conversation that was created.
type ConversationResource struct {
	ID         string `json:"id"`
	ActivityID string `json:"activityId,omitempty"` // of the activity that started it
	ServiceURL string `json:"serviceUrl,omitempty"` // "" means the one that was called
}

// CreateConversation creates a conversation, or finds it: for the same person Teams answers with the
// same personal chat each time.
func (c *Connector) CreateConversation(ctx context.Context, serviceURL string, p ConversationParameters) (ConversationResource, error) {
	const op = "create"
	if len(p.ChannelData) == 0 && p.TenantID != "" {
		p.ChannelData = json.RawMessage(`{"tenant":{"id":` + string(appendString(nil, p.TenantID)) + `}}`)
	}
	if p.Activity != nil {
		a := withoutOrigin(*p.Activity)
		p.Activity = &a
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return ConversationResource{}, &Error{Op: op, Err: errors.New("the parameters cannot be encoded")}
	}
	answer, err := c.call(ctx, request{op: op, method: http.MethodPost, serviceURL: serviceURL, path: []string{"conversations"}, body: body.Bytes()})
	if err != nil {
		return ConversationResource{}, err
	}
	var r struct{ ID, ActivityID, ServiceURL json.RawMessage }
	_ = json.Unmarshal(answer, &r) // names match without case; an answer that is no object has no id
	created := ConversationResource{ID: textOf(r.ID), ActivityID: textOf(r.ActivityID), ServiceURL: textOf(r.ServiceURL)}
	if created.ID == "" {
		return ConversationResource{}, &Error{Op: op, StatusCode: http.StatusOK, Written: true, Err: errors.New("the answer has no conversation id")}
	}
	return created, nil
}

// outgoing encodes a as it goes out to the conversation of ref.
func outgoing(op string, ref Reference, replyTo string, a *Activity) ([]byte, error) {
	if a == nil {
		return nil, &Error{Op: op, Err: errors.New("no activity")}
	}
	if err := checkID(op, "conversation", ref.ConversationID); err != nil {
		return nil, err
	}
	out := withoutOrigin(*a)
	if out.Type == "" {
		out.Type = TypeMessage
	}
	if replyTo != "" {
		out.ReplyToID = replyTo
	}
	if ref.BotID != "" {
		out.From = &ChannelAccount{ID: ref.BotID, Name: ref.BotName}
	}
	if ref.UserID != "" {
		out.Recipient = &ChannelAccount{ID: ref.UserID, Name: ref.UserName, AADObjectID: ref.UserAADID}
	}
	if ref.ChannelID != "" {
		out.ChannelID = ref.ChannelID
	}
	out.Conversation = &ConversationAccount{
		ID: ref.ConversationID, ConversationType: ref.ConversationType, TenantID: ref.TenantID,
		IsGroup: ref.ConversationType == GroupChat || ref.ConversationType == Channel,
	}
	body, err := marshal(&out)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	return body, nil
}

// withoutOrigin takes out what only the channel says about an activity.
func withoutOrigin(a Activity) Activity {
	a.ID, a.Timestamp, a.LocalTimestamp, a.ServiceURL = "", "", "", ""
	origin := [...]string{"id", "timestamp", "localTimestamp", "localTimezone", "serviceUrl", "callerId"}
	for _, key := range origin {
		if _, ok := a.Extra[key]; ok {
			a.Extra = maps.Clone(a.Extra)
			for _, key := range origin {
				delete(a.Extra, key)
			}
			break
		}
	}
	return a
}

// checkID refuses ids that would change the path of a URL even when escaped.
func checkID(op, what, id string) error {
	if strings.Trim(id, ".") == "" {
		return &Error{Op: op, Err: errors.New("the " + what + " id is missing or no id")}
	}
	return nil
}

// idOf returns the id of a ResourceResponse, or "".
func idOf(answer []byte) string {
	var r struct{ ID string }
	if len(answer) == 0 || json.Unmarshal(answer, &r) != nil {
		return ""
	}
	return r.ID
}
