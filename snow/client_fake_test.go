package snow_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"snowbot/cmd/leaktest"
	"snowbot/snow"
)

// What the tests sign in with, and say. None of it may turn up in an error or a log.
const (
	testSecret   = "s3cret-of-client"
	testPassword = "hunter2-of-user"
	testWords    = "my salary is 12345"
	testEmail    = "mia.khan@example.com"
)

// A fakeAnswer is what an instance answers. A zero status stands for 200.
type fakeAnswer struct {
	status int
	header http.Header
	body   string
	err    error
}

// A fakeInstance is an http.RoundTripper that answers as an instance would. It needs no network, so it can be used where
// the time is not the real one.
type fakeInstance struct {
	// token and api answer; nil means that they agree. They are called one at a time.
	token func(n int, form url.Values) fakeAnswer
	api   func(n int, r *http.Request, body []byte) fakeAnswer
	delay time.Duration // of a token

	mu     sync.Mutex
	grants []url.Values
	calls  []fakeCall
}

type fakeCall struct {
	method, host, path, query string
	header                    http.Header
	body                      []byte
}

func (f *fakeInstance) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	isToken := r.URL.Path == "/oauth_token.do"
	if isToken && f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var a fakeAnswer
	if isToken {
		form, _ := url.ParseQuery(string(body))
		f.grants = append(f.grants, form)
		a = fakeAnswer{body: tokenBody(fmt.Sprintf("access-%d", len(f.grants)), "1799")}
		switch {
		case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "":
			a = fakeAnswer{status: 500}
		case f.token != nil:
			a = f.token(len(f.grants), form)
		}
	} else {
		f.calls = append(f.calls, fakeCall{r.Method, r.URL.Host, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body})
		a = fakeAnswer{body: `{"status":"success"}`}
		if f.api != nil {
			a = f.api(len(f.calls), r, body)
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.header == nil {
		a.header = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{
		StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)),
		Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// asked returns the grant types asked for so far.
func (f *fakeInstance) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, g := range f.grants {
		out = append(out, g.Get("grant_type"))
	}
	return out
}

func (f *fakeInstance) called() []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]fakeCall(nil), f.calls...)
}

func tokenBody(access, expiresIn string) string {
	return `{"access_token":"` + access + `","refresh_token":"refresh-of-` + access +
		`","scope":"useraccount","token_type":"Bearer","expires_in":` + expiresIn + `}`
}

// rejected is what the instance says to every login that it does not like.
var rejected = fakeAnswer{status: 401, body: `{"error":"server_error","error_description":"access_denied"}`}

// newFakeClient returns a client of f. Its log is checked for secrets when the test ends.
func newFakeClient(t testing.TB, f *fakeInstance, change ...func(*snow.ClientOptions)) *snow.Client {
	t.Helper()
	o := options()
	o.HTTP = &http.Client{Transport: f}
	return newCheckedClient(t, o, change...)
}

func newCheckedClient(t testing.TB, o snow.ClientOptions, change ...func(*snow.ClientOptions)) *snow.Client {
	t.Helper()
	watch := leaktest.New(t)
	watch.Secret(clientSecrets...)
	o.Log = watch.Log()
	for _, f := range change {
		f(&o)
	}
	c, err := snow.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func options() snow.ClientOptions {
	return snow.ClientOptions{
		Instance: "https://example.service-now.com", ClientID: "the-client", ClientSecret: testSecret,
		Username: "the-user", Password: testPassword,
	}
}

// clientSecrets must be in no log and no error.
var clientSecrets = []string{testSecret, testPassword, testWords, testEmail, "access-", "refresh-of", "12345", "mia.khan"}

// noSecrets looks at what an error shows.
func noSecrets(t testing.TB, s string) {
	t.Helper()
	watch := leaktest.New(t)
	watch.Secret(clientSecrets...)
	fmt.Fprintln(watch.To(leaktest.Refusal), s)
}

var (
	testChat = snow.Chat{
		SessionID: "a:conv-17#1", UserID: testEmail, Email: testEmail,
		Variables: snow.Variables{TenantID: "t1", BotID: "b1", ConversationID: "a:conv-17"},
	}
	hello = snow.Words{RequestID: "r-1", MessageID: "m-1", Text: testWords}
)
