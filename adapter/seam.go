package adapter

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/infracloudio/msbotbuilder-go/core"
	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

var _ core.Adapter = (*Adapter)(nil)

// AdapterOptions configure an Adapter. The fields mean what they mean in HandlerOptions.
type AdapterOptions struct { //nolint:revive // they are the options of Adapter
	Verifier interface {
		Authenticate(ctx context.Context, authorization string) error
		Verify(ctx context.Context, authorization string, a *Activity) error
	}
	// Connector sends; usually a *Connector. Required.
	Connector Sender
	AppID     string
	Tenants   []string
	Hosts     HostPolicy
}

// A Sender sends, replaces and deletes activities. *Connector is one.
type Sender interface {
	Send(ctx context.Context, ref Reference, a *Activity) (id string, err error)
	Update(ctx context.Context, ref Reference, activityID string, a *Activity) error
	Delete(ctx context.Context, ref Reference, activityID string) error
}

// An Adapter is our Verifier and Connector behind the adapter interface of msbotbuilder-go, for
// programs written against that library. It differs from the library's own adapter where that loses
// or leaks something:
//
//   - requests are verified in full, bounded in size, and refused with an *AuthError or a *RequestError, which know
//     the status to answer with;
//   - an activity of a type that the handler interface does not know is no error, and neither is one that the handler has no function for;
//   - a handler that answers with nothing sends nothing;
//   - errors of a send are *Error, a panic of a handler is an error;
//   - what a proactive message says is no reply to an old activity.
//
// It keeps nothing. The durable way to run such a handler is [HandlerBot].
type Adapter struct {
	receiver receiver
	sender   Sender
}

// NewAdapter returns an Adapter, or says which option is missing.
func NewAdapter(o AdapterOptions) (*Adapter, error) {
	ad := &Adapter{
		receiver: receiver{verifier: o.Verifier, appID: o.AppID, tenants: o.Tenants, hosts: o.Hosts, readTimeout: readTimeout},
		sender:   o.Connector,
	}
	if err := ad.receiver.check(); err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	if o.Connector == nil {
		return nil, errors.New("adapter: a connector is required")
	}
	return ad, nil
}

// ParseRequest reads and verifies the activity that was posted. Parts of it that the library's schema
// cannot hold are left out. The error is an *AuthError or a *RequestError, and the activity is then empty.
// The time that a slow sender has is a matter of the HTTP server.
func (ad *Adapter) ParseRequest(ctx context.Context, req *http.Request) (schema.Activity, error) {
	a, err := ad.receiver.receive(nil, req.WithContext(ctx))
	if err != nil {
		return schema.Activity{}, err
	}
	return toSchema(a)
}

// ProcessActivity lets the handler take the activity and sends what it answers, to the conversation
// of the activity unless the answer names another.
func (ad *Adapter) ProcessActivity(ctx context.Context, req schema.Activity, handler activity.Handler) error {
	answer, err := runHandler(handler, req)
	if err != nil {
		return err
	}
	a, err := fromSchema(answer)
	if err != nil || a == nil {
		return err
	}
	switch {
	case answer.Conversation.ID == "":
		answer = activity.ApplyConversationReference(answer, activity.GetCoversationReference(req), false)
	case answer.ServiceURL == "":
		answer.ServiceURL = req.ServiceURL
	}
	_, err = ad.sender.Send(ctx, outgoingReference(answer), a)
	return err
}

// ProactiveMessage sends what the handler's OnMessage answers to an empty message in the conversation of ref.
func (ad *Adapter) ProactiveMessage(ctx context.Context, ref schema.ConversationReference, handler activity.Handler) error {
	ref.ActivityID = "" // or the answer would be a reply to it
	return ad.ProcessActivity(ctx, activity.ApplyConversationReference(schema.Activity{Type: schema.Message}, ref, true), handler)
}

// DeleteActivity deletes an activity that the bot sent.
func (ad *Adapter) DeleteActivity(ctx context.Context, activityID string, ref schema.ConversationReference) error {
	return ad.sender.Delete(ctx, outgoingReference(activity.ApplyConversationReference(schema.Activity{}, ref, false)), activityID)
}

// UpdateActivity replaces the activity of req.ID, which the bot sent, with req.
func (ad *Adapter) UpdateActivity(ctx context.Context, req schema.Activity) error {
	a, err := fromSchema(req)
	if err != nil {
		return err
	}
	if a == nil {
		return errors.New("update: the activity has no content")
	}
	// The library's own sample makes the update from the incoming activity, with the user as its sender.
	a.From, a.Recipient = nil, nil
	ref := outgoingReference(req)
	ref.BotID, ref.BotName, ref.UserID, ref.UserAADID, ref.UserName = "", "", "", "", ""
	return ad.sender.Update(ctx, ref, req.ID, a)
}

// outgoingReference returns the reference that an activity sent by the bot carries.
func outgoingReference(s schema.Activity) Reference {
	return Reference{
		ServiceURL:       s.ServiceURL,
		ChannelID:        s.ChannelID,
		ConversationID:   s.Conversation.ID,
		ConversationType: s.Conversation.ConversationType,
		TenantID:         s.Conversation.TenantID,
		UserID:           s.Recipient.ID,
		UserAADID:        s.Recipient.AadObjectID,
		UserName:         s.Recipient.Name,
		BotID:            s.From.ID,
		BotName:          s.From.Name,
		Locale:           s.Locale,
	}
}
