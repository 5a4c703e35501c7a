package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// When keys are fetched (Bot Connector authentication: at least every 24 hours, new keys may come at any time).
const (
	refreshAfter = 12 * time.Hour   // in the background
	staleAfter   = 24 * time.Hour   // then by the request that finds them so
	missInterval = 5 * time.Minute  // between fetches for the sake of an unknown key id, or of stale keys
	coldInterval = time.Second      // between attempts while there are no keys at all
	fetchTimeout = 5 * time.Second  // for metadata and key set together
	maxDocument  = 1 << 20          // bytes of either
	maxBackoff   = 60 * time.Second // of the background refresh
)

// A keySource holds the provider's keys. Readers never wait while the key they want is at hand.
type keySource struct {
	metadataURL string
	client      *http.Client
	now         func() time.Time
	log         *slog.Logger

	set atomic.Pointer[keySet] // nil until the first fetch succeeds

	fetching chan struct{} // holds one token, which the fetcher takes; it guards what follows
	lastTry  time.Time     // the end of the last attempt
	lastMiss time.Time     // the last fetch made because of a request, while there were keys
	failed   bool          // the last attempt did
}

func newKeySource(o VerifierOptions) (*keySource, error) {
	if err := checkKeyURL(o.MetadataURL); err != nil {
		return nil, fmt.Errorf("verifier: metadata url: %w", err)
	}
	client := &http.Client{Timeout: fetchTimeout}
	if o.HTTP != nil {
		shallow := *o.HTTP
		client = &shallow
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		client.Transport = t.Clone()
	}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("too many redirects")
		}
		return checkKeyURL(req.URL.String())
	}
	s := &keySource{metadataURL: o.MetadataURL, client: client, now: o.Now, log: o.Log, fetching: make(chan struct{}, 1)}
	s.fetching <- struct{}{}
	return s, nil
}

// checkKeyURL accepts https, and http on a loopback host: whoever can change the keys on their way can sign as Microsoft.
func checkKeyURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return errors.New("not an absolute url")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("must be https, or http on a loopback host")
	}
	return nil
}

// peek returns the key if it is at hand and fresh, without ever fetching.
func (s *keySource) peek(id string, now time.Time) *verifyKey {
	set := s.set.Load()
	if set == nil || now.Sub(set.fetched) >= staleAfter {
		return nil
	}
	return set.keys[id]
}

// find returns the key of that id. It fetches when it is unknown or stale, if the last such fetch is long enough ago.
// A stale key serves while somebody else is fetching or has failed to: nobody waits for a provider that is down.
func (s *keySource) find(ctx context.Context, id string) (*verifyKey, *AuthError) {
	if key := s.peek(id, s.now()); key != nil {
		return key, nil
	}
	seen := s.set.Load()
	if seen != nil && seen.keys[id] != nil {
		return s.stale(ctx, seen, id)
	}
	select {
	case <-s.fetching:
		defer func() { s.fetching <- struct{}{} }()
	case <-ctx.Done():
		return nil, unavailable("keys unavailable")
	}
	if s.mayFetch(seen) { // it is too early if somebody fetched while we waited
		if seen != nil {
			s.lastMiss = s.now()
		}
		s.fetch(context.WithoutCancel(ctx)) // others wait for it too
	}
	set := s.set.Load()
	if set == nil {
		return nil, unavailable("keys unavailable")
	}
	if key := set.keys[id]; key != nil {
		return key, nil
	}
	if s.failed { // it may be a new key that we cannot see: the sender should try again
		return nil, unavailable("keys unavailable")
	}
	return nil, unauthorized("unknown key")
}

// stale returns a key that is past its time. One request in five minutes refreshes the set first; the others do
// not wait for it.
func (s *keySource) stale(ctx context.Context, seen *keySet, id string) (*verifyKey, *AuthError) {
	select {
	case <-s.fetching:
		defer func() { s.fetching <- struct{}{} }()
	default:
		return seen.keys[id], nil
	}
	if s.mayFetch(seen) {
		s.lastMiss = s.now()
		s.fetch(context.WithoutCancel(ctx))
	}
	if key := s.set.Load().keys[id]; key != nil {
		return key, nil
	}
	return nil, unauthorized("unknown key")
}

// mayFetch keeps requests from making us call the provider often. The first miss is free, since a
// key may have been added right after the first fetch.
func (s *keySource) mayFetch(set *keySet) bool {
	if set == nil {
		return s.lastTry.IsZero() || s.now().Sub(s.lastTry) >= coldInterval
	}
	return s.lastMiss.IsZero() || s.now().Sub(s.lastMiss) >= missInterval
}

// run fetches in the background until ctx ends.
func (s *keySource) run(ctx context.Context) error {
	backoff := time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer s.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.fetching:
		}
		if s.age() >= refreshAfter {
			s.fetch(ctx)
		}
		s.fetching <- struct{}{}
		wait := refreshAfter - s.age()
		if wait > 0 {
			backoff = time.Second
		} else {
			wait, backoff = backoff, min(2*backoff, maxBackoff)
		}
		timer.Reset(wait)
	}
}

// age returns how long ago the keys were fetched, which is long ago when they never were.
func (s *keySource) age() time.Duration {
	set := s.set.Load()
	if set == nil {
		return math.MaxInt64
	}
	return s.now().Sub(set.fetched)
}

// fetch replaces the keys, or leaves them as they are and remembers that it failed. The caller
// holds s.fetching.
func (s *keySource) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, err := s.download(ctx)
	s.lastTry, s.failed = s.now(), err != nil
	if err != nil {
		s.log.Warn("cannot fetch the bot connector's keys", "err", err, "olderKeys", s.set.Load() != nil)
		return
	}
	s.set.Store(&keySet{keys: keys, fetched: s.now()})
	s.log.Info("fetched the bot connector's keys", "keys", len(keys))
}

func (s *keySource) download(ctx context.Context) (map[string]*verifyKey, error) {
	body, err := s.get(ctx, s.metadataURL)
	if err != nil {
		return nil, fmt.Errorf("openid metadata: %w", err)
	}
	var metadata struct {
		KeySetURL string `json:"jwks_uri"`
	}
	if json.Unmarshal(body, &metadata) != nil {
		return nil, errors.New("openid metadata is not JSON")
	}
	if err := checkKeyURL(metadata.KeySetURL); err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	body, err = s.get(ctx, metadata.KeySetURL)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return decodeKeySet(body)
}

func (s *keySource) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	case len(body) > maxDocument:
		return nil, errors.New("document too large")
	}
	return body, nil
}
