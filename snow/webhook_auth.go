package snow

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// credentials are the secrets, hashed, and the ways in which they may be presented.
type credentials struct {
	secrets [][sha256.Size]byte
	user    *[sha256.Size]byte // nil: no Basic
	header  string
}

func newCredentials(secrets []string, user, header string) (credentials, error) {
	c := credentials{header: header}
	if len(secrets) == 0 {
		return c, errors.New("no secret")
	}
	for i, s := range secrets {
		switch {
		case strings.TrimSpace(s) == "":
			return c, fmt.Errorf("secret %d is empty", i+1)
		case strings.TrimSpace(s) != s || !httpguts.ValidHeaderFieldValue(s):
			return c, fmt.Errorf("secret %d cannot be sent: it has a control character, or white space around it", i+1)
		}
		c.secrets = append(c.secrets, sha256.Sum256([]byte(s)))
	}
	if user != "" {
		if strings.Contains(user, ":") {
			return c, errors.New("a Basic user cannot hold a colon")
		}
		h := sha256.Sum256([]byte(user))
		c.user = &h
	}
	if header != "" && !httpguts.ValidHeaderFieldName(header) {
		return c, errors.New("the name of the header is not one")
	}
	return c, nil
}

// match reports whether r presents a secret in any accepted way. All ways and all secrets are compared, by their
// hashes, so that the time taken tells neither which came close nor how long they are.
func (c credentials) match(r *http.Request) bool {
	found := 0
	if token, ok := bearer(r.Header.Get("Authorization")); ok {
		found |= c.compare(token)
	}
	if user, password, ok := r.BasicAuth(); ok && c.user != nil {
		h := sha256.Sum256([]byte(user))
		found |= subtle.ConstantTimeCompare(h[:], c.user[:]) & c.compare(password)
	}
	if c.header != "" {
		value := strings.TrimSpace(r.Header.Get(c.header))
		found |= c.compare(value)
		if token, ok := bearer(value); ok {
			found |= c.compare(token)
		}
	}
	return found == 1
}

// compare is 1 when s is one of the secrets, else 0.
func (c credentials) compare(s string) int {
	found := 0
	h := sha256.Sum256([]byte(s))
	for i := range c.secrets {
		found |= subtle.ConstantTimeCompare(h[:], c.secrets[i][:])
	}
	return found
}

// bearer takes the token out of a Bearer credential. The case of the scheme does not matter (RFC 9110, section 11.1).
func bearer(s string) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(s), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

const (
	guardWindow  = time.Minute
	guardFree    = 5                      // failures a window that are answered at once, and logged
	guardDelay   = 250 * time.Millisecond // for each further one
	guardWaiting = 64                     // failures that may be waiting; what comes on top is answered at once
)

// A guard slows down who guesses. It counts failures whoever they come from, so it is as small as that, and it is asked
// after a failure only: it cannot keep out who has a secret. The zero value is ready.
type guard struct {
	mu       sync.Mutex
	since    time.Time // of the window
	failures int       // in it
	unlogged int       // since the last that was logged
	waiting  int
}

type failure struct {
	delayed  bool // the caller calls delay
	logged   bool
	unlogged int
}

// failed counts a failure at now and says how to treat it.
func (g *guard) failed(now time.Time) failure {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.since) >= guardWindow {
		g.since, g.failures = now, 0
	}
	g.failures++
	if g.failures <= guardFree {
		f := failure{logged: true, unlogged: g.unlogged}
		g.unlogged = 0
		return f
	}
	g.unlogged++
	if g.waiting >= guardWaiting {
		return failure{}
	}
	g.waiting++
	return failure{delayed: true}
}

// delay waits, and no longer than ctx.
func (g *guard) delay(ctx context.Context) {
	t := time.NewTimer(guardDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
}
