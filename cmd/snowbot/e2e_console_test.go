//go:build e2e

package main

import (
	"net/http"
	"testing"

	"snowbot/snow/snowtest"
)

// TestConsoleInBrowser looks after an installation: who talks, what was given up and why, and sends it again.
func TestConsoleInBrowser(t *testing.T) {
	const token = "console-token"
	r := newRig(t, snowtest.Options{}, "ADMIN_TOKEN="+token)
	c := r.connect()
	if _, err := r.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusForbidden, Action: "message", Times: 1}); err != nil {
		t.Fatal(err)
	}
	r.says("my payslip is wrong")
	r.sees("did not accept it")

	b := openBrowser(t, "console", 1280, 800)
	b.open("http://" + r.admin + "/console/")
	b.see(byID("ready") + ` >> text=ready`)
	b.write(byID("token"), "not "+token)
	b.enter()
	b.see(byID("refused") + ` >> text=not the admin token`)
	b.shoot("refused")
	b.write(byID("token"), token)
	b.enter()
	b.see(byID("sessions") + ` >> text=connected`)
	b.see(byID("letters") + ` >> text=refused`)
	b.click(byID("letter-show"))
	b.see(byID("attempts") + ` >> text=403`)
	b.miss(`text=payslip`)
	b.shoot("given up")
	b.click(byID("letter-retry"))
	b.see(`#letters-note >> text=None`)
	r.hears(c, "my payslip is wrong")
	b.shoot("sent again")
	b.click(byID("leave"))
	b.see(byID("login"))
	b.miss(byID("sessions"))
	b.finish()
}
