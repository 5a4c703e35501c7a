package adapter_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"snowbot/adapter"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func FuzzAuthorization(f *testing.F) {
	c := newClock()
	p := newIdentityProvider()
	v := newVerifier(f, p, c, nil)
	good := "Bearer " + newToken(f, c, nil)
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer a.b.c", "bearer " + good, good, good + "A", parts[0] + ".." + parts[2],
		parts[0] + "." + encodeSegment(f, map[string]any{"iss": nil, "aud": []any{1}, "exp": "x"}) + "." + parts[2],
		"Bearer " + encodeSegment(f, map[string]any{"alg": "none"}) + ".e30.AA", "Bearer bnVsbA.bnVsbA.bnVsbA",
		"Bearer " + strings.Repeat("[", 100) + ".e30.AA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		err := v.Verify(t.Context(), authorization, newActivity(nil))
		if authorization == good {
			if err != nil {
				t.Errorf("good token: %v", err)
			}
			return
		}
		var auth *adapter.AuthError
		if !errors.As(err, &auth) {
			t.Fatalf("Verify(%q) = %v, want an AuthError", authorization, err)
		}
	})
}

// FuzzClaims signs whatever claims there are with a good key, since those of Microsoft's keys are foreign bytes, too. Another
// implementation tells when they may be accepted.
func FuzzClaims(f *testing.F) {
	c := newClock()
	v := newVerifier(f, newIdentityProvider(), c, nil)
	now := c.now().Unix()
	for _, seed := range []string{
		fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d,"serviceurl":%q}`, issuer, appID, now+60, serviceURL),
		fmt.Sprintf(`{"iss":%q,"aud":["x",%q],"exp":%d.5,"nbf":%d,"serviceurl":%q,"azp":%q}`, issuer, appID, now+60, now, serviceURL, appID),
		fmt.Sprintf(`{"iss":%q,"iss":"x","aud":null,"exp":1e400,"nbf":-1,"serviceurl":%q}`, issuer, serviceURL),
		`{"exp":"1","aud":[null]}`, `{}`, `null`, `[`, "{\"iss\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		signed := encodeSegment(t, map[string]any{"alg": "RS256", "kid": "k0"}) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		var auth *adapter.AuthError
		err := v.Verify(t.Context(), "Bearer "+signed+".AAAA", newActivity(nil))
		if !errors.As(err, &auth) {
			t.Fatalf("without a signature: Verify = %v, want an AuthError", err)
		}
		if auth.Reason != "bad signature" { // the claims are refused already, and signing takes a while
			return
		}
		raw := signed + "." + base64.RawURLEncoding.EncodeToString(signRSA(t, 0, crypto.SHA256, signed))
		if err := v.Verify(t.Context(), "Bearer "+raw, newActivity(nil)); err != nil {
			if !errors.As(err, &auth) {
				t.Fatalf("Verify = %v, want an AuthError", err)
			}
			return
		}
		_, err = jwt.Parse([]byte(raw), jwt.WithKey(jwa.RS256(), testKeys()[0].Public()), jwt.WithIssuer(issuer), jwt.WithAudience(appID),
			jwt.WithRequiredClaim("exp"), jwt.WithAcceptableSkew(5*time.Minute), jwt.WithClock(jwt.ClockFunc(c.now)))
		if err != nil {
			t.Errorf("%s was accepted, and jwx says: %v", claims, err)
		}
	})
}

// FuzzMetadata lets the OpenID metadata say anything.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", `{"jwks_uri":5}`, fmt.Sprintf(`{"jwks_uri":%q}`, keySetURL), `{"jwks_uri":"http://169.254.169.254/"}`,
		`{"jwks_uri":"https://u:p@login.example/keys"}`, `{"jwks_uri":"\u0000"}`, `{"jwks_uri":"//login.example"}`,
	} {
		f.Add(seed)
	}
	c := newClock()
	authorization := "Bearer " + newToken(f, c, nil)
	f.Fuzz(func(t *testing.T, metadata string) {
		p := newIdentityProvider()
		p.metadata = metadata
		v := newVerifier(t, p, c, nil)
		err := v.Verify(t.Context(), authorization, newActivity(nil))
		var auth *adapter.AuthError
		if err != nil && (!errors.As(err, &auth) || auth.Status != http.StatusServiceUnavailable) {
			t.Fatalf("Verify = %v, want nil or 503", err)
		}
		if v.Ready() != (err == nil) {
			t.Errorf("Ready = %v, and Verify = %v", v.Ready(), err)
		}
	})
}

func FuzzJWKS(f *testing.F) {
	for _, keys := range [][]map[string]any{
		{jwk(0, "k0", nil)},
		{jwk(0, "k0", map[string]any{"n": "AA", "e": "AA"})},
		{{"kty": "EC"}},
		{nil},
		{},
		{jwk(0, "k0", map[string]any{"endorsements": []any{1, nil}})},
		{jwk(0, "k0", nil), jwk(1, "k0", nil)},
	} {
		b, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("")
	f.Add("null")
	f.Add(`{"keys":5}`)
	c := newClock()
	authorization := "Bearer " + newToken(f, c, nil)
	f.Fuzz(func(t *testing.T, keySet string) {
		p := newIdentityProvider()
		p.keySet = keySet
		v := newVerifier(t, p, c, nil)
		err := v.Verify(t.Context(), authorization, newActivity(nil))
		var auth *adapter.AuthError
		if err != nil && !errors.As(err, &auth) {
			t.Fatalf("Verify = %v, want an AuthError", err)
		}
		if v.Ready() == (auth != nil && auth.Status == http.StatusServiceUnavailable) {
			t.Errorf("Ready = %v, and Verify = %v", v.Ready(), err)
		}
	})
}
