package adaptertest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
)

func TestRateWindows(t *testing.T) {
	t.Parallel()
	type step struct {
		forward time.Duration
		sends   int
		taken   int
		retry   string // Retry-After of the first refusal
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"seven in a second", []step{{0, 8, 7, "1"}}},
		{"eight in two seconds", []step{{0, 7, 7, ""}, {time.Second, 2, 1, "1"}, {999 * time.Millisecond, 1, 0, "1"}, {time.Millisecond, 1, 1, ""}}},
		{"the window slides", []step{{0, 4, 4, ""}, {600 * time.Millisecond, 4, 3, "1"}, {1400 * time.Millisecond, 6, 5, "1"}, {0, 1, 0, "1"}}},
		{"refused ones do not count", []step{{0, 50, 7, "1"}, {2 * time.Second, 7, 7, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			c := newChannel(t, adaptertest.Options{Now: now.now, Windows: true, TenantRate: 1000})
			v := c.Personal(c.AddUser(adaptertest.User{}))
			k := newCaller(t, c)
			for i, s := range tt.steps {
				now.forward(s.forward)
				taken, retry := 0, ""
				for range s.sends {
					switch got := k.say(v, "x"); {
					case got.status == 201:
						taken++
					case got.status != 429 || got.code() != "Throttled":
						t.Fatalf("got %d %s", got.status, got.body)
					case retry == "":
						retry = got.header.Get("Retry-After")
					}
				}
				if taken != s.taken || s.retry != "" && retry != s.retry {
					t.Errorf("step %d: %d taken, Retry-After %q; want %d, %q", i, taken, retry, s.taken, s.retry)
				}
			}
		})
	}

	t.Run("sixty in half a minute, and 1,800 in an hour", func(t *testing.T) {
		t.Parallel()
		now := newClock()
		c := newChannel(t, adaptertest.Options{Now: now.now, Windows: true, TenantRate: 1000, TokenLife: 100 * time.Hour})
		v := c.Personal(c.AddUser(adaptertest.User{}))
		k := newCaller(t, c)
		begin := now.now()
		for sent := 0; sent < 60; sent += 4 {
			for range 4 {
				if got := k.say(v, "x"); got.status != 201 {
					t.Fatalf("after %d: got %d", sent, got.status)
				}
			}
			now.forward(time.Second)
		}
		got := k.say(v, "x")
		if want := fmt.Sprint(int((30*time.Second - now.now().Sub(begin)).Seconds())); got.status != 429 || got.header.Get("Retry-After") != want {
			t.Errorf("61st: got %d, Retry-After %s, want 429, %s", got.status, got.header.Get("Retry-After"), want)
		}
		now.forward(15 * time.Second)
		for sent := 60; sent < 1800; sent += 4 {
			for range 4 {
				if got := k.say(v, "x"); got.status != 201 {
					t.Fatalf("after %d: got %d", sent, got.status)
				}
			}
			now.forward(2 * time.Second)
		}
		now.forward(time.Minute)
		got = k.say(v, "x")
		if want := fmt.Sprint(int((time.Hour - now.now().Sub(begin)).Seconds())); got.status != 429 || got.header.Get("Retry-After") != want {
			t.Errorf("1801st: got %d, Retry-After %s, want 429, %s", got.status, got.header.Get("Retry-After"), want)
		}
		now.forward(begin.Add(time.Hour).Sub(now.now()))
		if got := k.say(v, "x"); got.status != 201 {
			t.Errorf("an hour after the first: got %d", got.status)
		}
	})

	t.Run("everything that writes counts, and only in its conversation", func(t *testing.T) {
		t.Parallel()
		now := newClock()
		c := newChannel(t, adaptertest.Options{Now: now.now, Windows: true})
		u := c.AddUser(adaptertest.User{})
		v, other := c.Personal(u), c.Group(u)
		k := newCaller(t, c)
		id := k.say(v, "x").id()
		k.send(v, `{"type":"typing"}`)
		for range 4 {
			k.do(http.MethodPut, activities(v, id), `{"type":"message","text":"y"}`)
		}
		k.do(http.MethodDelete, activities(v, id), "")
		if got := k.say(v, "x"); got.status != 429 {
			t.Errorf("eighth: got %d", got.status)
		}
		if got := k.do(http.MethodPost, "v3/conversations", `{"members":[{"id":"`+u.ID+`"}],"tenantId":"`+c.TenantID()+`"}`); got.status != 429 {
			t.Errorf("create: got %d", got.status)
		}
		if got := k.say(other, "x"); got.status != 201 {
			t.Errorf("other conversation: got %d", got.status)
		}
		members := "v3/conversations/" + url.PathEscape(v.ID()) + "/members"
		for i := range 15 {
			if got, want := k.do(http.MethodGet, members, "").status, 200; got != want && i < 14 || i == 14 && got != 429 {
				t.Errorf("look-up %d: got %d", i+1, got)
			}
		}
	})

	t.Run("thirty a second in the tenant", func(t *testing.T) {
		t.Parallel()
		now := newClock()
		c := newChannel(t, adaptertest.Options{Now: now.now, Windows: true})
		u := c.AddUser(adaptertest.User{})
		k := newCaller(t, c)
		for i := range 31 {
			if got := k.say(c.Group(u), "x").status; got != 201 && i < 30 || i == 30 && got != 429 {
				t.Errorf("request %d: got %d", i+1, got)
			}
		}
		now.forward(time.Second)
		if got := k.say(c.Group(u), "x"); got.status != 201 {
			t.Errorf("a second later: got %d", got.status)
		}
	})

	t.Run("off unless asked for", func(t *testing.T) {
		t.Parallel()
		now := newClock()
		c := newChannel(t, adaptertest.Options{Now: now.now})
		v := c.Personal(c.AddUser(adaptertest.User{}))
		k := newCaller(t, c)
		for range 100 {
			if got := k.say(v, "x"); got.status != 201 {
				t.Fatalf("got %d", got.status)
			}
		}
	})
}

func TestThrottleRefusesEverythingUntilItsEnd(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := newChannel(t, adaptertest.Options{Now: now.now})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	c.Throttle(10 * time.Second)
	now.forward(2500 * time.Millisecond)
	if got := k.say(v, "x"); got.status != 429 || got.header.Get("Retry-After") != "8" {
		t.Errorf("got %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	now.forward(7500 * time.Millisecond)
	if got := k.say(v, "x"); got.status != 201 {
		t.Errorf("after the end: got %d", got.status)
	}
}
