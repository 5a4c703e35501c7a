package snowtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An Instance is an emulated ServiceNow instance. Its methods may be called by several goroutines at once.
type Instance struct {
	o       Options
	version version
	server  *server
	client  *http.Client // for callbacks and attachments
	reg     registry
	oauth   oauth
	tables  tables
	media   media
	faults  faults
	log     exchanges
	rate    rate

	set   atomic.Pointer[settings]
	setMu sync.Mutex

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stopMu sync.Mutex
	stop   bool

	change   atomic.Uint64
	changeMu sync.Mutex
	changeC  chan struct{} // closed at the next change; nil when nobody waits

	timerMu            sync.Mutex
	liveTick, hourTick time.Time
}

// settings are what may change while the instance runs.
type settings struct {
	webhookURL, webhookSecret string
	dialect                   Dialect
	shape                     Shape
	noAgents                  NoAgentMode
	waitTime                  string
	survey                    bool
	autoAccept                string
	answer                    func(Chat, string) []string
	down                      DownMode
	up                        chan struct{} // closed when the mode changes
}

// New starts an instance. The caller closes it.
func New(o Options) (*Instance, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("emulated instance: %w", err)
	}
	v, err := parseVersion(o.Version)
	if err != nil {
		return nil, err
	}
	i := &Instance{o: o, version: v, client: o.HTTP}
	if i.client == nil {
		i.client = newHTTPClient()
	}
	i.reg.people, i.reg.chats = make(map[string]*person), make(map[string]*conversation)
	i.faults.seed(o.Seed)
	i.log.limit = o.KeepLast
	i.set.Store(&settings{
		webhookURL: o.WebhookURL, webhookSecret: o.WebhookSecret, dialect: o.Dialect, shape: o.Shape, noAgents: o.NoAgents,
		waitTime: o.WaitTime, survey: o.Survey, answer: o.Answer, up: make(chan struct{}),
	})
	i.liveTick = o.Now()
	i.hourTick = i.liveTick
	i.ctx, i.cancel = context.WithCancel(context.Background())
	if i.server, err = newServer(o.Addr, http.HandlerFunc(i.serve), o.Log); err != nil {
		i.cancel()
		return nil, fmt.Errorf("emulated instance: %w", err)
	}
	return i, nil
}

// newHTTPClient returns a client that keeps connections for many conversations at once and follows no redirects.
func newHTTPClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 512
	t.Proxy = nil
	return &http.Client{
		Transport: t, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close stops the instance and waits for everything it started. What was about to be posted is given up.
func (i *Instance) Close() {
	i.stopMu.Lock()
	i.stop = true
	i.stopMu.Unlock()
	i.cancel()
	i.server.close()
	i.wg.Wait()
	i.client.CloseIdleConnections()
	i.touch(nil)
}

// URL returns the address of the instance, such as http://127.0.0.1:40123.
func (i *Instance) URL() string { return "http://" + i.server.addr }

// Credentials returns what a client logs in with.
func (i *Instance) Credentials() (clientID, clientSecret, username, password string) {
	return i.o.ClientID, i.o.ClientSecret, i.o.Username, i.o.Password
}

// begin announces work that Close has to wait for; done ends it. It reports false after Close.
func (i *Instance) begin() bool {
	i.stopMu.Lock()
	defer i.stopMu.Unlock()
	if i.stop {
		return false
	}
	i.wg.Add(1)
	return true
}

func (i *Instance) done() { i.wg.Done() }

func (i *Instance) settings() *settings { return i.set.Load() }

func (i *Instance) edit(f func(*settings)) {
	i.setMu.Lock()
	defer i.setMu.Unlock()
	s := *i.set.Load()
	f(&s)
	i.set.Store(&s)
}

// SetWebhook sets where callbacks go and the secret they carry. An empty address loses them.
func (i *Instance) SetWebhook(url, secret string) {
	i.edit(func(s *settings) { s.webhookURL, s.webhookSecret = url, secret })
}

// SetDialect chooses the dialect of later callbacks.
func (i *Instance) SetDialect(d Dialect) error {
	if err := checkDialect(d); err != nil {
		return err
	}
	i.edit(func(s *settings) { s.dialect = d })
	return nil
}

// SetNoAgents says what happens to later wishes for a live agent.
func (i *Instance) SetNoAgents(m NoAgentMode) error {
	if err := checkNoAgents(m); err != nil {
		return err
	}
	i.edit(func(s *settings) { s.noAgents = m })
	return nil
}

// SetShape bends later callbacks.
func (i *Instance) SetShape(shape Shape) { i.edit(func(s *settings) { s.shape = shape }) }

// SetWaitTime sets the display text that later wishes are queued with.
func (i *Instance) SetWaitTime(text string) { i.edit(func(s *settings) { s.waitTime = text }) }

// SetSurvey says whether a survey follows when an agent ends a chat.
func (i *Instance) SetSurvey(on bool) { i.edit(func(s *settings) { s.survey = on }) }

// AutoAccept makes an agent of that name take every later chat as soon as it is queued. An empty name stops that.
func (i *Instance) AutoAccept(agentName string) {
	i.edit(func(s *settings) { s.autoAccept = agentName })
}

// SetAnswer sets what agents answer by themselves to each line of a live chat, or nothing. The chat comes without lines.
func (i *Instance) SetAnswer(f func(chat Chat, text string) []string) {
	i.edit(func(s *settings) { s.answer = f })
}

// touch tells everyone who waits that something has changed. The person's lock is held when c is not nil.
func (i *Instance) touch(c *conversation) {
	n := i.change.Add(1)
	if c != nil {
		c.changed = n
	}
	i.changeMu.Lock()
	if i.changeC != nil {
		close(i.changeC)
		i.changeC = nil
	}
	i.changeMu.Unlock()
}

func (i *Instance) changes() <-chan struct{} {
	i.changeMu.Lock()
	defer i.changeMu.Unlock()
	if i.changeC == nil {
		i.changeC = make(chan struct{})
	}
	return i.changeC
}

// ErrClosed reports that the instance was closed while somebody waited for it.
var ErrClosed = errors.New("the emulated instance is closed")

// Wait returns when the condition holds. It is asked at once and after every change of a chat and every entry in the log,
// with no lock held. Wait gives up when ctx ends or the instance is closed.
func (i *Instance) Wait(ctx context.Context, holds func() bool) error {
	for {
		changed := i.changes()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-i.ctx.Done():
			if holds() {
				return nil
			}
			return ErrClosed
		}
	}
}

// WaitChat returns the first chat for which the condition holds. Only chats that have changed are asked again.
func (i *Instance) WaitChat(ctx context.Context, holds func(Chat) bool) (found Chat, err error) {
	asked := make(map[string]uint64)
	err = i.Wait(ctx, func() bool {
		for _, c := range i.reg.all() {
			c.person.mu.Lock()
			if before, ok := asked[c.id]; ok && before == c.changed {
				c.person.mu.Unlock()
				continue
			}
			asked[c.id] = c.changed
			chat := c.snapshot(true)
			c.person.mu.Unlock()
			if holds(chat) {
				found = chat
				return true
			}
		}
		return false
	})
	return found, err
}

// WaitLine returns the first line of a chat with exactly that text, whoever said it.
func (i *Instance) WaitLine(ctx context.Context, chatID, text string) (found Line, err error) {
	c := i.reg.chat(chatID)
	if c == nil {
		return Line{}, ErrNoChat
	}
	err = i.Wait(ctx, func() bool {
		c.person.mu.Lock()
		defer c.person.mu.Unlock()
		for _, l := range c.lines {
			if l.Text == text {
				found = *l
				return true
			}
		}
		return false
	})
	return found, err
}

// newID returns 32 hexadecimal digits, as a sys_id has.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
