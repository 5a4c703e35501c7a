package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
)

// A killPoint is a moment in the life of a message, at which the process ends.
type killPoint struct {
	name string
	end  func(ctx context.Context, b *binary, p *history.Plan) error
}

// killPoints are all the moments between which something of a message becomes durable, or visible.
var killPoints = []killPoint{
	{"nothing of the commit is written", atSyscall("pwrite64:signal=SIGKILL", nil)},
	{"its pages are written", atStep(pagesWritten)},
	{"its pages are synced", atStep(pagesSynced)},
	{"its meta page is written", atStep(metaWritten)},
	{"it is synced, and nobody knows yet", atStep(committed)},
	{"Teams has taken a send and not answered", func(ctx context.Context, b *binary, p *history.Plan) error {
		return atExchange(ctx, b, func(hit func()) (cancel func()) {
			return p.Teams.Subscribe(func(x adaptertest.Exchange) {
				if x.Direction == adaptertest.In && x.Effect && len(history.Marks(x.RequestBody, history.FromAgent)) > 0 {
					hit()
				}
			})
		})
	}},
	{"ServiceNow has taken a send and not answered", func(ctx context.Context, b *binary, p *history.Plan) error {
		return atExchange(ctx, b, func(hit func()) (cancel func()) {
			return p.ServiceNow.Subscribe(func(x snowtest.Exchange) {
				if x.Direction == snowtest.In && x.Status == 200 && len(history.Marks(x.RequestBody, history.FromEmployee)) > 0 {
					hit()
				}
			})
		})
	}},
	{"the disk is full", atSyscall("pwrite64:error=ENOSPC", refuses)},
	{"the disk cannot sync", atSyscall("fdatasync:error=EIO", refuses)},
}

// refuses is what has to become of a service that cannot write: it ends by itself, and not as if all were well.
func refuses(s *os.ProcessState) error {
	if s.ExitCode() != 1 {
		return fmt.Errorf("the service ended with %s, want exit status 1", s)
	}
	return nil
}

// A pointedBinary is a binary whose Kill goes from one killPoint to the next.
type pointedBinary struct {
	*binary
	plan *history.Plan
	done int
}

func (b *pointedBinary) Kill() error {
	p := killPoints[b.done%len(killPoints)]
	b.done++
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the checker's Kill has no context
	defer cancel()
	if err := p.end(ctx, b.binary, b.plan); err != nil {
		return fmt.Errorf("end it when %s: %w", p.name, errors.Join(err, b.binary.Kill()))
	}
	return nil
}

// ended waits until the process has ended by what was done to it.
func (b *binary) ended(ctx context.Context) error {
	select {
	case <-b.proc.ended:
		return nil
	case <-ctx.Done():
		return errors.New("it never came to that")
	}
}

// atExchange kills the process when one side has acted on a request, before it answers.
func atExchange(ctx context.Context, b *binary, watch func(hit func()) (cancel func())) error {
	var once sync.Once
	defer watch(func() { once.Do(func() { _ = b.proc.cmd.Process.Kill() }) })()
	return b.ended(ctx)
}

// strace attaches to the process, which goes on when ctx ends. What it says comes out of the reader.
func strace(ctx context.Context, pid int, args ...string) (said io.ReadCloser, wait func() error, err error) {
	said, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, "strace", append([]string{"-f", "-q", "-o", "/dev/fd/3", "-p", strconv.Itoa(pid)}, args...)...) // strace
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }                                                        // it lets the process go first
	cmd.ExtraFiles = []*os.File{out}
	err = cmd.Start()
	return said, cmd.Wait, errors.Join(err, out.Close())
}

// atSyscall has the next system call of a kind end the process, or fail until the process ends by itself.
func atSyscall(inject string, check func(*os.ProcessState) error) func(context.Context, *binary, *history.Plan) error {
	name, _, _ := strings.Cut(inject, ":")
	return func(ctx context.Context, b *binary, _ *history.Plan) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		said, wait, err := strace(ctx, b.proc.cmd.Process.Pid, "-e", "trace="+name, "-e", "inject="+inject)
		if err != nil {
			return err
		}
		defer said.Close()
		drained := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, said); close(drained) }()
		err = b.ended(ctx)
		cancel()
		_ = wait() // it ends with the process
		<-drained
		if err == nil && check != nil {
			err = check(b.proc.cmd.ProcessState)
		}
		return err
	}
}

// A step is how far a commit has come in the file.
type step int

const (
	unknown step = iota
	pagesWritten
	pagesSynced
	metaWritten
	committed
)

// A stepper follows the lines of strace. A call that others interrupt comes in two lines, of which the first has the offset.
type stepper struct {
	at     step
	offset int
}

var (
	offsetPattern   = regexp.MustCompile(`pwrite64\(.*, (\d+)(?:\)| <unfinished)`)
	returnedPattern = regexp.MustCompile(`(pwrite64|fdatasync)(?:\(| resumed).*\)\s+= \d+`)
)

// returned takes a line, and reports whether a call has come back. The two meta pages are the first of the file.
func (s *stepper) returned(line string) bool {
	if m := offsetPattern.FindStringSubmatch(line); m != nil {
		s.offset, _ = strconv.Atoi(m[1])
	}
	m := returnedPattern.FindStringSubmatch(line)
	switch {
	case m == nil:
		return false
	case m[1] == "pwrite64" && s.offset < 2*os.Getpagesize():
		s.at = metaWritten
	case m[1] == "pwrite64":
		s.at = pagesWritten
	case s.at == pagesWritten:
		s.at = pagesSynced
	case s.at == metaWritten:
		s.at = committed
	default:
		s.at = unknown
	}
	return true
}

// atStep stops the process after each step of its commits, and kills it at the one that is wanted.
func atStep(wanted step) func(context.Context, *binary, *history.Plan) error {
	return func(ctx context.Context, b *binary, _ *history.Plan) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		proc := b.proc.cmd.Process
		said, wait, err := strace(ctx, proc.Pid, "-e", "trace=pwrite64,fdatasync", "-e", "inject=pwrite64,fdatasync:signal=SIGSTOP")
		if err != nil {
			return err
		}
		defer said.Close()
		s, stopping := stepper{}, false
		lines := bufio.NewScanner(said)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			switch line := lines.Text(); {
			case s.returned(line):
				if stopping = true; s.at == wanted {
					_ = proc.Kill() // the call has returned, and its thread does not go on
				}
			case stopping && strings.Contains(line, "stopped by SIGSTOP"):
				stopping = false
				_ = proc.Signal(syscall.SIGCONT)
			}
		}
		_ = wait() // it ends with the process
		if err := b.ended(ctx); err != nil {
			return err
		}
		if s.at != wanted {
			return fmt.Errorf("the process ended at step %d instead of %d", s.at, wanted)
		}
		return nil
	}
}

// TestServiceEndsAtEveryPoint ends the process at each of the moments at which a message could get lost or be repeated, while all talk.
func TestServiceEndsAtEveryPoint(t *testing.T) {
	t.Parallel()
	p := history.Plan{Seed: 7, Conversations: 20, Messages: 20, FaultRate: 0.05, Kills: 2 * len(killPoints)}
	checkHistory(t, &p, map[string]string{"TEAMS_PACING": "off"}, func(b *binary) history.Target {
		return &pointedBinary{binary: b, plan: &p}
	})
}

// TestServiceKeepsItsPromisesOnASlowDisk has every sync take a tenth of a second, two of which make a commit.
func TestServiceKeepsItsPromisesOnASlowDisk(t *testing.T) {
	t.Parallel()
	p := history.Plan{Seed: 8, Conversations: 20, Messages: 8, FaultRate: 0.05, Kills: 1, Stops: 1}
	checkHistory(t, &p, map[string]string{"TEAMS_PACING": "off"}, func(b *binary) history.Target {
		b.command = append([]string{
			"strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=100000", "-e", "signal=none",
		}, b.command...)
		return b
	})
}
