package main

import (
	"embed"
	"io/fs"
	"net"
	"net/http"
	"path"

	"github.com/gorilla/mux"
)

//go:embed sandbox/*.html sandbox/*.js sandbox/*.css sandbox/*.svg
var sandboxFiles embed.FS

// pagePolicy lets the page load nothing but its own files.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is everything that a browser is served.
func (s *sandbox) page() http.Handler {
	r := mux.NewRouter()
	file := func(at, name string) {
		r.HandleFunc(at, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, sandboxFiles, name)
		}).Methods(http.MethodGet, http.MethodHead)
	}
	names, err := fs.Glob(sandboxFiles, "sandbox/*")
	if err != nil {
		panic("sandbox: " + err.Error()) // the pattern is well-formed
	}
	for _, name := range names {
		file("/"+path.Base(name), name)
	}
	file("/", "sandbox/index.html")
	r.HandleFunc("/events", s.events).Methods(http.MethodGet)
	r.HandleFunc(filesPath+"/{token}", s.serviceFile).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/desk/{chat}/{line}", s.deskFile).Methods(http.MethodGet)
	for name, do := range s.actions() {
		r.HandleFunc("/api/"+name, s.act(do)).Methods(http.MethodPost)
	}
	return onlyOwnPage(r)
}

// onlyOwnPage refuses what another page in the same browser could send: requests under any name but that of this
// machine, which is how a foreign name is bound to a loopback address, and requests of a foreign origin.
func onlyOwnPage(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		switch {
		case !isLoopback(host):
			answerJSON(w, http.StatusForbidden, map[string]string{"error": "the page is for this machine only"})
		case foreign.Check(r) != nil || r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.URL.Path == "/events":
			answerJSON(w, http.StatusForbidden, map[string]string{"error": "another page must not do that"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}
