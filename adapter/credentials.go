package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Values of Credentials.AppType, as the Azure Bot resource names them.
const (
	SingleTenant    = "SingleTenant"
	MultiTenant     = "MultiTenant"
	UserAssignedMSI = "UserAssignedMSI"
)

const opToken = "token"

// A TokenSource has the access token with which the bot calls the Connector.
type TokenSource interface {
	// Token returns a token that is valid now. Errors are of type [*Error] with Op "token", unless
	// the source is not of this package.
	Token(ctx context.Context) (string, error)
	// Forget says that token was refused, so that the next call of Token asks for another.
	Forget(token string)
}

// Credentials are how the bot shows who it is (Bot Connector authentication, "bot to connector").
// Of Password, CertificatePEM and FederatedTokenFile exactly one is set; none with a managed identity.
type Credentials struct {
	AppID    string
	AppType  string // SingleTenant when empty
	TenantID string // required for SingleTenant unless TokenURL is set; not used otherwise

	Password           string
	CertificatePEM     []byte // certificate, its chain if wanted, and its RSA key of at least 2048 bits
	FederatedTokenFile string // holds a token of a trusted issuer; read again for every request

	// IdentityEndpoint and IdentityHeader are the values that App Service and Container Apps put in
	// IDENTITY_ENDPOINT and IDENTITY_HEADER. Without them a managed identity asks the virtual machine's
	// metadata service.
	IdentityEndpoint string
	IdentityHeader   string

	Cloud    Cloud  // public when zero
	TokenURL string // the whole token endpoint, in place of the one that follows from type, tenant and cloud

	HTTP *http.Client // redirects are never followed
	Now  func() time.Time
	Log  *slog.Logger
}

// String names the app and nothing secret.
func (c Credentials) String() string { return "credentials of app " + c.AppID }

// LogValue is what a logger shows: the app and nothing secret.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// NewTokenSource returns a source that shares one token among all callers. It asks for a new one five
// minutes before the old one ends, or after half its life if that is later, in the background while
// the old one serves; one request is under way at a time. After a failure it waits between a quarter
// of a second and half a minute before it asks again, and meanwhile returns that failure at once.
// The context of a caller limits only its own wait; a request ends by itself within ten seconds.
// Contradictory or incomplete credentials are refused.
func NewTokenSource(c Credentials) (TokenSource, error) {
	if c.Cloud == (Cloud{}) {
		c.Cloud, _ = CloudByName("public")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("app credentials: %w", err)
	}
	f := &tokenFetcher{credentials: c, http: clientWithoutRedirects(c.HTTP), endpoint: c.endpoint()}
	if c.HTTP == nil && c.AppType == UserAssignedMSI { // the endpoint is on this machine, and its secret is for no proxy
		direct := newTransport()
		direct.Proxy = nil
		f.http.Transport = direct
	}
	if len(c.CertificatePEM) > 0 {
		signer, err := newAssertionSigner(c.CertificatePEM)
		if err != nil {
			return nil, fmt.Errorf("app credentials: %w", err)
		}
		f.signer = signer
	}
	return &sharedToken{fetch: f.fetch, now: c.Now, log: c.Log}, nil
}

func (c *Credentials) check() error {
	secrets := 0
	for _, set := range []bool{c.Password != "", len(c.CertificatePEM) > 0, c.FederatedTokenFile != ""} {
		if set {
			secrets++
		}
	}
	if c.AppID == "" {
		return errors.New("the app id is missing")
	}
	if c.AppType == "" {
		c.AppType = SingleTenant
	}
	switch c.AppType {
	case UserAssignedMSI:
		if secrets > 0 {
			return errors.New("a managed identity has neither password, certificate nor federated token")
		}
	case SingleTenant, MultiTenant:
		if secrets != 1 {
			return errors.New("want exactly one of password, certificate and federated token file")
		}
		if c.IdentityEndpoint != "" {
			return errors.New("an identity endpoint belongs to the type UserAssignedMSI only")
		}
		if c.AppType == SingleTenant && c.TenantID == "" && c.TokenURL == "" {
			return errors.New("a single-tenant app needs its tenant id")
		}
	default:
		return fmt.Errorf("unknown app type %q: want SingleTenant, MultiTenant or UserAssignedMSI", c.AppType)
	}
	if c.IdentityEndpoint != "" {
		if c.TokenURL != "" {
			return errors.New("token URL and identity endpoint exclude each other")
		}
		return checkEndpoint("the identity endpoint", c.IdentityEndpoint, true)
	}
	if c.TokenURL != "" {
		return checkEndpoint("the token URL", c.TokenURL, c.AppType == UserAssignedMSI)
	}
	return nil
}

// checkEndpoint demands https, except on loopback and, for the endpoints of managed identities, which
// the platform puts there, on link-local addresses.
func checkEndpoint(what, raw string, linkLocal bool) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%s is not an absolute URL without a user", what)
	}
	host := u.Hostname()
	addr, _ := netip.ParseAddr(host)
	addr = addr.Unmap()
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (strings.EqualFold(host, "localhost") || addr.IsLoopback() || linkLocal && addr.IsLinkLocalUnicast()):
		return nil
	}
	return fmt.Errorf("%s must be https", what)
}

// endpoint returns the URL that hands out the token.
func (c *Credentials) endpoint() string {
	const metadataService = "http://169.254.169.254/metadata/identity/oauth2/token"
	switch {
	case c.IdentityEndpoint != "":
		return c.IdentityEndpoint
	case c.TokenURL != "":
		return c.TokenURL
	case c.AppType == UserAssignedMSI:
		return metadataService
	}
	tenant := c.TenantID
	if c.AppType == MultiTenant {
		tenant = c.Cloud.DefaultTenant
	}
	return "https://" + c.Cloud.LoginHost + "/" + url.PathEscape(tenant) + "/oauth2/v2.0/token"
}
