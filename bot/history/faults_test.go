package history

import (
	"fmt"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// TestEveryFaultIsThrown throws the dice often enough to see each of their faults, for a request that all of them are for.
func TestEveryFaultIsThrown(t *testing.T) {
	t.Parallel()
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teams.Close() })
	now, err := snowtest.New(snowtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(now.Close)
	number := func(string) int32 { return 1 }
	all := map[string]*dice{}
	for n, name := range []string{"Teams, out", "Teams, in", "ServiceNow, out", "ServiceNow, in"} {
		d := newDice(uint64(n), 0.1)
		all[name] = d
		switch name {
		case "Teams, out":
			teamsFaults(teams, d, adaptertest.Out, number)
		case "Teams, in":
			teamsFaults(teams, d, adaptertest.In, number)
		case "ServiceNow, out":
			_, err = serviceNowFaults(now, d, snowtest.Out, number)
		default:
			_, err = serviceNowFaults(now, d, snowtest.In, number)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, d := range all {
		seen := make([]int, len(d.odds))
		const rolls = 200_000
		for n := range rolls {
			d.roll("message", fmt.Append(nil, n), true, false)
			if d.choice >= 0 {
				seen[d.choice]++
			}
		}
		for n, times := range seen {
			if times == 0 {
				t.Errorf("%s: fault %d of %d is never thrown", name, n+1, len(seen))
			}
		}
		if share := float64(d.thrown) / rolls; share < 0.095 || share > 0.105 {
			t.Errorf("%s: %.1f %% faults, want 10 %%", name, 100*share)
		}
	}
}
