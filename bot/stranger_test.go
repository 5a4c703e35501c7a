package bot_test

import (
	"net/http"
	"testing"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// In a group others see the card too, and a card can be forwarded: whoever presses a button that is not theirs is told so.
func TestAPressOnAnothersButtonIsAnswered(t *testing.T) {
	t.Parallel()
	d := open(t, func(_ *desk, o *snowtest.Options) { o.NoAgents = snowtest.NoAgentsCompleted })
	noa := d.teams.AddUser(adaptertest.User{Name: "Noa Berg", Email: "noa.berg@example.com"})
	elsewhere := d.teams.Personal(noa)
	d.chat = d.teams.Group(d.mia, noa)
	press := func(chat *adaptertest.Conversation, m adaptertest.Message) {
		t.Helper()
		p, err := chat.Submit(d.within(), noa, m.ID, buttons(m)[0].Data)
		if err != nil || p.Status != http.StatusOK {
			t.Fatalf("press: status %d, %v", p.Status, err)
		}
	}

	d.says("I want to talk to a person")
	offer := d.sees("Shall I create a ticket")
	press(d.chat, offer)
	d.sees("This button is for the person it was offered to.")
	press(elsewhere, offer)
	if _, err := d.teams.WaitText(d.within(), elsewhere, "This ticket can't be created here any more."); err != nil {
		t.Errorf("a forwarded card is not answered: %v", err)
	}
	if n := len(d.snow.Incidents()); n != 0 {
		t.Errorf("%d tickets were made for a stranger", n)
	}
	d.presses("ticket")
	d.sees("Your ticket number is")

	if err := d.snow.SetNoAgents(snowtest.NoAgentsOff); err != nil {
		t.Fatal(err)
	}
	d.connect()
	press(d.chat, d.sees("You are chatting with a live agent."))
	d.settles()
	if n := d.count("This button is for the person it was offered to."); n != 2 {
		t.Errorf("who presses the end of another's chat was told %d times, want twice with the ticket", n)
	}
	d.waits(snowtest.StateLive)
}
