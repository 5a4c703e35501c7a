package main

import (
	"sync"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

const (
	wireKept = 300      // exchanges
	wireBody = 64 << 10 // bytes of a body, which the longest messages do not reach
)

// A wireEntry is one request on the wire, as the page lists it.
type wireEntry struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Status   int       `json:"status"` // 0: no answer
	Request  string    `json:"request,omitempty"`
	Response string    `json:"response,omitempty"`
	Fault    string    `json:"fault,omitempty"`
	Note     string    `json:"note,omitempty"`
	Millis   float64   `json:"ms"`
}

// The parties on the wire.
const (
	partyTeams      = "Teams"
	partyBot        = "snowbot"
	partyServiceNow = "ServiceNow"
)

func wireOfTeams(e *adaptertest.Exchange) wireEntry {
	w := wireEntry{
		At: e.At, From: partyBot, To: partyTeams, Method: e.Method, Path: e.Path, Status: e.Status,
		Request: e.RequestBody, Response: e.ResponseBody, Fault: e.Fault, Millis: millis(e.Duration),
	}
	if e.Direction == adaptertest.Out {
		w.From, w.To = w.To, w.From
	}
	return w
}

func wireOfServiceNow(e *snowtest.Exchange) wireEntry {
	w := wireEntry{
		At: e.At, From: partyBot, To: partyServiceNow, Method: e.Method, Path: e.Path, Status: e.Status,
		Request: e.RequestBody, Response: e.ResponseBody, Fault: e.Fault, Note: e.Note, Millis: millis(e.Duration),
	}
	if e.Direction == snowtest.Out {
		w.From, w.To = w.To, w.From
	}
	return w
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A sandboxHub tells the pages that something has changed, and keeps the latest of the wire.
type sandboxHub struct {
	mu   sync.Mutex
	wire []wireEntry
	seq  uint64
	next chan struct{}
}

func newSandboxHub() *sandboxHub { return &sandboxHub{next: make(chan struct{})} }

// touch says that something has changed.
func (h *sandboxHub) touch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.next)
	h.next = make(chan struct{})
}

// changed returns a channel that is closed at the next change.
func (h *sandboxHub) changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// record keeps an exchange and gives it a number.
func (h *sandboxHub) record(w wireEntry) {
	w.Request, w.Response = short(w.Request), short(w.Response)
	h.mu.Lock()
	h.seq++
	w.Seq = h.seq
	if len(h.wire) >= 2*wireKept {
		h.wire = append([]wireEntry(nil), h.wire[len(h.wire)-wireKept:]...)
	}
	h.wire = append(h.wire, w)
	h.mu.Unlock()
	h.touch()
}

// since returns what was recorded after a number, wireKept at most.
func (h *sandboxHub) since(seq uint64) []wireEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(int(h.seq-min(seq, h.seq)), len(h.wire), wireKept) // a few hundred after min
	return append([]wireEntry(nil), h.wire[len(h.wire)-n:]...)
}

func short(body string) string {
	if len(body) > wireBody {
		return body[:wireBody] + "… (cut)"
	}
	return body
}
