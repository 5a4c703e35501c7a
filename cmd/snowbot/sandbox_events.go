package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	eventsEvery = 50 * time.Millisecond // at most one look at the state
	eventsAlive = 15 * time.Second      // at least one line
	eventsWrite = 10 * time.Second      // for one page that reads slowly
)

// events streams the state, whole whenever it has changed, and the wire: first all that is kept, then what is new. A page
// that was cut off connects again and is as good as new.
func (s *sandbox) events(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	send := func(event string, v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return write(out, w, "event: "+event+"\ndata: "+string(raw)+"\n\n")
	}
	if write(out, w, "retry: 500\n\n") != nil {
		return
	}
	pause := time.NewTimer(0) // between two looks
	defer pause.Stop()
	alive := time.NewTicker(eventsAlive)
	defer alive.Stop()
	var seq uint64
	var shown string
	for first := true; ; first = false {
		select {
		case <-r.Context().Done():
			return
		case <-pause.C:
		}
		changed := s.hub.changed() // before looking, so that nothing is missed
		wire := s.hub.since(seq)
		if first {
			if send("reset", wire) != nil {
				return
			}
		} else if len(wire) > 0 && send("wire", wire) != nil {
			return
		}
		if len(wire) > 0 {
			seq = wire[len(wire)-1].Seq
		}
		raw, err := json.Marshal(s.state())
		if err != nil {
			return
		}
		if text := string(raw); text != shown {
			if write(out, w, "event: state\ndata: "+text+"\n\n") != nil {
				return
			}
			shown = text
		}
		for waiting := true; waiting; {
			select {
			case <-r.Context().Done():
				return
			case <-changed:
				waiting = false
			case <-alive.C:
				if write(out, w, ": alive\n\n") != nil {
					return
				}
			}
		}
		pause.Reset(eventsEvery)
	}
}

func write(out *http.ResponseController, w http.ResponseWriter, text string) error {
	if err := out.SetWriteDeadline(time.Now().Add(eventsWrite)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(w, text); err != nil {
		return err
	}
	return out.Flush()
}
