package snowtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// A PostError says that a callback was not taken: the webhook answered something else than 2xx, or nothing.
type PostError struct {
	StatusCode int // 0 when there was no answer
	Err        error
}

func (e *PostError) Error() string {
	if e.StatusCode != 0 {
		return fmt.Sprintf("webhook: status %d", e.StatusCode)
	}
	return "webhook: " + e.Err.Error()
}

func (e *PostError) Unwrap() error { return e.Err }

// ErrNoWebhook reports that there is nowhere to post to.
var ErrNoWebhook = errors.New("no webhook is configured")

// errLost reports that a fault lost a post or its answer.
var errLost = errors.New("lost by a fault")

// run is one step on the lane of a conversation: f changes it under the lock and says what is to be posted.
func (i *Instance) run(ctx context.Context, c *conversation, f func() ([]*post, error)) error {
	c.person.mu.Lock()
	posts, err := f()
	i.touch(c)
	c.person.mu.Unlock()
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range posts {
		errs = append(errs, i.send(ctx, c, p))
	}
	return errors.Join(errs...)
}

// enqueue posts p after what is already on the lane. The caller holds the person's lock.
func (i *Instance) enqueue(c *conversation, p *post) {
	i.do(c.person, func(ctx context.Context) { _ = i.send(ctx, c, p) })
}

// send renders and posts p.
func (i *Instance) send(ctx context.Context, c *conversation, p *post) error {
	s := i.settings()
	c.person.mu.Lock()
	if p.virtual && c.silent {
		c.person.mu.Unlock()
		return nil
	}
	bodies, err := i.render(c, p, s)
	session, app := c.sessionID, c.appInboundID
	c.person.mu.Unlock()
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if err = i.deliver(ctx, c.person, &callback{app: app, session: session, body: body, line: p.line}); err != nil {
			return err
		}
	}
	return nil
}

// A callback is one POST to be made.
type callback struct {
	app, session string
	body         []byte
	line         *Line
	fault        string
}

// deliver makes a callback, with the faults that are armed. A post that is held back goes out after the next one.
func (i *Instance) deliver(ctx context.Context, p *person, cb *callback) error {
	s := i.settings()
	target := i.target(s, cb.app)
	f := i.faults.hit(func() FaultRequest {
		return FaultRequest{Direction: Out, Method: http.MethodPost, Path: target.WebhookURL, SessionID: cb.session, Body: cb.body}
	})
	if f == nil {
		err := i.attempts(ctx, p, cb, target)
		i.release(ctx, p)
		return err
	}
	cb.fault = string(f.Kind)
	switch f.Kind {
	case FaultDrop:
		i.log.add(record{
			Exchange: Exchange{
				At: i.o.Now(), Direction: Out, Method: http.MethodPost, Path: target.WebhookURL, SessionID: cb.session,
				Fault: cb.fault, Note: "never sent",
			},
			request: cb.body,
		})
		i.touch(nil)
		return &PostError{Err: errLost}
	case FaultReorder:
		i.hold(p, cb, target, f.Delay)
		return nil
	case FaultDelay:
		if !pause(ctx, f.Delay) {
			return ctx.Err()
		}
	case FaultDuplicate:
		_ = i.attempts(ctx, p, cb, target)
	case FaultReset, FaultStatus, FaultHTML:
	}
	err := i.attempts(ctx, p, cb, target)
	i.release(ctx, p)
	return err
}

func (i *Instance) target(s *settings, app string) App {
	if len(i.o.Apps) > 0 {
		return i.o.Apps[app]
	}
	return App{WebhookURL: s.webhookURL, WebhookSecret: s.webhookSecret}
}

// defaultHold is how long a post waits to be overtaken.
const defaultHold = 200 * time.Millisecond

// hold keeps a post back until another one of the same person was sent, or for a time.
func (i *Instance) hold(p *person, cb *callback, target App, d time.Duration) {
	or(&d, defaultHold)
	p.mu.Lock()
	before := p.held
	p.held = func(ctx context.Context) { _ = i.attempts(ctx, p, cb, target) }
	p.mu.Unlock()
	if before != nil {
		before(i.ctx)
	}
	if !i.begin() {
		return
	}
	go func() {
		defer i.done()
		pause(i.ctx, d)
		p.mu.Lock()
		defer p.mu.Unlock()
		i.do(p, func(ctx context.Context) { i.release(ctx, p) })
	}()
}

// release sends what was held back.
func (i *Instance) release(ctx context.Context, p *person) {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	if held != nil {
		held(ctx)
	}
}

// attempts posts once, and again as often as the retry policy says.
func (i *Instance) attempts(ctx context.Context, p *person, cb *callback, target App) error {
	wait := i.o.RetryWait
	for n := 0; ; n++ {
		status, err := i.attempt(ctx, cb, target)
		if cb.fault == string(FaultReset) {
			cb.fault = "" // a retry is a new attempt
		}
		if cb.line != nil {
			p.mu.Lock()
			cb.line.Answered = status
			p.mu.Unlock()
		}
		if err == nil || n >= i.o.Retries || !pause(ctx, wait) {
			return err
		}
		wait *= 2
	}
}

// attempt is one POST to the webhook, with its entry in the log.
func (i *Instance) attempt(ctx context.Context, cb *callback, target App) (int, error) {
	rec := record{
		Exchange: Exchange{
			At: i.o.Now(), Direction: Out, Method: http.MethodPost, Path: target.WebhookURL, SessionID: cb.session, Fault: cb.fault,
		},
		request: cb.body,
	}
	began := time.Now()
	status, response, err := i.exchange(ctx, cb.body, target)
	rec.Status, rec.response, rec.Duration = status, response, time.Since(began)
	switch {
	case err == nil && cb.fault == string(FaultReset):
		err = &PostError{Err: errLost}
	case err == nil && status/100 != 2:
		err = &PostError{StatusCode: status}
	case err != nil:
		err = &PostError{Err: err}
	}
	if err != nil {
		rec.Note = err.Error()
		i.o.Log.Warn("callback failed", "session", cb.session, "status", status)
	}
	i.log.add(rec)
	i.touch(nil)
	return status, err
}

// maxAnswer bounds what is read of the webhook's answer.
const maxAnswer = 64 << 10

func (i *Instance) exchange(ctx context.Context, body []byte, target App) (int, []byte, error) {
	if target.WebhookURL == "" {
		return 0, nil, ErrNoWebhook
	}
	ctx, cancel := context.WithTimeout(ctx, i.o.CallbackTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.WebhookURL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, bare(err)
	}
	for name, value := range i.o.WebhookHeaders {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "ServiceNow/1.0")
	contentType := i.settings().shape.ContentType
	or(&contentType, typeJSON)
	req.Header.Set("Content-Type", contentType)
	switch auth := i.o.WebhookAuth; auth.Kind {
	case AuthBasic:
		req.SetBasicAuth(auth.User, target.WebhookSecret)
	case AuthHeader:
		req.Header.Set(auth.Header, target.WebhookSecret)
	case AuthNone:
	default:
		req.Header.Set("Authorization", "Bearer "+target.WebhookSecret)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return 0, nil, bare(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, bare(err)
	}
	return resp.StatusCode, answer, nil
}

// bare takes the address off an error of the HTTP client: it may carry a secret in its query.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
