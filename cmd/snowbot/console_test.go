package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/mux"
)

// adminListener is the admin listener's routes for a store, guarded by a token unless that is empty.
func adminListener(t *testing.T, token string) http.Handler {
	t.Helper()
	path, _ := filledStore(t)
	st := openStore(t, path, nil)
	t.Cleanup(func() { st.Close() })
	r := mux.NewRouter()
	adminRoutes(r, &service{store: &database{Store: st}, log: slog.New(slog.DiscardHandler)}, token)
	return r
}

func getPage(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	return w
}

// Everything that the page names is there and allowed by its policy, and none of it holds anything of anybody.
func TestConsoleIsWhole(t *testing.T) {
	t.Parallel()
	h := adminListener(t, "secret")
	if w := getPage(t, h, "/console"); w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != "/console/" {
		t.Errorf("/console: %d to %q, want 301 to /console/", w.Code, w.Header().Get("Location"))
	}
	names := regexp.MustCompile(`(?:href|src)="([^"]+)"|from '\./([^']+)'`)
	seen := map[string]bool{}
	for todo := []string{""}; len(todo) > 0; todo = todo[1:] {
		name := todo[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		w := getPage(t, h, "/console/"+name)
		if w.Code != http.StatusOK {
			t.Errorf("/console/%s: %d, want 200", name, w.Code)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("/console/%s has the policy %q", name, policy)
		}
		for _, m := range names.FindAllStringSubmatch(w.Body.String(), -1) {
			todo = append(todo, m[1]+m[2])
		}
	}
	if len(seen) < 7 {
		t.Errorf("the page names only %d files: %v", len(seen), seen)
	}
	if w := getPage(t, h, "/console/console.go"); w.Code != http.StatusNotFound {
		t.Errorf("a file that is none of the page's: %d, want 404", w.Code)
	}
	if w := getPage(t, h, "/api/admin/sessions"); w.Code != http.StatusUnauthorized {
		t.Errorf("what the page shows, without the token: %d, want 401", w.Code)
	}
}

func TestConsoleIsOffWithoutAToken(t *testing.T) {
	t.Parallel()
	h := adminListener(t, " ")
	for _, target := range []string{"/console", "/console/", "/console/console.js", "/api/admin/stats"} {
		if w := getPage(t, h, target); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", target, w.Code)
		}
	}
}
