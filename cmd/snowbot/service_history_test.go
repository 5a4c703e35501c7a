package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/cmd/leaktest"
	"snowbot/snow/snowtest"
)

// historySeed is for a seed that has failed. For longer runs there is bench --check.
var historySeed = flag.Uint64("history.seed", 0, "check the history of this seed only")

// A binary is the real program as a target of the history checker.
type binary struct {
	*benchTarget
	logs *lockedBuffer
}

// newBinary prepares the program between two emulators. The variables given come on top.
func newBinary(t *testing.T, teams *adaptertest.Channel, inst *snowtest.Instance, more map[string]string) *binary {
	t.Helper()
	env := emulatedEnv(teams, inst)
	maps.Copy(env, map[string]string{
		"WEBHOOK_SECRET": rigSecret, "DATA_ENCRYPTION_KEY": complete()["DATA_ENCRYPTION_KEY"],
		"DATABASE_URL": "bbolt:" + filepath.Join(t.TempDir(), "snowbot.db"), "HOME": t.TempDir(),
	})
	maps.Copy(env, more)
	logs := watched(t, teams, inst)
	env["PATH"] = os.Getenv("PATH") // where strace finds the program
	return &binary{&benchTarget{command: []string{"snowbot", "serve"}, env: childEnv(env), secret: rigSecret, logs: logs}, logs}
}

// Stop implements history.Target.
func (b *binary) Stop() error {
	if b.proc != nil {
		b.logs.watch.Fetch(leaktest.Metrics, "http://"+b.proc.at.Admin+"/metrics")
	}
	return b.benchTarget.Stop()
}

// TestServiceKeepsItsPromises has employees and agents talk through the real binary while requests fail on both sides and
// the process is killed and stopped, and reads in the emulators what became of every message.
func TestServiceKeepsItsPromises(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, rand.Uint64N(1 << 32)}
	if *historySeed != 0 {
		seeds = []uint64{*historySeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			p := history.Plan{Seed: seed, Conversations: 40, Messages: 25, FaultRate: 0.1, Kills: 3, Stops: 1, Drains: 2}
			checkHistory(t, &p, map[string]string{"TEAMS_PACING": "off"}, func(b *binary) history.Target { return b })
		})
	}
}

// TestServiceNeverRepeats has the agent told "Failed" rather than the employee shown anything twice.
func TestServiceNeverRepeats(t *testing.T) {
	t.Parallel()
	p := history.Plan{Seed: 9, Conversations: 20, Messages: 15, FaultRate: 0.1, Kills: 3, Drains: 1}
	env := map[string]string{"TEAMS_PACING": "off", "UNCLEAR_SENDS": "never-repeat"}
	report := checkHistory(t, &p, env, func(b *binary) history.Target { return b })
	if report.Repeated != 0 {
		t.Errorf("%d sends were repeated", report.Repeated)
	}
}

// checkHistory carries out a plan against the real binary, in the hands of a target, and fails the test for every broken promise.
func checkHistory(t *testing.T, p *history.Plan, env map[string]string, target func(*binary) history.Target) history.Report {
	t.Helper()
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
	p.Target = target(b)
	report, err := history.Run(t.Context(), *p)
	t.Log(report)
	if err != nil {
		t.Errorf("seed %d: %v", p.Seed, err)
	}
	for _, v := range report.Violations {
		t.Errorf("seed %d: %s", p.Seed, v)
	}
	if t.Failed() {
		lines := strings.Split(b.logs.String(), "\n")
		t.Logf("last lines of the service:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
		return report
	}
	if report.Kills != p.Kills || report.Stops != p.Stops || report.Drains != p.Drains || report.Accepted < p.Conversations*p.Messages {
		t.Errorf("the run did too little: %s", report)
	}
	return report
}
