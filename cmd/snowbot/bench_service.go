package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"
)

// A benchService is what is measured: a process that listens and says so in its log.
type benchService struct {
	*childProcess
	at listenLine
}

func startService(ctx context.Context, binary string, args, env []string, log io.Writer) (*benchService, error) {
	tap := &logTap{to: log, found: make(chan listenLine, 1)}
	cmd := exec.Command(binary, args...)            //nolint:noctx // this very program, or a bot that was named; stop ends it
	cmd.Env, cmd.Stderr, cmd.Stdout = env, tap, tap // one and the same is written to by one goroutine
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the service cannot be started: %w", err)
	}
	s := &benchService{childProcess: &childProcess{cmd: cmd, ended: make(chan struct{})}}
	go s.wait() //nolint:errcheck // how says what it was
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	select {
	case s.at = <-tap.found:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("the service did not come up: %s", s.how())
	case <-late.C:
		s.kill()
		return nil, errors.New("the service did not come up in time")
	case <-ctx.Done():
		s.childProcess.stop()
		return nil, ctx.Err()
	}
}

// ready waits until the service is ready.
func (s *benchService) ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.at.Addr+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return fmt.Errorf("the service ended with %s", s.how())
		}
	}
}

func (l listenLine) bot() string     { return "http://" + l.Addr + "/api/messages" }
func (l listenLine) webhook() string { return "http://" + l.Addr + "/api/v1/snowBot/receiveMessage" }

// stop ends the process in good order.
func (s *benchService) stop() error {
	s.childProcess.stop()
	if !s.cmd.ProcessState.Success() {
		return fmt.Errorf("the service ended with %s", s.how())
	}
	return nil
}
