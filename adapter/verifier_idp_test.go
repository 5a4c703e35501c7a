package adapter_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/adapter"
)

const (
	appID      = "0f3b9bd8-7a5f-4a3e-9c55-1f7f0c6f1a2b"
	tenantID   = "6d9a7c1e-1111-4222-8333-444455556666"
	serviceURL = "https://smba.trafficmanager.net/teams/"
	issuer     = "https://api.botframework.com"

	metadataURL = "https://login.example/v1/.well-known/openidconfiguration"
	keySetURL   = "https://login.example/v1/.well-known/keys"
)

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

// jwk returns the public half of key i as the provider publishes it.
func jwk(i int, kid string, more map[string]any) map[string]any {
	pub := testKeys()[i].PublicKey
	m := map[string]any{
		"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid,
		"n":            base64.RawURLEncoding.EncodeToString(pub.N.Bytes()),
		"e":            base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()),
		"endorsements": []string{"msteams", "webchat"},
	}
	for k, v := range more {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	return m
}

// An identityProvider answers for the metadata and the key set, without a network.
type identityProvider struct {
	mu       sync.Mutex
	keys     []map[string]any
	metadata string // in place of the right one
	keySet   string // in place of the right one
	status   int    // of everything; 0 for 200
	location string // where the metadata URL redirects to
	fetches  int    // of key sets
	asked    int    // of anything
	hold     chan struct{}
}

func newIdentityProvider() *identityProvider {
	return &identityProvider{keys: []map[string]any{jwk(0, "k0", nil)}}
}

func (p *identityProvider) set(change func(p *identityProvider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *identityProvider) counts() (fetches, asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches, p.asked
}

func (p *identityProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked++
	status, body, hold := p.status, "", p.hold
	if status == 0 {
		status = http.StatusOK
	}
	switch strings.Replace(r.URL.String(), "http:", "https:", 1) {
	case metadataURL:
		if body = p.metadata; body == "" {
			body = fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["RS256"]}`, issuer, keySetURL)
		}
	case keySetURL:
		p.fetches++
		if body = p.keySet; body == "" {
			b, err := json.Marshal(map[string]any{"keys": p.keys})
			if err != nil {
				panic(err)
			}
			body = string(b)
		}
	default:
		status = http.StatusNotFound
	}
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	header := http.Header{}
	if p.location != "" && r.URL.String() == metadataURL {
		status = http.StatusFound
		header.Set("Location", p.location)
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// A clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newVerifier(tb testing.TB, p *identityProvider, c *clock, change func(o *adapter.VerifierOptions)) *adapter.Verifier {
	tb.Helper()
	o := adapter.VerifierOptions{AppID: appID, MetadataURL: metadataURL, HTTP: &http.Client{Transport: p}, Now: c.now}
	if change != nil {
		change(&o)
	}
	v, err := adapter.NewVerifier(o)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// A tokenSpec is a token to be signed. The zero value is made good by newToken.
type tokenSpec struct {
	key    int
	header map[string]any
	claims map[string]any
	sign   func(signed string) []byte
}

// newToken returns the token that the channel would send at the time of c, changed.
func newToken(tb testing.TB, c *clock, change func(s *tokenSpec)) string {
	tb.Helper()
	now := c.now().Unix()
	s := tokenSpec{
		header: map[string]any{"alg": "RS256", "typ": "JWT", "kid": "k0", "x5t": "k0"},
		claims: map[string]any{"iss": issuer, "aud": appID, "exp": now + 3600, "nbf": now - 60, "serviceurl": serviceURL},
	}
	if change != nil {
		change(&s)
	}
	signed := encodeSegment(tb, s.header) + "." + encodeSegment(tb, s.claims)
	if s.sign == nil {
		s.sign = func(signed string) []byte { return signRSA(tb, s.key, crypto.SHA256, signed) }
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(s.sign(signed))
}

func signRSA(tb testing.TB, key int, hash crypto.Hash, signed string) []byte {
	tb.Helper()
	h := hash.New()
	h.Write([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, testKeys()[key], hash, h.Sum(nil))
	if err != nil {
		tb.Fatal(err)
	}
	return sig
}

func encodeSegment(tb testing.TB, m map[string]any) string {
	tb.Helper()
	for k, v := range m {
		if v == nil {
			delete(m, k)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// newActivity returns a message as Teams sends it, changed.
func newActivity(change func(a *adapter.Activity)) *adapter.Activity {
	a := &adapter.Activity{
		Type: adapter.TypeMessage, ID: "1700000000001", ServiceURL: serviceURL, ChannelID: "msteams", Text: "hello",
		From:         &adapter.ChannelAccount{ID: "29:user", AADObjectID: "aad-1"},
		Conversation: &adapter.ConversationAccount{ID: "a:1conversation", ConversationType: adapter.Personal, TenantID: tenantID},
		Recipient:    &adapter.ChannelAccount{ID: "28:" + appID},
	}
	if change != nil {
		change(a)
	}
	return a
}
