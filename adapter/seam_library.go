package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/connector/client"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

var (
	_ auth.TokenValidator = (*Verifier)(nil)
	_ client.Client       = (*libraryClient)(nil)
)

// AuthenticateRequest makes a Verifier the token validator of msbotbuilder-go, for programs that put
// together that library's own adapter. The credentials, if any, must know the app id that the token is for;
// the channel service is not looked at, since the Verifier knows its issuer. The error is an *AuthError.
func (v *Verifier) AuthenticateRequest(
	ctx context.Context, a schema.Activity, authHeader string, credentials auth.CredentialProvider, _ string,
) (auth.ClaimsIdentity, error) {
	if credentials != nil && !credentials.IsValidAppID(v.appID) {
		return nil, unauthorized("wrong audience")
	}
	if err := v.Verify(ctx, authHeader, &Activity{ServiceURL: a.ServiceURL, ChannelID: a.ChannelID}); err != nil {
		return nil, err
	}
	return identity{auth.IssuerClaim: v.issuer, auth.AudienceClaim: v.appID, auth.ServiceURLClaim: a.ServiceURL}, nil
}

// An identity holds claims that were verified. One that it does not hold is empty.
type identity map[string]string

func (i identity) GetClaimValue(name string) string { return i[name] }

func (i identity) IsAuthenticated() bool { return true }

// LibraryClient makes a Connector the client of msbotbuilder-go, for programs that put together that
// library's own adapter. The library joins ids into a path unescaped, so the path is taken apart again, and a
// path that does not name the conversation of its activity is refused. Get is not supported.
func LibraryClient(s Sender) client.Client { return &libraryClient{s} }

type libraryClient struct{ sender Sender }

func (c *libraryClient) Post(ctx context.Context, u url.URL, s schema.Activity) error {
	ref, _, err := splitActivityURL(u, s.Conversation.ID)
	if err != nil {
		return err
	}
	a, err := fromSchema(s)
	if err != nil || a == nil {
		return err
	}
	full := outgoingReference(s)
	full.ServiceURL = ref.ServiceURL
	_, err = c.sender.Send(ctx, full, a)
	return err
}

func (c *libraryClient) Put(ctx context.Context, u url.URL, s schema.Activity) error {
	ref, id, err := splitActivityURL(u, s.Conversation.ID)
	if err != nil {
		return err
	}
	a, err := fromSchema(s)
	switch {
	case err != nil:
		return err
	case a == nil:
		return errors.New("update: the activity has no content")
	}
	a.From, a.Recipient = nil, nil
	return c.sender.Update(ctx, ref, id, a)
}

func (c *libraryClient) Delete(ctx context.Context, u url.URL) error {
	ref, id, err := splitActivityURL(u, "")
	if err != nil {
		return err
	}
	return c.sender.Delete(ctx, ref, id)
}

func (c *libraryClient) Get(context.Context, url.URL) (json.RawMessage, error) {
	return nil, fmt.Errorf("library client: get: %w", errors.ErrUnsupported)
}

// splitActivityURL takes "<service url>/v3/conversations/<conversation>/activities[/<activity>]" apart.
// A conversation that is not "" must be the one in the path.
func splitActivityURL(u url.URL, conversation string) (ref Reference, activityID string, err error) {
	base, rest, ok := strings.Cut(u.Path, "/v3/conversations/")
	id, activityID, found := strings.Cut(rest, "/activities")
	activityID = strings.TrimPrefix(activityID, "/")
	if !ok || !found || id == "" || strings.Contains(id, "/") || strings.Contains(activityID, "/") ||
		conversation != "" && id != conversation {
		return Reference{}, "", errors.New("library client: the path names no activity of the conversation")
	}
	service := url.URL{Scheme: u.Scheme, Host: u.Host, Path: base}
	return Reference{ServiceURL: service.String(), ChannelID: channelTeams, ConversationID: id}, activityID, nil
}
