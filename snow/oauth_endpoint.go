package snow

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// maxTokenAnswer bounds the answer of the token endpoint, in bytes.
const maxTokenAnswer = 64 << 10

// errNoToken is the error of an answer of the token endpoint that cannot be used.
var errNoToken = errors.New("answer holds no usable token")

// A grant is what the token endpoint gave.
type grant struct {
	access, refresh string
	life            time.Duration // from when it was asked for
}

// A tokenEndpoint asks the instance for tokens.
type tokenEndpoint struct {
	config             oauth2.Config
	grant              string
	username, password string
	client             *http.Client
	timeout            time.Duration // of one request
	now                func() time.Time
	log                *slog.Logger
}

func newTokenEndpoint(o *ClientOptions, base *url.URL, hc *http.Client, timeout time.Duration) *tokenEndpoint {
	client := *hc
	client.Transport = tokenTransport{next: hc.Transport}
	return &tokenEndpoint{
		config: oauth2.Config{
			ClientID:     o.ClientID,
			ClientSecret: o.ClientSecret,
			Endpoint: oauth2.Endpoint{
				TokenURL: base.JoinPath("oauth_token.do").String(),
				// Found out by trial otherwise, and a rejected try counts against the user.
				AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		grant:    o.Grant,
		username: o.Username,
		password: o.Password,
		client:   &client,
		timeout:  timeout,
		now:      o.Now,
		log:      o.Log,
	}
}

// obtain asks for a token: with the refresh token if there is one, and when that is refused, or brings back the
// token that was rejected, by signing in, once.
func (e *tokenEndpoint) obtain(ctx context.Context, refresh, rejected string) (grant, *Error) {
	if refresh != "" {
		g, err := e.request(ctx, func(ctx context.Context) (*oauth2.Token, error) {
			return e.config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
		})
		if err == nil && g.access != rejected {
			return g, nil
		}
		if err != nil && !errors.Is(err, ErrCredentials) {
			return grant{}, err
		}
		e.log.Info("refresh token is of no use, signing in", "refused", err != nil)
	}
	return e.request(ctx, e.signIn)
}

func (e *tokenEndpoint) signIn(ctx context.Context) (*oauth2.Token, error) {
	if e.grant == GrantPassword {
		return e.config.PasswordCredentialsToken(ctx, e.username, e.password)
	}
	c := clientcredentials.Config{
		ClientID:     e.config.ClientID,
		ClientSecret: e.config.ClientSecret,
		TokenURL:     e.config.Endpoint.TokenURL,
		AuthStyle:    e.config.Endpoint.AuthStyle,
	}
	return c.Token(ctx)
}

// request makes one request for a token and turns its error into ours.
func (e *tokenEndpoint) request(ctx context.Context, f func(context.Context) (*oauth2.Token, error)) (grant, *Error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, e.client), e.timeout)
	defer cancel()
	t, err := f(ctx)
	if err != nil {
		return grant{}, e.failure(ctx, err)
	}
	if strings.ContainsFunc(t.AccessToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) { // no header can hold it
		return grant{}, &Error{Op: opToken, StatusCode: http.StatusOK, Err: errNoToken}
	}
	return grant{access: t.AccessToken, refresh: t.RefreshToken, life: lifeOf(t)}, nil
}

// failure makes an error of ours from one of the library's, of which nothing is kept but the status: it holds the body
// of the answer.
func (e *tokenEndpoint) failure(ctx context.Context, err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		f := &Error{Op: opToken, StatusCode: r.Response.StatusCode, RetryAfter: askedToWait(r.Response.StatusCode, r.Response.Header, e.now())}
		switch r.Response.StatusCode {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			f.Err = ErrCredentials
		}
		return f
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return &Error{Op: opToken, Err: exchangeError(ctx, err)}
	}
	return &Error{Op: opToken, StatusCode: http.StatusOK, Err: errNoToken}
}

// lifeOf reads expires_in, a number or a string. The library's own Expiry is by another clock.
func lifeOf(t *oauth2.Token) time.Duration {
	var seconds float64
	switch v := t.Extra("expires_in").(type) {
	case float64:
		seconds = v
	case string:
		s, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return unknownLife
		}
		seconds = s
	default:
		return unknownLife
	}
	return time.Duration(min(max(seconds, 0), (24*time.Hour).Seconds()) * float64(time.Second))
}

// A tokenTransport reads the whole answer of the token endpoint before the library sees it, so that a page with the
// status 200 is told from a token, whatever its Content-Type says, and a broken answer from a strange one.
type tokenTransport struct{ next http.RoundTripper }

func (t tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, &Error{Op: opToken, StatusCode: resp.StatusCode, NotJSON: true}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.Header.Set("Content-Type", "application/json")
	return resp, nil
}
