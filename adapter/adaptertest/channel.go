// Package adaptertest emulates Microsoft Teams as a bot sees it: the Bot Connector, the identity
// provider that signs what the Connector sends, the token endpoint of Entra ID, and the people who
// chat. It is for tests, benchmarks and the sandbox, and is strict where Teams is strict.
//
// # World
//
// A [Channel] holds users and conversations. What a person does is a method of a [Conversation] and
// posts a signed activity to the bot; what the bot does through the Connector routes shows in
// [Conversation.Messages]. Nothing happens by itself, and a method returns when the bot has answered; only the
// pictures that the bot shows are fetched while the bot goes on, as Teams does ([Conversation.Pictures]).
//
// # Files
//
// [Conversation.SendFiles] and [Conversation.Paste] are the paper clip and the clipboard. The bot gets addresses, and
// fetches the bytes here: without a token what the paper clip sent, and with one what was pasted.
//
// # Faults
//
// [Channel.AddFault] scripts what goes wrong on the way, in both directions. [Channel.Log] keeps
// what was on the wire, without credentials.
package adaptertest

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What New takes when Options says nothing.
const (
	defaultAppID    = "6d5b1c3e-8f2a-4b7d-9c0e-1a2b3c4d5e6f"
	defaultPassword = "not~a.real-secret"
	defaultTenantID = "0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f"
	defaultRegion   = "emea"
	defaultLogSize  = 1000
	defaultTenant   = 30 // requests a second of one app in one tenant
	botTimeout      = 15 * time.Second
	maxRequest      = 1 << 20
)

// Options says what New emulates. The zero value is a channel without rate windows that keeps
// everything, with made-up credentials that AppID, AppPassword and TenantID tell.
type Options struct {
	AppID, AppPassword, TenantID string

	// AppCertificate makes the token endpoint take a client assertion that is signed with its RSA key and
	// names its thumbprint; FederatedToken makes it take that very assertion.
	AppCertificate *x509.Certificate
	FederatedToken string

	// Key is the first key of the identity provider; without it one is made when it is first needed, which
	// takes a while.
	Key *rsa.PrivateKey

	BotName string
	BotURL  string // where activities are posted; SetBot changes it
	Region  string // the path of the service URL, "emea" by default; SetRegion changes it

	// Windows enforces the rate windows of Teams: for each conversation 7 sends a second, 8 in 2 s, 60 in
	// 30 s and 1,800 in an hour, twice as many look-ups of members, and TenantRate requests a second in all
	// (30 by default).
	Windows    bool
	TenantRate int

	// LoseLineBreaks makes the text of what people say lose its line breaks, as some clients of Teams do;
	// the text/html attachment keeps them.
	LoseLineBreaks bool

	FileLife  time.Duration // of the addresses of files sent with the paper clip; an hour by default
	TokenLife time.Duration // of the tokens that the token endpoint hands out; an hour by default
	KeepLast  int           // messages kept of each conversation; 0 keeps all
	LogSize   int           // exchanges kept by Log; 1,000 by default
	Seed      uint64        // of ids and of faults with a probability

	Now  func() time.Time
	Log  *slog.Logger
	HTTP *http.Client // posts to the bot; by default one that waits 15 s, as Teams does
	Addr string       // 127.0.0.1:0 by default
}

// A Channel is an emulated Teams behind a loopback HTTP server. Its methods may be called at once from
// several goroutines.
type Channel struct {
	opt      Options
	log      *slog.Logger
	now      func() time.Time
	client   *http.Client
	own      *http.Transport // the client's, when it is ours
	server   *http.Server
	listener net.Listener

	bot       atomic.Pointer[botAddress]
	region    atomic.Pointer[string]
	throttled atomic.Int64 // Unix nanoseconds until which everything is answered 429

	identity identity
	tokens   tokens
	faults   faults
	wire     wire
	files    files
	tenant   tenantMeter

	mu            sync.RWMutex
	users         map[string]*User // by id, AAD object id and UPN
	order         []*User
	conversations map[string]*Conversation
	personal      map[string]*Conversation // by user id
	chats         []*Conversation
	installs      int

	rngMu sync.Mutex
	rng   *rand.Rand

	changeMu sync.Mutex
	change   chan struct{}

	sent *os.File // where what bots send is kept, if anywhere

	base   context.Context // ends with Close
	cancel context.CancelFunc
	lifeMu sync.Mutex
	closed bool
	busy   sync.WaitGroup
}

// New starts a Channel. The caller closes it.
func New(o Options) (*Channel, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("emulated channel: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("emulated channel: %w", err)
	}
	c := &Channel{
		opt: o, log: o.Log, now: o.Now, client: o.HTTP, listener: l,
		users: map[string]*User{}, conversations: map[string]*Conversation{}, personal: map[string]*Conversation{},
		rng: rand.New(rand.NewPCG(o.Seed, 0x7ea3)),
	}
	if c.client == nil {
		c.own = &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute}
		c.client = &http.Client{Transport: c.own, Timeout: botTimeout}
	}
	c.faults.rng = rand.New(rand.NewPCG(o.Seed, 0xfa17))
	c.wire.size = o.LogSize
	c.tokens.live = map[string]time.Time{}
	c.identity.cache = map[string]cachedToken{}
	c.SetBot(o.BotURL)
	c.SetRegion(o.Region)
	c.base, c.cancel = context.WithCancel(context.Background())
	if err := c.keepSent(); err != nil {
		return nil, errors.Join(fmt.Errorf("emulated channel: %w", err), l.Close())
	}
	c.server = &http.Server{
		Handler:           http.HandlerFunc(c.serve),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // aborted connections are scripted
	}
	c.busy.Go(func() {
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("emulated channel stopped serving", "err", err)
		}
	})
	return c, nil
}

// complete fills in the defaults and refuses what cannot be meant.
func (o *Options) complete() error {
	switch {
	case o.TenantRate < 0 || o.KeepLast < 0 || o.LogSize < 0 || o.TokenLife < 0 || o.FileLife < 0:
		return errors.New("TenantRate, KeepLast, LogSize, TokenLife and FileLife cannot be negative")
	case o.TenantRate > 0 && !o.Windows:
		return errors.New("TenantRate has no effect without Windows")
	case strings.ContainsAny(o.AppID+o.TenantID+o.Region, " /:?#"):
		return errors.New("AppID, TenantID and Region are plain words, not URLs or prefixed ids")
	}
	if o.BotURL != "" {
		u, err := url.Parse(o.BotURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("BotURL is not an absolute http or https URL")
		}
	}
	def := func(s *string, to string) {
		if *s == "" {
			*s = to
		}
	}
	def(&o.AppID, defaultAppID)
	def(&o.AppPassword, defaultPassword)
	def(&o.TenantID, defaultTenantID)
	def(&o.Region, defaultRegion)
	def(&o.BotName, "Help desk")
	def(&o.Addr, "127.0.0.1:0")
	if o.TenantRate == 0 {
		o.TenantRate = defaultTenant
	}
	if o.LogSize == 0 {
		o.LogSize = defaultLogSize
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.FileLife == 0 {
		o.FileLife = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Close cuts off what is in hand, stops the server and waits until all of it has ended.
func (c *Channel) Close() error {
	c.lifeMu.Lock()
	c.closed = true
	c.lifeMu.Unlock()
	c.cancel()
	err := c.server.Close()
	c.busy.Wait()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	if c.sent != nil {
		err = errors.Join(err, c.sent.Close())
	}
	c.changed()
	return err
}

// enter counts one piece of work that Close waits for; false means that the channel is closed.
func (c *Channel) enter() bool {
	c.lifeMu.Lock()
	defer c.lifeMu.Unlock()
	if c.closed {
		return false
	}
	c.busy.Add(1)
	return true
}

// URL returns the address of the server, without a trailing slash.
func (c *Channel) URL() string { return "http://" + c.listener.Addr().String() }

// MetadataURL returns the address of the OpenID metadata, for BOT_OPENID_METADATA.
func (c *Channel) MetadataURL() string { return c.URL() + metadataPath }

// TokenURL returns the address of the token endpoint of the tenant.
func (c *Channel) TokenURL() string { return c.URL() + "/" + c.opt.TenantID + tokenPath }

// ServiceURL returns the serviceUrl of the activities, with a path and a trailing slash.
func (c *Channel) ServiceURL() string { return c.URL() + "/" + *c.region.Load() + "/" }

// AppID returns the bot's app id.
func (c *Channel) AppID() string { return c.opt.AppID }

// AppPassword returns the secret that the token endpoint takes.
func (c *Channel) AppPassword() string { return c.opt.AppPassword }

// TenantID returns the tenant of all users.
func (c *Channel) TenantID() string { return c.opt.TenantID }

// BotID returns the id of the bot in activities, 28:<app id>.
func (c *Channel) BotID() string { return "28:" + c.opt.AppID }

// A botAddress is where activities are posted.
type botAddress struct{ url, path string }

// SetBot changes where activities are posted.
func (c *Channel) SetBot(botURL string) {
	b := &botAddress{url: botURL}
	if u, err := url.Parse(botURL); err == nil {
		b.path = u.EscapedPath()
	}
	c.bot.Store(b)
}

// SetRegion changes the service URL of later activities, as Microsoft may do at any time. The routes of
// every region go on working.
func (c *Channel) SetRegion(region string) { c.region.Store(&region) }

// Throttle answers every Connector request with 429 and a Retry-After until d from now.
func (c *Channel) Throttle(d time.Duration) { c.throttled.Store(c.now().Add(d).UnixNano()) }

// Changed returns a channel that is closed at the next change of anything: a message, a state, an
// exchange on the wire.
func (c *Channel) Changed() <-chan struct{} {
	c.changeMu.Lock()
	defer c.changeMu.Unlock()
	if c.change == nil {
		c.change = make(chan struct{})
	}
	return c.change
}

func (c *Channel) changed() {
	c.changeMu.Lock()
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
	c.changeMu.Unlock()
}

// Wait returns nil as soon as done holds. It asks at once and again after every change, never in between.
func (c *Channel) Wait(ctx context.Context, done func() bool) error {
	for {
		next := c.Changed()
		if done() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the emulated channel: %w", ctx.Err())
		case <-c.base.Done():
			return errors.New("waiting for the emulated channel: it is closed")
		}
	}
}

// WaitText waits until v shows a message of the bot that shows the words, and returns the latest one.
func (c *Channel) WaitText(ctx context.Context, v *Conversation, words string) (Message, error) {
	var found Message
	err := c.Wait(ctx, func() bool {
		m := v.Messages()
		for i := len(m) - 1; i >= 0; i-- {
			if m[i].FromBot && m[i].Shows(words) {
				found = m[i]
				return true
			}
		}
		return false
	})
	return found, err
}

// pause waits for d of real time; false means that the channel was closed meanwhile.
func (c *Channel) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	case <-c.base.Done():
		return false
	}
}

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// id returns n random characters of the base64url alphabet.
func (c *Channel) id(n int) string {
	c.rngMu.Lock()
	defer c.rngMu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = idAlphabet[c.rng.IntN(len(idAlphabet))]
	}
	return string(b)
}

// guid returns a random identifier in the form of a version 4 UUID.
func (c *Channel) guid() string {
	c.rngMu.Lock()
	defer c.rngMu.Unlock()
	a, b := c.rng.Uint64(), c.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
