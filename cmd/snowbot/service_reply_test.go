package main

import (
	"testing"

	"snowbot/snow/snowtest"
)

// TestServiceTakesAnswersForEvents has an instance whose channel is synchronous: what its virtual agent says is the answer to our
// request, and no post of its own.
func TestServiceTakesAnswersForEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{Synchronous: true, WaitTime: "8 Seconds"})
	r.says("Can I talk to a person, please?")
	r.sees("Please stand by while I connect you to a live agent.")
	r.sees("8 Seconds")
	c, err := r.snow.WaitChat(r.within(), func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.snow.Accept(r.within(), c.ID, "Sam Ortiz"); err != nil {
		t.Fatal(err)
	}
	r.says("my screen flickers")
	r.hears(c, "my screen flickers")
	if _, err := r.snow.Say(r.within(), c.ID, "Since when?"); err != nil {
		t.Fatal(err)
	}
	r.sees("Since when?")
	if err := r.snow.End(r.within(), c.ID, ""); err != nil {
		t.Fatal(err)
	}
	r.sees("has ended the chat")

	if err := r.snow.SetNoAgents(snowtest.NoAgentsTakeControl); err != nil {
		t.Fatal(err)
	}
	r.says("Can I talk to a person, please?")
	r.sees("There are no agents available.")
}
