package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// peerPatience is how long a platform waits for the service, as Teams does.
const peerPatience = 15 * time.Second

// teamsPlatform is Teams with the employees.
type teamsPlatform struct {
	channel *adaptertest.Channel
	users   []adaptertest.User
	chats   []*adaptertest.Conversation
}

func newTeamsPlatform(seen *arrivals) (*teamsPlatform, error) {
	c, err := adaptertest.New(adaptertest.Options{KeepLast: 4, LogSize: 1, HTTP: newPlainClient(peerPatience)})
	if err != nil {
		return nil, err
	}
	c.Subscribe(func(x adaptertest.Exchange) {
		if x.Direction == adaptertest.In && x.Effect {
			seen.take(x.RequestBody)
		}
	})
	return &teamsPlatform{channel: c}, nil
}

func (p *teamsPlatform) env() peerEnv { return teamsEnv(p.channel) }

// open makes employees, each of whom asks for a person.
func (p *teamsPlatform) open(ctx context.Context, o peerOrder) error {
	p.channel.SetBot(o.Bot)
	for n := len(p.users); n < o.Chats; n++ {
		u := p.channel.AddUser(adaptertest.User{Name: fmt.Sprint("Employee ", n), Email: fmt.Sprintf("employee%d@example.com", n)})
		p.users = append(p.users, u)
		p.chats = append(p.chats, p.channel.Personal(u))
	}
	if o.Silent {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for n := range p.users {
		g.Go(func() error { return p.say(ctx, n, "I want to talk to a person") })
	}
	return g.Wait()
}

func (p *teamsPlatform) await(context.Context, int) error { return nil }

func (p *teamsPlatform) end(ctx context.Context) (string, error) {
	last := len(p.chats) - 1
	return p.channel.TenantID() + "/" + p.chats[last].ID(), p.say(ctx, last, "end chat")
}

func (p *teamsPlatform) down(bool) error { return errors.ErrUnsupported }

func (p *teamsPlatform) say(ctx context.Context, chat int, text string) error {
	posted, err := p.chats[chat].Say(ctx, p.users[chat], text)
	if err == nil && posted.Status/100 != 2 {
		err = fmt.Errorf("status %d", posted.Status)
	}
	return err
}

func (p *teamsPlatform) close() { p.channel.Close() }

// serviceNowPlatform is ServiceNow with an agent for everybody.
type serviceNowPlatform struct {
	instance *snowtest.Instance
	chats    sync.Map // ids, by number
}

func newServiceNowPlatform(seen *arrivals) (*serviceNowPlatform, error) {
	i, err := snowtest.New(snowtest.Options{KeepLast: 16, AgentNames: true, Heard: seen.take, HTTP: newPlainClient(peerPatience)})
	if err != nil {
		return nil, err
	}
	i.AutoAccept("Sam Ortiz")
	return &serviceNowPlatform{instance: i}, nil
}

func (p *serviceNowPlatform) env() peerEnv { return serviceNowEnv(p.instance) }

func (p *serviceNowPlatform) open(_ context.Context, o peerOrder) error {
	p.instance.SetWebhook(o.Bot, o.Secret)
	return nil
}

// await waits until an agent has taken every chat, and the service has heard of it.
func (p *serviceNowPlatform) await(ctx context.Context, chats int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		live := 0
		for _, c := range p.instance.Chats() {
			if n, ok := employeeOf(c); ok && c.State == snowtest.StateLive {
				p.chats.Store(n, c.ID)
				live++
			}
		}
		if live >= chats {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d chats have an agent: %w", live, chats, ctx.Err())
		}
	}
}

// employeeOf returns the number of the employee of a chat.
func employeeOf(c snowtest.Chat) (int, bool) {
	digits, ok := strings.CutPrefix(c.Email, "employee")
	digits, _, _ = strings.Cut(digits, "@")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil
}

func (p *serviceNowPlatform) end(context.Context) (string, error) { return "", errors.ErrUnsupported }

func (p *serviceNowPlatform) down(yes bool) error {
	mode := snowtest.DownOff
	if yes {
		mode = snowtest.Down503
	}
	return p.instance.SetDown(mode)
}

func (p *serviceNowPlatform) say(ctx context.Context, chat int, text string) error {
	id, ok := p.chats.Load(chat)
	if !ok {
		return errors.New("no such chat")
	}
	_, err := p.instance.Say(ctx, id.(string), text)
	return err
}

func (p *serviceNowPlatform) close() { p.instance.Close() }
