package snowtest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Dialect is a way of spelling callbacks.
type Dialect string

// The dialects. The zero value means DialectOfficial.
const (
	// DialectOfficial is what the Virtual Agent Bot Integration API documents: no status, flags only when true, the
	// words of a text in value, takeControl meaning that ServiceNow gives up.
	DialectOfficial Dialect = "official"
	// DialectSpec has a status and an error_message, the words of a text in message, AgentControl and EndConversation
	// items, no messageId, and takeControl meaning that an agent has taken over.
	DialectSpec Dialect = "spec"
)

// A NoAgentMode says what happens to a wish for a live agent when nobody can take it.
type NoAgentMode string

// The variants of "nobody there". Real instances differ, so a client must survive each.
const (
	NoAgentsOff         NoAgentMode = ""            // somebody is there
	NoAgentsText        NoAgentMode = "text"        // a text, and the virtual agent stays
	NoAgentsTakeControl NoAgentMode = "takeControl" // a text and takeControl; DialectSpec says status fail instead
	NoAgentsCompleted   NoAgentMode = "completed"   // a text and completed
	NoAgentsClose       NoAgentMode = "close"       // queued, and closed at once
	NoAgentsAckFailure  NoAgentMode = "ackFailure"  // the request itself is answered with status failure
	NoAgentsSilence     NoAgentMode = "silence"     // nothing at all
	NoAgentsFail        NoAgentMode = "fail"        // status fail; DialectOfficial says takeControl instead
)

// An AuthKind is a way in which the instance logs in at the webhook.
type AuthKind string

// The ways. The zero value means AuthBearer.
const (
	AuthBearer AuthKind = "bearer"
	AuthBasic  AuthKind = "basic"  // WebhookAuth.User and the secret
	AuthHeader AuthKind = "header" // the secret in WebhookAuth.Header
	AuthNone   AuthKind = "none"
)

// WebhookAuth says how callbacks carry the secret. The zero value is a Bearer token.
type WebhookAuth struct {
	Kind   AuthKind
	User   string // for AuthBasic
	Header string // for AuthHeader
}

// A MessageAuthKind is the second login layer of the Bot Integration API, the one account linking needs.
type MessageAuthKind string

// The kinds of Message Auth. Without it everyone is a Guest.
const (
	MessageAuthNone   MessageAuthKind = ""
	MessageAuthStatic MessageAuthKind = "static" // header or body field token
	MessageAuthHash   MessageAuthKind = "hash"   // header x-b2b-signature, hexadecimal HMAC-SHA1
)

// MessageAuth is what a request must prove, apart from the platform login. A request that fails is answered 200 and
// never processed, as the real one is.
type MessageAuth struct {
	Kind   MessageAuthKind
	Secret string
}

// A User is a row of sys_user. An empty SysID is filled in.
type User struct {
	SysID    string
	UserName string
	Name     string
	Email    string
	Inactive bool
	Locked   bool
}

// An Agent is somebody who can take chats. An empty ID is filled in.
type Agent struct {
	ID        string
	Name      string
	AvatarURL string
	Skills    []string
}

// An App is a provider application: requests with its appInboundId are called back at its own address.
type App struct {
	WebhookURL    string
	WebhookSecret string
}

// Shape bends callbacks into forms that real instances and their customers' scripts have been seen to produce. The zero
// value is what the documentation's samples look like.
type Shape struct {
	OneItemPerPost      bool   // instead of several items in one body
	BodyObject          bool   // a body with one item is that item
	BodyText            bool   // the body is JSON in a string
	FlagsAsText         bool   // "true" instead of true
	ScoreText           bool   // "1" instead of 1
	ExplicitTakeControl bool   // takeControl false is spelled out
	NoEcho              bool   // neither requestId nor message is echoed
	OmitOptional        bool   // nothing that some version or setting leaves out
	ContentType         string // default application/json
}

// Options configure an Instance. The zero value is a working instance with one agent that nobody is told about: it has
// no webhook. The defaults of the credentials are returned by Instance.Credentials.
type Options struct {
	Addr string // loopback address to listen on, default 127.0.0.1:0

	ClientID, ClientSecret string // OAuth application
	Username, Password     string // integration user
	ClientCredentials      bool   // the client_credentials grant is enabled
	TokenTTL               time.Duration
	RefreshTTL             time.Duration
	RatePerHour            int // requests to /api an hour, 0 for no limit

	WebhookURL, WebhookSecret string
	WebhookAuth               WebhookAuth
	WebhookHeaders            map[string]string // at most 10, as in the real form
	Apps                      map[string]App    // by appInboundId; when there are any, each request must name one
	CallbackTimeout           time.Duration     // default 5 s
	Retries                   int               // of a failed callback, needs Version 4.1 or later; default none
	RetryWait                 time.Duration     // before the first retry, doubled each time; default 50 ms

	Dialect     Dialect
	Shape       Shape
	Version     string // of the Virtual Agent API application, default 4.1.2
	MessageAuth MessageAuth
	NoAgents    NoAgentMode
	Agents      []Agent              // default: one, Sam Ortiz
	Open        func(time.Time) bool // the queue's schedule, default always
	Queue       string               // default Support
	WaitTime    string               // display text such as "2 Minutes"; empty: the spinner has none
	Hello       string               // the queue's initial agent response, sent at acceptance
	AgentNames  bool                 // the "Agent Names and Avatars" setting
	Survey      bool                 // a survey follows an end by the agent
	LiveOnly    bool                 // the channel skips the virtual agent
	Unmatched   bool                 // AGENT is "not understood", as in the official sample
	Texts       Texts                // empty texts are filled from English

	TakeControlTries int  // inputs not understood before the virtual agent gives up, default 2
	LaterHistory     bool // history is taken from later requests too
	NoUpdates        bool // third_party_chat is off: UPDATE_MESSAGES is refused
	Disabled         bool // the Bot Integration API answers 405
	// Synchronous makes the virtual agent speak in the answer to a request, rather than in a post. What agents say is posted all the
	// same.
	Synchronous bool

	IdleRemind   time.Duration // silence of the user in a live chat before the reminder, default 180 s
	IdleCancel   time.Duration // and before the chat is closed, default 360 s
	IdleTick     time.Duration // how often these are looked at, default 120 s
	BotIdle      time.Duration // silence before the virtual agent's conversation is closed, default 3600 s, hourly
	Think        time.Duration // what the virtual agent needs for one request
	TrustedMedia []string      // hosts that attachments are fetched from, subdomains included

	Users  []User
	Answer func(chat Chat, text string) []string // what agents answer by themselves; chat comes without lines
	// Heard is told the words of a user as soon as the desk has them. It is called with the person's lock held, so it must
	// neither block nor call the instance. It is for load tests, which cannot afford Subscribe.
	Heard    func(text string)
	KeepLast int    // exchanges, ended chats, lines of a chat and files kept, default 5000
	Seed     uint64 // for faults with a probability
	Now      func() time.Time
	Log      *slog.Logger // ids only; default none
	HTTP     *http.Client // for callbacks and attachments
}

// Limits of the emulator, and defaults.
const (
	maxHeaders  = 10 // attributes of a Bot Connection
	maxBody     = 10 << 20
	defaultKeep = 5000
)

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// complete fills in the defaults and reports every contradiction at once.
func (o *Options) complete() error {
	var errs []error
	or(&o.Addr, "127.0.0.1:0")
	if host, _, err := net.SplitHostPort(o.Addr); err != nil {
		errs = append(errs, fmt.Errorf("address %q: %w", o.Addr, err))
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		errs = append(errs, fmt.Errorf("address %q is not a loopback address", o.Addr))
	}
	or(&o.ClientID, "client")
	or(&o.ClientSecret, "client-secret")
	or(&o.Username, "integration.user")
	or(&o.Password, "integration-password")
	or(&o.TokenTTL, 1800*time.Second)
	or(&o.RefreshTTL, 8_640_000*time.Second)
	or(&o.CallbackTimeout, 5*time.Second)
	or(&o.RetryWait, 50*time.Millisecond)
	or(&o.Dialect, DialectOfficial)
	or(&o.Version, "4.1.2")
	or(&o.Queue, "Support")
	or(&o.TakeControlTries, 2)
	or(&o.IdleRemind, 180*time.Second)
	or(&o.IdleCancel, 360*time.Second)
	or(&o.IdleTick, 120*time.Second)
	or(&o.BotIdle, 3600*time.Second)
	or(&o.KeepLast, defaultKeep)
	or(&o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Agents) == 0 {
		o.Agents = []Agent{{Name: "Sam Ortiz", AvatarURL: "sam.iix?t=small"}}
	}
	o.Agents = slices.Clone(o.Agents)
	for i := range o.Agents {
		or(&o.Agents[i].ID, newID())
	}
	o.Users = slices.Clone(o.Users)
	for i := range o.Users {
		or(&o.Users[i].SysID, newID())
	}
	o.Texts.complete()
	errs = append(errs, o.check()...)
	return errors.Join(errs...)
}

func (o *Options) check() (errs []error) {
	version, err := parseVersion(o.Version)
	if err != nil {
		errs = append(errs, err)
	}
	if o.Retries > 0 && err == nil && !version.atLeast(4, 1, 0) {
		errs = append(errs, fmt.Errorf("version %s knows no retries of callbacks", o.Version))
	}
	if err := checkDialect(o.Dialect); err != nil {
		errs = append(errs, err)
	}
	if err := checkNoAgents(o.NoAgents); err != nil {
		errs = append(errs, err)
	}
	if len(o.WebhookHeaders) > maxHeaders {
		errs = append(errs, fmt.Errorf("%d webhook headers, at most %d are possible", len(o.WebhookHeaders), maxHeaders))
	}
	switch a := o.WebhookAuth; a.Kind {
	case "", AuthBearer, AuthNone:
	case AuthBasic:
		if a.User == "" {
			errs = append(errs, errors.New("basic webhook authentication needs a user"))
		}
	case AuthHeader:
		if a.Header == "" {
			errs = append(errs, errors.New("webhook authentication by header needs a header"))
		}
	default:
		errs = append(errs, fmt.Errorf("unknown webhook authentication %q", a.Kind))
	}
	switch m := o.MessageAuth; m.Kind {
	case MessageAuthNone:
	case MessageAuthStatic, MessageAuthHash:
		if m.Secret == "" {
			errs = append(errs, fmt.Errorf("message auth %q needs a secret", m.Kind))
		}
	default:
		errs = append(errs, fmt.Errorf("unknown message auth %q", m.Kind))
	}
	if err := checkURL(o.WebhookURL); err != nil {
		errs = append(errs, err)
	}
	for id, app := range o.Apps {
		if err := checkURL(app.WebhookURL); err != nil {
			errs = append(errs, fmt.Errorf("application %q: %w", id, err))
		}
	}
	if o.KeepLast < 0 || o.Retries < 0 || o.RatePerHour < 0 {
		errs = append(errs, errors.New("a limit is negative"))
	}
	return errs
}

func checkDialect(d Dialect) error {
	if d != DialectOfficial && d != DialectSpec {
		return fmt.Errorf("unknown dialect %q", d)
	}
	return nil
}

func checkNoAgents(m NoAgentMode) error {
	switch m {
	case NoAgentsOff, NoAgentsText, NoAgentsTakeControl, NoAgentsCompleted, NoAgentsClose, NoAgentsAckFailure,
		NoAgentsSilence, NoAgentsFail:
		return nil
	}
	return fmt.Errorf("unknown mode %q of having no agents", m)
}

// checkURL accepts an absolute http address, or none.
func checkURL(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("a webhook address is no absolute http or https URL")
	}
	return nil
}

// A version is that of the Virtual Agent API application.
type version [3]int

func parseVersion(s string) (v version, err error) {
	parts := strings.Split(s, ".")
	if len(parts) > len(v) {
		return v, fmt.Errorf("version %q has more than three parts", s)
	}
	for i, part := range parts {
		if v[i], err = strconv.Atoi(part); err != nil || v[i] < 0 {
			return v, fmt.Errorf("version %q is no version", s)
		}
	}
	return v, nil
}

func (v version) atLeast(major, minor, patch int) bool {
	return slices.Compare(v[:], []int{major, minor, patch}) >= 0
}
