package adapter_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"

	"github.com/google/go-cmp/cmp"
)

// endpointFunc answers requests in the place of a token endpoint, without a network.
type endpointFunc func(r *http.Request) (status int, body string, header http.Header)

func (f endpointFunc) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body, header := f(r)
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func granted(token string, seconds int) string {
	return fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"ext_expires_in":%d,"access_token":%q}`, seconds, seconds, token)
}

// formOf asks for a token with c and returns the request that reached the endpoint.
func formOf(t *testing.T, c adapter.Credentials, answer string) (*http.Request, url.Values) {
	t.Helper()
	var seen *http.Request
	c.HTTP = &http.Client{Transport: endpointFunc(func(r *http.Request) (int, string, http.Header) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		seen = r
		return 200, answer, nil
	})}
	s, err := adapter.NewTokenSource(c)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context())
	if err != nil || token != "the-token" {
		t.Fatalf("Token() = %q, %v", token, err)
	}
	return seen, seen.Form
}

func TestTokenRequestWithPassword(t *testing.T) {
	t.Parallel()
	gov, err := adapter.CloudByName("usgov")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		c               adapter.Credentials
		endpoint, scope string
	}{
		"single tenant": {adapter.Credentials{TenantID: "contoso/x"}, "https://login.microsoftonline.com/contoso%2Fx/oauth2/v2.0/token", "https://api.botframework.com/.default"},
		"multi tenant":  {adapter.Credentials{AppType: "MultiTenant", TenantID: "t"}, "https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token", "https://api.botframework.com/.default"},
		"other cloud":   {adapter.Credentials{AppType: "MultiTenant", Cloud: gov}, "https://login.microsoftonline.us/MicrosoftServices.onmicrosoft.us/oauth2/v2.0/token", "https://api.botframework.us/.default"},
		"other URL":     {adapter.Credentials{TokenURL: "http://127.0.0.1:1/token"}, "http://127.0.0.1:1/token", "https://api.botframework.com/.default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.c.AppID, tt.c.Password = "app", "pass&word"
			r, form := formOf(t, tt.c, granted("the-token", 3600))
			want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"pass&word"}, "scope": {tt.scope}}
			if diff := cmp.Diff(want, form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			if r.Method != http.MethodPost || r.URL.String() != tt.endpoint {
				t.Errorf("%s %s, want POST %s", r.Method, r.URL, tt.endpoint)
			}
		})
	}
}

// newCertificate returns a self-signed certificate with its key, as PEM.
func newCertificate(t *testing.T, key crypto.Signer) (all []byte, certificate *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bot"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for kind, b := range map[string][]byte{"CERTIFICATE": der, "PRIVATE KEY": pkcs8} {
		if err := pem.Encode(&out, &pem.Block{Type: kind, Bytes: b}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes(), certificate
}

func TestTokenRequestWithCertificate(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, certificate := newCertificate(t, key)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r, form := formOf(t, adapter.Credentials{AppID: "app", TenantID: "t", CertificatePEM: text, Now: func() time.Time { return now }}, granted("the-token", 3600))
	if form.Has("client_secret") || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		t.Errorf("form %v", form)
	}
	parts := strings.Split(form.Get("client_assertion"), ".")
	if len(parts) != 3 {
		t.Fatalf("assertion has %d parts", len(parts))
	}
	sum := sha256.Sum256(certificate.Raw)
	for i, want := range []map[string]any{
		{
			"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:]),
			"x5c": []any{base64.StdEncoding.EncodeToString(certificate.Raw)},
		},
		{"aud": r.URL.String(), "iss": "app", "sub": "app", "nbf": float64(now.Unix() - 60), "exp": float64(now.Unix() + 600)},
	} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if id, ok := got["jti"].(string); ok && len(id) > 20 {
			delete(got, "jti")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("part %d of the assertion (-want +got):\n%s", i, diff)
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], signature, nil); err != nil {
		t.Errorf("signature: %v", err)
	}
}

func TestTokenRequestWithFederatedToken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	now := time.Now()
	var seen []string
	s, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: "app", TenantID: "t", FederatedTokenFile: path, Now: func() time.Time { return now },
		HTTP: &http.Client{Transport: endpointFunc(func(r *http.Request) (int, string, http.Header) {
			seen = append(seen, r.FormValue("client_assertion"))
			return 200, granted("the-token", 0), nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{"one\n", "two"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Token(t.Context()); err != nil {
			t.Fatalf("Token() %d: %v", i, err)
		}
		now = now.Add(10 * time.Second)
	}
	if diff := cmp.Diff([]string{"one", "two"}, seen); diff != "" {
		t.Errorf("assertions (-want +got):\n%s", diff)
	}
	for _, content := range []string{"", "not a token", "missing"} {
		err := os.WriteFile(path, []byte(content), 0o600)
		if content == "missing" {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		var e *adapter.Error
		if _, err := s.Token(t.Context()); !errors.As(err, &e) || e.Op != "token" || e.Written {
			t.Errorf("with the file %q: %v", content, err)
		}
	}
}

func TestTokenRequestOfManagedIdentity(t *testing.T) {
	t.Parallel()
	base := adapter.Credentials{AppID: "app", AppType: adapter.UserAssignedMSI}
	appService, machine, override := base, base, base
	appService.IdentityEndpoint, appService.IdentityHeader = "http://169.254.130.4:8081/msi/token?x=y", "header-secret"
	override.TokenURL = "http://127.0.0.1:40342/token"
	query := "api-version=2018-02-01&client_id=app&resource=https%3A%2F%2Fapi.botframework.com"
	for name, tt := range map[string]struct {
		c                   adapter.Credentials
		url, header, answer string
	}{
		"App Service":     {appService, "http://169.254.130.4:8081/msi/token?api-version=2019-08-01&client_id=app&resource=https%3A%2F%2Fapi.botframework.com&x=y", "header-secret", `{"access_token":"the-token","expires_on":"4102444800"}`},
		"virtual machine": {machine, "http://169.254.169.254/metadata/identity/oauth2/token?" + query, "", `{"access_token":"the-token","expires_in":"86399"}`},
		"other URL":       {override, "http://127.0.0.1:40342/token?" + query, "", `{"access_token":"the-token"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := formOf(t, tt.c, tt.answer)
			if r.Method != http.MethodGet || r.URL.String() != tt.url {
				t.Errorf("%s %s, want GET %s", r.Method, r.URL, tt.url)
			}
			if r.Header.Get("X-Identity-Header") != tt.header || (r.Header.Get("Metadata") == "true") != (tt.header == "") {
				t.Errorf("header %v", r.Header)
			}
		})
	}
}

func TestNewTokenSourceRefuses(t *testing.T) {
	t.Parallel()
	small, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, _ := newCertificate(t, small)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak, _ := newCertificate(t, short)
	for name, c := range map[string]adapter.Credentials{
		"no app":                        {TenantID: "t", Password: "p"},
		"no tenant":                     {AppID: "a", Password: "p"},
		"no credential":                 {AppID: "a", TenantID: "t"},
		"two credentials":               {AppID: "a", TenantID: "t", Password: "p", FederatedTokenFile: "f"},
		"unknown type":                  {AppID: "a", TenantID: "t", Password: "p", AppType: "Other"},
		"identity with a password":      {AppID: "a", AppType: adapter.UserAssignedMSI, Password: "p"},
		"identity endpoint and URL":     {AppID: "a", AppType: adapter.UserAssignedMSI, IdentityEndpoint: "http://127.0.0.1/", TokenURL: "http://127.0.0.1/"},
		"identity endpoint elsewhere":   {AppID: "a", AppType: adapter.UserAssignedMSI, IdentityEndpoint: "http://example.org/"},
		"identity endpoint of no use":   {AppID: "a", TenantID: "t", Password: "p", IdentityEndpoint: "http://127.0.0.1/"},
		"token URL without https":       {AppID: "a", Password: "p", TokenURL: "http://example.org/token"},
		"token URL link-local":          {AppID: "a", Password: "p", TokenURL: "http://169.254.169.254/token"},
		"token URL with a user":         {AppID: "a", Password: "p", TokenURL: "https://u:p@example.org/token"},
		"token URL of another scheme":   {AppID: "a", Password: "p", TokenURL: "ftp://127.0.0.1/token"},
		"token URL without a host":      {AppID: "a", Password: "p", TokenURL: "https:///token"},
		"token URL that is none":        {AppID: "a", Password: "p", TokenURL: "https://[::1/token"},
		"certificate with a short key":  {AppID: "a", TenantID: "t", CertificatePEM: weak},
		"token URL relative":            {AppID: "a", Password: "p", TokenURL: "/token"},
		"certificate that is none":      {AppID: "a", TenantID: "t", CertificatePEM: []byte("secret word")},
		"certificate with another key":  {AppID: "a", TenantID: "t", CertificatePEM: elliptical},
		"certificate without its key":   {AppID: "a", TenantID: "t", CertificatePEM: elliptical[:len(elliptical)/2]},
		"single tenant with a cloud":    {AppID: "a", Password: "p", Cloud: adapter.Cloud{Name: "x"}},
		"managed identity with a file":  {AppID: "a", AppType: adapter.UserAssignedMSI, FederatedTokenFile: "f"},
		"managed identity, certificate": {AppID: "a", AppType: adapter.UserAssignedMSI, CertificatePEM: elliptical},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := adapter.NewTokenSource(c)
			if err == nil || strings.Contains(err.Error(), "secret word") {
				t.Errorf("NewTokenSource error = %v", err)
			}
		})
	}
}

func TestNewTokenSourceTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]adapter.Credentials{
		"token URL with https":        {AppID: "a", Password: "p", TokenURL: "https://login.example/token"},
		"token URL on this machine":   {AppID: "a", Password: "p", TokenURL: "http://LOCALHOST:1/token"},
		"the same by address":         {AppID: "a", Password: "p", TokenURL: "http://[::ffff:127.0.0.1]:1/token"},
		"identity endpoint elsewhere": {AppID: "a", AppType: adapter.UserAssignedMSI, IdentityEndpoint: "https://identity.example/"},
		"identity by link-local URL":  {AppID: "a", AppType: adapter.UserAssignedMSI, TokenURL: "http://169.254.169.254/token"},
	} {
		if _, err := adapter.NewTokenSource(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokenEndpointOutOfReach(t *testing.T) {
	t.Parallel()
	s, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: "app", TenantID: "secret", Password: "secret",
		HTTP: &http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Token(t.Context())
	var e *adapter.Error
	if !errors.As(err, &e) || e.Op != "token" || e.StatusCode != 0 || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Token() error = %v", err)
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	const secret = "AADSTS7000215: Invalid client secret provided for app"
	for name, tt := range map[string]struct {
		status int
		body   string
		header http.Header
		want   adapter.Error
	}{
		"bad secret": {
			401, `{"error":"invalid_client","error_description":"` + secret + `","error_codes":[7000215]}`, nil,
			adapter.Error{StatusCode: 401, Code: "7000215", SubCode: "invalid_client"},
		},
		"number without words": {
			401, `{"error":"invalid_client","error_codes":[7000215]}`, nil,
			adapter.Error{StatusCode: 401, Code: "7000215", SubCode: "invalid_client"},
		},
		"odd number": {
			401, `{"error":"invalid_client","error_description":"` + secret + `","error_codes":["x"]}`, nil,
			adapter.Error{StatusCode: 401, Code: "7000215", SubCode: "invalid_client"},
		},
		"number in the words only": {
			400, `{"error":"unauthorized_client","error_description":"` + secret + `"}`, nil,
			adapter.Error{StatusCode: 400, Code: "7000215", SubCode: "unauthorized_client"},
		},
		"throttled":     {429, ``, http.Header{"Retry-After": {"7"}}, adapter.Error{StatusCode: 429, RetryAfter: 7 * time.Second}},
		"page":          {502, `<html>` + secret, nil, adapter.Error{StatusCode: 502}},
		"odd types":     {400, `{"error":{"x":"` + secret + `"},"error_codes":["x"]}`, nil, adapter.Error{StatusCode: 400}},
		"words as code": {400, `{"error":"` + secret + `"}`, nil, adapter.Error{StatusCode: 400}},
		"redirect":      {302, ``, http.Header{"Location": {"https://evil.org/"}}, adapter.Error{StatusCode: 302}},
		"no token":      {200, `{"access_token":""}`, nil, adapter.Error{StatusCode: 200}},
		"no JSON":       {200, `<html>` + secret, nil, adapter.Error{StatusCode: 200}},
		"broken token":  {200, `{"access_token":"a\r\nb"}`, nil, adapter.Error{StatusCode: 200}},
		"deleted token": {200, `{"access_token":"a\u007fb"}`, nil, adapter.Error{StatusCode: 200}},
		"foreign token": {200, `{"access_token":"ä"}`, nil, adapter.Error{StatusCode: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := adapter.NewTokenSource(adapter.Credentials{
				AppID: "app", TenantID: "t", Password: "client secret",
				HTTP: &http.Client{Transport: endpointFunc(func(*http.Request) (int, string, http.Header) { return tt.status, tt.body, tt.header })},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Token(t.Context())
			var got *adapter.Error
			if !errors.As(err, &got) {
				t.Fatalf("Token() error = %v", err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Invalid") {
				t.Errorf("error tells too much: %v", err)
			}
			tt.want.Op = "token"
			bare := *got
			bare.Err = nil
			if diff := cmp.Diff(tt.want, bare); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got.Code != "" && !strings.Contains(err.Error(), "AADSTS7000215") {
				t.Errorf("error %q does not name the code", err)
			}
		})
	}
}

func TestCredentialsShowNoSecret(t *testing.T) {
	t.Parallel()
	c := adapter.Credentials{AppID: "app", Password: "hunter2", IdentityHeader: "hunter2"}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(h).InfoContext(context.Background(), "start", "credentials", c)
	}
	if s := logged.String() + fmt.Sprint(c) + fmt.Sprintf("%+v %v", c, c); strings.Contains(s, "hunter2") || !strings.Contains(s, "app") {
		t.Errorf("shown: %s", s)
	}
}
