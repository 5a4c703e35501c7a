package main

import (
	"embed"
	"net/http"

	"github.com/gorilla/mux"
)

//go:embed console/*.html console/*.js console/*.css sandbox/el.js sandbox/icon.svg
var consoleFiles embed.FS

// consolePath is where the console is served.
const consolePath = "/console"

// consoleRoutes adds the console to the router of the admin listener: a page over the admin API that shows the live
// sessions and what was given up, and sends it again or drops it. The page itself holds nothing worth keeping from anybody, and its
// reader has to give the admin token for everything else.
func consoleRoutes(r *mux.Router) {
	for at, name := range map[string]string{
		"/": "console/index.html", "/console.js": "console/console.js", "/letters.js": "console/letters.js",
		"/api.js": "console/api.js", "/console.css": "console/console.css", "/el.js": "sandbox/el.js", "/icon.svg": "sandbox/icon.svg",
	} {
		r.HandleFunc(consolePath+at, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", pagePolicy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			http.ServeFileFS(w, r, consoleFiles, name)
		}).Methods(http.MethodGet, http.MethodHead)
	}
	r.Handle(consolePath, http.RedirectHandler(consolePath+"/", http.StatusMovedPermanently)).Methods(http.MethodGet, http.MethodHead)
}
