package adapter

import (
	"context"
	"net"
	"net/http"
)

// TransportTo is the Connector's own transport with every name leading to one address, as when a name server lies.
func TransportTo(addr string) http.RoundTripper {
	t := newTransport()
	t.Proxy = nil
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return t
}
