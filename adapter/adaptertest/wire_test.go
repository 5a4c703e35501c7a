package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"

	"github.com/google/go-cmp/cmp"
)

func TestWaitReturnsAtTheChange(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	v := c.Personal(c.AddUser(adaptertest.User{}))
	k := newCaller(t, c)
	got := make(chan adaptertest.Message, 1)
	go func() {
		m, err := c.WaitText(t.Context(), v, "in the card")
		if err != nil {
			t.Error(err)
		}
		got <- m
	}()
	k.say(v, "something else")
	id := k.send(v, card("1.4")).id()
	if m := <-got; m.ID != id {
		t.Errorf("got %+v, want message %s", m, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := c.Wait(ctx, func() bool {
		asked++
		cancel()
		return false
	})
	if !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("got %v after asking %d times", err, asked)
	}
	if err := c.Wait(ctx, func() bool { return true }); err != nil {
		t.Errorf("what holds already: %v", err)
	}
}

func TestWaitTextIsForWordsOfTheBot(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	newBot(t, c)
	u := c.AddUser(adaptertest.User{})
	v := c.Personal(u)
	if _, err := v.Say(t.Context(), u, "hello"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := c.WaitText(ctx, v, "hello"); err == nil {
		t.Errorf("found %+v", m)
	}
}

func TestLogAndSubscribersSeeTheSameInOrder(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{LogSize: 50})
	newBot(t, c)
	var mu sync.Mutex
	var heard []adaptertest.Exchange
	cancel := c.Subscribe(func(e adaptertest.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, e)
	})
	u := c.AddUser(adaptertest.User{})
	var all sync.WaitGroup
	k := newCaller(t, c)
	for i := range 8 {
		v := c.Group(u)
		all.Go(func() {
			for j := range 10 {
				k.say(v, fmt.Sprint(i, j))
				if _, err := v.Say(t.Context(), u, fmt.Sprint(i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	cancel()
	k.do(http.MethodGet, "v3/conversations/x/members", "")
	if len(heard) != 160 {
		t.Fatalf("heard %d exchanges, want 160", len(heard))
	}
	for i, e := range heard {
		if e.Seq != int64(i+1) {
			t.Fatalf("exchange %d is number %d", i, e.Seq)
		}
	}
	if diff := cmp.Diff(heard[111:], c.Log()[:49]); diff != "" {
		t.Error(diff)
	}
	if e := c.Log()[49]; e.Status != 404 || e.Method != http.MethodGet || e.Path != "/emea/v3/conversations/x/members" || e.Direction != adaptertest.In {
		t.Errorf("latest: %+v", e)
	}
}

func TestMaxInFlightTellsOfOverlap(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{})
	u := c.AddUser(adaptertest.User{})
	serial, parallel := c.Group(u), c.Group(u)
	k := newCaller(t, c)
	for range 5 {
		k.say(serial, "x")
	}
	// A subscriber holds the first exchange up until the second has had its effect.
	holding, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.Subscribe(func(adaptertest.Exchange) { once.Do(func() { close(holding); <-release }) })
	var both sync.WaitGroup
	both.Go(func() { k.say(parallel, "first") })
	<-holding
	both.Go(func() { k.say(parallel, "second") })
	if err := c.Wait(t.Context(), func() bool { return len(parallel.Messages()) == 2 }); err != nil {
		t.Error(err)
	}
	close(release)
	both.Wait()
	if serial.MaxInFlight() != 1 || parallel.MaxInFlight() != 2 {
		t.Errorf("got %d and %d, want 1 and 2", serial.MaxInFlight(), parallel.MaxInFlight())
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newChannel(t, adaptertest.Options{KeepLast: 20, LogSize: 10})
	newBot(t, c)
	k := newCaller(t, c)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			u := c.AddUser(adaptertest.User{})
			v := c.Personal(u)
			for j := range 25 {
				id := k.say(v, "x").id()
				k.do(http.MethodPut, activities(v, id), `{"type":"message","text":"y"}`)
				if _, err := v.Say(t.Context(), u, "z"); err != nil {
					t.Error(err)
				}
				switch (i + j) % 4 {
				case 0:
					c.AddFault(adaptertest.Fault{Kind: adaptertest.Drop, Conversation: "none"})()
				case 1:
					_, _, _ = c.Users(), c.Log(), c.Conversations()
				case 2:
					c.SetRegion("amer")
					c.SetIdentityDown(j%2 == 0)
				case 3:
					v.Block()
					v.Unblock()
					_, _ = v.Messages(), v.TypingUntil()
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Wait(ctx, func() bool { l := c.Log(); return len(l) > 0 && l[len(l)-1].Seq == 8*25*3 }); err != nil {
		t.Error(err)
	}
	all.Wait()
}

func BenchmarkSend(b *testing.B) {
	c := newChannel(b, adaptertest.Options{KeepLast: 10})
	u := c.AddUser(adaptertest.User{})
	b.RunParallel(func(pb *testing.PB) {
		k := newCaller(b, c)
		v := c.Group(u)
		for pb.Next() {
			if got := k.say(v, "a message of the usual length, as people write them"); got.status != 201 {
				b.Error(got.status)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

func BenchmarkSay(b *testing.B) {
	c := newChannel(b, adaptertest.Options{KeepLast: 10})
	bot := newBot(b, c)
	bot.answer = func(http.ResponseWriter, map[string]any) {}
	u := c.AddUser(adaptertest.User{})
	b.RunParallel(func(pb *testing.PB) {
		v := c.Group(u)
		for pb.Next() {
			if _, err := v.Say(b.Context(), u, "a message of the usual length, as people write them"); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
