package bot_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/bot"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
)

func mending(d *desk, _ *snowtest.Options) { d.rules.GapRepair = true }

// misses has the agent write while nobody takes it.
func (d *desk) misses(c snowtest.Chat, texts ...string) {
	d.t.Helper()
	for _, text := range texts {
		if _, err := d.snow.Say(d.within(), c.ID, text); err == nil {
			d.t.Fatalf("%q was taken, though the service is down", text)
		}
	}
}

// reads is how many requests for tables of chats the instance got.
func (d *desk) reads() (n int) {
	for _, x := range d.snow.Log() {
		if x.Direction == snowtest.In && strings.Contains(x.Path, "/table/sys_cs_") {
			n++
		}
	}
	return n
}

func TestWhatAnOutageOfOursMissedIsReadBack(t *testing.T) {
	t.Parallel()
	d := open(t, mending)
	c := d.connect()
	d.answers(c, "before")
	d.sees("before")
	d.settles()
	d.stop()
	missed := []string{"missed 1", "missed 2", "missed 3"}
	d.misses(c, missed...)
	// What comes at once after the start has to wait for what came before it.
	if _, err := d.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultDelay, Delay: 300 * time.Millisecond, PathContains: "/table/sys_cs_"}); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.answers(c, "after")
	d.sees("after")
	d.settles()
	all := append([]string{"before"}, append(missed, "after")...)
	if diff := cmp.Diff(all, d.words(all...)); diff != "" {
		t.Errorf("Teams shows (-want +got):\n%s", diff)
	}
	d.ticked(c.ID, len(all))
	d.says("thanks")
	d.hears(c, "thanks")
	d.stop()
	d.start() // reads the same again
	d.answers(c, "once more")
	d.sees("once more")
	d.settles()
	if diff := cmp.Diff(all, d.words(all...)); diff != "" {
		t.Errorf("after another start Teams shows (-want +got):\n%s", diff)
	}
}

func TestAnEndThatAnOutageOfOursMissedIsTold(t *testing.T) {
	t.Parallel()
	d := open(t, mending)
	c := d.connect()
	d.settles()
	d.stop()
	if err := d.snow.End(d.within(), c.ID, "missed farewell"); err == nil {
		t.Fatal("the end was taken, though the service is down")
	}
	d.start()
	d.sees("The live agent has ended the chat")
	if shown := strings.Join(d.shown(), "\n"); !strings.Contains(shown, "missed farewell") ||
		strings.Index(shown, "missed farewell") > strings.Index(shown, "The live agent has ended the chat") {
		t.Errorf("the last words have to come before the end:\n%s", shown)
	}
	d.connectAgain()
}

func TestAnAgentWhomAnOutageOfOursMissedHasJoined(t *testing.T) {
	t.Parallel()
	d := open(t, mending)
	d.says("I want to talk to a person")
	c := d.waits(snowtest.StateQueued)
	d.says("held words")
	d.settles()
	d.stop()
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err == nil {
		t.Fatal("taken, though the service is down")
	}
	d.misses(c, "how can I help?")
	d.start()
	d.sees("how can I help?")
	d.sees("A live agent has joined the chat")
	d.hears(c, "held words")
}

func TestNothingIsReadBackUnlessAskedFor(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	d.stop()
	d.misses(c, "missed")
	d.start()
	d.answers(c, "after")
	d.sees("after")
	if n := d.reads(); n != 0 {
		t.Errorf("%d requests for tables", n)
	}
}

func TestMessagesWithoutIdsAreNotReadBack(t *testing.T) {
	t.Parallel()
	d := open(t, mending, func(_ *desk, o *snowtest.Options) { o.Dialect = snowtest.DialectSpec })
	c := d.connect()
	d.answers(c, "before")
	d.sees("before")
	d.settles()
	d.stop()
	d.start()
	d.answers(c, "after")
	d.sees("after")
	d.settles()
	if n := d.count("before"); n != 1 {
		t.Errorf("what has no id of its own shows %d times", n)
	}
}

func TestAnInstanceThatHidesItsTablesIsAskedOnce(t *testing.T) {
	t.Parallel()
	d := open(t, mending)
	c := d.connect()
	d.settles()
	if _, err := d.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusForbidden, PathContains: "/table/sys_cs_"}); err != nil {
		t.Fatal(err)
	}
	d.stop()
	before := d.reads()
	d.start()
	for i := range 5 {
		text := fmt.Sprint("goes on ", i)
		d.answers(c, text)
		d.sees(text)
	}
	if n := d.reads() - before; n != 1 {
		t.Errorf("%d requests for tables, want one", n)
	}
}

// flaky is a store that fails to keep events while it is out.
type flaky struct {
	store.Store
	out *atomic.Bool
}

func (f flaky) Apply(ctx context.Context, conversation string, ids []store.EventID, fn func(*store.Turn) error) error {
	if f.out.Load() {
		return context.DeadlineExceeded
	}
	return f.Store.Apply(ctx, conversation, ids, fn)
}

func TestAPostThatCouldNotBeTakenIsReadBack(t *testing.T) {
	bubble(t, bot.Rules{GapRepair: true}, func(e *engine) {
		session := e.connect("chat")
		var out atomic.Bool
		e.stop()
		e.wrap = func(s store.Store) store.Store { return flaky{s, &out} }
		e.start()
		e.passes(time.Second)
		item := snow.Item{ID: "m1", Kind: snow.KindText, Text: "not taken", FromAgent: true}
		e.snow.mu.Lock()
		e.snow.kept = snow.StoredChat{Found: true, Messages: []snow.StoredMessage{{At: time.Now(), Items: []snow.Item{item}}}}
		e.snow.mu.Unlock()
		out.Store(true)
		if err := e.bot.ServiceNow(e.t.Context(), &snow.Event{SessionID: session, Items: []snow.Item{item}}); err == nil {
			t.Fatal("taken without a store")
		}
		e.passes(time.Second)
		out.Store(false)
		e.passes(20 * time.Second)
		if n := len(e.teams.tried("chat", "not taken")); n != 1 {
			t.Errorf("shown %d times, want once", n)
		}
	})
}

func TestWhatIsKeptIsReadWhenServiceNowIsInReachAgain(t *testing.T) {
	bubble(t, bot.Rules{GapRepair: true}, func(e *engine) {
		e.connect("chat")
		reads := func() (n int) {
			for _, call := range e.snow.done() {
				if call == "read back" {
					n++
				}
			}
			return n
		}
		before := reads()
		e.snow.failing(unavailable)
		for i := range 25 {
			e.says(fmt.Sprint("other", i), "agent please")
		}
		e.passes(20 * time.Second)
		e.snow.failing(nil)
		e.passes(20 * time.Second)
		if n := reads() - before; n == 0 {
			t.Error("after the outage nothing was read back")
		}
		before = reads()
		e.passes(5 * time.Minute)
		if n := reads() - before; n != 0 {
			t.Errorf("without an outage %d chats were read", n)
		}
	})
}

func TestWhatWasLostOnTheWayIsReadBackInTime(t *testing.T) {
	bubble(t, bot.Rules{GapRepair: true, GapEvery: 10 * time.Minute, IdleWarning: -1}, func(e *engine) {
		session := e.connect("chat")
		missed := snow.Item{ID: "m1", Kind: snow.KindText, Text: "lost on the way", FromAgent: true}
		e.snow.mu.Lock()
		e.snow.kept = snow.StoredChat{Found: true, Messages: []snow.StoredMessage{{At: time.Now(), Items: []snow.Item{missed}}}}
		e.snow.mu.Unlock()
		e.passes(9 * time.Minute)
		if n := len(e.teams.tried("chat", "lost on the way")); n != 0 {
			t.Fatalf("read back %d times before it is time", n)
		}
		e.passes(65 * time.Second)
		if n := len(e.teams.tried("chat", "lost on the way")); n != 1 {
			t.Fatalf("shown %d times, want once", n)
		}
		e.snow.failing(func(op string) error { // reading takes long, and nobody waits for it
			if op == "read back" {
				<-time.After(5 * time.Second)
			}
			return nil
		})
		e.passes(10 * time.Minute)
		began := time.Now()
		e.answers(session, "at the same time")
		if took := time.Since(began); took > 0 {
			t.Errorf("a post waited %v for a look that nothing asked for", took)
		}
		e.passes(time.Minute)
		if n := len(e.teams.tried("chat", "lost on the way")); n != 1 {
			t.Errorf("shown %d times, want once", n)
		}
	})
}

func TestReadingBackIsTriedAgain(t *testing.T) {
	bubble(t, bot.Rules{GapRepair: true}, func(e *engine) {
		e.connect("chat")
		e.stop()
		e.snow.failing(func(op string) error {
			if op == "read back" {
				return &snow.Error{Op: op, StatusCode: 503, Written: true}
			}
			return nil
		})
		e.start()
		e.passes(30 * time.Second)
		e.snow.mu.Lock()
		e.snow.kept = snow.StoredChat{Found: true, Messages: []snow.StoredMessage{
			{At: time.Now(), Items: []snow.Item{{ID: "m1", Kind: snow.KindText, Text: "missed", FromAgent: true}}},
		}}
		e.snow.mu.Unlock()
		e.snow.failing(nil)
		e.passes(15 * time.Second)
		if n := len(e.teams.tried("chat", "missed")); n != 1 {
			t.Errorf("shown %d times, want once", n)
		}
		if slices.Contains(e.snow.done(), "message missed") {
			t.Error("the agent's words went back to the agent")
		}
	})
}
