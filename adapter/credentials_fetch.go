package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	fetchLimit       = 10 * time.Second
	maxTokenAnswer   = 256 << 10
	maxTokenFile     = 64 << 10
	defaultTokenLife = 10 * time.Minute // when the answer does not say
	maxTokenLife     = 7 * 24 * time.Hour
)

// A grant is what the token endpoint gave.
type grant struct {
	token string
	life  time.Duration
}

// A tokenFetcher asks the token endpoint.
type tokenFetcher struct {
	credentials Credentials
	endpoint    string
	http        *http.Client
	signer      *assertionSigner // nil without a certificate
}

// fetch asks once. All its errors are of type *Error.
func (f *tokenFetcher) fetch(ctx context.Context) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	req, err := f.request(ctx)
	if err != nil {
		return grant{}, &Error{Op: opToken, Err: err}
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return grant{}, &Error{Op: opToken, Err: safeCause(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return grant{}, &Error{Op: opToken, Err: safeCause(err)}
	}
	if resp.StatusCode != http.StatusOK {
		return grant{}, tokenError(resp, body, f.credentials.Now())
	}
	g, err := parseGrant(body, f.credentials.Now())
	if err != nil {
		return grant{}, &Error{Op: opToken, StatusCode: resp.StatusCode, Err: err}
	}
	return g, nil
}

func (f *tokenFetcher) request(ctx context.Context) (*http.Request, error) {
	if f.credentials.AppType == UserAssignedMSI {
		return f.identityRequest(ctx)
	}
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {f.credentials.AppID},
		"scope":      {f.credentials.Cloud.Scope},
	}
	assertion := ""
	switch {
	case f.signer != nil:
		signed, err := f.signer.sign(f.credentials.AppID, f.endpoint, f.credentials.Now())
		if err != nil {
			return nil, err
		}
		assertion = signed
	case f.credentials.FederatedTokenFile != "":
		read, err := readTokenFile(f.credentials.FederatedTokenFile)
		if err != nil {
			return nil, err
		}
		assertion = read
	default:
		form.Set("client_secret", f.credentials.Password)
	}
	if assertion != "" {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the token endpoint is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// identityRequest asks for the token of a managed identity, on App Service or on a virtual machine.
func (f *tokenFetcher) identityRequest(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(f.endpoint)
	if err != nil {
		return nil, errors.New("the identity endpoint is not a URL")
	}
	query := u.Query()
	query.Set("resource", f.credentials.Cloud.Resource())
	query.Set("client_id", f.credentials.AppID)
	query.Set("api-version", "2018-02-01")
	if f.credentials.IdentityEndpoint != "" {
		query.Set("api-version", "2019-08-01")
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the identity endpoint is not a URL")
	}
	if f.credentials.IdentityEndpoint != "" {
		req.Header.Set("X-IDENTITY-HEADER", f.credentials.IdentityHeader)
	} else {
		req.Header.Set("Metadata", "true")
	}
	return req, nil
}

func readTokenFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if !isToken(token) {
		return "", errors.New("the federated token file holds no token")
	}
	return token, nil
}

// isToken reports whether s can stand in a header as a token.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// tokenError reads an OAuth error. Of the AADSTS error it keeps the number, since the words repeat
// what was sent.
func tokenError(resp *http.Response, body []byte, now time.Time) *Error {
	e := &Error{Op: opToken, StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header, now)}
	var answer struct {
		Error       json.RawMessage   `json:"error"`
		Description json.RawMessage   `json:"error_description"`
		Codes       []json.RawMessage `json:"error_codes"`
	}
	_ = json.Unmarshal(body, &answer) // what cannot be read leaves the status alone
	e.SubCode = safeCode(textOf(answer.Error))
	if len(answer.Codes) > 0 && isDigits(string(answer.Codes[0])) {
		e.Code = safeCode(string(answer.Codes[0]))
	} else if _, rest, ok := strings.Cut(textOf(answer.Description), "AADSTS"); ok {
		number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		e.Code = safeCode(number)
	}
	return e
}

// parseGrant reads an answer of Entra, App Service or the metadata service, which differ in where
// the end of the token stands and in whether numbers are strings.
func parseGrant(body []byte, now time.Time) (grant, error) {
	var answer struct {
		Token     json.RawMessage `json:"access_token"`
		ExpiresIn json.RawMessage `json:"expires_in"`
		ExpiresOn json.RawMessage `json:"expires_on"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return grant{}, errors.New("the answer is not a JSON object")
	}
	g := grant{token: textOf(answer.Token), life: defaultTokenLife}
	if !isToken(g.token) {
		return grant{}, errors.New("the answer has no token")
	}
	if seconds, ok := numberOf(answer.ExpiresIn); ok {
		g.life = secondsOf(seconds, maxTokenLife)
	} else if at, ok := numberOf(answer.ExpiresOn); ok {
		g.life = secondsOf(at-float64(now.Unix()), maxTokenLife)
	}
	g.life = max(g.life, minTokenLife)
	return g, nil
}

// minTokenLife is the floor of a token's life: one that is said to have ended on arrival is tried, not asked for anew by each send.
const minTokenLife = 5 * time.Second

// textOf returns the JSON string in raw, and "" for anything else.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// numberOf returns the number in raw, which may be written as a string.
func numberOf(raw json.RawMessage) (float64, bool) {
	s := string(raw)
	if t := textOf(raw); t != "" {
		s = t
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// secondsOf returns n seconds, at least 0 and at most limit.
func secondsOf(n float64, limit time.Duration) time.Duration {
	switch {
	case n >= limit.Seconds():
		return limit
	case n > 0:
		return time.Duration(n * float64(time.Second))
	}
	return 0 // also for what is no number
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
