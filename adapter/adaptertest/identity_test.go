package adaptertest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func get(t *testing.T, address string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetch(t, req)
}

func fetch(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// keySet follows the metadata to the keys, as a bot does.
func keySet(t *testing.T, c *adaptertest.Channel) jwk.Set {
	t.Helper()
	var meta struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if _, b := get(t, c.MetadataURL()); json.Unmarshal(b, &meta) != nil || meta.Issuer != "https://api.botframework.com" {
		t.Fatalf("metadata: %s", b)
	}
	_, b := get(t, meta.Keys)
	set, err := jwk.Parse(b)
	if err != nil {
		t.Fatalf("keys: %v", err)
	}
	return set
}

func TestTokensStandUpToAnIndependentVerifier(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	good := c.Claims(c.ServiceURL())
	kid := func(id string) func(*adaptertest.Signing) { return func(s *adaptertest.Signing) { s.KeyID = id } }
	alg := func(a string) func(*adaptertest.Signing) { return func(s *adaptertest.Signing) { s.Alg = a } }
	plain, err := c.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, v any) map[string]any {
		claims := c.Claims(c.ServiceURL())
		claims[name] = v
		return claims
	}
	set := keySet(t, c)
	for _, tt := range []struct {
		name, token string
		ok          bool
	}{
		{"as the channel sends it", c.Token(c.ServiceURL()), true},
		{"good claims", c.Sign(good), true},
		{"other published key", c.Sign(good, kid(plain)), true},
		{"RS384, which the bot has to refuse itself", c.Sign(good, alg("RS384")), true},
		{"RS512, which the bot has to refuse itself", c.Sign(good, alg("RS512")), true},
		{"PS256, which the bot has to refuse itself", c.Sign(good, alg("PS256")), true},
		{"no kid", c.Sign(good, func(s *adaptertest.Signing) { s.OmitKeyID = true }), false},
		{"unknown kid", c.Sign(good, kid("other")), false},
		{"unpublished key under a known kid", c.Sign(good, func(s *adaptertest.Signing) { s.Foreign = true }), false},
		{"none", c.Sign(good, alg("none")), false},
		{"HS256 by the public key", c.Sign(good, alg("HS256")), false},
		{"header says other", c.Sign(good, func(s *adaptertest.Signing) { s.Header = map[string]any{"alg": "RS512"} }), false},
		{"expired", c.Sign(with("exp", time.Now().Add(-time.Hour).Unix())), false},
		{"not yet", c.Sign(with("nbf", time.Now().Add(time.Hour).Unix())), false},
		{"unknown algorithm", c.Sign(good, alg("ES999")), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, err := jwt.Parse([]byte(tt.token), jwt.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)))
			if (err == nil) != tt.ok {
				t.Fatalf("verified: %v, want ok %v", err, tt.ok)
			}
			if err != nil {
				return
			}
			var serviceURL string
			iss, _ := token.Issuer()
			aud, _ := token.Audience()
			if err := token.Get("serviceurl", &serviceURL); err != nil || serviceURL != c.ServiceURL() ||
				iss != "https://api.botframework.com" || !cmp.Equal(aud, []string{c.AppID()}) {
				t.Errorf("claims: %v %q %v %q", err, iss, aud, serviceURL)
			}
		})
	}
	first, _ := set.Key(0)
	var endorsements []any
	if err := first.Get("endorsements", &endorsements); err != nil || !cmp.Equal(endorsements, []any{"msteams"}) {
		t.Errorf("endorsements %v, %v", endorsements, err)
	}
	second, _ := set.LookupKeyID(plain)
	if second.Has("endorsements") {
		t.Error("a key added without endorsements has some")
	}
}

func TestKeysRotateInTwoSteps(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now})
	accepted := func(set jwk.Set, token string) bool {
		_, err := jwt.Parse([]byte(token), jwt.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)), jwt.WithClock(jwt.ClockFunc(now.now)))
		return err == nil
	}
	before := keySet(t, c)
	old := c.Token(c.ServiceURL())
	now.forward(4 * time.Minute)
	if c.Token(c.ServiceURL()) != old {
		t.Error("the token is not reused within 5 minutes")
	}
	now.forward(2 * time.Minute)
	if c.Token(c.ServiceURL()) == old {
		t.Error("the token is reused after 5 minutes")
	}
	id, err := c.RotateKeys()
	if err != nil {
		t.Fatal(err)
	}
	fresh := c.Token(c.ServiceURL())
	if both := keySet(t, c); !accepted(both, old) || !accepted(both, fresh) {
		t.Error("both keys should be published after the rotation")
	}
	if accepted(before, fresh) {
		t.Error("the token is still signed by the old key")
	}
	if err := c.WithdrawOldKeys(); err != nil {
		t.Fatal(err)
	}
	after := keySet(t, c)
	if _, ok := after.LookupKeyID(id); !ok || after.Len() != 1 || accepted(after, old) || !accepted(after, fresh) {
		t.Error("only the new key should be published after the withdrawal")
	}
}

func TestIdentityOutageAndCounts(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	keySet(t, c)
	c.SetIdentityDown(true)
	if status, _ := get(t, c.MetadataURL()); status != 503 {
		t.Errorf("metadata while down: %d", status)
	}
	if status, _ := get(t, c.URL()+"/v1/.well-known/keys"); status != 503 {
		t.Errorf("keys while down: %d", status)
	}
	c.SetIdentityDown(false)
	keySet(t, c)
	if diff := cmp.Diff(adaptertest.Fetches{Metadata: 3, Keys: 3}, c.Fetches()); diff != "" {
		t.Error(diff)
	}
}

func askToken(t *testing.T, address string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, b := fetch(t, req)
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%d %s", status, b)
	}
	return status, m
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	key, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bot"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := newChannel(t, adaptertest.Options{AppCertificate: cert, FederatedToken: "from-the-file"})
	assertion := func(edit func(header, claims map[string]any)) string {
		thumb := sha256.Sum256(cert.Raw)
		header := map[string]any{"alg": "RS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumb[:])}
		claims := map[string]any{"iss": c.AppID(), "sub": c.AppID(), "aud": c.TokenURL(), "jti": "1", "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
		edit(header, claims)
		h, _ := json.Marshal(header)
		p, _ := json.Marshal(claims)
		input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(p)
		digest := sha256.Sum256([]byte(input))
		var signature []byte
		if header["alg"] == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	form := func(more ...string) url.Values {
		f := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.AppID()}, "scope": {"https://api.botframework.com/.default"}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	asserted := func(edit func(header, claims map[string]any)) url.Values {
		return form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion(edit))
	}
	secret := form("client_secret", c.AppPassword())
	for _, tt := range []struct {
		name, address string
		form          url.Values
		status        int
		number        float64 // of AADSTS
	}{
		{"secret", c.TokenURL(), secret, 200, 0},
		{"multi-tenant bots", c.URL() + "/botframework.com/oauth2/v2.0/token", secret, 200, 0},
		{"certificate", c.TokenURL(), asserted(func(_, _ map[string]any) {}), 200, 0},
		{"certificate with PSS", c.TokenURL(), asserted(func(h, _ map[string]any) { h["alg"] = "PS256" }), 200, 0},
		{"federated token", c.TokenURL(), form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", "from-the-file"), 200, 0},
		{"wrong secret", c.TokenURL(), form("client_secret", "wrong"), 401, 7000215},
		{"no secret", c.TokenURL(), form(), 401, 7000218},
		{"unknown app", c.TokenURL(), form("client_id", "other", "client_secret", c.AppPassword()), 400, 700016},
		{"unknown tenant", c.URL() + "/other/oauth2/v2.0/token", secret, 400, 90002},
		{"other grant", c.TokenURL(), form("grant_type", "password", "client_secret", c.AppPassword()), 400, 70003},
		{"other scope", c.TokenURL(), form("scope", "https://graph.microsoft.com/.default", "client_secret", c.AppPassword()), 400, 70011},
		{"nothing", c.TokenURL(), url.Values{}, 400, 900144},
		{"assertion without its type", c.TokenURL(), form("client_assertion", assertion(func(_, _ map[string]any) {})), 400, 900144},
		{"other certificate", c.TokenURL(), asserted(func(h, _ map[string]any) { h["x5t#S256"] = "AAAA" }), 401, 700027},
		{"other audience", c.TokenURL(), asserted(func(_, p map[string]any) { p["aud"] = c.URL() }), 401, 700027},
		{"other issuer", c.TokenURL(), asserted(func(_, p map[string]any) { p["iss"] = "other" }), 401, 700027},
		{"expired assertion", c.TokenURL(), asserted(func(_, p map[string]any) { p["exp"] = 1 }), 401, 700027},
		{"other subject", c.TokenURL(), asserted(func(_, p map[string]any) { p["sub"] = "other" }), 401, 700027},
		{"assertion without an id", c.TokenURL(), asserted(func(_, p map[string]any) { delete(p, "jti") }), 401, 700027},
		{"assertion of the future", c.TokenURL(), asserted(func(_, p map[string]any) { p["nbf"] = time.Now().Add(time.Hour).Unix() }), 401, 700027},
		{"assertion of another algorithm", c.TokenURL(), asserted(func(h, _ map[string]any) { h["alg"] = "RS512" }), 401, 700027},
		{"forged assertion with PSS", c.TokenURL(), form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion",
			assertion(func(h, _ map[string]any) { h["alg"] = "PS256" })+"AAAA"), 401, 700027},
		{"junk assertion", c.TokenURL(), form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", "junk"), 401, 700027},
		{"forged assertion", c.TokenURL(), form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion(func(_, _ map[string]any) {})+"AAAA"), 401, 700027},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, m := askToken(t, tt.address, tt.form)
			if status != tt.status {
				t.Fatalf("got %d %v", status, m)
			}
			if tt.number != 0 {
				if !cmp.Equal(m["error_codes"], []any{tt.number}) || !strings.HasPrefix(m["error_description"].(string), "AADSTS") {
					t.Errorf("got %v, want AADSTS%.0f", m, tt.number)
				}
				return
			}
			if m["token_type"] != "Bearer" || m["expires_in"] != 3600.0 || m["access_token"] == "" {
				t.Errorf("got %v", m)
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		t.Parallel()
		if status, _ := get(t, c.TokenURL()); status != 400 {
			t.Errorf("got %d", status)
		}
	})
}

func TestConnectorWantsALiveToken(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now, AppPassword: "s3cret-of-the-bot"})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	fresh := func() string {
		_, m := askToken(t, c.TokenURL(), url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.AppID()},
			"scope": {"https://api.botframework.com/.default"}, "client_secret": {"s3cret-of-the-bot"},
		})
		return m["access_token"].(string)
	}
	check := func(when, authorization string, want int) {
		t.Helper()
		k.header.Set("Authorization", authorization)
		got := k.say(v, "hi")
		if got.status != want {
			t.Errorf("%s: got %d %s, want %d", when, got.status, got.body, want)
		}
		if want == 401 && string(got.body) != `{"message":"Authorization has been denied for this request."}` {
			t.Errorf("%s: body %s", when, got.body)
		}
	}
	token := fresh()
	check("fresh", "Bearer "+token, 201)
	check("lower case", "bearer "+token, 401)
	check("none", "", 401)
	check("unknown", "Bearer x", 401)
	check("a channel token", "Bearer "+c.Token(c.ServiceURL()), 401)
	now.forward(time.Hour - time.Second)
	check("in its last second", "Bearer "+token, 201)
	now.forward(time.Second)
	check("over", "Bearer "+token, 401)
	c.SetTokenLife(time.Minute)
	token = fresh()
	check("renewed", "Bearer "+token, 201)
	c.ExpireTokens()
	check("revoked", "Bearer "+token, 401)
	token = fresh()
	now.forward(time.Minute)
	check("short life is over", "Bearer "+token, 401)
	if c.Fetches().Tokens != 3 {
		t.Errorf("fetches %+v, want 3 tokens", c.Fetches())
	}
	for _, e := range c.Log() {
		if all := e.RequestBody + e.ResponseBody; strings.Contains(all, "s3cret") || strings.Contains(all, "eyJ") {
			t.Errorf("the log holds a credential: %v", e)
		}
	}
}
