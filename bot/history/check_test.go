package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"snowbot/bot/history"
)

const ms = time.Millisecond

// A script builds a record by hand, in conversation 1. Each step takes a millisecond.
type script struct {
	record history.Record
	now    time.Duration
	send   int32
	number int32 // of the session that is on
}

func (s *script) add(e history.Event) {
	s.now += ms
	e.At = s.now
	if e.Mark.Conversation == 0 {
		e.Mark.Conversation = 1
	}
	if e.End == 0 {
		e.End = e.At
	}
	e.Session = s.number
	s.record.Add(e)
}

func (s *script) step(k history.Kind) { s.add(history.Event{Kind: k}) }

func agent(n int32) history.Mark {
	return history.Mark{Conversation: 1, Direction: history.FromAgent, Number: n}
}

func employee(n int32) history.Mark {
	return history.Mark{Conversation: 1, Direction: history.FromEmployee, Number: n}
}

func (s *script) begin() {
	s.number++
	s.step(history.Asked)
	s.step(history.Joined)
}

func (s *script) end() {
	s.step(history.Ending)
	s.step(history.Accepted)
	s.step(history.Ended)
	s.step(history.Closed)
}

func (s *script) accepted(m history.Mark) {
	s.add(history.Event{Kind: history.Offered, Mark: m, OK: true})
}

// shown is one send with all the marks.
func (s *script) shown(unclear bool, marks ...history.Mark) {
	s.send++
	for _, m := range marks {
		s.add(history.Event{Kind: history.Shown, Mark: m, Send: s.send, Unclear: unclear})
	}
}

func (s *script) ticked(marks ...history.Mark) {
	for _, m := range marks {
		s.add(history.Event{Kind: history.Ticked, Mark: m})
	}
}

func (s *script) kill() { s.add(history.Event{Kind: history.Killed}) }

func (s *script) flagged(n int32) { s.add(history.Event{Kind: history.Flagged, Count: n}) }

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(s *script)
		want []history.Promise
	}{
		{"nothing happened", func(*script) {}, nil},
		{"all as promised", func(s *script) {
			s.begin()
			for n := range int32(3) {
				s.accepted(employee(n + 1))
				s.accepted(agent(n + 1))
				s.shown(false, agent(n+1))
				s.ticked(agent(n + 1))
				s.shown(false, employee(n+1))
			}
			s.end()
		}, nil},
		{"one activity of several messages", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.accepted(agent(2))
			s.shown(false, agent(1), agent(2))
			s.ticked(agent(1), agent(2))
			s.end()
		}, nil},

		{"an agent's words vanish", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.end()
		}, []history.Promise{history.Lost}},
		{"an agent's words vanish, and are ticked", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.ticked(agent(1))
			s.end()
		}, []history.Promise{history.Lost}},
		{"an employee's words vanish", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.end()
		}, []history.Promise{history.Lost}},
		{"words that were never accepted", func(s *script) {
			s.begin()
			s.add(history.Event{Kind: history.Offered, Mark: agent(1)})
			s.add(history.Event{Kind: history.Offered, Mark: employee(1)})
			s.end()
		}, nil},
		{"words that were told as not delivered", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.add(history.Event{Kind: history.Told, Mark: employee(1)})
			s.accepted(agent(1))
			s.add(history.Event{Kind: history.Failed, Mark: agent(1)})
			s.end()
		}, nil},
		{"words accepted after the end had begun", func(s *script) {
			s.begin()
			s.step(history.Ending)
			s.accepted(employee(1))
			s.accepted(agent(1))
			s.end()
		}, nil},
		{"held words of a request that was cancelled", func(s *script) {
			s.number = 1
			s.step(history.Asked)
			s.accepted(employee(1))
			s.end()
		}, nil},
		{"held words of a request that was cancelled before there was news of an agent", func(s *script) {
			s.number = 1
			s.step(history.Asked)
			s.accepted(employee(1))
			s.end()
			s.step(history.Joined)
		}, nil},
		{"words that reached a chat that was closed", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.step(history.Ending)
			s.step(history.Closed)
			s.add(history.Event{Kind: history.Reached, Mark: employee(1)})
			s.step(history.Ended)
		}, nil},

		{"shown twice for no reason", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(false, agent(1))
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(1)
		}, []history.Promise{history.Duplicate}},
		{"the agent sees it twice, whatever happened", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.shown(true, employee(1))
			s.kill()
			s.shown(false, employee(1))
			s.end()
			s.flagged(1)
		}, []history.Promise{history.Duplicate}},
		{"shown again in an outage that is not over everywhere", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(false, agent(1))
			s.add(history.Event{Kind: history.Outage, End: s.now + 100*ms})
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(1)
		}, nil},
		{"shown twice after an unclear send", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(true, agent(1))
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(1)
		}, nil},
		{"shown three times after one unclear send", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(true, agent(1))
			s.shown(false, agent(1))
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(2)
		}, []history.Promise{history.Duplicate}},
		{"an unclear send that nobody counted", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(true, agent(1))
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(0)
		}, []history.Promise{history.Unflagged}},
		{"an unclear send that was counted by a process that was killed", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.flagged(0)
			s.shown(true, agent(1))
			s.shown(false, agent(1))
			s.kill()
			s.ticked(agent(1))
			s.end()
			s.flagged(0)
		}, nil},
		{"shown again after a kill", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(false, agent(1))
			s.kill()
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
			s.flagged(1)
		}, nil},
		{"two sends of a lane shown again after one kill", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.accepted(agent(2))
			s.shown(false, agent(1))
			s.shown(false, agent(2))
			s.kill()
			s.shown(false, agent(1))
			s.shown(false, agent(2))
			s.ticked(agent(1), agent(2))
			s.end()
			s.flagged(2)
		}, []history.Promise{history.Reordered, history.Duplicate}},
		{"a merged activity repeated as a whole is one repeat", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.accepted(agent(2))
			s.shown(false, agent(1), agent(2))
			s.kill()
			s.shown(false, agent(1), agent(2))
			s.ticked(agent(1), agent(2))
			s.end()
			s.flagged(1)
		}, nil},
		{"a merged activity repeated in parts is one repeat", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.accepted(agent(2))
			s.accepted(agent(3))
			s.shown(true, agent(1), agent(2))
			s.shown(false, agent(1))
			s.shown(false, agent(2), agent(3))
			s.ticked(agent(1), agent(2), agent(3))
			s.end()
			s.flagged(1)
		}, nil},

		{"out of order", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.accepted(agent(2))
			s.shown(false, agent(2))
			s.shown(false, agent(1))
			s.ticked(agent(1), agent(2))
			s.end()
		}, []history.Promise{history.Reordered}},
		{"out of order at the desk", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.accepted(employee(2))
			s.shown(false, employee(2))
			s.shown(false, employee(1))
			s.end()
		}, []history.Promise{history.Reordered}},
		{"overtaken on the way to us", func(s *script) {
			s.begin()
			s.add(history.Event{Kind: history.Offered, Mark: agent(1)}) // lost
			s.accepted(agent(2))
			s.accepted(agent(1))
			s.shown(false, agent(2))
			s.shown(false, agent(1))
			s.ticked(agent(1), agent(2))
			s.end()
		}, nil},

		{"shown after the notice of the end", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.end()
			s.shown(false, agent(1))
			s.ticked(agent(1))
		}, []history.Promise{history.AfterEnd}},
		{"sent after END_CONVERSATION", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.shown(false, employee(1))
			s.step(history.Left)
			s.end()
			s.add(history.Event{Kind: history.Reached, Mark: employee(1)})
		}, []history.Promise{history.AfterEnd}},
		{"sent long after ServiceNow said that it was over", func(s *script) {
			s.begin()
			s.accepted(employee(1))
			s.end()
			s.now += 5 * time.Second
			s.add(history.Event{Kind: history.Reached, Mark: employee(1)})
		}, []history.Promise{history.AfterEnd}},
		{"the next session is another one", func(s *script) {
			s.begin()
			s.end()
			s.begin()
			s.accepted(agent(1))
			s.shown(false, agent(1))
			s.ticked(agent(1))
			s.end()
		}, nil},

		{"no tick", func(s *script) {
			s.begin()
			s.accepted(agent(1))
			s.shown(false, agent(1))
			s.end()
		}, []history.Promise{history.Unticked}},
		{"the employee does not learn of the end", func(s *script) {
			s.begin()
			s.step(history.Closed)
		}, []history.Promise{history.Open}},
		{"the agent does not learn of the end", func(s *script) {
			s.begin()
			s.step(history.Ended)
		}, []history.Promise{history.Open}},
		{"shown, and never written", func(s *script) {
			s.begin()
			s.shown(false, agent(7))
			s.end()
		}, []history.Promise{history.Invented}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &script{}
			tt.run(s)
			violations := history.Check(&s.record)
			var got []history.Promise
			for _, v := range violations {
				got = append(got, v.Promise)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("violations %v, want %v", violations, tt.want)
			}
			if again := history.Check(&s.record); !cmp.Equal(violations, again) {
				t.Errorf("the second check of the same record differs: %s", cmp.Diff(violations, again))
			}
		})
	}
}

// TestCheckOfAnyServiceThatKeepsItsPromises runs a model that does everything right, in any interleaving, and then breaks one
// promise, which has to be found.
func TestCheckOfAnyServiceThatKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &script{}
		s.begin()
		n := rapid.Int32Range(2, 20).Draw(t, "messages")
		broken := rapid.SampledFrom([]history.Promise{"", history.Lost, history.Duplicate, history.Reordered, history.Unticked}).Draw(t, "broken")
		victim := rapid.Int32Range(1, n-1).Draw(t, "victim")
		for i := range n {
			s.accepted(agent(i + 1))
		}
		repeats := int32(0)
		for i := int32(1); i <= n; i++ {
			switch {
			case broken == history.Lost && i == victim:
				continue
			case broken == history.Reordered && i == victim:
				s.shown(false, agent(i+1))
				s.shown(false, agent(i))
				s.ticked(agent(i), agent(i+1))
				i++
				continue
			case broken == history.Duplicate && i == victim:
				s.shown(false, agent(i))
			case rapid.Bool().Draw(t, "unclear"):
				s.shown(true, agent(i))
				repeats++
			case i != victim && rapid.Bool().Draw(t, "kill"):
				s.shown(false, agent(i))
				s.kill()
				repeats++
			}
			s.shown(false, agent(i))
			if broken != history.Unticked || i != victim {
				s.ticked(agent(i))
			}
		}
		s.end()
		s.flagged(repeats + 1)
		var got []history.Promise
		for _, v := range history.Check(&s.record) {
			got = append(got, v.Promise)
		}
		var want []history.Promise
		if broken != "" {
			want = append(want, broken)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("violations %v, want %v", got, want)
		}
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	text := agent(1).String() + " joined\n\nby " + agent(2).String() + employee(3).String() + agent(1).String() + " [m1x4] [m1a]"
	if diff := cmp.Diff([]history.Mark{agent(1), agent(2)}, history.Marks(text, history.FromAgent)); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]history.Mark{employee(3)}, history.Marks(text, history.FromEmployee)); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}

func TestRunRefusesWhatItCannotCarryOut(t *testing.T) {
	t.Parallel()
	for _, p := range []history.Plan{{}, {FaultRate: 0.9}} {
		if _, err := history.Run(t.Context(), p); err == nil {
			t.Errorf("Run(%+v) has to fail", p)
		}
	}
}
