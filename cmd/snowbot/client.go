package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"snowbot/bot"
)

// storeSettings are what a command needs that looks into the store.
type storeSettings struct {
	AdminListenAddr string      `env:"ADMIN_LISTEN_ADDR" default:"127.0.0.1:3979" help:"Where the running service serves its admin API."`
	AdminToken      string      `env:"ADMIN_TOKEN" help:"The token of the admin API."`
	DatabaseURL     databaseURL `env:"DATABASE_URL" name:"database-url" default:"bbolt:snowbot.db" help:"Opened when no service runs."`
	DataKey         string      `env:"DATA_ENCRYPTION_KEY" name:"data-encryption-key" help:"Needed when no service runs."`
}

// An adminClient speaks with the admin API: that of the running service, or one of its own on a store that nobody uses.
type adminClient struct {
	base  string
	token string
	http  *http.Client
	close func() error
}

const (
	dialLimit     = 2 * time.Second
	adminResponse = 64 << 20 // bytes of an answer at most
)

// open finds the running service, or opens the store when none runs.
func (s *storeSettings) open(ctx context.Context) (*adminClient, error) {
	c, err := dialAdmin(s.AdminListenAddr, s.AdminToken)
	if err != nil {
		return nil, &settingsError{[]string{"ADMIN_LISTEN_ADDR " + err.Error()}}
	}
	err = c.get(ctx, "/stats", nil, &statsView{})
	var p *problem
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &p) && p.Code == codeUnauthorized:
		c.http.CloseIdleConnections()
		return nil, errors.New("a service runs, but ADMIN_TOKEN is not the one it was started with")
	case !errors.As(err, &p) && !nobodyListens(err):
		c.http.CloseIdleConnections()
		return nil, fmt.Errorf("what listens at ADMIN_LISTEN_ADDR does not answer as a snowbot: %w", err)
	}
	c.http.CloseIdleConnections()
	local, err := s.openLocal(ctx)
	if err != nil && p != nil {
		return nil, fmt.Errorf("%w\n(something listens at ADMIN_LISTEN_ADDR; if it is the service, start it with ADMIN_TOKEN and set the same here)", err)
	}
	return local, err
}

// with runs f with a client, until an interrupt.
func (s *storeSettings) with(f func(context.Context, *adminClient) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	client, err := s.open(ctx)
	if err != nil {
		return err
	}
	err = f(ctx, client)
	return cmp.Or(err, client.close())
}

// nobodyListens reports whether a request failed because no connection could be made.
func nobodyListens(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// dialAdmin makes a client of the admin API that is served at a listen address of this machine. It does not connect yet.
func dialAdmin(listenAddr, token string) (*adminClient, error) {
	addr, err := reachable(listenAddr)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{DialContext: (&net.Dialer{Timeout: dialLimit}).DialContext} // no proxy: it is this machine
	return &adminClient{
		base: "http://" + addr, token: strings.TrimSpace(token),
		http: &http.Client{
			Transport: t, Timeout: adminLimit + dialLimit,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		close: func() error { t.CloseIdleConnections(); return nil },
	}, nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(listenAddr string) (string, error) {
	host, port, err := net.SplitHostPort(listenAddr)
	if err != nil {
		return "", errors.New("has to be an address and a port, such as 127.0.0.1:3979")
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// get asks for a page of the admin API.
func (c *adminClient) get(ctx context.Context, path string, q url.Values, into any) error {
	return c.call(ctx, http.MethodGet, path, q, into)
}

// letters calls f with every dead letter that the query chooses, a page at a time.
func (c *adminClient) letters(ctx context.Context, q url.Values, f func([]letterView) error) error {
	for {
		var page letterPage
		if err := c.get(ctx, "/dead-letters", q, &page); err != nil {
			return err
		}
		if err := f(page.Letters); err != nil || page.Next == "" {
			return err
		}
		q.Set("after", page.Next)
	}
}

func (c *adminClient) letter(ctx context.Context, id string, q url.Values) (v letterView, err error) {
	return v, c.get(ctx, "/dead-letters/"+url.PathEscape(id), q, &v)
}

func (c *adminClient) retry(ctx context.Context, id string, o bot.RetryOptions) error {
	q := url.Values{"force": {strconv.FormatBool(o.Force)}}
	return c.call(ctx, http.MethodPost, "/dead-letters/"+url.PathEscape(id)+"/retry", q, &letterResult{})
}

func (c *adminClient) drop(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/dead-letters/"+url.PathEscape(id), nil, &letterResult{})
}

// call makes one request. An answer that is not a success is a *problem.
func (c *adminClient) call(ctx context.Context, method, path string, q url.Values, into any) error {
	u := c.base + adminPath + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, http.NoBody)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // without the address, which may name a conversation
			err = ue.Err
		}
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, adminResponse))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		p := problem{Status: res.StatusCode}
		if json.Unmarshal(body, &p) != nil || p.Text == "" {
			p.Text = "status " + strconv.Itoa(res.StatusCode)
		}
		return &p
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		return errors.New("the answer is not what the admin API gives; is it the same version?")
	}
	return nil
}
