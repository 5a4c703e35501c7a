package snow

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Grants that [ClientOptions] takes.
const (
	GrantPassword          = "password"
	GrantClientCredentials = "client_credentials"
)

// DefaultTimeout limits a call when [ClientOptions] says nothing.
const DefaultTimeout = 8 * time.Second

// ClientOptions say which instance is called, and as whom.
type ClientOptions struct {
	// Instance is the address of the instance, such as https://example.service-now.com. Plain http is accepted for
	// loopback addresses and localhost only.
	Instance string
	// Grant is how the service signs in: [GrantPassword], which is the default, or [GrantClientCredentials], which
	// needs neither Username nor Password but has to be switched on in the instance.
	Grant                  string
	ClientID, ClientSecret string
	Username, Password     string

	// MessageToken is the static token of Message Auth, sent as header and in the body when it is set. Without Message
	// Auth the agent talks to a guest. A wrong one is not answered with an error: the instance stays silent.
	MessageToken string
	// HashSecret is the secret of the other kind of Message Auth. When it is set, requests are signed.
	HashSecret string
	// AppInboundID names the provider application; needed when several bots share the instance.
	AppInboundID string

	// HTTP makes the requests; nil means a client of our own. Redirects are never followed; of what is beside its transport,
	// requests for tokens alone take notice.
	HTTP *http.Client
	// Timeout limits one call, the wait for a token included, and one request for a token. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Now is the clock for timestamps and the lives of tokens; nil means [time.Now].
	Now func() time.Time
	// Log takes ids and states, never words or credentials; nil means none.
	Log *slog.Logger
	// Accept takes an answer that is itself an event, as an instance in synchronous mode gives it, and returns when that is
	// durable: what [WebhookOptions] has for the posts. It is called before the method returns, at most 4 s of its own. What it fails
	// with is logged, since the request was taken all the same.
	Accept func(ctx context.Context, e *Event) error
}

// A Client calls one instance. Its methods may be used concurrently. They return a [*Error] when the call failed;
// none of them repeats anything but a call that was answered 401, once, under a new token.
type Client struct {
	base         *url.URL
	bot          *url.URL // of the Bot Integration API
	http         *http.Client
	transport    http.RoundTripper // of http
	login        *login
	timeout      time.Duration
	messageToken string
	hashSecret   []byte
	appInboundID string
	now          func() time.Time
	log          *slog.Logger
	accept       func(context.Context, *Event) error
}

// NewClient makes a client. It does not call the instance. The error names everything that is wrong with the options,
// and none of their values.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := checkOptions(&o)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	hc := httpClient(o.HTTP)
	c := &Client{
		base:         base,
		bot:          base.JoinPath(botPath),
		http:         hc,
		transport:    hc.Transport,
		timeout:      cmp.Or(o.Timeout, DefaultTimeout),
		messageToken: o.MessageToken,
		hashSecret:   []byte(o.HashSecret),
		appInboundID: o.AppInboundID,
		now:          o.Now,
		log:          o.Log,
		accept:       o.Accept,
	}
	if c.transport == nil {
		c.transport = http.DefaultTransport
	}
	c.login = newLogin(newTokenEndpoint(&o, base, hc, c.timeout), o.Now, o.Log)
	return c, nil
}

// Close ends a login under way, waits for it, and closes idle connections. Calls made afterwards fail.
func (c *Client) Close() {
	c.login.close()
	c.http.CloseIdleConnections()
}

// checkOptions collects what is wrong with the options, and returns the address of the instance.
func checkOptions(o *ClientOptions) (*url.URL, error) {
	var wrong []string
	base, problem := instanceURL(o.Instance)
	if problem != "" {
		wrong = append(wrong, "instance "+problem)
	}
	o.Grant = cmp.Or(o.Grant, GrantPassword)
	required := []struct{ name, value string }{{"client id", o.ClientID}, {"client secret", o.ClientSecret}}
	switch o.Grant {
	case GrantPassword:
		required = append(required, []struct{ name, value string }{{"username", o.Username}, {"password", o.Password}}...)
	case GrantClientCredentials:
	default:
		wrong = append(wrong, `grant is neither "`+GrantPassword+`" nor "`+GrantClientCredentials+`"`)
	}
	for _, r := range required {
		if r.value == "" {
			wrong = append(wrong, r.name+" is missing")
		}
	}
	for _, r := range append(required, []struct{ name, value string }{
		{"message token", o.MessageToken}, {"message hash secret", o.HashSecret}, {"app inbound id", o.AppInboundID},
	}...) {
		// A secret read from a file often ends in a newline, and an instance does not say what is wrong.
		if strings.TrimSpace(r.value) != r.value || strings.ContainsFunc(r.value, isControl) {
			wrong = append(wrong, r.name+" has a control character, or white space at an end")
		}
	}
	if o.Timeout < 0 {
		wrong = append(wrong, "timeout is negative")
	}
	if wrong != nil {
		return nil, errors.New("servicenow client: " + strings.Join(wrong, "; "))
	}
	return base, nil
}

// instanceURL parses the address of an instance, or says what is wrong with it. The problem does not repeat the
// address, which might hold a password.
func instanceURL(raw string) (_ *url.URL, problem string) {
	if raw == "" {
		return nil, "is missing"
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, "is not an https:// address"
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, "has more than scheme, host and port"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, "uses http, which is accepted for loopback only"
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, ""
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// httpClient returns a client that follows no redirects: none belongs here, and a redirect that is followed turns
// a POST into a GET, or carries a message to another host.
func httpClient(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConns:        128,
			MaxIdleConnsPerHost: 128, // there is one host only
			ForceAttemptHTTP2:   true,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Resolve turns an address that ServiceNow sent, which may be relative to the instance, into an absolute one. own
// reports that it is on the instance, by scheme, host and port, so that our token may be shown to it. abs is empty
// when raw is not an address of the web, mail or telephone.
func (c *Client) Resolve(raw string) (abs string, own bool) {
	ref, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || *ref == (url.URL{}) {
		return "", false
	}
	u := c.base.ResolveReference(ref)
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return "", false
		}
		return u.String(), u.User == nil && u.Scheme == c.base.Scheme && hostPort(u) == hostPort(c.base)
	case "mailto", "tel":
		return u.String(), false
	}
	return "", false
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// Ping reports whether a token can be had and the instance takes it: it asks the Table API for the id of one user. An
// instance that hides its users from us has answered, and that counts.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.rows(ctx, "ping", "sys_user", query{"sysparm_fields": "sys_id", "sysparm_limit": "1"})
	if errors.Is(err, errHidden) {
		return nil
	}
	return err
}
