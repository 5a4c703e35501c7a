package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A serviceState is what the page says of the service.
type serviceState string

const (
	serviceStarting serviceState = "starting" // or running, but not ready
	serviceReady    serviceState = "running"
	serviceDead     serviceState = "killed"
	serviceStopping serviceState = "stopping"
)

// A serviceStatus is the service as the page shows it.
type serviceStatus struct {
	State  serviceState `json:"state"`
	Detail string       `json:"detail,omitempty"` // why it is not ready, or how it ended
	PID    int          `json:"pid,omitempty"`
	Addr   string       `json:"addr,omitempty"`
	Admin  string       `json:"admin,omitempty"`
	Starts int          `json:"starts"`
	Since  time.Time    `json:"since"`
	Log    string       `json:"log"`
}

// What the page may ask of the child.
const (
	childKill  = "kill"
	childStart = "start"
)

// A sandboxChild is the real service as a process of its own, so that it can be killed and started again on the same file.
type sandboxChild struct {
	binary    string
	env       []string
	logPath   string
	listening func(addr string) // the service listens there
	changed   func()            // the status has changed
	client    *http.Client
	orders    chan childOrder
	done      chan struct{} // closed when run has ended

	mu sync.Mutex
	st serviceStatus
}

type childOrder struct {
	do     string
	result chan error
}

// newSandboxChild describes a child, whose environment is env and what childEnv adds.
func newSandboxChild(binary, logPath string, env map[string]string) *sandboxChild {
	c := &sandboxChild{
		binary: binary, env: childEnv(env), logPath: logPath, client: &http.Client{Timeout: 2 * time.Second},
		orders: make(chan childOrder), done: make(chan struct{}),
		listening: func(string) {}, changed: func() {},
		st: serviceStatus{State: serviceStarting, Log: logPath, Since: time.Now()},
	}
	return c
}

func (c *sandboxChild) status() serviceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st
}

func (c *sandboxChild) set(f func(*serviceStatus)) {
	c.mu.Lock()
	before := c.st
	f(&c.st)
	same := before == c.st
	c.mu.Unlock()
	if !same {
		c.changed()
	}
}

// order asks for childKill or childStart and waits until it is done.
func (c *sandboxChild) order(ctx context.Context, do string) error {
	o := childOrder{do, make(chan error, 1)}
	select {
	case c.orders <- o:
		return <-o.result
	case <-c.done:
		return errors.New("the sandbox is ending")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run starts the child, carries out orders, and ends the child with ctx. A child that ends by itself stays ended until
// it is ordered to start; one that does not come up at first is an error.
func (c *sandboxChild) run(ctx context.Context) error {
	defer close(c.done)
	// The kernel ends a child with the thread that started it (dieWithParent), so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	logs, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	var lives errgroup.Group // one after the other
	defer lives.Wait()       //nolint:errcheck // none fails
	p, err := c.start(ctx, &lives, logs)
	if err != nil {
		return err
	}
	for {
		var ended chan struct{}
		if p != nil {
			ended = p.ended
		}
		select {
		case <-ctx.Done():
			c.set(func(s *serviceStatus) { s.State = serviceStopping })
			p.stop()
			return nil
		case <-ended:
			c.gone("it ended by itself: " + p.how())
			p = nil
		case o := <-c.orders:
			switch {
			case o.do == childKill && p != nil:
				p.kill()
				c.gone("killed with kill -9")
				p = nil
				o.result <- nil
			case o.do == childStart && p == nil:
				p, err = c.start(ctx, &lives, logs)
				o.result <- err
			case o.do == childKill:
				o.result <- errors.New("the service does not run")
			default:
				o.result <- errors.New("the service runs already")
			}
		}
	}
}

func (c *sandboxChild) gone(how string) {
	c.set(func(s *serviceStatus) {
		s.State, s.Detail, s.PID, s.Addr, s.Admin, s.Since = serviceDead, how, 0, "", "", time.Now()
	})
}

// start starts the child and waits until it listens.
func (c *sandboxChild) start(ctx context.Context, lives *errgroup.Group, logs io.Writer) (*childProcess, error) {
	tap := &logTap{to: logs, found: make(chan listenLine, 1)}
	cmd := exec.Command(c.binary, "serve") //nolint:noctx // this very program; its end is run's business
	cmd.Env, cmd.Stderr, cmd.Stdout = c.env, tap, logs
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		c.gone("it could not be started")
		return nil, fmt.Errorf("the service cannot be started: %w", err)
	}
	p := &childProcess{cmd: cmd, ended: make(chan struct{})}
	lives.Go(p.wait)
	c.set(func(s *serviceStatus) {
		*s = serviceStatus{State: serviceStarting, PID: cmd.Process.Pid, Starts: s.Starts + 1, Since: time.Now(), Log: c.logPath}
	})
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	select {
	case l := <-tap.found:
		c.set(func(s *serviceStatus) { s.Addr, s.Admin = l.Addr, l.Admin })
		c.listening(l.Addr)
		return p, nil
	case <-p.ended:
		c.gone("it ended by itself: " + p.how())
		return nil, fmt.Errorf("the service did not come up: %s; its log is %s", p.how(), c.logPath)
	case <-late.C:
		p.kill()
		c.gone("it did not come up in time")
		return nil, fmt.Errorf("the service did not come up in time; its log is %s", c.logPath)
	case <-ctx.Done():
		p.stop()
		return nil, nil //nolint:nilnil // it is over
	}
}

// probe keeps asking whether the service is ready, until ctx ends.
func (c *sandboxChild) probe(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		st := c.status()
		if st.Admin == "" {
			continue
		}
		ready, why := c.ready(ctx, st.Admin)
		c.set(func(s *serviceStatus) {
			switch {
			case s.PID != st.PID || s.State == serviceStopping: // meanwhile it is another one
			case ready:
				s.State, s.Detail = serviceReady, ""
			default:
				s.State, s.Detail = serviceStarting, why
			}
		})
	}
}

func (c *sandboxChild) ready(ctx context.Context, admin string) (ready bool, why string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return false, ""
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return false, "it does not answer"
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	return resp.StatusCode == http.StatusOK, string(bytes.TrimSpace(body))
}
