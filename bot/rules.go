package bot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"snowbot/snow"
)

// Rules are what an admin may change about the conversation. The zero value is usable: every field
// has a default, set by [New].
type Rules struct {
	// NoCallback is how long ServiceNow may be silent after it took the request for an agent. Default 90 s.
	NoCallback time.Duration
	// MaxWait is how long an employee may wait for an agent. Default 30 minutes.
	MaxWait time.Duration
	// IdleCancel is when the instance cancels a chat whose employee is silent; IdleWarning is when we warn. Defaults 6 and
	// 4 minutes. A negative IdleWarning is never.
	IdleCancel, IdleWarning time.Duration
	// MaxSession is the longest a session may last. Default 8 hours.
	MaxSession time.Duration

	// MaxAge is how old words may be when they are tried again; after that they are given up, and the writer is told. A first
	// try is made however late it comes, unless they have waited for it in vain. Default 5 minutes.
	MaxAge time.Duration
	// EndMaxAge is the same for what tells an end or a failure, and for tickets. Default 24 hours.
	EndMaxAge time.Duration
	// OutageAfter is how long ServiceNow may be out of reach before the employee is told. Default 5 s.
	OutageAfter time.Duration
	// NeverRepeat gives up an agent's words whose sending to Teams is unclear, and tells the agent, rather than risk that they show twice.
	NeverRepeat bool
	// Ticks has delivery reports sent to the agent. TicksAuto pauses them for an hour when the instance says that it
	// does not take any.
	Ticks, TicksAuto bool

	// GapRepair has what ServiceNow posted during an outage of ours read back from it: at a start, when ServiceNow is in reach
	// again, and for a post that could not be taken. It needs read access to sys_cs_conversation and sys_cs_message.
	GapRepair bool
	// GapEvery has it read back from time to time besides, which finds what was lost on the way. At least a minute; zero is never.
	GapEvery time.Duration

	// Pacing has sends to Teams wait for the windows that Teams allows a conversation and for the rate of the tenant, and has
	// words of the agent that wait go out as one message. Without it only what Teams says itself (Retry-After) is honoured.
	Pacing bool
	// TenantRate is how many calls of Teams are made in a second for one tenant at most, with Pacing. Default 30.
	TenantRate int

	// KeepTranscript, KeepDeadLetters and KeepConversations are how long these are kept. Defaults 7, 30 and 400 days.
	KeepTranscript, KeepDeadLetters, KeepConversations time.Duration

	// Joined and Closed are parts of what ServiceNow says when an agent has joined or closed a chat, whatever their case.
	// Older versions say nothing else. Defaults are the English sentences that an instance comes with.
	Joined, Closed []string
	// NoAgents are parts of what it says, and nothing more, when there is no agent to ask.
	NoAgents []string
	// FileGot are the whole texts by which it acknowledges a file. Default is that of an instance in English.
	FileGot []string

	// Files say which files pass between the two sides.
	Files FileRules

	// Phrases are further wishes for an agent, as whole messages.
	Phrases []string
	// Topics choose the context variables of a request for an agent; the first that matches counts.
	Topics []Topic
	// Context are context variables of every request for an agent.
	Context map[string]string
	// Texts are sentences that replace the built-in ones, by language ("de") and key ("greeting"); see [NewCatalogue].
	Texts map[string]map[string]string

	// AgentLanguage is that of the notices agents read. Default English.
	AgentLanguage string

	// Resolve makes an address of the instance absolute; see [snow.Client.Resolve].
	Resolve func(raw string) (abs string, own bool)

	// Media returns the address of the file of the instance that an item is, or ""; see [snow.Client.MediaOf].
	Media func(it snow.Item) string

	catalogue *Catalogue // with the replacements made
}

// A Topic is what an employee's wish is about.
type Topic struct {
	// Name becomes the context variable request_topic.
	Name string
	// Phrases choose the topic when the wish contains one of them, in any case.
	Phrases []string
	// Context are further context variables.
	Context map[string]string
}

// Check returns what is wrong with the rules, for whoever takes them from an admin; New checks them too.
func (r Rules) Check() error {
	_, err := r.withDefaults()
	return err
}

func (r Rules) withDefaults() (Rules, error) {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	const day = 24 * time.Hour
	or(&r.NoCallback, 90*time.Second)
	or(&r.MaxWait, 30*time.Minute)
	or(&r.IdleCancel, 6*time.Minute)
	or(&r.IdleWarning, 4*time.Minute)
	or(&r.MaxSession, 8*time.Hour)
	or(&r.MaxAge, 5*time.Minute)
	or(&r.EndMaxAge, day)
	or(&r.OutageAfter, 5*time.Second)
	or(&r.KeepTranscript, 7*day)
	or(&r.KeepDeadLetters, 30*day)
	or(&r.KeepConversations, 400*day)
	for name, d := range map[string]time.Duration{
		"noCallback": r.NoCallback, "maxWait": r.MaxWait, "idleCancel": r.IdleCancel, "maxSession": r.MaxSession,
		"maxAge": r.MaxAge, "endMaxAge": r.EndMaxAge, "transcript": r.KeepTranscript, "deadLetters": r.KeepDeadLetters,
	} {
		if d < 0 {
			return r, fmt.Errorf("%s must not be negative", name)
		}
	}
	if r.GapEvery != 0 && (r.GapEvery < time.Minute || !r.GapRepair) {
		return r, errors.New("gapRepairEvery has to be a minute or more, and needs gapRepair")
	}
	if r.IdleWarning >= r.IdleCancel {
		return r, fmt.Errorf("idleWarning (%v) has to be shorter than idleCancel (%v)", r.IdleWarning, r.IdleCancel)
	}
	if r.KeepConversations < r.KeepDeadLetters {
		return r, errors.New("conversations have to be kept at least as long as their dead letters")
	}
	switch {
	case r.TenantRate < 0:
		return r, errors.New("the rate of a tenant is negative")
	case r.TenantRate == 0:
		r.TenantRate = 30
	}
	if r.Joined == nil {
		r.Joined = []string{"has entered the chat"}
	}
	if r.Closed == nil {
		r.Closed = []string{"has closed the support session", "support session was closed", "you have left the conversation"}
	}
	if r.NoAgents == nil {
		r.NoAgents = []string{"no agents available", "no agents are available"}
	}
	if r.FileGot == nil {
		r.FileGot = []string{"File got"}
	}
	if r.Resolve == nil {
		r.Resolve = func(raw string) (string, bool) { return raw, false }
	}
	if r.Media == nil {
		r.Media = func(snow.Item) string { return "" }
	}
	var err error
	if r.Files, err = r.Files.withDefaults(); err != nil {
		return r, err
	}
	r.catalogue, err = NewCatalogue(r.Texts)
	return r, err
}

func (r *Rules) texts(locale string) *Texts { return r.catalogue.For(locale) }

// topic returns what the wish is about, and its context variables.
func (r *Rules) topic(text string) (name string, context map[string]string) {
	lower := strings.ToLower(text)
	for _, t := range r.Topics {
		for _, p := range t.Phrases {
			if strings.Contains(lower, strings.ToLower(p)) {
				return t.Name, t.Context
			}
		}
	}
	return "general", nil
}
