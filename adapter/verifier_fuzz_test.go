package adapter_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"snowbot/adapter"
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
