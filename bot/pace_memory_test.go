package bot

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"snowbot/adapter"
	"snowbot/store"
)

// What a service knows of conversations, tenants and hosts does not grow for as long as it runs.
func TestWhatIsAtRestIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRoom(30), newHost("teams")
		for i := range 100 {
			c := &claim{
				lease: &store.Lease{Lane: store.Lane{Direction: store.ToTeams}, Deliveries: []store.Delivery{{Kind: kindText, Accepted: time.Now()}}},
				since: time.Now(), old: time.Now().Add(time.Minute), host: h, state: &state{Ref: adapter.Reference{}},
			}
			name := fmt.Sprint(i)
			c.lease.Lane.Conversation = name
			r.pace(c, name, name)
			r.mu.Lock()
			r.enter(r.doors[store.ToTeams], c)
			r.mu.Unlock()
			if i > 0 { // the first one is in nobody's hands yet
				r.next()
			}
		}
		<-time.After(2 * time.Hour)
		r.pace(&claim{lease: &store.Lease{Lane: store.Lane{Direction: store.ToTeams}}, state: &state{}}, "last", "last")
		if len(r.tenants) > 2 || len(r.windows) > 2 {
			t.Errorf("%d tenants and %d conversations are remembered, want what waits and the last one", len(r.tenants), len(r.windows))
		}
		var all hosts
		instance := all.get(instanceHost)
		down := all.get("down")
		down.down.Store(true)
		for i := range 1000 {
			all.get(fmt.Sprint(i))
		}
		if n := len(all.state()); n > hostsMost {
			t.Errorf("%d hosts are remembered, want %d at most", n, hostsMost)
		}
		if all.get(instanceHost) != instance || all.get("down") != down {
			t.Error("a host was forgotten that something is known of")
		}
	})
}
