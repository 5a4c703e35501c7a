package main

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// What the page can break. The names are the page's.
const (
	breakNoAgents        = "noAgents"       // mode: a snowtest.NoAgentMode
	breakServiceNow      = "serviceNow"     // mode: a snowtest.DownMode
	breakServiceNowLost  = "serviceNowLost" // once
	breakServiceNowTwice = "serviceNowTwice"
	breakTeams           = "teams"
	breakTeamsThrottled  = "teamsThrottled" // for ten seconds
	breakTeamsLost       = "teamsLost"      // once
	breakTeamsTwice      = "teamsTwice"
	breakIdentity        = "identity"
)

const throttleFor = 10 * time.Second

// sandboxFaults are what is broken now, guarded by the sandbox's lock.
type sandboxFaults struct {
	mode      map[string]string // by name; none when it works
	remove    map[string]func()
	throttled time.Time
}

// breakThing breaks something in a way, or repairs it when mode is empty. The emulators are called without the sandbox's
// lock: what they have in hand may be waiting for it.
func (s *sandbox) breakThing(what, mode string) error {
	s.doing.Lock()
	defer s.doing.Unlock()
	s.mu.Lock()
	remove := s.faults.remove[what]
	s.used(what)
	s.mu.Unlock()
	if remove != nil {
		remove()
	}
	remove, err := s.apply(what, mode)
	if err != nil {
		return err
	}
	s.mark(func() {
		switch {
		case what == breakTeamsThrottled && mode != "":
			s.faults.throttled = time.Now().Add(throttleFor)
		case what == breakTeamsThrottled:
			s.faults.throttled = time.Time{}
		case mode != "":
			s.faults.mode[what], s.faults.remove[what] = mode, remove
		}
	})
	return nil
}

// apply is breakThing without the books. It returns what removes the fault, if anything does.
func (s *sandbox) apply(what, mode string) (remove func(), err error) {
	switch what {
	case breakNoAgents:
		return nil, s.now.SetNoAgents(snowtest.NoAgentMode(mode))
	case breakServiceNow:
		return nil, s.now.SetDown(snowtest.DownMode(mode))
	case breakIdentity:
		s.teams.SetIdentityDown(mode != "")
		return nil, nil
	case breakTeamsThrottled:
		d := throttleFor
		if mode == "" {
			d = 0
		}
		s.teams.Throttle(d)
		return nil, nil
	}
	add := s.scripts()[what]
	switch {
	case add == nil:
		return nil, errors.New("that cannot be broken")
	case mode == "":
		return nil, nil
	}
	return add()
}

// scripts are the faults that the emulators apply.
func (s *sandbox) scripts() map[string]func() (func(), error) {
	teams := func(f adaptertest.Fault) func() (func(), error) {
		return func() (func(), error) { return s.teams.AddFault(f), nil }
	}
	now := func(f snowtest.Fault) func() (func(), error) {
		return func() (func(), error) { return s.now.AddFault(f) }
	}
	return map[string]func() (func(), error){
		breakTeams: teams(adaptertest.Fault{
			PathContains: "/v3/", Kind: adaptertest.Status, Status: http.StatusServiceUnavailable,
		}),
		breakTeamsLost: teams(adaptertest.Fault{
			Method: http.MethodPost, PathContains: "/v3/", Kind: adaptertest.ResetAfterEffect, Times: 1,
			Match: func(r adaptertest.FaultRequest) bool { return !bytes.Contains(r.Body, []byte(`"type":"typing"`)) },
		}),
		breakTeamsTwice: teams(adaptertest.Fault{
			Direction: adaptertest.Out, Kind: adaptertest.Duplicate,
			Match: func(r adaptertest.FaultRequest) bool { return !bytes.Contains(r.Body, []byte(`"type":"typing"`)) },
		}),
		breakServiceNowLost: now(snowtest.Fault{Kind: snowtest.FaultReset, AfterEffect: true, Action: "message", Times: 1}),
		breakServiceNowTwice: now(snowtest.Fault{
			Kind: snowtest.FaultDuplicate, Direction: snowtest.Out,
			Match: func(r snowtest.FaultRequest) bool { return !bytes.Contains(r.Body, []byte("TypingIndicator")) },
		}),
	}
}

// repair ends everything that is broken, apart from a service that was killed.
func (s *sandbox) repair() error {
	s.mu.Lock()
	broken := []string{breakTeamsThrottled}
	for what := range s.faults.mode {
		broken = append(broken, what)
	}
	s.mu.Unlock()
	var err error
	for _, what := range broken {
		err = errors.Join(err, s.breakThing(what, ""))
	}
	return err
}

// teamsFault notes that the fault that happens once has happened. It is called by the channel, under no lock of ours.
func (s *sandbox) teamsFault(kind string) {
	if kind == string(adaptertest.ResetAfterEffect) {
		s.mark(func() { s.used(breakTeamsLost) })
	}
}

// serviceNowSeen notes the same of the instance, and who is typing. The instance must not be called from here.
func (s *sandbox) serviceNowSeen(e *snowtest.Exchange) {
	if e.Direction != snowtest.In || !strings.HasSuffix(e.Path, "/bot/integration") {
		return
	}
	s.mark(func() {
		if e.Fault == string(snowtest.FaultReset) {
			s.used(breakServiceNowLost)
		}
		if strings.Contains(e.RequestBody, `"action":"TYPING"`) {
			s.typing[e.SessionID] = time.Now().Add(typingAtDesk)
		} else {
			delete(s.typing, e.SessionID)
		}
	})
}

// typingAtDesk is how long the desk shows that an employee types when nothing more is heard.
const typingAtDesk = 4 * time.Second

func (s *sandbox) used(what string) {
	delete(s.faults.mode, what)
	delete(s.faults.remove, what)
}
