package bot

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"snowbot/adapter"
	"snowbot/snow"
)

// The breaker of a host opens when half of at least breakerCalls calls in breakerSpan have failed, and then lets one
// call through every breakerProbe, until one succeeds.
const (
	breakerCalls = 20 // of all replicas
	breakerSpan  = 10 * time.Second
	breakerProbe = 5 * time.Second
)

// instanceHost is the name of the one instance of ServiceNow among the hosts.
const instanceHost = "servicenow"

// A host is a remote host as its breaker sees it.
type host struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	opened  atomic.Int64 // Unix nanoseconds
	probing atomic.Bool
	down    atomic.Bool // since it opened, until a probe succeeds
	well    atomic.Bool // the last call succeeded
	share   replicas
	news    chan struct{} // down or well may have changed
}

func newHost(name string) *host {
	h := &host{news: make(chan struct{}, 1)}
	h.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         name,
		Interval:     breakerSpan,
		BucketPeriod: time.Second,
		Timeout:      breakerProbe,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			calls := c.TotalSuccesses + c.TotalFailures
			return calls >= h.share.breakerCalls() && 2*c.TotalFailures >= calls
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoCall) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				h.opened.Store(time.Now().UnixNano())
				h.down.Store(true)
			case gobreaker.StateClosed:
				h.down.Store(false)
			default:
				return
			}
			h.tell()
		},
	})
	return h
}

func (h *host) tell() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// ask asks to make a call. Either report has to be told what came of it, or the answer may be another one after wait.
func (h *host) ask() (report func(error), wait time.Duration) {
	done, err := h.breaker.Allow()
	switch {
	case errors.Is(err, gobreaker.ErrOpenState):
		return nil, max(time.Until(time.Unix(0, h.opened.Load()).Add(breakerProbe)), 0) + time.Millisecond
	case err != nil:
		return nil, time.Second // or less, when the probe is over
	}
	probe := h.breaker.State() == gobreaker.StateHalfOpen
	if probe {
		h.probing.Store(true)
	}
	return func(err error) {
		if probe {
			h.probing.Store(false)
		}
		done(err)
		switch {
		case errors.Is(err, errNoCall):
		case err != nil:
			h.well.Store(false)
		case !h.well.Swap(true):
			h.tell()
		}
	}, 0
}

// out reports whether the host cannot be reached, as far as is known. While nobody has tried for a
// while, that is not known: the next call is the probe.
func (h *host) out() bool {
	switch h.breaker.State() {
	case gobreaker.StateOpen:
		return true
	case gobreaker.StateHalfOpen:
		return h.probing.Load()
	default:
		return false
	}
}

// hosts are the remote hosts that were called.
type hosts struct {
	replicas replicas
	mu       sync.Mutex
	byName   map[string]*host
}

func (h *hosts) get(name string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.byName[name]
	if x == nil {
		if h.byName == nil {
			h.byName = map[string]*host{}
		}
		h.prune()
		x = newHost(name)
		x.share = h.replicas
		h.byName[name] = x
	}
	return x
}

// hostsMost is how many hosts are remembered before those that are well are forgotten. Teams has a handful.
const hostsMost = 64

// prune makes room for another host. The lock is held.
func (h *hosts) prune() {
	if len(h.byName) < hostsMost {
		return
	}
	maps.DeleteFunc(h.byName, func(name string, x *host) bool { return name != instanceHost && !x.down.Load() })
}

// state says of each host whether it is out.
func (h *hosts) state() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]bool{}
	for name, x := range h.byName {
		out[name] = x.out()
	}
	return out
}

// teamsHost is the host that the conversation is spoken to through.
func teamsHost(ref adapter.Reference) string {
	_, rest, _ := strings.Cut(ref.ServiceURL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// errNoCall says nothing about a host: it was not called.
var errNoCall = errors.New("the host was not called")

// health returns what the error of a send, errNoCall if there was none, says about its host: nil that it is well, errNoCall nothing,
// and another error that it is not. An answer that is about one conversation, such as 403 or a 429 of Teams, is that of a host that is
// well. ServiceNow's 429 is about all of them: it answers and takes nothing, which neither begins an outage nor ends one.
func health(err error) error {
	if err == nil {
		return nil
	}
	var he *adapter.HostError
	var fe *fetchError
	var ae *adapter.Error
	var se *snow.Error
	status, page, token := 0, false, false
	switch {
	case errors.As(err, &he), errors.As(err, &fe):
		return errNoCall
	case errors.As(err, &ae):
		status, page, token = ae.StatusCode, ae.Code == adapter.CodeNotConnector, ae.Op == "token"
	case errors.As(err, &se):
		status, page, token = se.StatusCode, se.NotJSON, se.Op == "token"
	default:
		return errNoCall
	}
	if se != nil && status == http.StatusTooManyRequests {
		return errNoCall
	}
	if status == 0 || page || token || status >= 500 || status == http.StatusRequestTimeout {
		return err
	}
	return nil
}
