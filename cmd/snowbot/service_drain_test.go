package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// TestServiceDrainsWhileNobodyAnswers stops the service while a send of each direction is in hand and neither side answers.
func TestServiceDrainsWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, snowtest.Options{})
	c := r.connect()
	r.hears(c, "Can I talk to a person, please?")
	hanging := r.teams.AddFault(adaptertest.Fault{Kind: adaptertest.Drop, Method: http.MethodPost, PathContains: "/activities"})
	silent, err := r.snow.AddFault(snowtest.Fault{Kind: snowtest.FaultDelay, Delay: time.Minute, Action: "message"})
	if err != nil {
		t.Fatal(err)
	}
	const n = 5
	var words, answers []string
	for i := range n {
		words, answers = append(words, "word "+strconv.Itoa(i)), append(answers, "answer "+strconv.Itoa(i))
		r.says(words[i])
		if _, err := r.snow.Say(r.within(), c.ID, answers[i]); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := r.proc.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.proc.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, r.logs.String())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutdown took %v", took)
	}
	hanging()
	silent()
	r.start()
	r.hears(c, words[n-1])
	r.sees(answers[n-1])
	chat, err := r.snow.Chat(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := chat.Said(snowtest.FromUser); !slices.Equal(got[len(got)-n:], words) {
		t.Errorf("the agent sees %q, want %q", got, words)
	}
	var shown []string
	for _, m := range r.chat.Messages() {
		if strings.HasPrefix(m.Text, "answer ") {
			shown = append(shown, strings.Split(m.Text, "\n\n")...)
		}
	}
	if !slices.Equal(shown, answers) {
		t.Errorf("Teams shows %q, want %q", shown, answers)
	}
}
