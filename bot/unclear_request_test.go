package bot_test

import (
	"net/http"
	"testing"

	"snowbot/snow/snowtest"
)

// TestAnEndReachesAChatWhoseRequestWasUnclear ends a session while nobody knows yet whether the instance took the request for an agent.
func TestAnEndReachesAChatWhoseRequestWasUnclear(t *testing.T) {
	t.Parallel()
	d := open(t)
	remove, err := d.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultStatus, Status: http.StatusInternalServerError, AfterEffect: true, Action: "AGENT"})
	if err != nil {
		t.Fatal(err)
	}
	d.says("I want to talk to a person")
	c := d.waits(snowtest.StateQueued)
	if err := d.snow.Accept(d.within(), c.ID, "Sam Ortiz"); err != nil {
		t.Fatal(err)
	}
	d.sees("has joined the chat")
	d.says("are you there?")
	d.says("end chat")
	remove()
	d.hears(c, "are you there?")
	d.waits(snowtest.StateEnded)
	d.settles()
}
