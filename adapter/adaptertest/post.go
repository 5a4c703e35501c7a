package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ErrLost says that a post has had no answer because of a fault, or because the bot gave none. Whether the bot
// has the activity is told by the fault; Teams would repeat the post, as Repeat does.
var ErrLost = errors.New("the bot's answer did not arrive")

// Posted is an activity that was posted to the bot, and what the bot answered.
type Posted struct {
	ActivityID string
	Status     int    // 0 while the post is held back by a fault, or lost
	Body       []byte // up to 1 MiB
	Held       bool   // by a Reorder fault, until the next post of the conversation

	activity   []byte
	serviceURL string
}

// OK reports whether the bot has accepted the activity.
func (p Posted) OK() bool { return p.Status >= 200 && p.Status < 300 }

// Activity returns the activity as it was posted.
func (p Posted) Activity() []byte { return bytes.Clone(p.activity) }

// Post posts an activity of the user with Teams' usual fields and, on top of them, the fields given; a nil
// removes one. It does not show in the chat. It is for whatever has no method of its own.
func (v *Conversation) Post(ctx context.Context, u User, fields map[string]any) (Posted, error) {
	v.mu.Lock()
	p, err := v.compose(u, v.nextID(v.channel.now()), outgoing{}, fields)
	v.mu.Unlock()
	if err != nil {
		return p, err
	}
	return v.deliver(ctx, p)
}

// Repeat posts the same activity once more, as Teams does when the bot was slower than 15 s.
func (v *Conversation) Repeat(ctx context.Context, p Posted) (Posted, error) {
	return v.deliver(ctx, Posted{ActivityID: p.ActivityID, activity: p.activity, serviceURL: p.serviceURL})
}

// Release posts what Reorder faults hold back.
func (v *Conversation) Release(ctx context.Context) error {
	v.mu.Lock()
	held := v.held
	v.held = nil
	v.mu.Unlock()
	for _, p := range held {
		if _, err := v.exchange(ctx, p, nil); err != nil {
			return err
		}
	}
	return nil
}

// deliver posts an activity as the fault that is due for it says, and then what was held back for it.
func (v *Conversation) deliver(ctx context.Context, p Posted) (Posted, error) {
	c := v.channel
	f := c.faults.pick(FaultRequest{Direction: Out, Method: http.MethodPost, Path: c.bot.Load().path, Conversation: v.id, Body: p.activity})
	if f != nil && f.Kind == Reorder {
		p.Held = true
		v.mu.Lock()
		v.held = append(v.held, p)
		v.mu.Unlock()
		return p, nil
	}
	got, err := v.exchange(ctx, p, f)
	if releaseErr := v.Release(ctx); err == nil {
		err = releaseErr
	}
	return got, err
}

// exchange posts an activity, with a fault or nil, and logs it.
func (v *Conversation) exchange(ctx context.Context, p Posted, f *Fault) (Posted, error) {
	p.Held = false
	if f == nil {
		return v.post(ctx, p, "", false)
	}
	lost := func() Posted {
		v.logLost(p, f)
		return p
	}
	switch f.Kind {
	case Drop, ResetBeforeEffect:
		return lost(), fmt.Errorf("%w: dropped before it", ErrLost)
	case ResetAfterEffect, TruncatedBody:
		if _, err := v.post(ctx, p, f.Kind, true); err != nil {
			return p, err
		}
		return p, fmt.Errorf("%w: dropped on its way back", ErrLost)
	case Status, HTML:
		answer := f.answer()
		if f.Effect {
			if _, err := v.post(ctx, p, f.Kind, true); err != nil {
				return p, err
			}
		} else {
			lost()
		}
		p.Status, p.Body = answer.status, answer.body
		return p, nil
	case Delay:
		if f.Effect {
			got, err := v.post(ctx, p, f.Kind, false)
			v.channel.pause(ctx, f.Delay)
			return got, err
		}
		if !v.channel.pause(ctx, f.Delay) {
			return lost(), fmt.Errorf("%w: given up during a delay", ErrLost)
		}
	case Duplicate:
		got, err := v.post(ctx, p, "", false)
		if err != nil {
			return got, err
		}
		_, err = v.post(ctx, p, f.Kind, false)
		return got, err
	}
	return v.post(ctx, p, f.Kind, false)
}

func (v *Conversation) logLost(p Posted, f *Fault) {
	v.channel.record(Exchange{
		At: v.channel.now(), Direction: Out, Method: http.MethodPost, Path: v.channel.bot.Load().path,
		RequestBody: string(p.activity), Conversation: v.id, Fault: string(f.Kind),
	})
}

// post sends an activity to the bot once. With hide, the log shows that the answer did not come back.
func (v *Conversation) post(ctx context.Context, p Posted, kind FaultKind, hide bool) (Posted, error) {
	c := v.channel
	begin := time.Now()
	e := Exchange{
		At: c.now(), Direction: Out, Method: http.MethodPost, RequestBody: string(p.activity),
		Conversation: v.id, Fault: string(kind), Path: c.bot.Load().path,
	}
	status, body, err := c.send(ctx, p.activity, "Bearer "+c.Token(p.serviceURL), v.id)
	e.Duration = time.Since(begin)
	e.Effect = err == nil
	if err == nil && !hide {
		e.Status, e.ResponseBody = status, string(body)
	}
	c.record(e)
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrLost, err)
	}
	p.Status, p.Body = status, body
	return p, nil
}

// PostRaw posts a body to the bot with that Authorization header, or with none when it is empty. It is not
// subject to faults and not logged.
func (c *Channel) PostRaw(ctx context.Context, body []byte, authorization string) (status int, answer []byte, err error) {
	return c.send(ctx, body, authorization, "")
}

func (c *Channel) send(ctx context.Context, body []byte, authorization, conversation string) (int, []byte, error) {
	if !c.enter() {
		return 0, nil, errors.New("the emulated channel is closed")
	}
	defer c.busy.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.base, cancel)()
	bot := c.bot.Load().url
	if bot == "" {
		return 0, nil, errors.New("no bot is set")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, bot, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)")
	req.Header.Set("X-Ms-Tenant-Id", c.opt.TenantID)
	if conversation != "" {
		req.Header.Set("X-Ms-Conversation-Id", conversation)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the bot's answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}
