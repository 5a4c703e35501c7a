package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
	"snowbot/store/postgres/postgrestest"
)

// TestFailoverKeepsItsPromises has people talk through two replicas while requests fail on both sides, and then the database's
// machine is lost: its standby, which has all that was committed, is promoted. Both replicas find it by themselves.
func TestFailoverKeepsItsPromises(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64N(1 << 32)
	if *historySeed != 0 {
		seed = *historySeed
	}
	t.Logf("seed %d", seed)
	primary, err := postgrestest.Start(postgrestest.Options{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Stop)
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Stop)
	database, err := primary.URLWith(standby)
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	p := history.Plan{
		Seed: seed, Conversations: 20, Messages: 1 << 20, FaultRate: 0.05, Lasting: 4 * time.Second, Outages: 1,
		Progress: func(n int) { accepted.Store(int64(n)) },
	}
	if p.Teams, err = adaptertest.New(adaptertest.Options{Seed: seed, KeepLast: 50}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Teams.Close() })
	if p.ServiceNow, err = snowtest.New(snowtest.Options{Seed: seed, AgentNames: true, WaitTime: "2 Minutes"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.ServiceNow.Close)
	f := newFleet(t, 2, p.Teams, p.ServiceNow, map[string]string{"DATABASE_URL": database, "TEAMS_PACING": "off"})
	p.Target = f
	var before int64
	p.Outage = func(ctx context.Context) error {
		if before = accepted.Load(); before == 0 {
			return errors.New("nobody has been heard so far")
		}
		if err := primary.Kill(); err != nil {
			return err
		}
		if err := f.await(ctx, http.StatusServiceUnavailable); err != nil {
			return err
		}
		if err := standby.Promote(); err != nil {
			return err
		}
		return f.await(ctx, http.StatusOK)
	}
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
	if report.Outages != 1 || int64(report.Accepted) <= before {
		t.Errorf("of %d messages %d came before the failover: the run did too little: %s", report.Accepted, before, report)
	}
}

// await waits until every replica says of itself whether it is ready.
func (f *fleet) await(ctx context.Context, status int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i, r := range f.replicas {
		for {
			got, err := readiness(ctx, r.proc.at)
			if err == nil && got == status {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("/readyz of replica %d: %d, %w, want %d", i, got, err, status)
			}
		}
	}
	return nil
}

func readiness(ctx context.Context, at listenLine) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.Admin+"/readyz", http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}
