package bot_test

import (
	"testing"
	"time"

	"snowbot/bot"
	"snowbot/snow"
)

// An instance may say that nobody is there in words only, and leave its own bot in the conversation.
func TestThatNobodyIsThereCanBeASentence(t *testing.T) {
	text := func(s string) snow.Item { return snow.Item{Kind: snow.KindText, Text: s} }
	for _, tt := range []struct {
		name  string
		rules bot.Rules
		posts [][]snow.Item
		over  bool
	}{
		{"as it comes", bot.Rules{}, [][]snow.Item{{text("There are no agents available. Please try again later.")}}, true},
		{"in other words", bot.Rules{}, [][]snow.Item{{text("NO AGENTS ARE AVAILABLE at the moment.")}}, true},
		{"as a system message", bot.Rules{}, [][]snow.Item{{{Kind: snow.KindSystem, Text: "No agents are available to handle your request."}}}, true},
		{"in the words of the instance", bot.Rules{NoAgents: []string{"Niemand da"}}, [][]snow.Item{{text("Leider ist niemand da.")}}, true},
		{"other words", bot.Rules{}, [][]snow.Item{{text("Our agents are busy.")}}, false},
		{"and then the queue", bot.Rules{}, [][]snow.Item{{text("No agents are available yet.")}, {{Kind: snow.KindWait}}}, false},
		{"in the queue", bot.Rules{}, [][]snow.Item{{{Kind: snow.KindWait}}, {text("No agents are available yet, you are number two.")}}, false},
		{"and then a question", bot.Rules{}, [][]snow.Item{{text("No agents are available."), {Kind: snow.KindInput, Input: "text", Text: "May we call you back?"}}}, false},
		{"and then an agent", bot.Rules{}, [][]snow.Item{{text("No agents are available.")}, {{Kind: snow.KindJoined}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.rules, func(e *engine) {
				e.says("chat", "agent please")
				e.passes(time.Second)
				for _, items := range tt.posts {
					e.post(e.snow.sessionOf("chat"), snow.Event{Items: items})
				}
				e.passes(2 * time.Second)
				if n := len(e.teams.tried("chat", "No live agent is free")); n != 0 {
					t.Error("told of the end before ServiceNow could go on")
				}
				e.passes(6 * time.Second)
				told, offered, ended := e.teams.tried("chat", "No live agent is free right now"), e.teams.tried("chat", "Shall I create a ticket"), e.snow.done()
				if over := len(told) == 1 && len(offered) == 1 && ended[len(ended)-1] == "end"; over != tt.over {
					t.Errorf("over = %t, want %t; Teams shows %q, the instance was sent %q", over, tt.over, e.teams.tried("chat", ""), ended)
				}
			})
		})
	}
}
