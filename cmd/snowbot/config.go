package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"snowbot/bot"
)

// config is the optional YAML file. Every field has a default, and an unknown one is refused.
type config struct {
	// Limits are durations such as 90s, 30m or 8h.
	Limits struct {
		NoCallback  time.Duration `yaml:"noCallback"`  // ServiceNow's silence after the request for an agent; 90s
		MaxWait     time.Duration `yaml:"maxWait"`     // waiting for an agent; 30m
		IdleCancel  time.Duration `yaml:"idleCancel"`  // when the instance cancels a silent chat; 6m
		IdleWarning time.Duration `yaml:"idleWarning"` // when the employee is warned; 4m
		MaxSession  time.Duration `yaml:"maxSession"`  // the longest session; 8h
		MaxAge      time.Duration `yaml:"maxAge"`      // of words not delivered; 5m
		EndMaxAge   time.Duration `yaml:"endMaxAge"`   // of the notice of an end; 24h
		TenantRate  int           `yaml:"tenantRate"`  // requests a second to Teams in one tenant; 30
	} `yaml:"limits"`
	// Keep says how long things are kept.
	Keep struct {
		Transcript    time.Duration `yaml:"transcript"`    // 168h
		DeadLetters   time.Duration `yaml:"deadLetters"`   // 720h
		Conversations time.Duration `yaml:"conversations"` // 9600h
	} `yaml:"keep"`
	// Files says which files pass between employees and agents. They need PUBLIC_URL.
	Files struct {
		Relay        *bool         `yaml:"relay"`        // true
		MaxMegabytes int64         `yaml:"maxMegabytes"` // of one file; 10, which is also the most
		MaxTotal     int64         `yaml:"maxTotal"`     // megabytes of all that are kept; 1024
		Types        []string      `yaml:"types"`        // content types; what people send one another at work
		AgentLink    time.Duration `yaml:"agentLink"`    // how long ServiceNow can fetch a file; 15m
		EmployeeLink time.Duration `yaml:"employeeLink"` // how long the employee can open one; 24h
	} `yaml:"files"`
	// Database says how a PostgreSQL database is used.
	Database struct {
		Migrate *bool `yaml:"migrate"` // serve brings the schema up to date by itself; true
	} `yaml:"database"`
	// Hosts are further hosts of the Bot Connector, each with those below it, which get the bot's token.
	Hosts []string `yaml:"hosts"`
	// Joined and Closed are parts of what your instance says when an agent has joined or closed a chat; the English ones it comes with.
	Joined []string `yaml:"joined"`
	Closed []string `yaml:"closed"`
	// NoAgents are parts of what it says when there is no agent to ask.
	NoAgents []string `yaml:"noAgents"`
	// FileGot are the whole texts by which it acknowledges a file, which are not shown.
	FileGot []string `yaml:"fileGot"`
	// GapRepair has what ServiceNow posted during an outage of ours read back from it. It needs to read two more tables.
	GapRepair bool `yaml:"gapRepair"`
	// GapRepairEvery has it read from time to time besides; 0.
	GapRepairEvery time.Duration `yaml:"gapRepairEvery"`
	// Phrases are further whole messages that ask for an agent.
	Phrases []string `yaml:"phrases"`
	// Context are context variables of every request for an agent.
	Context map[string]string `yaml:"context"`
	// Topics choose further context variables by what the employee writes.
	Topics []struct {
		Name    string            `yaml:"name"`
		Phrases []string          `yaml:"phrases"`
		Context map[string]string `yaml:"context"`
	} `yaml:"topics"`
	// AgentLanguage is that of the notices agents read; en.
	AgentLanguage string `yaml:"agentLanguage"`
	// Texts replace sentences, by language and key.
	Texts map[string]map[string]string `yaml:"texts"`
}

// readConfig reads the file, or returns the defaults when path is empty.
func readConfig(path string) (config, error) {
	var c config
	if path == "" {
		return c, nil
	}
	raw, err := os.ReadFile(path) // the admin names the file
	if err != nil {
		return c, fmt.Errorf("SNOWBOT_CONFIG: %w", err)
	}
	if c, err = parseConfig(raw); err == nil {
		err = errors.Join(c.checkHosts(), c.rules(&settings{}).Check())
	}
	if err != nil {
		return c, fmt.Errorf("configuration file %s: %w", path, err)
	}
	return c, nil
}

// hostName is a name of several parts, the last of which is no number.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*$`)

// checkHosts refuses what is no name of a host, and those of Azure's traffic managers, below which anybody can have a name: they would
// get the bot's token.
func (c config) checkHosts() error {
	for _, h := range c.Hosts {
		switch h {
		case "trafficmanager.net", "trafficmanager.cn", "usgovtrafficmanager.net": // of each cloud
			return fmt.Errorf("hosts: anybody can have a name below %s: name the host itself", h)
		}
		if !hostName.MatchString(h) {
			return fmt.Errorf("hosts: %.100q is not the name of a host of the Bot Connector", h)
		}
	}
	return nil
}

func parseConfig(raw []byte) (config, error) {
	var c config
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, configError(err)
	}
	return c, nil
}

// rules are the bot's.
func (c config) rules(s *settings) bot.Rules {
	r := bot.Rules{
		NoCallback: c.Limits.NoCallback, MaxWait: c.Limits.MaxWait,
		IdleCancel: c.Limits.IdleCancel, IdleWarning: c.Limits.IdleWarning,
		MaxSession: c.Limits.MaxSession, MaxAge: c.Limits.MaxAge, EndMaxAge: c.Limits.EndMaxAge,
		KeepTranscript: c.Keep.Transcript, KeepDeadLetters: c.Keep.DeadLetters, KeepConversations: c.Keep.Conversations,
		Joined: c.Joined, Closed: c.Closed, NoAgents: c.NoAgents, FileGot: c.FileGot,
		AgentLanguage: c.AgentLanguage, Phrases: c.Phrases, Context: c.Context, Texts: c.Texts,
		NeverRepeat: s.UnclearSends == "never-repeat",
		Ticks:       s.DeliveryTicks != "off",
		TicksAuto:   s.DeliveryTicks == "auto",
		Pacing:      s.TeamsPacing != "off",
		TenantRate:  c.Limits.TenantRate,
		GapRepair:   c.GapRepair,
		GapEvery:    c.GapRepairEvery,
	}
	r.Files = bot.FileRules{
		Most: megabytes(c.Files.MaxMegabytes), Total: megabytes(c.Files.MaxTotal), Types: c.Files.Types, AgentLink: c.Files.AgentLink, EmployeeLink: c.Files.EmployeeLink,
	}
	if s.PublicURL != "" && (c.Files.Relay == nil || *c.Files.Relay) {
		r.Files.Base = strings.TrimSuffix(s.PublicURL, "/") + filesPath
	}
	for _, t := range c.Topics {
		r.Topics = append(r.Topics, bot.Topic{Name: t.Name, Phrases: t.Phrases, Context: t.Context})
	}
	return r
}

// megabytes is so many, in bytes. What is no such number stays none.
func megabytes(n int64) int64 { return min(max(n, -1), 1<<30) << 20 }
