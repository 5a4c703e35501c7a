//go:build e2e

package main

import (
	"maps"
	"slices"
	"testing"

	"snowbot/bot"
)

// A sandboxWindow is the sandbox's page in a browser. Parts of the page are named by their test ids.
type sandboxWindow struct{ *browser }

const (
	teamsLog = `[data-testid=employee-log] >> `
	deskLog  = `[data-testid=agent-log] >> `
)

func byID(id string) string { return `[data-testid=` + id + `]` }

// said is what the bot says to the employee.
func said(key bot.TextKey) string { return teamsLog + `text=` + english(key) }

func (w sandboxWindow) says(text string)   { w.t.Helper(); w.send("employee", text) }
func (w sandboxWindow) writes(text string) { w.t.Helper(); w.send("agent", text) }

func (w sandboxWindow) send(who, text string) {
	w.t.Helper()
	w.write(byID(who+"-input"), text)
	w.enter()
}

// asks has the employee ask for a person.
func (w sandboxWindow) asks() {
	w.t.Helper()
	w.says("I want to talk to a person")
	w.see(byID("chat-queued"))
}

// breaks chooses how something does not work, and waits until the page says so.
func (w sandboxWindow) breaks(what, mode string) {
	w.t.Helper()
	w.choose(byID("break-"+what), mode)
	w.see(byID("banner") + ` >> text=Repair`)
}

func (w sandboxWindow) repairs() {
	w.t.Helper()
	w.click(byID("repair"))
	w.miss(byID("repair"))
}

// TestSandboxInBrowser uses everything there is on the sandbox's page, as somebody would who tries snowbot out.
func TestSandboxInBrowser(t *testing.T) {
	p := openSandbox(t)
	w := sandboxWindow{openBrowser(t, "sandbox", 1440, 900)}
	w.open(p.url)
	w.see(teamsLog + byID("suggested"))
	w.shoot("greeting")

	w.asks()
	w.see(teamsLog + byID("card-cancel"))
	w.write(byID("wait-time"), " or so")
	w.click(byID("wait-send"))
	w.see(teamsLog + `text=or so`)
	w.shoot("waiting")
	w.talks()
	w.surprises()
	w.click(byID("chat-end"))
	w.see(said(bot.TextNoticeEndedByAgent))
	w.shoot("ended by the agent")
	w.givesUp()
	w.findsNobody()
	w.pressesEveryBreak()
	w.finish()
}

func (w sandboxWindow) talks() {
	w.click(byID("chat-accept"))
	w.see(said(bot.TextNoticeJoinedUnnamed))
	w.writes("Hello Mia, what does it say?")
	w.see(teamsLog + `text=Hello Mia`)
	w.see(deskLog + byID("tick-sent"))
	w.says("It says *nothing* & <b>stays</b> grey")
	w.see(deskLog + `text=It says *nothing* & <b>stays</b> grey`)
	w.says("لا أستطيع الاتصال بـ VPN, see https://example.com/vpn?a=1&b=2.")
	w.see(teamsLog + `a:text-is("https://example.com/vpn?a=1&b=2")`)
	w.see(deskLog + `a:text-is("https://example.com/vpn?a=1&b=2")`)
	w.typesUntilSeen("One moment")
	w.shoot("agent types")
	w.enter()
	w.see(teamsLog + `text=One moment`)
	w.everyItem()
	w.says("to be changed")
	w.see(deskLog + `text=to be changed`)
	w.point(teamsLog + byID("employee-message"))
	w.click(teamsLog + byID("message-edit"))
	w.see(deskLog + `text=a message, changed`)
	w.point(teamsLog + byID("employee-message"))
	w.click(teamsLog + byID("message-delete"))
	w.see(deskLog + `text=` + english(bot.TextDeletedNotice))
	w.shoot("words both ways")
}

// TestSandboxOnPhoneInBrowser has a chat in a window as narrow as a phone's: everything is in reach.
func TestSandboxOnPhoneInBrowser(t *testing.T) {
	p := openSandbox(t)
	w := sandboxWindow{openBrowser(t, "phone", 390, 844)}
	w.open(p.url)
	w.see(teamsLog + byID("suggested"))
	w.asks()
	w.shoot("waiting")
	w.click(byID("chat-accept"))
	w.see(said(bot.TextNoticeJoinedUnnamed))
	w.writes("Hello Mia")
	w.see(teamsLog + `text=Hello Mia`)
	w.click(byID("wire-fold"))
	w.miss(byID("wire-line"))
	w.shoot("live")
	w.says("end chat")
	w.see(byID("chat-ended"))
	w.finish()
}

// typesUntilSeen has the agent go on typing: what is shown of it gives way to everything else.
func (w sandboxWindow) typesUntilSeen(text string) {
	w.t.Helper()
	w.write(byID("agent-input"), text)
	var err error
	for range 8 {
		if err = w.try(order{Do: "see", Selector: byID("employee-typing"), Limit: 3000}); err == nil {
			return
		}
		w.write(byID("agent-input"), ".")
	}
	w.t.Fatal(err)
}

// everyItem has the agent send one of each thing in the menu, and the employee answer the questions among them.
func (w sandboxWindow) everyItem() {
	for _, what := range slices.Sorted(maps.Keys(sandboxItems())) {
		w.click(byID("items"))
		w.click(byID("item-" + what))
	}
	for _, shown := range []string{
		`img[alt="Where the reset button is"]`, `a:has-text("How to set up the VPN")`, `text=Which device is it?`, `text=Which systems are affected?`,
		`text=VPN does not connect`, `text=L-2291`, `strong:text("in this order")`, `text=When may a technician come?`, `text=When shall we call you?`,
	} {
		w.see(teamsLog + shown)
	}
	w.click(teamsLog + `text="Laptop"`)
	w.see(deskLog + byID("line-user") + ` >> text=laptop`)
	w.shoot("every item")
}

// surprises break the service and both its neighbours in the middle of a chat. Nothing may be lost.
func (w sandboxWindow) surprises() {
	w.click(byID("break-teams"))
	w.see(byID("banner") + ` >> text=Teams answers 503`)
	w.writes("said while Teams is down")
	w.see(deskLog + byID("tick-taken"))
	w.shoot("Teams is down")
	w.click(byID("service-kill"))
	w.see(byID("banner") + ` >> text=does not run`)
	w.says("said to nobody")
	w.see(teamsLog + byID("message-again"))
	w.shoot("killed")
	w.repairs()
	w.click(byID("service-start"))
	w.see(teamsLog + `text=said while Teams is down`)
	w.see(byID("status-service") + ` >> text=running`)
	w.click(teamsLog + byID("message-again"))
	w.see(deskLog + `text=said to nobody`)
	w.breaks("serviceNow", "503")
	w.says("said while ServiceNow is down")
	w.see(said(bot.TextNoticeOutage))
	w.shoot("ServiceNow is down")
	w.repairs()
	w.see(deskLog + `text=said while ServiceNow is down`)
	w.see(said(bot.TextNoticeOutageOver))
	w.shoot("after it all")
}

// givesUp has the employee cancel with the button of the card.
func (w sandboxWindow) givesUp() {
	w.asks()
	w.click(teamsLog + byID("card-cancel"))
	w.see(said(bot.TextNoticeCancelled))
	w.see(said(bot.TextCardEndedCancelled))
	w.shoot("cancelled")
}

func (w sandboxWindow) findsNobody() {
	w.breaks("noAgents", "completed")
	w.says("I want to talk to a person")
	w.click(teamsLog + byID("card-ticket"))
	w.see(byID("ticket"))
	w.see(teamsLog + `text=INC`)
	w.shoot("nobody there")
	w.repairs()
}

// pressesEveryBreak presses whatever breaks something, and what mends it.
func (w sandboxWindow) pressesEveryBreak() {
	for what, modes := range map[string][]string{
		"noAgents":   {"text", "takeControl", "completed", "close", "ackFailure", "silence", "fail"},
		"serviceNow": {"503", "hang", "html", "refuse"},
	} {
		for _, mode := range modes {
			w.breaks(what, mode)
			w.choose(byID("break-"+what), "")
			w.miss(byID("repair"))
		}
	}
	for _, what := range []string{"serviceNowLost", "serviceNowTwice", "teams", "teamsThrottled", "teamsLost", "teamsTwice", "identity"} {
		w.click(byID("break-" + what))
		w.see(byID("break-"+what) + `[aria-pressed=true]`)
		w.repairs()
		w.see(byID("break-"+what) + `[aria-pressed=false]`)
	}
	for _, dialect := range []string{"spec", "official"} {
		w.click(byID("dialect-" + dialect))
		w.see(byID("dialect-"+dialect) + `[aria-pressed=true]`)
	}
	w.click(`:not(.noise) > ` + byID("wire-line") + ` >> nth=0`)
	w.see(byID("wire-request"))
	w.shoot("on the wire")
}
