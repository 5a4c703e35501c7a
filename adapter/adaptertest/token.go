package adaptertest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	tokenPath     = "/oauth2/v2.0/token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	connectorRole = "https://api.botframework.com/.default"
	legacyTenant  = "botframework.com" // of multi-tenant bots
)

// tokens are the access tokens that the token endpoint has handed out.
type tokens struct {
	mu   sync.RWMutex
	life time.Duration // instead of Options.TokenLife
	live map[string]time.Time
}

// SetTokenLife changes how long the access tokens live that are handed out from now on, expires_in included.
// Less than a second is rounded up.
func (c *Channel) SetTokenLife(d time.Duration) {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	c.tokens.life = max(d, time.Second)
}

// ExpireTokens makes every access token handed out so far invalid; the next Connector request with one gets
// 401.
func (c *Channel) ExpireTokens() {
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	clear(c.tokens.live)
}

// AccessToken returns a token that the Connector routes take, without a call of the token endpoint.
func (c *Channel) AccessToken() string {
	token, _ := c.mint()
	return token
}

func (c *Channel) mint() (string, time.Duration) {
	now := c.now()
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	life := c.tokens.life
	if life == 0 {
		life = c.opt.TokenLife
	}
	// It looks like the token it stands for, so that a leak into a log is found by the same patterns, and so that clients
	// that look into it find what they look for.
	claims := fmt.Sprintf(`{"aud":"https://api.botframework.com","exp":%d,"jti":%q}`, now.Add(life).Unix(), rand.Text())
	token := "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + rand.Text()
	maps.DeleteFunc(c.tokens.live, func(_ string, until time.Time) bool { return !now.Before(until) })
	c.tokens.live[token] = now.Add(life)
	return token, life
}

// authorized reports whether a Connector request carries a live access token.
func (c *Channel) authorized(r *request) bool {
	token, ok := strings.CutPrefix(r.header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	c.tokens.mu.RLock()
	until, ok := c.tokens.live[token]
	c.tokens.mu.RUnlock()
	return ok && r.at.Before(until)
}

// token answers the token endpoint of Entra ID for the client credentials grant.
func (c *Channel) token(r *request, tenant string) response {
	c.identity.mu.Lock()
	c.identity.fetched.Tokens++
	c.identity.mu.Unlock()
	if r.method != http.MethodPost {
		return c.refused(http.StatusBadRequest, "invalid_request", 900561, "The endpoint only accepts POST requests. Received a "+r.method+" request.")
	}
	form, err := url.ParseQuery(string(r.body))
	if err != nil || !strings.HasPrefix(r.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return c.refused(http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.")
	}
	for _, name := range []string{"grant_type", "client_id", "scope"} {
		if form.Get(name) == "" {
			return c.refused(http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: '"+name+"'.")
		}
	}
	switch {
	case !strings.EqualFold(tenant, c.opt.TenantID) && tenant != legacyTenant:
		return c.refused(http.StatusBadRequest, "invalid_request", 90002, "Tenant not found. Check to make sure you have the correct tenant ID.")
	case form.Get("grant_type") != "client_credentials":
		return c.refused(http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
	case form.Get("client_id") != c.opt.AppID:
		return c.refused(http.StatusBadRequest, "unauthorized_client", 700016, "Application was not found in the directory.")
	case form.Get("scope") != connectorRole:
		return c.refused(http.StatusBadRequest, "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.")
	}
	switch secret, assertion := form.Get("client_secret"), form.Get("client_assertion"); {
	case secret == "" && assertion == "":
		return c.refused(http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case assertion != "":
		if form.Get("client_assertion_type") != assertionType {
			return c.refused(http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: 'client_assertion_type'.")
		}
		if why := c.wrongAssertion(assertion); why != "" {
			return c.refused(http.StatusUnauthorized, "invalid_client", 700027, why)
		}
	case subtle.ConstantTimeCompare([]byte(secret), []byte(c.opt.AppPassword)) != 1:
		return c.refused(http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.")
	}
	token, life := c.mint()
	seconds := int((life + time.Second - 1) / time.Second)
	return jsonResponse(http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	})
}

// refused is an error of Entra ID, in its shape.
func (c *Channel) refused(status int, code string, number int, why string) response {
	trace, correlation, at := c.guid(), c.guid(), c.now().UTC().Format("2006-01-02 15:04:05Z")
	return jsonResponse(status, map[string]any{
		"error": code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			number, why, trace, correlation, at),
		"error_codes": []int{number}, "timestamp": at, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", number),
	})
}

// wrongAssertion says what is wrong with a client assertion, or "".
func (c *Channel) wrongAssertion(assertion string) string {
	if f := c.opt.FederatedToken; f != "" && subtle.ConstantTimeCompare([]byte(f), []byte(assertion)) == 1 {
		return ""
	}
	cert := c.opt.AppCertificate
	if cert == nil {
		return "No certificate or federated credential is registered for the application."
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	part := strings.Split(assertion, ".")
	if !ok || len(part) != 3 {
		return "The client assertion is not a signed JSON Web Token."
	}
	var header struct {
		Alg        string `json:"alg"`
		Thumb      string `json:"x5t"`
		ThumbSHA56 string `json:"x5t#S256"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		From     int64  `json:"nbf"`
		ID       string `json:"jti"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil || !decodePart(part[0], &header) || !decodePart(part[1], &claims) {
		return "The client assertion is not a signed JSON Web Token."
	}
	one, two := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	if header.Thumb != base64.RawURLEncoding.EncodeToString(one[:]) && header.ThumbSHA56 != base64.RawURLEncoding.EncodeToString(two[:]) {
		return "The certificate with identifier used to sign the client assertion is not registered on application."
	}
	digest := sha256.Sum256([]byte(part[0] + "." + part[1]))
	switch header.Alg {
	case "RS256":
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	case "PS256":
		err = rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil)
	default:
		return "The client assertion is signed by an algorithm that is not supported."
	}
	now := c.now()
	switch {
	case err != nil:
		return "Client assertion failed signature validation."
	case claims.Issuer != c.opt.AppID || claims.Subject != c.opt.AppID || claims.ID == "":
		return "Client assertion issuer, subject or identifier is wrong."
	case claims.Audience != c.TokenURL():
		return "Client assertion audience claim does not match."
	case now.Unix() >= claims.Expires, now.Add(5*time.Minute).Unix() < claims.From:
		return "Client assertion is not within its valid time range."
	}
	return ""
}

func decodePart(s string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && json.Unmarshal(b, into) == nil
}
