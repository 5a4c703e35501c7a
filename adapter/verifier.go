package adapter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	channelTeams = "msteams"

	// clockSkew is how far Microsoft's clock and ours may be apart, either way (Bot Connector authentication).
	clockSkew = 5 * time.Minute
)

// An AuthError says that a request did not prove to come from the Bot Connector.
type AuthError struct {
	// Status is 401; 403 when the key may not speak for the activity's channel; 503 when there are no keys to judge with.
	Status int
	// Reason is one of a few fixed phrases, such as "expired". It holds nothing of the token.
	Reason string
}

func (e *AuthError) Error() string { return "bot connector authentication: " + e.Reason }

func unauthorized(reason string) *AuthError {
	return &AuthError{Status: http.StatusUnauthorized, Reason: reason}
}

func forbidden(reason string) *AuthError {
	return &AuthError{Status: http.StatusForbidden, Reason: reason}
}

func unavailable(reason string) *AuthError {
	return &AuthError{Status: http.StatusServiceUnavailable, Reason: reason}
}

// VerifierOptions configure a Verifier. Only AppID is required.
type VerifierOptions struct {
	// AppID is the Microsoft App ID of the bot, the audience of every token.
	AppID string
	// MetadataURL is the OpenID metadata document; that of the public cloud when empty. It must be https,
	// or http on a loopback host, and so must the key set that it names.
	MetadataURL string
	// Issuer is what iss has to be; that of the public cloud when empty.
	Issuer string
	// AcceptAPIAudience also takes the audiences "api://<AppID>" and "api://botid-<AppID>".
	AcceptAPIAudience bool
	// HTTP fetches metadata and keys; a client with time-outs of its own when nil. Redirects to plain http are never followed.
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
}

// A Verifier checks that activities come from the Bot Connector, are meant for this bot, and carry
// the service URL that Microsoft signed. It may be used by many goroutines at once.
//
// Nothing is fetched on behalf of a request before the shape, the algorithm, the issuer, the
// audience and the times of its token look right, and then rarely: see [Verifier.Run].
type Verifier struct {
	appID     string
	issuer    string
	audiences []string
	now       func() time.Time
	keys      *keySource
	proven    provenCache
}

// NewVerifier returns a Verifier that has no keys yet: run it, or let the first request fetch them.
// It refuses an empty AppID, since a verifier without one would have to accept anybody.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if strings.TrimSpace(o.AppID) == "" {
		return nil, errors.New("verifier: the Microsoft App ID is missing, and without it no token can be checked")
	}
	public, err := CloudByName("public")
	if err != nil {
		return nil, err
	}
	o.MetadataURL = cmp.Or(o.MetadataURL, public.MetadataURL)
	o.Issuer = cmp.Or(o.Issuer, public.Issuer)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	keys, err := newKeySource(o)
	if err != nil {
		return nil, err
	}
	v := &Verifier{appID: o.AppID, issuer: o.Issuer, audiences: []string{o.AppID}, now: o.Now, keys: keys}
	if o.AcceptAPIAudience {
		v.audiences = append(v.audiences, "api://"+o.AppID, "api://botid-"+o.AppID)
	}
	return v, nil
}

// Run fetches the keys and keeps them fresh until ctx ends: every 12 hours, and from one second to
// one minute after a fetch that failed. While the provider is down the keys at hand stay in use.
// Without Run, keys are fetched by the request that needs them.
func (v *Verifier) Run(ctx context.Context) error { return v.keys.run(ctx) }

// Ready reports whether there are keys to verify with.
func (v *Verifier) Ready() bool { return v.keys.set.Load() != nil }

// Verify checks the Authorization header that came with a, following the list of Bot Connector
// authentication, and stricter where that leaves a choice: the scheme, the expiry, the service URL
// on both sides, the channel "msteams" and its endorsement on the key are all required.
// Only the service URL's trailing slash is of no account. Any error is an *[AuthError].
//
// A token that was verified is remembered until it expires, as long as its key is in the key set:
// each use looks the key up anew, so a key that Microsoft withdraws takes its tokens with it.
func (v *Verifier) Verify(ctx context.Context, authorization string, a *Activity) error {
	p, refused := v.bearer(ctx, authorization)
	if refused != nil {
		return refused
	}
	if refused := p.covers(a); refused != nil {
		return refused
	}
	return nil
}

// Authenticate does the part of Verify that does not need the activity, so that nothing is read of whom Microsoft has
// given no token. Any error is an *[AuthError].
func (v *Verifier) Authenticate(ctx context.Context, authorization string) error {
	if _, refused := v.bearer(ctx, authorization); refused != nil {
		return refused
	}
	return nil
}

// bearer returns what the token of an Authorization header grants.
func (v *Verifier) bearer(ctx context.Context, authorization string) (proven, *AuthError) {
	raw, refused := afterScheme(authorization)
	if refused != nil {
		return proven{}, refused
	}
	return v.prove(ctx, raw)
}

// proven is what a token with a valid signature grants.
type proven struct {
	key        *verifyKey
	expires    time.Time
	notBefore  time.Time
	serviceURL string
}

// prove returns what the token grants, from the cache where it can.
func (v *Verifier) prove(ctx context.Context, raw string) (proven, *AuthError) {
	id := sha256.Sum256([]byte(raw))
	now := v.now()
	if p, ok := v.proven.get(id); ok {
		if key := v.keys.peek(p.key.id, now); key != nil && key.thumb == p.key.thumb {
			p.key = key // its endorsements may have changed
			return p, checkTimes(p.notBefore, p.expires, now)
		}
		v.proven.drop(id)
	}
	if refused := checkShape(raw); refused != nil {
		return proven{}, refused
	}
	t, refused := parseToken(raw)
	if refused != nil {
		return proven{}, refused
	}
	if refused := v.checkClaims(t, now); refused != nil {
		return proven{}, refused
	}
	key, refused := v.keys.find(ctx, t.keyID)
	if refused != nil {
		return proven{}, refused
	}
	if !key.verifies(t) {
		return proven{}, unauthorized("bad signature")
	}
	p := proven{key: key, expires: t.expires, notBefore: t.notBefore, serviceURL: t.serviceURL}
	v.proven.put(id, p)
	return p, nil
}

// checkClaims checks all that does not depend on the key or the activity. It runs before the signature is checked: what
// it refuses costs nobody a fetch or an RSA operation.
func (v *Verifier) checkClaims(t *token, now time.Time) *AuthError {
	switch {
	case t.issuer != v.issuer:
		return unauthorized("wrong issuer")
	case !slices.ContainsFunc(t.audience, func(aud string) bool {
		return slices.ContainsFunc(v.audiences, func(ours string) bool { return strings.EqualFold(aud, ours) }) // GUIDs have no case
	}):
		return unauthorized("wrong audience")
	case t.party != "" && !strings.EqualFold(t.party, v.appID): // a token that another bot got for us, as skills do
		return unauthorized("wrong party")
	case t.serviceURL == "":
		return unauthorized("no service url")
	}
	return checkTimes(t.notBefore, t.expires, now)
}

func checkTimes(notBefore, expires, now time.Time) *AuthError {
	switch {
	case now.After(expires.Add(clockSkew)):
		return unauthorized("expired")
	case now.Before(notBefore.Add(-clockSkew)):
		return unauthorized("not yet valid")
	}
	return nil
}

// covers reports why the token does not speak for a, or nil.
func (p *proven) covers(a *Activity) *AuthError {
	switch {
	case a == nil || a.ServiceURL == "":
		return unauthorized("activity without service url")
	case strings.TrimSuffix(p.serviceURL, "/") != strings.TrimSuffix(a.ServiceURL, "/"):
		return unauthorized("wrong service url")
	case a.ChannelID != channelTeams:
		return forbidden("wrong channel")
	case !slices.Contains(p.key.endorsements, a.ChannelID):
		return forbidden("channel not endorsed")
	}
	return nil
}
