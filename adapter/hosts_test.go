package adapter_test

import (
	"errors"
	"strings"
	"testing"

	"snowbot/adapter"
)

func TestHostPolicy(t *testing.T) {
	t.Parallel()
	loopback := adapter.HostPolicy{AllowLoopback: true}
	extra := adapter.HostPolicy{Extra: []string{"bots.Example.org", ""}}
	for _, tt := range []struct {
		name        string
		policy      adapter.HostPolicy
		url         string
		call, token bool
	}{
		{"teams", adapter.HostPolicy{}, "https://smba.trafficmanager.net/emea/", true, true},
		{"teams in capitals with port", adapter.HostPolicy{}, "https://SMBA.TrafficManager.net:443/emea/", true, true},
		{"government community cloud", adapter.HostPolicy{}, "https://smba.infra.gcc.teams.microsoft.com/gcc", true, true},
		{"government high cloud", adapter.HostPolicy{}, "https://smba.infra.gov.teams.microsoft.us/gcch", true, true},
		{"bot framework", adapter.HostPolicy{}, "https://webchat.botframework.com/", true, true},
		{"files: sharepoint", adapter.HostPolicy{}, "https://contoso-my.sharepoint.com/x?y=z#a", true, false},
		{"files: sharepoint of the government", adapter.HostPolicy{}, "https://contoso-my.sharepoint.us/x", true, false},
		{"files: sharepoint of defence", adapter.HostPolicy{}, "https://contoso-my.sharepoint-mil.us/x", true, false},
		{"files: sharepoint in China", adapter.HostPolicy{}, "https://contoso-my.sharepoint.cn/x", true, false},
		{"files: graph", adapter.HostPolicy{}, "https://graph.microsoft.com/v1.0/x", true, false},
		{"files: blobs", adapter.HostPolicy{}, "https://anyone.blob.core.windows.net/x", true, false},
		{"all of trafficmanager", adapter.HostPolicy{}, "https://evil.trafficmanager.net/", false, false},
		{"below a teams host", adapter.HostPolicy{}, "https://a.smba.trafficmanager.net/", true, true},
		{"suffix without dot", adapter.HostPolicy{}, "https://evilbotframework.com/", false, false},
		{"name as a prefix", adapter.HostPolicy{}, "https://botframework.com.evil.org/", false, false},
		{"name as the user", adapter.HostPolicy{}, "https://botframework.com@evil.org/", false, false},
		{"user", adapter.HostPolicy{}, "https://u:p@smba.trafficmanager.net/", false, false},
		{"empty user", adapter.HostPolicy{}, "https://@smba.trafficmanager.net/", false, false},
		{"plain http", adapter.HostPolicy{}, "http://smba.trafficmanager.net/", false, false},
		{"other scheme", adapter.HostPolicy{}, "ftp://smba.trafficmanager.net/", false, false},
		{"other port", adapter.HostPolicy{}, "https://smba.trafficmanager.net:8443/", false, false},
		{"trailing dot", adapter.HostPolicy{}, "https://smba.trafficmanager.net./", false, false},
		{"backslash", adapter.HostPolicy{}, `https://evil.org\.botframework.com/`, false, false},
		{"look-alike letter", adapter.HostPolicy{}, "https://bоtframework.com/", false, false},
		{"leading dots", adapter.HostPolicy{}, "https://..botframework.com/", false, false},
		{"line break", adapter.HostPolicy{}, "https://evil.org\n.botframework.com/", false, false},
		{"relative", adapter.HostPolicy{}, "//smba.trafficmanager.net/", false, false},
		{"no host", adapter.HostPolicy{}, "https:///x", false, false},
		{"nothing", adapter.HostPolicy{}, "", false, false},
		{"address", adapter.HostPolicy{Extra: []string{"10.0.0.1"}}, "https://10.0.0.1/", false, false},
		{"address of version 6", adapter.HostPolicy{}, "https://[2001:db8::1]/", false, false},
		{"metadata service", loopback, "http://169.254.169.254/", false, false},
		{"unspecified address", loopback, "http://0.0.0.0/", false, false},
		{"loopback", adapter.HostPolicy{}, "https://127.0.0.1/", false, false},
		{"loopback by name", adapter.HostPolicy{}, "https://localhost/", false, false},
		{"loopback when allowed", loopback, "http://127.0.0.1:8080/emea/", true, true},
		{"loopback by name when allowed", loopback, "http://LOCALHOST:8080", true, true},
		{"loopback of version 6", loopback, "http://[::1]:1/", true, true},
		{"loopback of version 4 in 6", loopback, "http://[::ffff:127.0.0.1]:1/", true, true},
		{"loopback over https", loopback, "https://127.1.2.3:1/", true, true},
		{"loopback over another scheme", loopback, "gopher://127.0.0.1/", false, false},
		{"name that says localhost", loopback, "http://localhost.evil.org/", false, false},
		{"http elsewhere when loopback is allowed", loopback, "http://smba.trafficmanager.net/", false, false},
		{"extra", extra, "https://bots.example.org:8443/x", true, true},
		{"below extra", extra, "https://eu.bots.example.org/", true, true},
		{"extra without https", extra, "http://bots.example.org/", false, false},
		{"empty extra allows nothing", extra, "https://example.org/", false, false},
		{"empty extra and a trailing dot", extra, "https://example.org./", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for what, got := range map[string]struct {
				err  error
				want bool
			}{"Check": {tt.policy.Check(tt.url), tt.call}, "CheckToken": {tt.policy.CheckToken(tt.url), tt.token}} {
				var refused *adapter.HostError
				if (got.err == nil) != got.want {
					t.Errorf("%s(%q) = %v, want allowed %v", what, tt.url, got.err, got.want)
				}
				if got.err != nil && (!errors.As(got.err, &refused) || refused.Reason == "") {
					t.Errorf("%s(%q) = %v, want a HostError with a reason", what, tt.url, got.err)
				}
			}
		})
	}
	t.Run("error holds the host alone, cut", func(t *testing.T) {
		t.Parallel()
		err := adapter.HostPolicy{}.Check("https://u:secret@" + strings.Repeat("a", 500) + ".org/path?secret")
		if s := err.Error(); strings.Contains(s, "secret") || len(s) > 200 {
			t.Errorf("error %q", s)
		}
	})
}

func FuzzHostPolicy(f *testing.F) {
	for _, s := range []string{"https://smba.trafficmanager.net/emea/", "http://127.0.0.1:1", "https://u@h:1/..//?#", "https://[::1%25en0]/", "%", "https://a\\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := adapter.HostPolicy{}.Check(s)
		if err == nil && !strings.HasPrefix(strings.ToLower(s), "https://") {
			t.Errorf("%q was allowed", s)
		}
		if err != nil && (adapter.HostPolicy{}).CheckToken(s) == nil {
			t.Errorf("%q gets a token but may not be called", s)
		}
	})
}

func TestCloudByName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"public", "usgov", "dod", "china"} {
		c, err := adapter.CloudByName(name)
		if err != nil || c.Name != name {
			t.Errorf("CloudByName(%q) = %+v, %v", name, c, err)
		}
		if c.Scope != c.Issuer+"/.default" || c.Resource() != c.Issuer || c.LoginHost == "" || c.DefaultTenant == "" {
			t.Errorf("cloud %+v does not hang together", c)
		}
		if !strings.HasPrefix(c.MetadataURL, "https://login.botframework.") || !strings.HasPrefix(c.TokenService, "https://") {
			t.Errorf("cloud %+v has odd URLs", c)
		}
	}
	if c, err := adapter.CloudByName(""); err != nil || c.Name != "public" {
		t.Errorf(`CloudByName("") = %+v, %v`, c, err)
	}
	if _, err := adapter.CloudByName("moon"); err == nil {
		t.Error("an unknown cloud has no error")
	}
}
