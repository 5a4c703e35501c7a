package bot_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// A pair is an employee and the agent who chats with them.
type pair struct {
	d    *desk
	user adaptertest.User
	view *adaptertest.Conversation
	chat snowtest.Chat
}

// pairs brings employees and agents together.
func (d *desk) pairs(n int) []*pair {
	d.t.Helper()
	all := make([]*pair, n)
	var wg sync.WaitGroup
	for i := range n {
		u := d.teams.AddUser(adaptertest.User{Name: fmt.Sprint("User ", i), Email: fmt.Sprintf("user%d@example.com", i)})
		p := &pair{d: d, user: u, view: d.teams.Personal(u)}
		all[i] = p
		wg.Go(func() {
			p.says("I want to talk to a person")
			var err error
			if p.chat, err = d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.Email == u.Email && c.State == snowtest.StateQueued }); err != nil {
				d.t.Errorf("chat %d is not in the queue: %v", i, err)
				return
			}
			if err := d.snow.Accept(d.within(), p.chat.ID, "Sam Ortiz"); err != nil {
				d.t.Error(err)
			}
			if _, err := d.teams.WaitText(d.within(), p.view, "has joined the chat"); err != nil {
				d.t.Errorf("chat %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
	return all
}

func (p *pair) says(text string) {
	if s, err := p.view.Say(p.d.within(), p.user, text); err != nil || !s.OK() {
		p.d.t.Errorf("say: status %d, %v", s.Status, err)
	}
}

func (p *pair) answers(text string) {
	if _, err := p.d.snow.Say(p.d.within(), p.chat.ID, text); err != nil {
		p.d.t.Errorf("agent says: %v", err)
	}
}

// shows returns what Teams shows of the agent's words that begin so, merged or not.
func (p *pair) shows(prefix string) (words []string, activities int) {
	for _, m := range p.view.Messages() {
		if m.FromBot && strings.HasPrefix(m.Text, prefix) {
			activities++
			words = append(words, strings.Split(m.Text, "\n\n")...)
		}
	}
	return words, activities
}

// calls is how many calls Teams got that count for its limits, and how many of them it answered 429.
func (d *desk) calls() (all, throttled int) {
	for _, x := range d.teams.Log() {
		if x.Direction == adaptertest.In && strings.Contains(x.Path, "/v3/conversations/") {
			all++
		}
	}
	return all, d.throttled()
}

// While the instance limits calls, one of many chats meets the limit for all, and nothing of theirs is lost.
func TestOneOfManyChatsMeetsTheLimitOfServiceNow(t *testing.T) {
	t.Parallel()
	d := open(t)
	pairs := d.pairs(12)
	var refused atomic.Int64
	t.Cleanup(d.snow.Subscribe(func(x snowtest.Exchange) {
		if x.Status == http.StatusTooManyRequests {
			refused.Add(1)
		}
	}))
	limited := func(n int64) {
		t.Helper()
		for ctx := d.within(); refused.Load() < n; runtime.Gosched() {
			if ctx.Err() != nil {
				t.Fatalf("%d calls were refused, want %d", refused.Load(), n)
			}
		}
	}
	lift, err := d.snow.AddFault(snowtest.Fault{
		Kind: snowtest.FaultStatus, Status: http.StatusTooManyRequests, PathContains: "/bot/integration",
		RetryAfter: time.Second, RetryAfterDate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	pairs[0].says("word 0")
	limited(1)
	want := []string{"word 0", "word 1", "word 2"}
	for i, p := range pairs {
		for n, words := range want {
			if i > 0 || n > 0 {
				p.says(words)
			}
		}
	}
	limited(3)
	n, took := refused.Load(), time.Since(began)
	lift()
	if n-1 > int64(took/time.Second) {
		t.Errorf("%d calls were refused in %v, want the first and one a second", n, took)
	}
	for i, p := range pairs {
		d.hears(p.chat, "word 2")
		c, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool { return c.ID == p.chat.ID })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range c.Lines {
			if strings.HasPrefix(l.Text, "word ") {
				got = append(got, l.Text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the agent of chat %d has seen %q, want %q", i, got, want)
		}
	}
	t.Logf("limited for %v: %d calls were refused", took.Round(time.Millisecond), n)
}

func TestSteadyTrafficIsNeverThrottled(t *testing.T) {
	t.Parallel()
	d := open(t, paced(30))
	pairs := d.pairs(12)
	const rounds = 10
	beat := time.NewTicker(400 * time.Millisecond) // 30 messages a second of all agents together, as much as the tenant may have
	defer beat.Stop()
	var wg sync.WaitGroup
	for round := range rounds {
		for _, p := range pairs {
			wg.Go(func() {
				if err := d.snow.Typing(d.within(), p.chat.ID, true); err != nil {
					t.Errorf("typing: %v", err)
				}
				p.answers(fmt.Sprintf("steady %d", round))
				p.says(fmt.Sprintf("word %d", round))
			})
		}
		wg.Wait()
		<-beat.C
	}
	for _, p := range pairs {
		d.ticked(p.chat.ID, rounds)
	}
	d.settles()
	all, throttled := d.calls()
	if throttled != 0 {
		t.Errorf("Teams answered %d of %d calls with 429, want none", throttled, all)
	}
	t.Logf("steady: %d chats, %d calls of Teams, %d answered 429", len(pairs), all, throttled)
}

func TestBurstsOfManyAgentsArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	d := open(t, paced(30))
	pairs := d.pairs(8)
	const burst = 100
	var want []string
	for i := range burst {
		want = append(want, fmt.Sprintf("burst %d", i))
	}
	began := time.Now()
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() {
			for _, text := range want {
				p.answers(text)
			}
		})
	}
	wg.Wait()
	activities := 0
	for i, p := range pairs {
		d.ticked(p.chat.ID, burst)
		got, n := p.shows("burst ")
		activities += n
		if !slices.Equal(got, want) {
			t.Errorf("chat %d shows %d of %d messages, or in another order: %q", i, len(got), burst, got)
		}
	}
	all, throttled := d.calls()
	if throttled*100 > all {
		t.Errorf("Teams answered %d of %d calls with 429, want 1 %% at most", throttled, all)
	}
	t.Logf("bursts: %d messages as %d activities in %v; %d calls of Teams, %d answered 429", burst*len(pairs), activities, time.Since(began).Round(time.Millisecond), all, throttled)
}
