package adapter_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"snowbot/adapter"
)

// A name of Microsoft's that suddenly leads elsewhere - to a machine inside, to the metadata address of a cloud - gets neither
// the token nor the words: whoever answers there has no certificate for it, and without TLS no name is called at all.
func TestANameThatLeadsElsewhereGetsNothing(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 8)
	t.Cleanup(func() { // when nobody serves any more
		close(reached)
		for r := range reached {
			t.Errorf("the other machine was sent %s", r)
		}
	})
	catch := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Method + " " + r.URL.Path })
	secure, plain := httptest.NewTLSServer(catch), httptest.NewServer(catch)
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	for _, tt := range []struct{ name, addr, serviceURL string }{
		{"a certificate of another name", secure.Listener.Addr().String(), "https://smba.trafficmanager.net/emea/"},
		{"no TLS there", plain.Listener.Addr().String(), "https://smba.trafficmanager.net/emea/"},
		{"no TLS asked for", plain.Listener.Addr().String(), "http://smba.trafficmanager.net/emea/"},
		{"loopback is for emulators", plain.Listener.Addr().String(), plain.URL},
		{"the metadata address of clouds", plain.Listener.Addr().String(), "http://169.254.169.254/latest/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			transport := adapter.TransportTo(tt.addr)
			c, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: fixedToken("the-token"), HTTP: &http.Client{Transport: transport}})
			if err != nil {
				t.Fatal(err)
			}
			ref := adapter.Reference{ServiceURL: tt.serviceURL, ConversationID: "a:1", BotID: "28:bot"}
			_, err = c.Send(t.Context(), ref, &adapter.Activity{Type: adapter.TypeMessage, Text: "words"})
			if err == nil {
				t.Fatal("the message was sent")
			}
			if s := err.Error(); strings.Contains(s, "the-token") || strings.Contains(s, "words") {
				t.Errorf("the error tells too much: %s", s)
			}
		})
	}
}
