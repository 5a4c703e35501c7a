package adaptertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// sentFile is the variable of the environment that may name a file for all channels of all processes: what
// bots send is appended to it, so that a whole test suite's activities can be judged at once.
const sentFile = "ADAPTERTEST_SENT"

// A sent is a line of that file.
type sent struct {
	Name     string          `json:"name"` // the program and the exchange
	Method   string          `json:"method"`
	Path     string          `json:"path"`
	Activity json.RawMessage `json:"activity"`
}

// keepSent begins to write down what bots send, if that is wanted.
func (c *Channel) keepSent() error {
	path := os.Getenv(sentFile)
	if path == "" {
		return nil
	}
	// Several processes write at once: whole lines at the end.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	c.sent = f
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
	c.Subscribe(func(x Exchange) {
		if !x.sends() {
			return
		}
		s := sent{Name: fmt.Sprintf("%s, exchange %d", program, x.Seq), Method: x.Method, Path: x.Path}
		if json.Valid([]byte(x.RequestBody)) { // else the line has none, which is a fault, too
			s.Activity = json.RawMessage(x.RequestBody)
		}
		line, err := json.Marshal(s)
		if err == nil {
			_, err = f.Write(append(line, '\n'))
		}
		if err != nil {
			c.log.Error("what a bot sent cannot be kept", "err", err)
		}
	})
	return nil
}

// sends reports whether a bot sends or changes an activity.
func (e Exchange) sends() bool {
	return e.Direction == In && (e.Method == http.MethodPost || e.Method == http.MethodPut) && strings.Contains(e.Path, "/activities")
}
