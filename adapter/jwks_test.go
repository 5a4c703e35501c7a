package adapter_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/adapter"
)

// verifyWith uses the provider's key of that number and id.
func verifyWith(t *testing.T, v *adapter.Verifier, c *clock, key int, kid string) error {
	t.Helper()
	token := newToken(t, c, func(s *tokenSpec) { s.key, s.header["kid"] = key, kid })
	return v.Verify(t.Context(), "Bearer "+token, newActivity(nil))
}

func wantFetches(t *testing.T, p *identityProvider, want int) {
	t.Helper()
	if got, _ := p.counts(); got != want {
		t.Errorf("key set was fetched %d times, want %d", got, want)
	}
}

func TestKeysAreFetchedRarely(t *testing.T) {
	t.Parallel()

	t.Run("not at all for a token that cannot be right", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		for _, change := range []func(s *tokenSpec){
			func(s *tokenSpec) { s.claims["iss"] = "https://evil.example" },
			func(s *tokenSpec) { s.header["alg"] = "HS256" },
			func(s *tokenSpec) { s.claims["aud"] = "other" },
			func(s *tokenSpec) { s.claims["exp"] = 1 },
			func(s *tokenSpec) { s.header["kid"] = nil },
		} {
			wantRefusal(t, "bad token", v.Verify(t.Context(), "Bearer "+newToken(t, c, change), newActivity(nil)), 401, "")
		}
		if _, asked := p.counts(); asked != 0 {
			t.Errorf("provider was asked %d times, want 0", asked)
		}
	})

	t.Run("once for many at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p, c := newIdentityProvider(), newClock()
			p.hold = make(chan struct{})
			v := newVerifier(t, p, c, nil)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { wantRefusal(t, "one of many", verifyWith(t, v, c, 0, "k0"), 0, "") })
			}
			synctest.Wait()
			close(p.hold)
			wg.Wait()
			wantFetches(t, p, 1)
		})
	})

	t.Run("once in five minutes for unknown key ids", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "first", verifyWith(t, v, c, 0, "k0"), 0, "")
		for i := range 20 {
			wantRefusal(t, "unknown", verifyWith(t, v, c, 1, fmt.Sprint("u", i)), 401, "unknown key")
		}
		wantFetches(t, p, 2)
		c.advance(5*time.Minute - time.Second)
		wantRefusal(t, "too early", verifyWith(t, v, c, 1, "u"), 401, "unknown key")
		wantFetches(t, p, 2)
		c.advance(time.Second)
		wantRefusal(t, "after five minutes", verifyWith(t, v, c, 1, "u"), 401, "unknown key")
		wantFetches(t, p, 3)
	})
}

func TestKeyRollover(t *testing.T) {
	t.Parallel()

	t.Run("new key right after the first fetch is accepted", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "old key", verifyWith(t, v, c, 0, "k0"), 0, "")
		p.set(func(p *identityProvider) { p.keys = append(p.keys, jwk(1, "k1", nil)) })
		wantRefusal(t, "new key", verifyWith(t, v, c, 1, "k1"), 0, "")
		wantFetches(t, p, 2)
	})

	t.Run("withdrawn key takes its remembered tokens with it", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		old := "Bearer " + newToken(t, c, nil)
		wantRefusal(t, "before", v.Verify(t.Context(), old, newActivity(nil)), 0, "")
		p.set(func(p *identityProvider) { p.keys = []map[string]any{jwk(1, "k1", nil)} })
		wantRefusal(t, "new key", verifyWith(t, v, c, 1, "k1"), 0, "") // makes it fetch
		wantRefusal(t, "withdrawn", v.Verify(t.Context(), old, newActivity(nil)), 401, "unknown key")
	})

	t.Run("another key under the same id", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		old := "Bearer " + newToken(t, c, nil)
		wantRefusal(t, "before", v.Verify(t.Context(), old, newActivity(nil)), 0, "")
		p.set(func(p *identityProvider) {
			p.keys = []map[string]any{jwk(2, "k0", nil), jwk(1, "k1", nil)}
		})
		wantRefusal(t, "new key", verifyWith(t, v, c, 1, "k1"), 0, "")
		wantRefusal(t, "replaced", v.Verify(t.Context(), old, newActivity(nil)), 401, "bad signature")
		wantRefusal(t, "replacement", verifyWith(t, v, c, 2, "k0"), 0, "")
	})

	t.Run("endorsement that was taken back", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		old := "Bearer " + newToken(t, c, nil)
		wantRefusal(t, "before", v.Verify(t.Context(), old, newActivity(nil)), 0, "")
		p.set(func(p *identityProvider) {
			p.keys = []map[string]any{jwk(0, "k0", map[string]any{"endorsements": []string{"slack"}}), jwk(1, "k1", nil)}
		})
		wantRefusal(t, "new key", verifyWith(t, v, c, 1, "k1"), 0, "")
		wantRefusal(t, "after", v.Verify(t.Context(), old, newActivity(nil)), 403, "channel not endorsed")
	})

	t.Run("stale keys are fetched anew after 24 hours without Run", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "first", verifyWith(t, v, c, 0, "k0"), 0, "")
		p.set(func(p *identityProvider) { p.keys = []map[string]any{jwk(1, "k1", nil)} })
		c.advance(24*time.Hour - time.Second)
		wantRefusal(t, "fresh", verifyWith(t, v, c, 0, "k0"), 0, "")
		c.advance(time.Second)
		wantRefusal(t, "stale", verifyWith(t, v, c, 0, "k0"), 401, "unknown key")
	})
}

func TestProviderOutage(t *testing.T) {
	t.Parallel()

	t.Run("no keys yet is 503, and asks once a second", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		p.status = http.StatusBadGateway
		v := newVerifier(t, p, c, nil)
		for range 10 {
			wantRefusal(t, "down", verifyWith(t, v, c, 0, "k0"), 503, "keys unavailable")
		}
		if _, asked := p.counts(); asked != 1 {
			t.Errorf("provider was asked %d times, want 1", asked)
		}
		if v.Ready() {
			t.Error("Ready = true without keys")
		}
		p.set(func(p *identityProvider) { p.status = 0 })
		c.advance(time.Second)
		wantRefusal(t, "up", verifyWith(t, v, c, 0, "k0"), 0, "")
		if !v.Ready() {
			t.Error("Ready = false with keys")
		}
	})

	t.Run("old keys are served on, however stale", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "up", verifyWith(t, v, c, 0, "k0"), 0, "")
		p.set(func(p *identityProvider) { p.status = http.StatusInternalServerError })
		c.advance(100 * time.Hour)
		for range 5 {
			wantRefusal(t, "down", verifyWith(t, v, c, 0, "k0"), 0, "")
		}
		if _, asked := p.counts(); asked != 3 {
			t.Errorf("provider was asked %d times, want 3", asked)
		}
		wantRefusal(t, "unknown key that may be new", verifyWith(t, v, c, 1, "k1"), 503, "keys unavailable")
	})

	t.Run("nobody but who asks waits for a provider that hangs while there are old keys", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p, c := newIdentityProvider(), newClock()
			v := newVerifier(t, p, c, nil)
			wantRefusal(t, "up", verifyWith(t, v, c, 0, "k0"), 0, "")
			p.set(func(p *identityProvider) { p.hold = make(chan struct{}) })
			c.advance(25 * time.Hour)
			var wg sync.WaitGroup
			wg.Go(func() { wantRefusal(t, "who asks", verifyWith(t, v, c, 0, "k0"), 0, "") })
			synctest.Wait()
			start := time.Now()
			for range 5 {
				wantRefusal(t, "others", verifyWith(t, v, c, 0, "k0"), 0, "")
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("others waited %v", d)
			}
			wg.Wait()
			if d := time.Since(start); d != 5*time.Second {
				t.Errorf("who asks waited %v, want 5s", d)
			}
		})
	})

	t.Run("a caller who gives up does not spoil the fetch for others", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p, c := newIdentityProvider(), newClock()
			p.hold = make(chan struct{})
			v := newVerifier(t, p, c, nil)
			authorization := "Bearer " + newToken(t, c, nil)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { wantRefusal(t, "who fetches", v.Verify(ctx, authorization, newActivity(nil)), 0, "") })
			synctest.Wait()
			wg.Go(func() { wantRefusal(t, "who waits", v.Verify(t.Context(), authorization, newActivity(nil)), 0, "") })
			wg.Go(func() {
				wantRefusal(t, "who waits and gives up", v.Verify(ctx, authorization, newActivity(nil)), 503, "")
			})
			synctest.Wait()
			cancel()
			synctest.Wait()
			close(p.hold)
			wg.Wait()
			wantFetches(t, p, 1)
		})
	})
}

func TestMalformedProvider(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p *identityProvider){
		"metadata is HTML":      func(p *identityProvider) { p.metadata = "<html>" },
		"metadata without keys": func(p *identityProvider) { p.metadata = "{}" },
		"metadata is huge": func(p *identityProvider) {
			p.metadata = `{"jwks_uri":"` + keySetURL + `"}` + strings.Repeat(" ", 1<<20)
		},
		"key set on plain http": func(p *identityProvider) { p.metadata = `{"jwks_uri":"http://login.example/keys"}` },
		"key set is a file":     func(p *identityProvider) { p.metadata = `{"jwks_uri":"file:///etc/passwd"}` },
		"key set is HTML":       func(p *identityProvider) { p.keySet = "<html>" },
		"key set is null":       func(p *identityProvider) { p.keySet = "null" },
		"key set is empty":      func(p *identityProvider) { p.keySet = `{"keys":[]}` },
		"keys is an object":     func(p *identityProvider) { p.keySet = `{"keys":{}}` },
		"only keys of other kinds": func(p *identityProvider) {
			p.keySet = `{"keys":[{"kty":"EC","kid":"k0"},{"kty":"oct","k":"AA","kid":"k0"},5,null]}`
		},
		"key for encryption": func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"use": "enc"})} },
		"key without id":     func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "", nil)} },
		"modulus too short":  func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"n": "AQAB"})} },
		"modulus too long": func(p *identityProvider) {
			p.keys = []map[string]any{jwk(0, "k0", map[string]any{"n": strings.Repeat("A_8B", 500)})}
		},
		"modulus even":          func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"n": evenModulus()})} },
		"no RSA":                func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"kty": "EC"})} },
		"exponent 1":            func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": "AQ"})} },
		"exponent even":         func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": "BA"})} },
		"exponent over 31 bits": func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": "gAAAAQ"})} },
		"exponent over 64 bits": func(p *identityProvider) {
			p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": "AQAAAAAAAAAB"})}
		},
		"exponent is no base64": func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": "!!"})} },
		"exponent is empty":     func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"e": ""})} },
		"modulus is no base64":  func(p *identityProvider) { p.keys = []map[string]any{jwk(0, "k0", map[string]any{"n": "!!"})} },
		"endorsements are no list of names": func(p *identityProvider) {
			p.keys = []map[string]any{jwk(0, "k0", map[string]any{"endorsements": "msteams"})}
		},
		"answers to everything with nothing": func(p *identityProvider) { p.status = http.StatusNoContent },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := newIdentityProvider(), newClock()
			change(p)
			v := newVerifier(t, p, c, nil)
			wantRefusal(t, name, verifyWith(t, v, c, 0, "k0"), 503, "keys unavailable")
		})
	}

	t.Run("one bad key does not take the others with it", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		p.keys = []map[string]any{{"kty": "AKP", "kid": "new", "alg": "ML-DSA-65"}, {"kty": 5}, jwk(0, "k0", map[string]any{"e": "AQAB=="})}
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "good key", verifyWith(t, v, c, 0, "k0"), 0, "")
	})

	t.Run("a key need not say what it is for, and the first of an id counts", func(t *testing.T) {
		t.Parallel()
		p, c := newIdentityProvider(), newClock()
		p.keys = []map[string]any{jwk(0, "k0", map[string]any{"use": nil}), jwk(1, "k0", nil)}
		v := newVerifier(t, p, c, nil)
		wantRefusal(t, "first", verifyWith(t, v, c, 0, "k0"), 0, "")
		wantRefusal(t, "second", verifyWith(t, v, c, 1, "k0"), 401, "bad signature")
	})
}

func evenModulus() string {
	n := testKeys()[0].N.Bytes()
	n[len(n)-1] &^= 1
	return base64.RawURLEncoding.EncodeToString(n)
}

func TestKeysAreNotSoughtInCircles(t *testing.T) {
	t.Parallel()
	p, c := newIdentityProvider(), newClock()
	p.location = metadataURL
	v := newVerifier(t, p, c, nil)
	wantRefusal(t, "redirected", verifyWith(t, v, c, 0, "k0"), 503, "keys unavailable")
	if _, asked := p.counts(); asked > 4 {
		t.Errorf("provider was asked %d times", asked)
	}
}

func TestKeysAreNeverFetchedFromPlainHTTPByRedirect(t *testing.T) {
	t.Parallel()
	p, c := newIdentityProvider(), newClock()
	p.location = strings.Replace(metadataURL, "https:", "http:", 1) // where a good answer waits
	v := newVerifier(t, p, c, nil)
	wantRefusal(t, "redirected", verifyWith(t, v, c, 0, "k0"), 503, "keys unavailable")
}

func TestKeysOverLoopback(t *testing.T) {
	t.Parallel()
	p := newIdentityProvider()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"jwks_uri":%q}`, srv.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		r, err := http.NewRequestWithContext(r.Context(), http.MethodGet, keySetURL, http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := p.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := io.Copy(w, resp.Body); err != nil {
			t.Error(err)
		}
	})
	c := newClock()
	v, err := adapter.NewVerifier(adapter.VerifierOptions{AppID: appID, MetadataURL: srv.URL + "/metadata", Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, "loopback", verifyWith(t, v, c, 0, "k0"), 0, "")
}

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("warms up, and refreshes every 12 hours", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newIdentityProvider()
			v := newVerifier(t, p, nil, func(o *adapter.VerifierOptions) { o.Now = nil })
			stop := runVerifier(t, v)
			synctest.Wait()
			if !v.Ready() {
				t.Error("Ready = false after the start")
			}
			wantFetches(t, p, 1)
			letPass(12*time.Hour - time.Second)
			wantFetches(t, p, 1)
			letPass(time.Second)
			wantFetches(t, p, 2)
			letPass(12 * time.Hour)
			wantFetches(t, p, 3)
			stop()
		})
	})

	t.Run("tries again within a minute while the provider is down", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newIdentityProvider()
			p.status = http.StatusServiceUnavailable
			v := newVerifier(t, p, nil, func(o *adapter.VerifierOptions) { o.Now = nil })
			stop := runVerifier(t, v)
			letPass(time.Hour)
			if _, asked := p.counts(); asked < 60 || asked > 70 {
				t.Errorf("provider was asked %d times in an hour, want about one a minute", asked)
			}
			p.set(func(p *identityProvider) { p.status = 0 })
			letPass(time.Minute)
			if !v.Ready() {
				t.Error("Ready = false a minute after the provider came back")
			}
			stop()
		})
	})

	t.Run("ends at once although the provider hangs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newIdentityProvider()
			p.hold = make(chan struct{})
			v := newVerifier(t, p, nil, func(o *adapter.VerifierOptions) { o.Now = nil })
			stop := runVerifier(t, v)
			synctest.Wait()
			start := time.Now()
			stop()
			if d := time.Since(start); d != 0 {
				t.Errorf("Run took %v to end", d)
			}
		})
	})

	t.Run("a request waits 5 s for a provider that hangs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newIdentityProvider()
			p.hold = make(chan struct{})
			c := newClock()
			v := newVerifier(t, p, c, nil)
			start := time.Now()
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() { wantRefusal(t, "hanging", verifyWith(t, v, c, 0, "k0"), 503, "keys unavailable") })
			}
			wg.Wait()
			if d := time.Since(start); d != 5*time.Second {
				t.Errorf("requests waited %v, want 5s", d)
			}
		})
	})
}

// runVerifier runs v and returns what ends it and waits for that.
func runVerifier(t *testing.T, v *adapter.Verifier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
}

// letPass lets time pass in a synctest bubble.
func letPass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
