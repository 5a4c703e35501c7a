package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// A disturbance is what is done to the service while all talk.
type disturbance int

const (
	kill      disturbance = iota
	stop                  // in good order
	drainKill             // an orderly end that is cut short
	drainOver             // an orderly end in whose middle the next process starts
)

// disturb does it all, at moments that are spread over the run.
func (r *runner) disturb(ctx context.Context) error {
	p := r.plan
	if p.KillEvery > 0 {
		for pause(ctx, p.KillEvery) {
			if err := r.end(ctx, kill, 0); err != nil {
				return err
			}
		}
		return nil
	}
	rng := rand.New(rand.NewPCG(p.Seed, 0)) // a script
	var all []disturbance
	for range p.Kills {
		all = append(all, kill)
	}
	for range p.Stops {
		all = append(all, stop)
	}
	for n := range p.Drains {
		all = append(all, drainKill+disturbance(n%2))
	}
	expected := float64(2 * p.Conversations * p.Messages)
	for n, which := range rng.Perm(len(all)) {
		// In the n-th of as many equal parts of the first half, since not everything offered is accepted.
		moment := int64(0.5 * expected * (float64(n) + rng.Float64()) / float64(len(all)))
		into := time.Duration(rng.Int64N(int64(100 * time.Millisecond)))
		for r.watch.accepted.Load() < moment {
			select {
			case <-r.watch.progress:
			case <-ctx.Done():
				return nil
			}
		}
		if err := r.end(ctx, all[which], into); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// outages takes away what the service needs, and gives it back, while all talk.
func (r *runner) outages(ctx context.Context) error {
	p := r.plan
	if p.Outage == nil {
		return nil
	}
	for range p.Outages {
		if !pause(ctx, p.Lasting/time.Duration(p.Outages+1)) {
			return nil
		}
		e := Event{Kind: Outage, At: r.watch.at(time.Now())}
		if err := p.Outage(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("outage: %w", err)
		}
		e.End = r.watch.at(time.Now())
		r.watch.record.Add(e)
		r.report.Outages++
	}
	return nil
}

// end ends the process in one way or another, and has it started again. The tokens that it had are worth nothing any more.
func (r *runner) end(ctx context.Context, how disturbance, into time.Duration) error {
	ctx = context.WithoutCancel(ctx) // the service has to be there at the end
	r.plan.Teams.ExpireTokens()
	r.plan.ServiceNow.ExpireTokens()
	if err := r.read(ctx); err != nil {
		return err
	}
	target := r.plan.Target
	e := Event{Kind: Stopped, At: r.watch.at(time.Now())}
	var err error
	switch how {
	case kill:
		r.report.Kills++
		e.Kind, err = Killed, target.Kill()
	case stop:
		r.report.Stops++
		err = target.Stop()
	case drainKill:
		r.report.Drains++
		e.Kind = Killed
		if err = target.Drain(); err == nil {
			pause(ctx, into)
			err = target.Kill()
		}
	case drainOver:
		r.report.Drains++
		err = target.Drain()
	}
	e.End = r.watch.at(time.Now())
	r.plan.Log.Info("service ended", "how", int(how), "accepted", r.watch.accepted.Load(), "at", e.End)
	if err != nil {
		return fmt.Errorf("end the service: %w", err)
	}
	if how == drainOver {
		return r.takeOver(ctx, e)
	}
	r.watch.record.Add(e)
	return r.start(ctx)
}

// takeOver starts the next process while the last one is still ending, and as often as that is in its way.
func (r *runner) takeOver(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := r.start(ctx)
		if err == nil || !pause(ctx, 10*time.Millisecond) {
			e.End = r.watch.at(time.Now())
			r.watch.record.Add(e)
			return err
		}
	}
}

// start has the service started, and tells both sides where it is.
func (r *runner) start(ctx context.Context) error {
	e := Event{Kind: Started, At: r.watch.at(time.Now())}
	addr, err := r.plan.Target.Start(ctx)
	if err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	e.End = r.watch.at(time.Now())
	r.watch.record.Add(e)
	r.addr = addr
	r.plan.Teams.SetBot(addr.Bot)
	r.plan.ServiceNow.SetWebhook(addr.Webhook, addr.WebhookSecret)
	return nil
}
