package adapter_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"snowbot/adapter"
)

// FuzzFetchFile lets a message name any address and its host lead to any other: only Microsoft's hosts are called, and the token goes to
// the Connector's attachments alone.
func FuzzFetchFile(f *testing.F) {
	for _, s := range [][2]string{
		{teamsPicture, ""},
		{teamsPicture, "/emea/v3/conversations/a:1/members"},
		{teamsPicture, "//evil.example/v3/attachments/a"},
		{sharePoint, "https://smba.trafficmanager.net@evil.example/"},
		{"https://smba.trafficmanager.net/v3/attachments/%2e%2e/conversations", `\\169.254.169.254\latest`},
		{"https://smba.trafficmanager.net:443/v3/x?/v3/attachments/a", "http://smba.trafficmanager.net/v3/attachments/a"},
		{"https://smba.trafficmanager.net./v3/attachments/a", "https://[::1]/"},
		{"data:image/png;base64,eA==", "file:///etc/passwd"},
	} {
		f.Add(s[0], s[1], true)
		f.Add(s[0], s[1], false)
	}
	f.Fuzz(func(t *testing.T, address, location string, token bool) {
		var asked []*http.Request
		answers := roundTrips(func(r *http.Request) http.HandlerFunc {
			asked = append(asked, r)
			if location != "" && len(asked) < 4 {
				return redirect(location)
			}
			return file("text/plain", "words")
		})
		c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens("the-token"), HTTP: &http.Client{Transport: answers}})
		if err != nil {
			t.Fatal(err)
		}
		_, kind, err := c.FetchFile(t.Context(), adapter.FileRef{Name: "a.txt", URL: address, Token: token}, 100)
		var e *adapter.Error
		if (kind == "") != (err != nil) || err != nil && (!errors.As(err, &e) || e.Written) {
			t.Errorf("type %q, error %#v", kind, err)
		}
		for _, r := range asked {
			if r.URL.Scheme != "https" || (adapter.HostPolicy{}).Check(r.URL.String()) != nil {
				t.Errorf("%q and %q lead to %s", address, location, r.URL)
			}
			if r.Header.Get("Authorization") == "" {
				continue
			}
			path, bad := url.PathUnescape(r.URL.EscapedPath())
			if bad != nil || !token || !strings.Contains(path, "/v3/attachments/") || strings.Contains(path, "..") ||
				(adapter.HostPolicy{}).CheckToken(r.URL.String()) != nil {
				t.Errorf("%q and %q lead to %s with the token", address, location, r.URL)
			}
		}
	})
}

// roundTrips answers each request with what a handler made for it says.
type roundTrips func(r *http.Request) http.HandlerFunc

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) {
	w := web{pages: map[string]http.HandlerFunc{r.URL.String(): f(r)}}
	return w.RoundTrip(r)
}
