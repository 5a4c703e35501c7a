package bot_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// paced has a desk whose Teams enforces its rate windows, and a service that keeps to them.
func paced(rate int) func(*desk, *snowtest.Options) {
	return func(d *desk, _ *snowtest.Options) {
		d.rules.Pacing, d.rules.TenantRate = true, rate
		d.channel.Windows, d.channel.TenantRate = true, rate
		d.channel.LogSize = 10_000
	}
}

// throttled is how many calls Teams has answered 429.
func (d *desk) throttled() (n int) {
	for _, x := range d.teams.Log() {
		if x.Direction == adaptertest.In && x.Status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

// ticked waits until the agent's desk shows a tick on so many messages.
func (d *desk) ticked(id string, n int) {
	d.t.Helper()
	var got int
	if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool {
		if c.ID != id {
			return false
		}
		got = 0
		for _, l := range c.Lines {
			if l.Receipt == snowtest.ReceiptSent {
				got++
			}
		}
		return got >= n
	}); err != nil {
		d.t.Fatalf("%d of %d messages are ticked: %v", got, n, err)
	}
}

func TestABurstArrivesWholeAndInOrderWithoutBeingThrottled(t *testing.T) {
	t.Parallel()
	d := open(t, paced(30))
	c := d.connect()
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("burst %d", i))
		d.answers(c, want[i])
	}
	d.ticked(c.ID, 100)
	var got []string
	messages := 0
	for _, m := range d.chat.Messages() {
		if m.FromBot && strings.HasPrefix(m.Text, "burst ") {
			messages++
			got = append(got, strings.Split(m.Text, "\n\n")...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Teams shows (-want +got):\n%s", diff)
	}
	if n := d.throttled(); n != 0 {
		t.Errorf("Teams answered 429 %d times", n)
	}
	t.Logf("100 messages went out as %d", messages)
}

func TestManyChatsShareTheRateOfTheirTenant(t *testing.T) {
	t.Parallel()
	const chats, rate = 30, 20
	d := open(t, paced(rate), func(_ *desk, o *snowtest.Options) { o.AgentNames = false })
	started := time.Now()
	var wg sync.WaitGroup
	for i := range chats {
		u := d.teams.AddUser(adaptertest.User{Name: fmt.Sprint("User ", i), Email: fmt.Sprintf("user%d@example.com", i)})
		v := d.teams.Personal(u)
		wg.Go(func() {
			for _, text := range []string{"hello", "I want to talk to a person"} {
				if p, err := v.Say(d.within(), u, text); err != nil || p.Status != http.StatusOK {
					t.Errorf("say: status %d, %v", p.Status, err)
				}
			}
			if _, err := d.teams.WaitText(d.within(), v, "2 Minutes"); err != nil {
				t.Errorf("chat %d never got into the queue: %v", i, err)
			}
		})
	}
	wg.Wait()
	d.settles()
	if n := d.throttled(); n != 0 {
		t.Errorf("Teams answered 429 %d times", n)
	}
	t.Logf("%d chats were served in %v", chats, time.Since(started))
}

func TestEveryWayOfBeingShutOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code string
		body string
		told string // the agent, when the session ends for it
	}{
		{code: "BotDisabledByAdmin", told: "The employee can no longer be reached: an administrator has disabled the bot in Teams."},
		{code: "BotNotInConversationRoster", told: "The employee can no longer be reached: the bot was removed from the conversation in Teams."},
		{code: "ConversationBlockedByUser", told: "The employee can no longer be reached: the bot was blocked or removed in Teams."},
		{code: "MessageWritesBlocked", body: `{"errorCode":209,"message":"{\r\n \"subCode\": \"MessageWritesBlocked\",\r\n \"errorCode\": null\r\n}"}`, told: "The employee can no longer be reached: the bot was blocked or removed in Teams."},
		{code: "InvalidBotApiHost"},
		{code: "NotEnoughPermissions"},
		{code: "SomethingNew"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			c := d.connect()
			d.settles()
			remove := d.teams.AddFault(adaptertest.Fault{
				Method: http.MethodPost, Conversation: d.chat.ID(), PathContains: "/activities",
				Kind: adaptertest.Status, Status: http.StatusForbidden, Code: tt.code, Body: tt.body,
			})
			id := d.answers(c, "not seen")
			if _, err := d.snow.WaitChat(d.within(), func(c snowtest.Chat) bool {
				return (c.State == snowtest.StateEnded) == (tt.told != "") &&
					slices.ContainsFunc(c.Lines, func(l snowtest.Line) bool { return l.ID == id && l.Receipt == snowtest.ReceiptError })
			}); err != nil {
				t.Fatalf("the message has to fail at the agent, and the chat to end: %t; %v", tt.told != "", err)
			}
			remove()
			if tt.told != "" {
				d.hears(c, tt.told)
				return
			}
			d.hears(c, "A message of yours could not be delivered to the employee.")
			d.answers(c, "seen")
			d.sees("seen")
		})
	}
}

func TestSendAgainSendsOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.connect()
	d.fails(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusBadRequest, Action: "message"})
	d.says("refused at first")
	d.sees("Your message was not delivered")
	d.settles()
	d.presses("again")
	d.presses("again")
	d.says("and then")
	d.hears(c, "and then")
	if diff := cmp.Diff([]string{"refused at first", "and then"}, d.said(c)); diff != "" {
		t.Errorf("the agent sees (-want +got):\n%s", diff)
	}
}
