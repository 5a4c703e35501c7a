package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// What the page can break. The names are the page's.
const (
	breakNoAgents       = "noAgents"       // mode: a snowtest.NoAgentMode
	breakServiceNow     = "serviceNow"     // mode: a snowtest.DownMode
	breakServiceNowLost = "serviceNowLost" // once
	breakServiceNowAll  = "serviceNowTwice"
	breakTeams          = "teams"
	breakTeamsThrottled = "teamsThrottled" // for ten seconds
	breakTeamsLost      = "teamsLost"      // once
	breakTeamsTwice     = "teamsTwice"
	breakIdentity       = "identity"
)

const throttleFor = 10 * time.Second

// on is the mode of what is just on or off.
const on = "on"

// sandboxFaults are what is broken now, guarded by the sandbox's lock.
type sandboxFaults struct {
	mode      map[string]string // by name; none when it works
	remove    map[string]func()
	throttled time.Time
}

// breakThing breaks something in a way, or repairs it when mode is empty.
func (s *sandbox) breakThing(what, mode string) error {
	s.mu.Lock()
	defer func() { s.mu.Unlock(); s.hub.touch() }()
	if remove := s.faults.remove[what]; remove != nil {
		remove()
	}
	delete(s.faults.remove, what)
	delete(s.faults.mode, what)
	if err := s.apply(what, mode); err != nil {
		return err
	}
	if mode != "" && what != breakTeamsThrottled {
		s.faults.mode[what] = mode
	}
	return nil
}

// apply is breakThing without the books. The caller holds the lock.
func (s *sandbox) apply(what, mode string) error {
	switch what {
	case breakNoAgents:
		switch m := snowtest.NoAgentMode(mode); m {
		case snowtest.NoAgentsOff, snowtest.NoAgentsText, snowtest.NoAgentsTakeControl, snowtest.NoAgentsCompleted,
			snowtest.NoAgentsClose, snowtest.NoAgentsAckFailure, snowtest.NoAgentsSilence, snowtest.NoAgentsFail:
			return s.now.SetNoAgents(m)
		default:
			return fmt.Errorf("nobody can be absent in the way %q", mode)
		}
	case breakServiceNow:
		return s.now.SetDown(snowtest.DownMode(mode))
	case breakIdentity:
		s.teams.SetIdentityDown(mode != "")
		return nil
	case breakTeamsThrottled:
		d := throttleFor
		if mode == "" {
			d = 0
		}
		s.faults.throttled = time.Now().Add(d)
		s.teams.Throttle(d)
		return nil
	}
	add := s.scripts()[what]
	if add == nil {
		return errors.New("that cannot be broken")
	}
	if mode == "" {
		return nil
	}
	remove, err := add()
	if err == nil {
		s.faults.remove[what] = remove
	}
	return err
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
		breakServiceNowAll: now(snowtest.Fault{
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
