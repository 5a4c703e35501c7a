package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// A sandboxPerson can be opened as an employee. Their languages show that the bot speaks them.
type sandboxPerson struct{ key, name, locale, language string }

var sandboxPeople = []sandboxPerson{
	{"mia", "Mia Khan", "en-US", "English"},
	{"jonas", "Jonas Weber", "de-DE", "German"},
	{"camille", "Camille Moreau", "fr-FR", "French"},
	{"yuki", "Yuki Tanaka", "ja-JP", "Japanese"},
	{"carlos", "Carlos Ruiz", "es-ES", "Spanish"},
	{"ana", "Ana Souza", "pt-BR", "Portuguese"},
	{"giulia", "Giulia Conti", "it-IT", "Italian"},
	{"daan", "Daan de Vries", "nl-NL", "Dutch"},
}

// sandboxAgents are the agents that can be opened, the first from the start.
var sandboxAgents = []string{"Sam Ortiz", "Priya Nair", "Alex Kim", "Lena Fischer"}

func (p *sandboxPerson) email() string {
	return strings.ToLower(strings.ReplaceAll(p.name, " ", ".")) + "@example.com"
}

// sandboxUsers are the employees as ServiceNow knows them.
func sandboxUsers() []snowtest.User {
	var users []snowtest.User
	for _, p := range sandboxPeople {
		users = append(users, snowtest.User{Name: p.name, UserName: p.key, Email: p.email()})
	}
	return users
}

// A sandboxEmployee is somebody who chats. The sandbox's lock guards the fields that change.
type sandboxEmployee struct {
	person    sandboxPerson
	user      adaptertest.User
	chat      *adaptertest.Conversation
	installed bool
	blocked   bool
	lost      map[string]adaptertest.Posted // by message id: what the bot has not taken
}

// errNoEmployee and errNoAgent answer requests about people who were never opened.
var (
	errNoEmployee = errors.New("there is no such employee")
	errNoAgent    = errors.New("name an agent")
)

func (s *sandbox) people() []*sandboxEmployee {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.employees)
}

func (s *sandbox) employee(key string) (*sandboxEmployee, error) {
	for _, e := range s.people() {
		if e.person.key == key {
			return e, nil
		}
	}
	return nil, errNoEmployee
}

// openEmployee lets a person of the list, or without a key the next one, install the app. It returns the key.
func (s *sandbox) openEmployee(ctx context.Context, key string) (string, error) {
	s.doing.Lock()
	here := s.people()
	at := slices.IndexFunc(sandboxPeople, func(p sandboxPerson) bool {
		return p.key == key || key == "" && !slices.ContainsFunc(here, func(e *sandboxEmployee) bool { return e.person == p })
	})
	if at < 0 {
		s.doing.Unlock()
		if key == "" {
			return "", errors.New("everyone is here already")
		}
		return "", errNoEmployee
	}
	p := sandboxPeople[at]
	if slices.ContainsFunc(here, func(e *sandboxEmployee) bool { return e.person == p }) {
		s.doing.Unlock()
		return p.key, nil
	}
	e := &sandboxEmployee{person: p, lost: map[string]adaptertest.Posted{}}
	e.user = s.teams.AddUser(adaptertest.User{Name: p.name, Email: p.email(), UPN: p.email(), Locale: p.locale})
	e.chat = s.teams.Personal(e.user)
	s.mark(func() { s.employees = append(s.employees, e) })
	s.doing.Unlock()
	return p.key, s.install(ctx, e)
}

func (s *sandbox) install(ctx context.Context, e *sandboxEmployee) error {
	s.mark(func() { e.installed = true })
	if err := e.chat.Install(ctx); err != nil {
		return fmt.Errorf("the bot was not told that %s installed it: %w", e.person.name, err)
	}
	return nil
}

func (s *sandbox) uninstall(ctx context.Context, e *sandboxEmployee) error {
	s.mark(func() { e.installed = false })
	if err := e.chat.Uninstall(ctx); err != nil {
		return fmt.Errorf("the bot was not told that %s removed it: %w", e.person.name, err)
	}
	return nil
}

func (s *sandbox) block(e *sandboxEmployee, on bool) {
	s.mark(func() { e.blocked = on })
	if on {
		e.chat.Block()
	} else {
		e.chat.Unblock()
	}
}

// say posts words, and remembers them when the bot does not take them.
func (s *sandbox) say(ctx context.Context, e *sandboxEmployee, text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("there is nothing to send")
	}
	p, err := e.chat.Say(ctx, e.user, text)
	return s.posted(e, p, err)
}

// again posts words once more, as Teams does when an answer was late.
func (s *sandbox) again(ctx context.Context, e *sandboxEmployee, messageID string) error {
	s.mu.Lock()
	p, ok := e.lost[messageID]
	s.mu.Unlock()
	if !ok {
		return errors.New("the bot has that message")
	}
	p, err := e.chat.Repeat(ctx, p)
	return s.posted(e, p, err)
}

func (s *sandbox) posted(e *sandboxEmployee, p adaptertest.Posted, err error) error {
	if err != nil && !errors.Is(err, adaptertest.ErrLost) {
		return err
	}
	s.mark(func() {
		if err == nil && (p.OK() || p.Held) {
			delete(e.lost, p.ActivityID)
		} else {
			e.lost[p.ActivityID] = p
		}
	})
	return nil // the page shows it at the message
}

// openAgent lets an agent come to the desk: one of the list, a first name of it, any other name, or without a name the
// next one.
func (s *sandbox) openAgent(name string) (string, error) {
	name = strings.TrimSpace(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := append(slices.Clone(s.agents), sandboxAgents...)
	at := slices.IndexFunc(known, func(a string) bool {
		first, _, _ := strings.Cut(a, " ")
		return name == "" && !slices.Contains(s.agents, a) || name != "" && (strings.EqualFold(a, name) || strings.EqualFold(first, name))
	})
	switch {
	case at >= 0:
		name = known[at]
	case name == "":
		return "", errors.New("all agents are here already")
	case len(name) > 60 || len(s.agents) >= 50:
		return "", errNoAgent
	}
	if !slices.Contains(s.agents, name) {
		s.agents = append(s.agents, name)
		s.hub.touch()
	}
	return name, nil
}

// mark changes what the page shows.
func (s *sandbox) mark(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.hub.touch()
}
