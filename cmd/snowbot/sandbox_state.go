package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// A sandboxState is everything the page shows, apart from the wire.
type sandboxState struct {
	Service   serviceStatus     `json:"service"`
	Dialect   snowtest.Dialect  `json:"dialect"`
	Broken    map[string]string `json:"broken"`
	Throttled time.Time         `json:"throttledUntil,omitzero"`
	Employees []employeeState   `json:"employees"`
	Agents    []string          `json:"agents"`
	Chats     []chatState       `json:"chats"` // newest first
	More      moreState         `json:"more"`
	Incidents []incidentState   `json:"incidents"`
}

// An employeeState is one employee's Teams.
type employeeState struct {
	Key         string         `json:"key"`
	Name        string         `json:"name"`
	Email       string         `json:"email"`
	Language    string         `json:"language"`
	Installed   bool           `json:"installed"`
	Blocked     bool           `json:"blocked"`
	TypingUntil time.Time      `json:"typingUntil"`
	Messages    []messageState `json:"messages"`
}

// A messageState is a message without what only the wire log needs.
type messageState struct {
	ID          string                   `json:"id"`
	FromBot     bool                     `json:"fromBot"`
	From        string                   `json:"from"`
	Text        string                   `json:"text"`
	TextFormat  string                   `json:"textFormat"`
	Attachments []adaptertest.Attachment `json:"attachments,omitempty"`
	At          time.Time                `json:"at"`
	Edited      bool                     `json:"edited,omitempty"`
	Suggested   []suggestedAction        `json:"suggested,omitempty"`
	Lost        bool                     `json:"lost,omitempty"` // the bot has not taken it
}

// A suggestedAction is a button under a message, which says something for the employee.
type suggestedAction struct {
	Title string `json:"title"`
	Value any    `json:"value"`
}

// A chatState is a chat at the desk.
type chatState struct {
	snowtest.Chat
	UserTypingUntil time.Time `json:"userTypingUntil"`
}

// A moreState says whom the page can still open.
type moreState struct {
	Employees []string `json:"employees"`
	Agents    []string `json:"agents"`
}

// An incidentState is a ticket that was created.
type incidentState struct {
	Number string `json:"number"`
	Title  string `json:"title"`
}

// state is what the page shows now.
func (s *sandbox) state() sandboxState {
	chats, incidents := s.now.Chats(), s.now.Incidents()
	st := sandboxState{Service: s.child.status(), Chats: []chatState{}, Employees: []employeeState{}, Incidents: []incidentState{}}
	s.mu.Lock()
	st.Dialect, st.Broken, st.Throttled = s.dialect, maps.Clone(s.faults.mode), s.faults.throttled
	st.Agents = slices.Clone(s.agents)
	for _, c := range slices.Backward(chats) {
		st.Chats = append(st.Chats, chatState{c, s.typing[c.SessionID]})
	}
	for _, e := range s.employees {
		st.Employees = append(st.Employees, employeeState{
			Key: e.person.key, Name: e.person.name, Email: e.user.Email, Language: e.person.language,
			Installed: e.installed, Blocked: e.blocked,
		})
	}
	s.mu.Unlock()
	for n, e := range s.people()[:len(st.Employees)] {
		st.Employees[n].TypingUntil = e.chat.TypingUntil()
		st.Employees[n].Messages = s.messages(e)
	}
	for _, p := range sandboxPeople {
		if !slices.ContainsFunc(st.Employees, func(e employeeState) bool { return e.Key == p.key }) {
			st.More.Employees = append(st.More.Employees, p.name)
		}
	}
	for _, a := range sandboxAgents {
		if !slices.Contains(st.Agents, a) {
			st.More.Agents = append(st.More.Agents, a)
		}
	}
	for _, i := range incidents {
		st.Incidents = append(st.Incidents, incidentState{i["number"], i["short_description"]})
	}
	return st
}

func (s *sandbox) messages(e *sandboxEmployee) []messageState {
	all := e.chat.Messages()
	shown := make([]messageState, 0, len(all))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range all {
		_, lost := e.lost[m.ID]
		shown = append(shown, messageState{
			ID: m.ID, FromBot: m.FromBot, From: m.FromName, Text: m.Text, TextFormat: cmp.Or(m.TextFormat, "plain"),
			Attachments: m.Attachments, At: m.At, Edited: !m.EditedAt.IsZero(), Suggested: suggested(m.Raw), Lost: lost,
		})
	}
	return shown
}

func suggested(raw []byte) []suggestedAction {
	if !bytes.Contains(raw, []byte(`"suggestedActions"`)) {
		return nil
	}
	var a struct {
		SuggestedActions struct {
			Actions []suggestedAction `json:"actions"`
		} `json:"suggestedActions"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return nil
	}
	return a.SuggestedActions.Actions
}
