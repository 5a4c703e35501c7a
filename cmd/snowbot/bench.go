package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

type benchCommand struct {
	Chats   int           `default:"200" help:"How many chats are on at once."`
	Senders int           `default:"64" help:"How many people write at once, on each side. One chat has one writer on each side."`
	For     time.Duration `default:"5s" help:"How long each measurement takes."`
	Runs    int           `default:"3" help:"How often everything is measured; the medians are shown."`
	Only    string        `placeholder:"WORDS" help:"Make only those measurements whose names hold these words."`
	Profile string        `type:"path" placeholder:"DIR" help:"Write profiles of the service and of the emulations there (processor, heap, blocking), of the last run."`
	JSON    bool          `help:"Print JSON."`
	benchCheck
}

// Run measures the service between emulations of Teams and ServiceNow, each in a process of its own.
func (c *benchCommand) Run() error {
	if c.Check {
		return runCheck(&c.benchCheck)
	}
	if c.Chats < 1 || c.Senders < 1 || c.Runs < 1 || c.For < 100*time.Millisecond {
		return errors.New("bench: there have to be chats, senders, runs, and at least 100 ms for each")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The kernel ends a child with the thread that started it (dieWithParent), so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "snowbot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	report, err := c.measure(ctx, dir)
	if err != nil {
		return err
	}
	return report.print(os.Stdout, c.JSON)
}

// measure makes every run, and returns the medians.
func (c *benchCommand) measure(ctx context.Context, dir string) (*benchReport, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find the program itself: %w", err)
	}
	bar := newBenchBar(time.Duration(c.Runs*len(c.phases())) * c.For)
	defer bar.finish()
	report := newBenchReport(c)
	for n := range c.Runs {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		r := benchRun{key: base64.StdEncoding.EncodeToString(key), command: c, binary: binary, dir: filepath.Join(dir, fmt.Sprint("run", n)), bar: bar, report: report}
		if err := r.run(ctx); err != nil {
			return nil, err
		}
	}
	report.finish()
	return report, nil
}

// A benchPhase is one measurement.
type benchPhase struct {
	name              string
	employees, agents bool    // who writes
	half              bool    // an open loop, at half the rate of the closed one
	rate              float64 // messages a second of each side; 0 is a closed loop
}

const bothWays = "relay, both ways"

var benchPhases = []benchPhase{
	{name: echoPhase, employees: true},
	{name: "relay, to ServiceNow", employees: true},
	{name: "relay, to Teams", agents: true},
	{name: bothWays, employees: true, agents: true},
	{name: "open loop, half the rate", employees: true, agents: true, half: true},
	{name: "open loop, 200/s", employees: true, agents: true, rate: 100},
}

// phases are those that were asked for.
func (c *benchCommand) phases() []benchPhase {
	return slices.DeleteFunc(slices.Clone(benchPhases), func(p benchPhase) bool { return !strings.Contains(p.name, c.Only) })
}

// echoPhase is the ceiling: what decodes an activity, verifies its token, and posts it back, and keeps nothing.
const echoPhase = "raw echo"

// A benchRun is one run of all measurements, with processes and a database of its own.
type benchRun struct {
	command    *benchCommand
	binary     string
	dir        string
	key        string // DATA_ENCRYPTION_KEY
	bar        *benchBar
	report     *benchReport
	teams, now *benchPeer
	service    *benchService
	closed     float64 // messages a second, both ways
}

func (r *benchRun) run(ctx context.Context) (err error) {
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if r.teams, err = startPeer(r.binary, "teams", r.command.Profile, log); err != nil {
		return err
	}
	defer r.teams.stop()
	if r.now, err = startPeer(r.binary, "servicenow", r.command.Profile, log); err != nil {
		return err
	}
	defer r.now.stop()
	for _, p := range r.command.phases() {
		if err = r.phase(ctx, p, log); err != nil {
			break
		}
	}
	if r.service != nil {
		err = errors.Join(err, r.service.stop())
	}
	if err != nil {
		return fmt.Errorf("%w; the last lines of the service:\n%s", err, lastLines(log.Name(), 5))
	}
	return nil
}

// phase makes one measurement.
func (r *benchRun) phase(ctx context.Context, p benchPhase, log io.Writer) (err error) {
	switch {
	case p.name == echoPhase:
		echo, err := startService(ctx, r.binary, []string{"bench-echo"}, r.env(), log)
		if err != nil {
			return err
		}
		defer echo.stop() //nolint:errcheck // it keeps nothing
		if _, err := r.teams.ask(peerOrder{Do: "open", Bot: echo.bot(), Chats: r.command.Chats, Silent: true}); err != nil {
			return err
		}
		return r.measure(ctx, p, echo, r.teams, r.teams)
	case r.service == nil:
		if err := r.open(ctx, log); err != nil {
			return err
		}
	}
	return r.measure(ctx, p, r.service, r.teams, r.now)
}

// open starts the service and gives every employee an agent.
func (r *benchRun) open(ctx context.Context, log io.Writer) (err error) {
	if r.service, err = startService(ctx, r.binary, []string{"serve", "--profile=" + r.command.Profile}, r.env(), log); err != nil {
		return err
	}
	if _, err := r.now.ask(peerOrder{Do: "open", Bot: r.service.webhook(), Secret: benchSecret}); err != nil {
		return err
	}
	if _, err := r.teams.ask(peerOrder{Do: "open", Bot: r.service.bot(), Chats: r.command.Chats}); err != nil {
		return err
	}
	_, err = r.now.ask(peerOrder{Do: "await", Chats: r.command.Chats})
	return err
}

// benchSecret opens the webhook of a service that only this machine can reach, for as long as a benchmark takes.
const benchSecret = "webhook-secret-of-a-benchmark"

// env is what the service between the two peers is told.
func (r *benchRun) env() []string {
	env := []string{
		"LISTEN_ADDR=127.0.0.1:0", "ADMIN_LISTEN_ADDR=127.0.0.1:0", "WEBHOOK_SECRET=" + benchSecret,
		"DATA_ENCRYPTION_KEY=" + r.key, "DATABASE_URL=bbolt:" + filepath.Join(r.dir, "snowbot.db"),
		"DELIVERY_TICKS=off", "TEAMS_PACING=off",
	}
	for _, p := range []*benchPeer{r.teams, r.now} {
		for name, value := range p.hello.Env {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// measure lets the two sides write, waits until all of it has arrived, and adds what came of it to the report.
func (r *benchRun) measure(ctx context.Context, p benchPhase, s *benchService, teams, now *benchPeer) error {
	plan := loadPlan{Chats: r.command.Chats, Senders: r.command.Senders, For: r.command.For, Rate: p.rate}
	if p.half {
		plan.Rate = r.closed / 4
	}
	var writers, readers []*benchPeer
	if p.employees {
		writers, readers = append(writers, teams), append(readers, now)
	}
	if p.agents {
		writers, readers = append(writers, now), append(readers, teams)
	}
	for _, x := range readers {
		if _, err := x.ask(peerOrder{Do: "reset"}); err != nil {
			return err
		}
	}
	before := r.usage(s)
	for _, x := range writers {
		if _, err := x.ask(peerOrder{Do: "load", Load: plan}); err != nil {
			return err
		}
	}
	if err := r.await(ctx, plan.For, writers, readers); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	r.bar.next(plan.For)
	after := r.usage(s)
	row := newBenchRow(p.name, before, after)
	for i := range writers {
		w, err := writers[i].ask(peerOrder{Do: "result"})
		if err != nil {
			return err
		}
		a, err := readers[i].ask(peerOrder{Do: "arrivals"})
		if err != nil {
			return err
		}
		row.add(w.Result, a.Arrivals)
	}
	if p.name == bothWays {
		r.closed = row.delivered()
	}
	r.report.add(row)
	return nil
}

// await returns when everybody has written and everything has arrived.
func (r *benchRun) await(ctx context.Context, long time.Duration, writers, readers []*benchPeer) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last, moved := 0, time.Now()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		writing, accepted, arrived := false, 0, 0
		for i := range writers {
			w, err := writers[i].ask(peerOrder{Do: "state"})
			if err != nil {
				return err
			}
			a, err := readers[i].ask(peerOrder{Do: "state"})
			if err != nil {
				return err
			}
			writing = writing || w.State.Writing
			accepted, arrived = accepted+w.State.Accepted, arrived+a.State.Arrived
		}
		if arrived != last {
			last, moved = arrived, time.Now()
		}
		r.bar.at(min(time.Since(began), long))
		switch {
		case !writing && arrived >= accepted:
			return nil
		case time.Since(moved) > 20*time.Second:
			return fmt.Errorf("%d messages were accepted and %d have arrived; nothing moves any more", accepted, arrived)
		}
	}
}

// lastLines returns the end of a file.
func lastLines(path string, n int) string {
	raw, err := os.ReadFile(path) //nolint:gosec // our own log
	if err != nil {
		return err.Error()
	}
	at := len(raw)
	for ; at > 0 && n >= 0; at-- {
		if raw[at-1] == '\n' {
			n--
		}
	}
	return string(raw[at:])
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
