package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// benchEchoCommand is the ceiling: the least that anything has to do that answers activities. It decodes, verifies the
// token's signature and claims, and posts the words back. It keeps nothing, and has no use but to be compared with.
type benchEchoCommand struct {
	Listen   string `env:"LISTEN_ADDR"`
	AppID    string `env:"MICROSOFT_APP_ID"`
	Password string `env:"MICROSOFT_APP_PASSWORD"`
	Metadata string `env:"BOT_OPENID_METADATA"`
	Token    string `env:"BOT_TOKEN_URL"`
}

// Run serves until SIGTERM.
func (c *benchEchoCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	debug.SetGCPercent(garbageMost) // the ceiling has what the service has
	e := &echo{appID: c.AppID, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	if err := e.prepare(ctx, c); err != nil {
		return err
	}
	l, err := listen(ctx, "LISTEN_ADDR", c.Listen)
	if err != nil {
		return err
	}
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Info("listening", "addr", l.Addr().String())
	s := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type echo struct {
	appID  string
	client *http.Client
	keys   map[string]*rsa.PublicKey
	token  string
}

// prepare fetches the keys, and a token of its own.
func (e *echo) prepare(ctx context.Context, c *benchEchoCommand) error {
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	var set struct {
		Keys []struct{ Kid, N, E string }
	}
	if err := e.fetch(ctx, c.Metadata, nil, &metadata); err != nil {
		return err
	}
	if err := e.fetch(ctx, metadata.Keys, nil, &set); err != nil {
		return err
	}
	e.keys = map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, err1 := base64.RawURLEncoding.DecodeString(k.N)
		x, err2 := base64.RawURLEncoding.DecodeString(k.E)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		e.keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(x).Int64())}
	}
	var grant struct {
		Token string `json:"access_token"`
	}
	err := e.fetch(ctx, c.Token, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.AppID}, "client_secret": {c.Password}, "scope": {"https://api.botframework.com/.default"},
	}, &grant)
	e.token = "Bearer " + grant.Token
	return err
}

func (e *echo) fetch(ctx context.Context, address string, form url.Values, into any) error {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

type echoActivity struct {
	Type         string          `json:"type"`
	ID           string          `json:"id,omitempty"`
	ServiceURL   string          `json:"serviceUrl,omitempty"`
	Text         string          `json:"text"`
	From         json.RawMessage `json:"from"`
	Recipient    json.RawMessage `json:"recipient"`
	Conversation struct {
		ID string `json:"id"`
	} `json:"conversation"`
	ReplyToID string `json:"replyToId,omitempty"`
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var a echoActivity
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	if err := e.verify(r.Header.Get("Authorization"), a.ServiceURL); err != nil {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	if err := e.reply(r.Context(), &a); err != nil {
		http.Error(w, "", http.StatusBadGateway)
	}
}

var errEchoToken = errors.New("token refused")

// verify checks an RS256 token.
func (e *echo) verify(authorization, serviceURL string) error {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	last := strings.LastIndexByte(token, '.')
	if !ok || last < 0 {
		return errEchoToken
	}
	head, body, ok := strings.Cut(token[:last], ".")
	if !ok {
		return errEchoToken
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Issuer     string `json:"iss"`
		Audience   string `json:"aud"`
		ServiceURL string `json:"serviceurl"`
		Expires    int64  `json:"exp"`
	}
	for part, into := range map[string]any{head: &header, body: &claims} {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || json.Unmarshal(b, into) != nil {
			return errEchoToken
		}
	}
	key := e.keys[header.Kid]
	signature, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil || key == nil || header.Alg != "RS256" {
		return errEchoToken
	}
	digest := sha256.Sum256([]byte(token[:last]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
		return errEchoToken
	}
	if claims.Issuer != "https://api.botframework.com" || claims.Audience != e.appID || claims.ServiceURL != serviceURL || claims.Expires < time.Now().Unix() {
		return errEchoToken
	}
	return nil
}

func (e *echo) reply(ctx context.Context, a *echoActivity) error {
	out := echoActivity{Type: "message", Text: a.Text, From: a.Recipient, Recipient: a.From, Conversation: a.Conversation, ReplyToID: a.ID}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	to, err := url.JoinPath(a.ServiceURL, "v3/conversations", url.PathEscape(a.Conversation.ID), "activities", url.PathEscape(a.ID))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", e.token)
	res, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
