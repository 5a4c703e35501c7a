package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
)

// benchSize are the flags of bench --size.
type benchSize struct {
	Size    bool `help:"Measure memory, start, kept conversations and a backlog instead."`
	Live    int  `default:"10000" help:"With --size: how many chats are live at once."`
	Kept    int  `default:"1000000" help:"With --size: how many conversations of the past are kept."`
	Waiting int  `default:"10000" help:"With --size: how many of them have a delivery that waits when the service starts."`
	Backlog int  `default:"100000" help:"With --size: how many messages wait after an outage of ServiceNow."`
}

// A sizeFigure is one line of what --size prints.
type sizeFigure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// few is how many conversations are kept where that should make no difference.
const few = 100

// A sizeRun measures what grows.
type sizeRun struct {
	*benchCommand
	binary, dir string
	bar         *progressbar.ProgressBar
	figures     []sizeFigure
}

// runSize prints what the service needs with much to keep.
func (c *benchCommand) runSize(ctx context.Context, binary, dir string) error {
	r := &sizeRun{benchCommand: c, binary: binary, dir: dir, bar: progressBar(-1, "measuring")}
	for _, measure := range []func(context.Context) error{r.live, r.kept} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	_ = r.bar.Finish() // it is for the eye
	if c.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r.figures)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range r.figures {
		fmt.Fprintf(t, "%s\t%.*f %s\n", f.Name, digits(f.Unit), f.Value, f.Unit)
	}
	return t.Flush()
}

// digits is how many of a figure's digits after the point say anything.
func digits(unit string) int {
	if unit == "times" {
		return 2
	}
	return 1
}

func (r *sizeRun) add(unit string, value float64, format string, args ...any) {
	r.figures = append(r.figures, sizeFigure{fmt.Sprintf(format, args...), value, unit})
}

func (r *sizeRun) addMemory(s *benchStage, format string, args ...any) {
	r.add("MB", float64(s.usage().resident)/(1<<20), format, args...)
}

// on runs f between platforms of its own.
func (r *sizeRun) on(name string, f func(s *benchStage) error) error {
	r.bar.Describe(name)
	s, err := newBenchStage(r.binary, filepath.Join(r.dir, name), "", r.Profile)
	if err != nil {
		return err
	}
	return s.explain(errors.Join(f(s), s.close()))
}

// live measures memory without anything to do, and with many chats.
func (r *sizeRun) live(ctx context.Context) error {
	return r.on("live chats", func(s *benchStage) error {
		if _, err := s.serve(ctx); err != nil {
			return err
		}
		if err := settle(ctx, s, min(settleTime, 5*r.For), 0); err != nil {
			return err
		}
		r.addMemory(s, "memory, idle")
		if err := s.open(r.Live); err != nil {
			return err
		}
		if err := settle(ctx, s, min(settleTime, 5*r.For), 0); err != nil {
			return err
		}
		r.addMemory(s, "memory, %d chats live", r.Live)
		plan := loadPlan{Chats: r.Live, Senders: r.Senders, For: r.For}
		row, err := s.relay(ctx, benchPhase{name: bothWays, employees: true, agents: true}, plan, r.spin)
		if err != nil {
			return err
		}
		r.add("messages/s", row.delivered(), "relay, both ways, over %d chats", r.Live)
		r.addMemory(s, "memory after that")
		return nil
	})
}

// kept measures what it costs to keep much: the start, the memory, and the rate beside a service that keeps little. Then it
// measures the backlog of the latter.
func (r *sizeRun) kept(ctx context.Context) error {
	return r.on("few kept", func(little *benchStage) error {
		err := r.on("many kept", func(much *benchStage) error {
			stages := []*keptStage{{benchStage: little, kept: few}, {benchStage: much, kept: r.Kept, waiting: r.Waiting}}
			for _, s := range stages {
				if err := r.begin(ctx, s); err != nil {
					return err
				}
			}
			return r.turns(ctx, stages)
		})
		if err != nil {
			return err
		}
		return r.backlog(ctx, little)
	})
}

// A keptStage has conversations of the past.
type keptStage struct {
	*benchStage
	kept, waiting int // conversations, and deliveries
	rates         []float64
}

// begin starts the service on what is kept, and opens the chats that are live.
func (r *sizeRun) begin(ctx context.Context, s *keptStage) error {
	if err := r.fill(ctx, s.benchStage, s.kept, s.waiting); err != nil {
		return err
	}
	took, err := s.serve(ctx)
	if err != nil {
		return err
	}
	r.add("s", took.Seconds(), "start, with %d conversations kept", s.kept)
	r.addMemory(s.benchStage, "memory after the start, with %d kept", s.kept)
	if err := s.open(r.Chats); err != nil {
		return err
	}
	if err := settle(ctx, s.benchStage, time.Second, s.waiting); err != nil {
		return err
	}
	if info, err := os.Stat(strings.TrimPrefix(s.database, "bbolt:")); err == nil {
		r.add("MB", float64(info.Size())/(1<<20), "database file, with %d kept", s.kept)
	}
	return nil
}

// turns measures what each stage relays both ways, as the median of some runs, and how the last one compares to the first. They
// take turns, and who begins changes: a machine gets slower or faster by more than what is looked for within minutes.
func (r *sizeRun) turns(ctx context.Context, stages []*keptStage) error {
	plan := loadPlan{Chats: r.Chats, Senders: r.Senders, For: r.For}
	order := slices.Clone(stages)
	for range r.Runs {
		for _, s := range order {
			row, err := s.relay(ctx, benchPhase{name: bothWays, employees: true, agents: true}, plan, r.spin)
			if err != nil {
				return s.explain(err)
			}
			s.rates = append(s.rates, row.delivered())
		}
		slices.Reverse(order)
	}
	for _, s := range stages {
		slices.Sort(s.rates)
		r.add("messages/s", s.rate(), "relay, both ways, with %d kept", s.kept)
		r.addMemory(s.benchStage, "memory after that, with %d kept", s.kept)
	}
	r.add("times", stages[len(stages)-1].rate()/stages[0].rate(), "%d kept to %d", stages[len(stages)-1].kept, stages[0].kept)
	return nil
}

// rate is the median of its rates.
func (s *keptStage) rate() float64 { return s.rates[len(s.rates)/2] }

// backlog takes ServiceNow away, lets employees write, brings it back, and measures how fast what has waited is through.
func (r *sizeRun) backlog(ctx context.Context, s *benchStage) error {
	toServiceNow := benchPhase{name: "backlog", employees: true}
	row, err := s.relay(ctx, toServiceNow, loadPlan{Chats: r.Chats, Senders: r.Senders, For: r.For}, r.spin)
	if err != nil {
		return err
	}
	live := row.delivered()
	for _, o := range []peerOrder{{Do: "down"}, {Do: "reset"}} {
		if _, err := s.now.ask(o); err != nil {
			return err
		}
	}
	if _, err := s.teams.ask(peerOrder{Do: "load", Load: loadPlan{Chats: r.Chats, Senders: r.Senders, For: time.Hour, Count: r.Backlog}}); err != nil {
		return err
	}
	if err := r.written(ctx, s.teams); err != nil {
		return err
	}
	if _, err := s.now.ask(peerOrder{Do: "up"}); err != nil {
		return err
	}
	if err := awaitArrival(ctx, []*benchPeer{s.teams}, []*benchPeer{s.now}, r.spin); err != nil {
		return err
	}
	a, err := s.now.ask(peerOrder{Do: "arrivals"})
	if err != nil {
		return err
	}
	rate := float64(a.Arrivals.Arrived) / a.Arrivals.Last.Sub(a.Arrivals.First).Seconds()
	r.add("messages/s", live, "relay, to ServiceNow")
	r.add("messages/s", rate, "a backlog of %d to ServiceNow", r.Backlog)
	r.add("", float64(a.Arrivals.Missing+a.Arrivals.Repeated), "of it out of order, missing or repeated")
	r.add("times", rate/live, "backlog to live")
	return nil
}

// written waits until a peer has written all.
func (r *sizeRun) written(ctx context.Context, p *benchPeer) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := p.ask(peerOrder{Do: "state"})
		if err != nil || !reply.State.Writing {
			return err
		}
		r.spin(0)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settleTime is how long freed memory may take to go back to the system.
const settleTime = 5 * time.Second

// settle waits until no more than so many deliveries are left, and then a while.
func settle(ctx context.Context, s *benchStage, long time.Duration, left int) error {
	tick := time.NewTicker(min(long, 200*time.Millisecond))
	defer tick.Stop()
	for since := time.Now(); ; {
		select {
		case now := <-tick.C:
			switch {
			case s.service.metric("snowbot_deliveries_waiting") > float64(left):
				since = now
			case now.Sub(since) >= long:
				return nil
			}
		case <-s.service.ended:
			return fmt.Errorf("the service ended with %s", s.service.how())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spin turns the bar while something is measured.
func (r *sizeRun) spin(time.Duration) { _ = r.bar.Add(1) }
