package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"snowbot/store/postgres/postgrestest"
)

type benchCommand struct {
	Chats    int           `default:"200" help:"How many chats are on at once."`
	Senders  int           `default:"64" help:"How many people write at once, on each side. One chat has one writer on each side."`
	For      time.Duration `default:"5s" help:"How long each measurement takes."`
	Runs     int           `default:"3" help:"How often everything is measured; the medians are shown."`
	Only     string        `placeholder:"WORDS" help:"Make only those measurements whose names hold these words."`
	Postgres string        `placeholder:"URL" help:"Measure with this PostgreSQL database too, in a schema that is dropped again."`
	Bots     string        `type:"existingdir" placeholder:"DIR" help:"Measure the echo bots in this folder too, one Node program each."`
	Profile  string        `type:"path" placeholder:"DIR" help:"Write profiles of the service and of the emulations there (processor, heap, blocking), of the last run."`
	JSON     bool          `help:"Print JSON."`
	benchReplicas
	benchSize
	benchCheck
	server *postgrestest.Server // a private one
}

// Run measures the service between emulations of Teams and ServiceNow, each in a process of its own.
func (c *benchCommand) Run() error {
	if c.Check {
		return runCheck(&c.benchCheck)
	}
	if c.Chats < 1 || c.Senders < 1 || c.Runs < 1 || c.For < 100*time.Millisecond {
		return errors.New("bench: there have to be chats, senders, runs, and at least 100 ms for each")
	}
	if c.Replicas < 0 {
		return errors.New("bench: there cannot be fewer than no replicas")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The kernel ends a child with the thread that started it (dieWithParent), so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the program itself: %w", err)
	}
	dir, err := os.MkdirTemp("", "snowbot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if c.Size {
		return c.runSize(ctx, binary, dir)
	}
	if c.Replicas > 0 && c.Postgres == "" {
		if c.server, err = postgrestest.Start(postgrestest.Options{Fsync: true, Own: true}); err != nil {
			return fmt.Errorf("bench: %w; or name one with --postgres", err)
		}
		defer c.server.Stop()
		c.Postgres = c.server.URL()
	}
	report, err := c.measure(ctx, binary, dir)
	if err != nil {
		return err
	}
	return report.print(os.Stdout, c.JSON)
}

// A benchPhase is one measurement.
type benchPhase struct {
	name              string
	echo              bool
	bot               string  // a program for Node, which echoes too
	employees, agents bool    // who writes
	half              bool    // an open loop, at half the rate of the closed one
	rate              float64 // messages a second of each side; 0 is a closed loop
	alone             bool    // one chat only
}

const (
	// echoPhase is the ceiling: what decodes an activity, verifies its token, and posts it back, and keeps nothing.
	echoPhase = "raw echo"
	bothWays  = "relay, both ways"
)

var benchPhases = []benchPhase{
	{name: echoPhase, echo: true},
	{name: "relay, to ServiceNow", employees: true},
	{name: "relay, to Teams", agents: true},
	{name: bothWays, employees: true, agents: true},
	{name: "open loop, half the rate", employees: true, agents: true, half: true},
	{name: "open loop, 200/s", employees: true, agents: true, rate: 100},
	{name: "one chat, both ways", employees: true, agents: true, alone: true},
}

// onPostgres marks the measurements with that database.
const onPostgres = ", PostgreSQL"

// A benchSetup is what is measured.
type benchSetup struct {
	database string // a URL of PostgreSQL; empty is a file
	replicas int    // behind a load balancer; 0 is one service that is spoken to directly
}

// setups are those to measure.
func (c *benchCommand) setups() []benchSetup {
	if c.Replicas > 0 {
		return c.fleets(c.Postgres)
	}
	all := []benchSetup{{}}
	if c.Postgres != "" {
		all = append(all, benchSetup{database: c.Postgres})
	}
	return all
}

// phases are those that were asked for.
func (c *benchCommand) phases(of benchSetup) []benchPhase {
	var all, phases []benchPhase
	switch {
	case of.replicas > 0:
		all = []benchPhase{fleetPhase(of.replicas)}
	case of.database == "":
		all = append(c.bots(), benchPhases...)
	default:
		for _, p := range benchPhases {
			if !p.echo {
				p.name += onPostgres
				all = append(all, p)
			}
		}
	}
	for _, p := range all {
		if strings.Contains(p.name, c.Only) {
			phases = append(phases, p)
		}
	}
	return phases
}

// botSide is what a bot's program is called that is none by itself.
const botSide = "platform.mjs"

// botWarmUp is how long a program for Node runs before it is measured.
const botWarmUp = 3 * time.Second

// bots are the measurements of other bots.
func (c *benchCommand) bots() (phases []benchPhase) {
	if c.Bots == "" {
		return nil
	}
	programs, _ := filepath.Glob(filepath.Join(c.Bots, "*.mjs")) // the pattern is good
	for _, p := range programs {
		if name := filepath.Base(p); name != botSide {
			phases = append(phases, benchPhase{name: "echo of " + strings.TrimSuffix(name, ".mjs"), echo: true, bot: p, employees: true})
		}
	}
	return phases
}

// measure makes every run, and returns the medians.
func (c *benchCommand) measure(ctx context.Context, binary, dir string) (*benchReport, error) {
	total := 0
	for _, setup := range c.setups() {
		total += c.Runs * len(c.phases(setup))
	}
	bar := newBenchBar(time.Duration(total) * c.For)
	defer bar.finish()
	report := newBenchReport(c)
	for n := range c.Runs {
		for _, setup := range c.setups() {
			if err := c.run(ctx, binary, filepath.Join(dir, fmt.Sprint("run", n)), setup, bar, report); err != nil {
				return nil, err
			}
		}
	}
	report.finish()
	return report, nil
}

// run makes every measurement of a setup once, with processes of its own.
func (c *benchCommand) run(ctx context.Context, binary, dir string, setup benchSetup, bar *benchBar, report *benchReport) (err error) {
	database := setup.database
	if database != "" {
		schema, err := newBenchSchema(ctx, database)
		if err != nil {
			return err
		}
		defer schema.drop(ctx) //nolint:errcheck // it says so by its name
		database = schema.url
	}
	s, err := newBenchStage(binary, dir, database, c.Profile)
	if err != nil {
		return err
	}
	s.replicas, s.server = setup.replicas, c.server
	closed := 0.0 // messages a second, both ways
	for _, p := range c.phases(setup) {
		if err = c.prepare(ctx, s, p); err != nil {
			break
		}
		plan := loadPlan{Chats: c.Chats, Senders: c.Senders, For: c.For, Rate: p.rate}
		if p.alone {
			plan.Chats, plan.Senders = 1, 1
		}
		if p.half {
			plan.Rate = cmp.Or(closed, 1000) / 4 // of each side
		}
		if p.bot != "" { // it is faster once it is warm
			if _, err = s.relay(ctx, p, loadPlan{Chats: c.Chats, Senders: c.Senders, For: min(c.For, botWarmUp)}, nil); err != nil {
				break
			}
		}
		var row *benchRow
		if row, err = s.relay(ctx, p, plan, func(d time.Duration) { bar.at(min(d, c.For)) }); err != nil {
			break
		}
		bar.next(c.For)
		report.add(row)
		if strings.HasPrefix(p.name, bothWays) {
			closed = row.delivered()
		}
		if p.echo {
			_ = s.stop() // it keeps nothing, so that any end is a good one
		}
	}
	return s.explain(errors.Join(err, s.close()))
}

// prepare starts what is measured, if it does not run yet.
func (c *benchCommand) prepare(ctx context.Context, s *benchStage, p benchPhase) error {
	if p.echo {
		program := []string{s.binary, "bench-echo"}
		if p.bot != "" {
			program = []string{"node", p.bot}
		}
		return s.echo(ctx, program, c.Chats)
	}
	if s.service != nil {
		return nil
	}
	if _, err := s.serve(ctx); err != nil {
		return err
	}
	if err := s.open(c.Chats); err != nil {
		return err
	}
	return settle(ctx, s, 200*time.Millisecond, 0)
}

// print writes the report.
func (r *benchReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.table(w)
}
