package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
)

// Flags of TestServiceKeepsItsPromises; see package history.
var (
	historySeed     = flag.Uint64("history.seed", 0, "check the history of this seed only")
	historyMessages = flag.Int("history.messages", 0, "check one history of about so many messages")
	historyKills    = flag.Int("history.kills", 3, "how often the service is killed in each history")
)

// A binary is the real program as a target of the history checker.
type binary struct {
	env  []string
	proc *exec.Cmd
	done chan error // what became of the process
	logs lockedBuffer
}

// newBinary prepares the program between two emulators. The variables given come on top.
func newBinary(t *testing.T, teams *adaptertest.Channel, inst *snowtest.Instance, more map[string]string) *binary {
	t.Helper()
	id, secret, user, password := inst.Credentials()
	env := complete()
	maps.Copy(env, map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "ADMIN_LISTEN_ADDR": "127.0.0.1:0",
		"MICROSOFT_APP_ID": teams.AppID(), "MICROSOFT_APP_PASSWORD": teams.AppPassword(), "MICROSOFT_APP_TENANT_ID": teams.TenantID(),
		"BOT_OPENID_METADATA": teams.MetadataURL(), "BOT_TOKEN_URL": teams.TokenURL(),
		"SERVICENOW_INSTANCE": inst.URL(), "SERVICENOW_CLIENT_ID": id, "SERVICENOW_CLIENT_SECRET": secret,
		"SERVICENOW_USERNAME": user, "SERVICENOW_PASSWORD": password, "WEBHOOK_SECRET": rigSecret,
		"DATABASE_URL": "bbolt:" + filepath.Join(t.TempDir(), "snowbot.db"),
		"PATH":         os.Getenv("PATH"), "HOME": t.TempDir(),
	})
	maps.Copy(env, more)
	b := &binary{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		b.env = append(b.env, name+"="+env[name])
	}
	return b
}

// Start starts the program and waits until it is ready.
func (b *binary) Start(ctx context.Context) (history.Addresses, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	b.proc = exec.Command("snowbot", "serve") //nolint:noctx // ended by Kill and Stop
	b.proc.Env = b.env
	out, err := b.proc.StderrPipe()
	if err != nil {
		return history.Addresses{}, err
	}
	if err := b.proc.Start(); err != nil {
		return history.Addresses{}, err
	}
	type listening struct{ Msg, Addr, Admin string }
	heard := make(chan listening, 1)
	b.done = make(chan error, 1)
	go func(proc *exec.Cmd, done chan<- error) {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			b.logs.add(lines.Text())
			var l listening
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
				heard <- l
			}
		}
		done <- proc.Wait()
	}(b.proc, b.done)
	select {
	case l := <-heard:
		return history.Addresses{
			Bot: "http://" + l.Addr + "/api/messages", Webhook: "http://" + l.Addr + "/api/v1/snowBot/receiveMessage",
			WebhookSecret: rigSecret, Metrics: "http://" + l.Admin + "/metrics",
		}, b.ready(ctx, "http://"+l.Addr+"/readyz")
	case err := <-b.done:
		return history.Addresses{}, fmt.Errorf("the service did not start: %w", errors.Join(err, errors.New("exited")))
	case <-ctx.Done():
		return history.Addresses{}, errors.Join(errors.New("the service does not listen"), b.Kill())
	}
}

func (b *binary) ready(ctx context.Context, url string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Kill ends the program as a power cut would, apart from what the operating system has not written yet.
func (b *binary) Kill() error {
	err := b.proc.Process.Kill()
	<-b.done //nolint:errcheck // killed: there is an error, and it says so
	return err
}

// Stop ends it in good order.
func (b *binary) Stop() error {
	if err := b.proc.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-b.done:
		return err
	case <-time.After(15 * time.Second):
		return errors.Join(errors.New("the service does not stop"), b.Kill())
	}
}

// TestServiceKeepsItsPromises has employees and agents talk through the real binary while requests fail on both sides and
// the process is killed and stopped, and reads in the emulators what became of every message.
func TestServiceKeepsItsPromises(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, rand.Uint64N(1 << 32)}
	if *historySeed != 0 || *historyMessages != 0 {
		seeds = []uint64{max(*historySeed, 1)}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			checkHistory(t, history.Plan{Seed: seed, Conversations: 40, Messages: 25, FaultRate: 0.1, Kills: *historyKills, Stops: 1},
				map[string]string{"TEAMS_PACING": "off"})
		})
	}
}

// checkHistory runs a plan against the real binary and fails the test for every broken promise.
func checkHistory(t *testing.T, p history.Plan, env map[string]string) {
	t.Helper()
	if *historyMessages > 0 {
		p.Conversations = 50
		p.Messages = max(1, *historyMessages/(2*p.Conversations))
	}
	var err error
	if p.Teams, err = adaptertest.New(adaptertest.Options{Seed: p.Seed, KeepLast: 50}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Teams.Close() })
	if p.ServiceNow, err = snowtest.New(snowtest.Options{Seed: p.Seed, AgentNames: true, WaitTime: "2 Minutes"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.ServiceNow.Close)
	b := newBinary(t, p.Teams, p.ServiceNow, env)
	p.Target = b
	report, err := history.Run(t.Context(), p)
	t.Log(report)
	if err != nil {
		t.Errorf("seed %d: %v", p.Seed, err)
	}
	for _, v := range report.Violations {
		t.Errorf("seed %d: %s", p.Seed, v)
	}
	if t.Failed() {
		logs := strings.Split(b.logs.String(), "\n")
		t.Logf("last lines of the service:\n%s", strings.Join(logs[max(0, len(logs)-40):], "\n"))
		return
	}
	if report.Kills != p.Kills || report.Stops != p.Stops || report.Accepted < p.Conversations*p.Messages {
		t.Errorf("the run did too little: %s", report)
	}
}
