package main

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
)

// Flags of TestReplicasKeepTheirPromises.
var (
	replicasLasting = flag.Duration("replicas.lasting", 20*time.Second, "how long people talk through the replicas")
	replicasOlder   = flag.String("replicas.older", "", "an older program, which the first replica is until it is killed")
)

// TestReplicasKeepTheirPromises has people talk through three replicas while requests fail on both sides, two of the
// replicas are killed in turn every five seconds, and the database crashes twice.
func TestReplicasKeepTheirPromises(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64N(1 << 32)
	if *historySeed != 0 {
		seed = *historySeed
	}
	t.Logf("seed %d", seed)
	server := ownServer(t)
	var err error
	p := history.Plan{
		Seed: seed, Conversations: 30, Messages: 1 << 20, FaultRate: 0.05,
		KillEvery: 5 * time.Second, Lasting: *replicasLasting, Outages: 2,
	}
	if p.Teams, err = adaptertest.New(adaptertest.Options{Seed: seed, KeepLast: 50}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Teams.Close() })
	if p.ServiceNow, err = snowtest.New(snowtest.Options{Seed: seed, AgentNames: true, WaitTime: "2 Minutes"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.ServiceNow.Close)
	p.Outage = func(ctx context.Context) error { return errors.Join(server.Crash(), server.Up()) }
	f := newFleet(t, 3, p.Teams, p.ServiceNow, map[string]string{
		"DATABASE_URL": server.Schema(t, t.Name()), "TEAMS_PACING": "off",
	})
	if *replicasOlder != "" { // an upgrade that is rolled out
		f.replicas[0].command = []string{*replicasOlder, "serve"}
		if err := f.start(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	p.Target = f
	report, err := history.Run(t.Context(), p)
	t.Log(report)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	for _, v := range report.Violations {
		t.Errorf("seed %d: %s", seed, v)
	}
	if t.Failed() {
		t.Log(f.tail(40))
		return
	}
	if least := int(*replicasLasting/(10*time.Second)) + 1; report.Kills < least || report.Outages != 2 || report.Accepted < 200 {
		t.Errorf("the run did too little: %s", report)
	}
}
