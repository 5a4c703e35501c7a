package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"

	"snowbot/adapter/adaptertest"
	"snowbot/bot/history"
	"snowbot/snow/snowtest"
)

// benchCheck are the flags of bench --check.
type benchCheck struct {
	Check     bool          `help:"Check what is promised instead: let people talk under faults and kills, and judge what both sides saw."`
	Messages  int           `default:"20000" help:"With --check: how many accepted messages to judge."`
	Talks     int           `default:"100" help:"With --check: how many people talk at once."`
	Faults    float64       `default:"0.1" help:"With --check: the share of requests, of either side and in either direction, that something goes wrong with."`
	KillEvery time.Duration `default:"10s" help:"With --check: how long the service lives before it is killed."`
	Seed      uint64        `default:"1" help:"With --check: fixes the script and the faults."`
	Recover   time.Duration `default:"3s" help:"With --check: how long it may take from a kill to the first relayed message after it."`
	Pacing    bool          `help:"With --check: keep Teams' rate windows, which Teams then enforces; it takes far longer."`
}

// violationsShown is how many broken promises are named.
const violationsShown = 20

// runCheck lets people talk through this very program, and judges it. A broken promise is an error.
func runCheck(c *benchCheck) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second interrupt ends the program
	if c.Messages < 1 || c.Talks < 1 || c.KillEvery < time.Second {
		return errors.New("bench: there have to be messages, talks, and at least a second between kills")
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the program itself: %w", err)
	}
	dir, err := os.MkdirTemp("", "snowbot-check-")
	if err != nil {
		return err
	}
	report, err := c.run(ctx, binary, dir)
	fmt.Println(report)
	for n, v := range report.Violations {
		if n == violationsShown {
			fmt.Printf("… and %d more\n", len(report.Violations)-n)
			break
		}
		fmt.Println(v)
	}
	if err = cmp.Or(err, c.verdict(&report)); err != nil {
		err = errors.Join(err, writeHistory(filepath.Join(dir, "history.txt"), &report))
		return fmt.Errorf("%w; the database and the log of the service are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// writeHistory writes what was seen of the conversations in which a promise was broken, one event a line: when, how long, what.
func writeHistory(file string, r *history.Report) error {
	broken := map[int32]bool{0: true} // what concerns all, such as a kill
	for _, v := range r.Violations {
		broken[v.Mark.Conversation] = true
	}
	var lines bytes.Buffer
	for _, e := range r.Record.Events() {
		if broken[e.Mark.Conversation] {
			fmt.Fprintln(&lines, e)
		}
	}
	return os.WriteFile(file, lines.Bytes(), 0o600)
}

// verdict says what is wrong with a report.
func (c *benchCheck) verdict(r *history.Report) error {
	slowest := time.Duration(0)
	if n := len(r.Recovered); n > 0 {
		slowest = r.Recovered[n-1]
	}
	switch {
	case len(r.Violations) > 0:
		return fmt.Errorf("%d promises were broken", len(r.Violations))
	case slowest > c.Recover:
		return fmt.Errorf("after a kill it took %v until a message was relayed", slowest.Round(time.Millisecond))
	case r.Accepted < c.Messages:
		return fmt.Errorf("only %d messages were accepted", r.Accepted)
	case len(r.Recovered) == 0:
		return errors.New("no message was relayed after a kill, so nothing was seen of recovery: let the run be longer than --kill-every")
	}
	return nil
}

func (c *benchCheck) run(ctx context.Context, binary, dir string) (history.Report, error) {
	// What the emulators keep of the past costs them time; a chat has to be there until its talk is over.
	teams, err := adaptertest.New(adaptertest.Options{Seed: c.Seed, KeepLast: 50, LogSize: 1, Windows: c.Pacing})
	if err != nil {
		return history.Report{}, err
	}
	defer teams.Close()
	now, err := snowtest.New(snowtest.Options{Seed: c.Seed, AgentNames: true, WaitTime: "2 Minutes", KeepLast: 20*c.Talks + 1000})
	if err != nil {
		return history.Report{}, err
	}
	defer now.Close()
	logs, err := os.Create(filepath.Join(dir, "service.log"))
	if err != nil {
		return history.Report{}, err
	}
	defer logs.Close()
	pacing := "off"
	if c.Pacing {
		pacing = "on"
	}
	secret := rand.Text()
	env := emulatedEnv(teams, now)
	env["WEBHOOK_SECRET"], env["DATA_ENCRYPTION_KEY"] = secret, newDataKey()
	env["DATABASE_URL"], env["TEAMS_PACING"] = "bbolt:"+filepath.Join(dir, "snowbot.db"), pacing
	bar := progressBar(c.Messages, "messages",
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(time.Second), progressbar.OptionFullWidth())
	defer bar.Exit() //nolint:errcheck // a picture
	// An interrupt ends the talking, and what was said so far is judged.
	return history.Run(context.WithoutCancel(ctx), history.Plan{
		Teams: teams, ServiceNow: now, Seed: c.Seed, FaultRate: c.Faults, KillEvery: c.KillEvery, Enough: c.Messages,
		Conversations: c.Talks, Messages: c.Messages, // one of them may have most to say
		Target:   &benchTarget{command: []string{binary, "serve"}, env: childEnv(env), secret: secret, logs: logs},
		Over:     ctx.Done(),
		Progress: func(n int) { _ = bar.Set(min(n, c.Messages)) },
	})
}
