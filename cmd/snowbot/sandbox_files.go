package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"

	"github.com/gorilla/mux"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
	"snowbot/store"
)

// A pageFile is a file that somebody chose on the page, or a picture that was pasted.
type pageFile struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Data   []byte `json:"data"` // base64
	Pasted bool   `json:"pasted"`
}

var errNoFile = errors.New("choose a file")

// sendFile posts a file of the employee.
func (s *sandbox) sendFile(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
	if c.File == nil {
		return errNoFile
	}
	post := e.chat.SendFiles
	if c.File.Pasted {
		post = e.chat.Paste
	}
	p, err := post(ctx, e.user, c.Text, adaptertest.File{Name: c.File.Name, ContentType: c.File.Type, Data: c.File.Data})
	return s.posted(e, p, err)
}

// serviceFile hands a file of the service on: the page is its public address, which stays when it is started anew.
func (s *sandbox) serviceFile(w http.ResponseWriter, r *http.Request) {
	addr := s.serviceAddr.Load()
	if addr == nil {
		http.Error(w, "the service does not run yet", http.StatusBadGateway)
		return
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
		w.Header().Del(name) // the service has its own
	}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: *addr}) }}
	proxy.ServeHTTP(w, r)
}

// deskFile shows a file that the desk has got.
func (s *sandbox) deskFile(w http.ResponseWriter, r *http.Request) {
	c, err := s.now.Chat(mux.Vars(r)["chat"])
	i := slices.IndexFunc(c.Lines, func(l snowtest.Line) bool { return l.ID == mux.Vars(r)["line"] && l.File != nil })
	if err != nil || i < 0 {
		http.NotFound(w, r)
		return
	}
	f := c.Lines[i].File
	send(w, r, store.File{Name: f.Name, ContentType: f.ContentType, Data: f.Data})
}
