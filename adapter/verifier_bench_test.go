package adapter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"snowbot/adapter"
)

func BenchmarkVerifyCold(b *testing.B) {
	c := newClock()
	v := newVerifier(b, newIdentityProvider(), c, nil)
	tokens := make([]string, 64)
	for i := range tokens {
		tokens[i] = "Bearer " + newToken(b, c, func(s *tokenSpec) { s.claims["jti"] = i })
	}
	a := newActivity(nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%len(tokens) == 0 { // a fresh verifier has an empty cache
			b.StopTimer()
			v = newVerifier(b, newIdentityProvider(), c, nil)
			if err := v.Verify(b.Context(), "Bearer "+newToken(b, c, nil), a); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if err := v.Verify(b.Context(), tokens[i%len(tokens)], a); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	c := newClock()
	v := newVerifier(b, newIdentityProvider(), c, nil)
	authorization := "Bearer " + newToken(b, c, func(s *tokenSpec) { s.claims["padding"] = string(bytes.Repeat([]byte("x"), 300)) })
	a := newActivity(nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Verify(b.Context(), authorization, a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	c := newClock()
	h, err := adapter.NewHandler(adapter.HandlerOptions{
		Verifier: newVerifier(b, newIdentityProvider(), c, nil), AppID: appID, Tenants: []string{tenantID},
		OnActivity: func(context.Context, *adapter.Activity) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	body, err := json.Marshal(newActivity(nil))
	if err != nil {
		b.Fatal(err)
	}
	authorization := "Bearer " + newToken(b, c, nil)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/messages", bytes.NewReader(body))
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
