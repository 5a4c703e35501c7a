package adaptertest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // RS384 and RS512
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// Routes and claims of the identity provider, as Bot Connector authentication has them.
const (
	metadataPath = "/v1/.well-known/openidconfiguration"
	keysPath     = "/v1/.well-known/keys"
	issuer       = "https://api.botframework.com"

	tokenValid  = time.Hour
	tokenReused = 5 * time.Minute // the Connector sends one token many times
)

// identity is the provider whose keys sign what the Connector sends.
type identity struct {
	mu      sync.Mutex
	keys    []*signingKey // the newest first: it signs
	named   map[string]*signingKey
	foreign *rsa.PrivateKey
	down    bool
	fetched Fetches
	cache   map[string]cachedToken // by service URL
}

type signingKey struct {
	id           string
	private      *rsa.PrivateKey
	endorsements []string
}

type cachedToken struct {
	token string
	until time.Time
}

// Fetches counts the requests to the identity provider and to the token endpoint, refused ones included.
type Fetches struct{ Metadata, Keys, Tokens int }

// Fetches returns the counts so far.
func (c *Channel) Fetches() Fetches {
	c.identity.mu.Lock()
	defer c.identity.mu.Unlock()
	return c.identity.fetched
}

// SetIdentityDown makes the metadata and the key set answer 503, or ends that. Tokens can be signed all the
// while.
func (c *Channel) SetIdentityDown(down bool) {
	c.identity.mu.Lock()
	defer c.identity.mu.Unlock()
	c.identity.down = down
}

// RotateKeys publishes a new key and signs with it from now on. The old ones stay published until
// WithdrawOldKeys. It returns the id of the new key.
func (c *Channel) RotateKeys() (string, error) { return c.addKey(true, "msteams") }

// AddKey publishes a further key with the endorsements given, none included, for Sign to name.
func (c *Channel) AddKey(endorsements ...string) (string, error) {
	return c.addKey(false, endorsements...)
}

// WithdrawOldKeys removes every key from the key set but the one that signs now. Sign can still name the
// others.
func (c *Channel) WithdrawOldKeys() error {
	c.identity.mu.Lock()
	defer c.identity.mu.Unlock()
	if err := c.ready(); err != nil {
		return err
	}
	c.identity.keys = c.identity.keys[:1]
	return nil
}

func (c *Channel) addKey(first bool, endorsements ...string) (string, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("making a signing key: %w", err)
	}
	c.identity.mu.Lock()
	defer c.identity.mu.Unlock()
	if err := c.ready(); err != nil {
		return "", err
	}
	k := &signingKey{id: c.id(27), private: private, endorsements: endorsements}
	c.identity.named[k.id] = k
	if first {
		c.identity.keys = append([]*signingKey{k}, c.identity.keys...)
		clear(c.identity.cache)
	} else {
		c.identity.keys = append(c.identity.keys, k)
	}
	return k.id, nil
}

// ready makes the first key when there is none. The caller holds the lock.
func (c *Channel) ready() error {
	if len(c.identity.keys) > 0 {
		return nil
	}
	private := c.opt.Key
	if private == nil {
		var err error
		if private, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return fmt.Errorf("making a signing key: %w", err)
		}
	}
	k := &signingKey{id: c.id(27), private: private, endorsements: []string{"msteams"}}
	c.identity.keys, c.identity.named = []*signingKey{k}, map[string]*signingKey{k.id: k}
	return nil
}

// Claims returns the claims of a good token of now: issuer, audience, service URL and an hour to live.
func (c *Channel) Claims(serviceURL string) map[string]any {
	now := c.now()
	return map[string]any{
		"serviceurl": serviceURL,
		"nbf":        now.Add(-5 * time.Minute).Unix(),
		"exp":        now.Add(tokenValid).Unix(),
		"iss":        issuer,
		"aud":        c.opt.AppID,
	}
}

// Token returns a good token for activities with that service URL. The same is returned for 5 minutes, as
// the Connector does it.
func (c *Channel) Token(serviceURL string) string {
	now := c.now()
	c.identity.mu.Lock()
	t, ok := c.identity.cache[serviceURL]
	c.identity.mu.Unlock()
	if ok && now.Before(t.until) {
		return t.token
	}
	token := c.Sign(c.Claims(serviceURL))
	c.identity.mu.Lock()
	c.identity.cache[serviceURL] = cachedToken{token, now.Add(tokenReused)}
	c.identity.mu.Unlock()
	return token
}

// Signing says how Sign signs a token.
type Signing struct {
	// Alg is RS256, RS384, RS512, PS256, HS256 or none. HS256 takes the PEM of the public key as its secret:
	// the classic confusion.
	Alg string
	// KeyID goes into the header and chooses the key, withdrawn ones included; a name of no key is signed by
	// the current one.
	KeyID     string
	OmitKeyID bool
	Foreign   bool           // signed by a key that was never published, under KeyID
	Header    map[string]any // set on top of the rest
}

// Sign returns a token with the claims, signed RS256 by the current key unless mutate says otherwise. It
// returns "" and logs why when the claims are no JSON or the algorithm is unknown.
func (c *Channel) Sign(claims map[string]any, mutate ...func(*Signing)) string {
	token, err := c.sign(claims, mutate)
	if err != nil {
		c.log.Error("cannot sign a token", "err", err)
	}
	return token
}

func (c *Channel) sign(claims map[string]any, mutate []func(*Signing)) (string, error) {
	c.identity.mu.Lock()
	if err := c.ready(); err != nil {
		c.identity.mu.Unlock()
		return "", err
	}
	s := Signing{Alg: "RS256", KeyID: c.identity.keys[0].id}
	for _, m := range mutate {
		m(&s)
	}
	k := c.identity.named[s.KeyID]
	if k == nil {
		k = c.identity.keys[0]
	}
	private := k.private
	if s.Foreign {
		if c.identity.foreign == nil {
			c.identity.foreign, _ = rsa.GenerateKey(rand.Reader, 2048) // nil fails below
		}
		private = c.identity.foreign
	}
	c.identity.mu.Unlock()
	if private == nil {
		return "", errors.New("no foreign key could be made")
	}

	header := map[string]any{"alg": s.Alg, "typ": "JWT"}
	if !s.OmitKeyID {
		header["kid"], header["x5t"] = s.KeyID, s.KeyID
	}
	for name, v := range s.Header {
		header[name] = v
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("header: %w", err)
	}
	p, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(p)
	signature, err := signInput(s.Alg, private, input)
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func signInput(alg string, private *rsa.PrivateKey, input string) ([]byte, error) {
	digest := func(h crypto.Hash) []byte {
		d := h.New()
		d.Write([]byte(input))
		return d.Sum(nil)
	}
	switch alg {
	case "RS256":
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest(crypto.SHA256))
	case "RS384":
		return rsa.SignPKCS1v15(nil, private, crypto.SHA384, digest(crypto.SHA384))
	case "RS512":
		return rsa.SignPKCS1v15(nil, private, crypto.SHA512, digest(crypto.SHA512))
	case "PS256":
		return rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest(crypto.SHA256), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(input))
		return mac.Sum(nil), nil
	case "none":
		return nil, nil
	}
	return nil, fmt.Errorf("unknown algorithm %q", alg)
}

// metadata answers GET of the OpenID configuration.
func (c *Channel) metadata() response {
	c.identity.mu.Lock()
	c.identity.fetched.Metadata++
	down := c.identity.down
	c.identity.mu.Unlock()
	if down {
		return serviceUnavailable()
	}
	return jsonResponse(http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                "https://invalid.botframework.com",
		"jwks_uri":                              c.URL() + keysPath,
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
	})
}

// keySet answers GET of the keys.
func (c *Channel) keySet() response {
	c.identity.mu.Lock()
	defer c.identity.mu.Unlock()
	c.identity.fetched.Keys++
	if c.identity.down {
		return serviceUnavailable()
	}
	if err := c.ready(); err != nil {
		return fail(http.StatusInternalServerError, "ServiceError", err.Error())
	}
	set := make([]map[string]any, 0, len(c.identity.keys))
	for _, k := range c.identity.keys {
		jwk := map[string]any{
			"kty": "RSA", "use": "sig", "kid": k.id, "x5t": k.id,
			"n": base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
		}
		if len(k.endorsements) > 0 {
			jwk["endorsements"] = k.endorsements
		}
		set = append(set, jwk)
	}
	return jsonResponse(http.StatusOK, map[string]any{"keys": set})
}

func serviceUnavailable() response {
	return response{status: http.StatusServiceUnavailable, contentType: "text/html", body: []byte("<html><body><h2>Our services aren't available right now</h2></body></html>")}
}
