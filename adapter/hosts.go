package adapter

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// A HostPolicy says which URLs that came from outside may be called. The zero value allows
// Microsoft's hosts over https and nothing else.
type HostPolicy struct {
	// AllowLoopback also allows loopback addresses and "localhost", with http or https and any port,
	// for emulators on the same machine.
	AllowLoopback bool
	// Extra are more host names. Each also stands for the hosts below it. Ports are free there.
	Extra []string
}

// A HostError refuses a URL that the policy does not allow.
type HostError struct {
	Host   string // without user, path and query; cut to 100 bytes
	Reason string
}

func (e *HostError) Error() string { return fmt.Sprintf("host %q refused: %s", e.Host, e.Reason) }

// Check reports whether rawURL may be called at all, be it with a token or, as for the contents of
// files, without one. The error is a [*HostError].
func (p HostPolicy) Check(rawURL string) error {
	_, err := p.check(rawURL, isTokenHost, isFileHost)
	return err
}

// CheckToken reports whether rawURL may be called with the bot's token, which is like a password. It
// is stricter than Check: storage hosts, under which anyone can have a name, are out.
// The error is a [*HostError].
func (p HostPolicy) CheckToken(rawURL string) error {
	_, err := p.check(rawURL, isTokenHost)
	return err
}

// check parses rawURL and allows what one of the sets holds.
func (p HostPolicy) check(rawURL string, sets ...func(host string) bool) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, &HostError{Reason: "not an absolute URL"}
	}
	host := strings.ToLower(u.Hostname())
	refused := func(reason string) (*url.URL, error) {
		return nil, &HostError{Host: host[:min(len(host), 100)], Reason: reason}
	}
	if u.User != nil {
		return refused("a user in the URL")
	}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	if host == "localhost" || literal && addr.Unmap().IsLoopback() {
		switch {
		case !p.AllowLoopback:
			return refused("loopback is not allowed")
		case u.Scheme != "http" && u.Scheme != "https":
			return refused("neither http nor https")
		}
		return u, nil
	}
	switch {
	case u.Scheme != "https":
		return refused("not https")
	case literal:
		return refused("an address in place of a name")
	case strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Contains(host, ".."):
		return refused("not a host name")
	}
	for _, name := range p.Extra {
		if name != "" && isUnder(host, strings.ToLower(name)) {
			return u, nil
		}
	}
	if port := u.Port(); port != "" && port != "443" {
		return refused("not port 443")
	}
	for _, in := range sets {
		if in(host) {
			return u, nil
		}
	}
	return refused("not a host of Microsoft Teams")
}

// isTokenHost knows the hosts of the Connector. trafficmanager.net is not among them: anyone can
// have a name there.
func isTokenHost(host string) bool {
	return isUnder(host,
		"botframework.com", "botframework.azure.us", "botframework.azure.cn",
		"smba.trafficmanager.net",
		"teams.microsoft.com", "teams.microsoft.us") // with infra.gcc… and infra.gov… below them
}

// isFileHost knows the hosts of files, to which no token goes.
func isFileHost(host string) bool {
	return isUnder(host, "graph.microsoft.com", "svc.ms", "blob.core.windows.net",
		"sharepoint.com", "sharepoint.us", "sharepoint-mil.us", "sharepoint.cn")
}

// isUnder reports whether host is one of the names or below one.
func isUnder(host string, names ...string) bool {
	for _, n := range names {
		if host == n || len(host) > len(n) && strings.HasSuffix(host, n) && host[len(host)-len(n)-1] == '.' {
			return true
		}
	}
	return false
}
