package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"snowbot/store/postgres/postgrestest"
)

// A benchStage is the two platforms and what stands between them: the service, or the raw echo.
type benchStage struct {
	binary     string
	database   string // DATABASE_URL
	key        string // DATA_ENCRYPTION_KEY
	profile    string
	log        *os.File
	teams, now *benchPeer
	replicas   int                  // how many services there are to be, behind a load balancer; 0 is one without
	service    *benchService        // the first one
	others     []*benchService      // of the replicas
	front      *balancer            // before the replicas
	server     *postgrestest.Server // of the database, if it is a private one
}

// newBenchStage starts the platforms. An empty database is a file in dir.
func newBenchStage(binary, dir, database, profile string) (s *benchStage, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if database == "" {
		database = "bbolt:" + filepath.Join(dir, "snowbot.db")
	}
	s = &benchStage{binary: binary, database: database, key: newDataKey(), profile: profile}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if s.teams, err = startPeer(binary, "teams", profile, s.log); err != nil {
		return nil, err
	}
	s.now, err = startPeer(binary, "servicenow", profile, s.log)
	return s, err
}

// close ends everything.
func (s *benchStage) close() error {
	err := s.stop()
	for _, p := range []*benchPeer{s.teams, s.now} {
		if p != nil {
			p.stop()
		}
	}
	if s.log != nil {
		s.log.Close()
	}
	return err
}

// explain adds the last lines of the log to an error.
func (s *benchStage) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; the last lines of the service:\n%s", err, lastLines(s.log.Name(), 5))
}

// benchSecret opens the webhook of a service that only this machine can reach, for as long as a benchmark takes.
const benchSecret = "webhook-secret-of-a-benchmark"

// env is what stands between the platforms is told of them.
func (s *benchStage) env() []string {
	env := []string{
		"LISTEN_ADDR=127.0.0.1:0", "ADMIN_LISTEN_ADDR=127.0.0.1:0", "WEBHOOK_SECRET=" + benchSecret,
		"DATA_ENCRYPTION_KEY=" + s.key, "DATABASE_URL=" + s.database, "DELIVERY_TICKS=off", "TEAMS_PACING=off",
	}
	for _, p := range []*benchPeer{s.teams, s.now} {
		for name, value := range p.hello.Env {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// echo starts a bot that echoes.
func (s *benchStage) echo(ctx context.Context, program []string, chats int) (err error) {
	env := append(s.env(), "PATH="+os.Getenv("PATH"), "NODE_ENV=production")
	if s.service, err = startService(ctx, program[0], program[1:], env, s.log); err != nil {
		return err
	}
	_, err = s.teams.ask(peerOrder{Do: "open", Bot: s.at().bot(), Chats: chats, Silent: true, Procs: runtime.NumCPU()})
	return err
}

// serve starts the service, or the replicas, and returns how long it took to be ready.
func (s *benchStage) serve(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for range max(1, s.replicas) {
		service, err := startService(ctx, s.binary, []string{"serve", "--profile=" + s.profile}, s.env(), s.log)
		if err != nil {
			return 0, err
		}
		if s.service == nil {
			s.service = service
		} else {
			s.others = append(s.others, service)
		}
	}
	for _, service := range s.services() {
		if err := service.ready(ctx); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	if s.replicas > 0 {
		var err error
		if s.front, err = newBalancer(ctx, s.services()); err != nil {
			return 0, err
		}
	}
	_, err := s.now.ask(peerOrder{Do: "open", Bot: s.at().webhook(), Secret: benchSecret, Procs: shareOfPeer()})
	return took, err
}

// shareOfPeer is how many processors each of two peers may use at once. Together they have as many as there are, as the one beside the
// raw echo has; with more they mostly wake each other, at the cost of what is measured.
func shareOfPeer() int { return max(1, runtime.NumCPU()/2) }

// services are what stands between the platforms.
func (s *benchStage) services() []*benchService {
	if s.service == nil {
		return nil
	}
	return append([]*benchService{s.service}, s.others...)
}

// at is where the platforms find it.
func (s *benchStage) at() listenLine {
	if s.front != nil {
		return s.front.at()
	}
	return s.service.at
}

// open gives employees agents, until there are so many chats.
func (s *benchStage) open(chats int) error {
	if _, err := s.teams.ask(peerOrder{Do: "open", Bot: s.at().bot(), Chats: chats, Procs: shareOfPeer()}); err != nil {
		return err
	}
	_, err := s.now.ask(peerOrder{Do: "await", Chats: chats})
	return err
}

// stop ends what stands between the platforms, in good order.
func (s *benchStage) stop() error {
	var errs []error
	for _, service := range s.services() {
		errs = append(errs, service.stop())
	}
	if s.front != nil {
		s.front.close()
	}
	s.service, s.others, s.front = nil, nil, nil
	return errors.Join(errs...)
}

// relay lets people write, waits until everything has arrived, and returns what came of it. progress may be nil.
func (s *benchStage) relay(ctx context.Context, p benchPhase, plan loadPlan, progress func(time.Duration)) (*benchRow, error) {
	var writers, readers []*benchPeer
	switch {
	case p.echo:
		writers, readers = []*benchPeer{s.teams}, []*benchPeer{s.teams}
	default:
		if p.employees {
			writers, readers = append(writers, s.teams), append(readers, s.now)
		}
		if p.agents {
			writers, readers = append(writers, s.now), append(readers, s.teams)
		}
	}
	for _, x := range readers {
		if _, err := x.ask(peerOrder{Do: "reset"}); err != nil {
			return nil, err
		}
	}
	before := s.usage()
	for _, x := range writers {
		if _, err := x.ask(peerOrder{Do: "load", Load: plan}); err != nil {
			return nil, err
		}
	}
	if err := awaitArrival(ctx, writers, readers, progress); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	row := newBenchRow(p.name, before, s.usage())
	for i := range writers {
		w, err := writers[i].ask(peerOrder{Do: "result"})
		if err != nil {
			return nil, err
		}
		a, err := readers[i].ask(peerOrder{Do: "arrivals"})
		if err != nil {
			return nil, err
		}
		row.add(w.Result, a.Arrivals)
	}
	return row, nil
}

// arrivalPatience is how long nothing may arrive before a benchmark gives up.
const arrivalPatience = 30 * time.Second

// awaitArrival returns when everybody has written and everything has arrived.
func awaitArrival(ctx context.Context, writers, readers []*benchPeer, progress func(time.Duration)) error {
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
		if arrived != last || writing {
			last, moved = arrived, time.Now()
		}
		if progress != nil {
			progress(time.Since(began))
		}
		switch {
		case !writing && arrived >= accepted:
			return nil
		case time.Since(moved) > arrivalPatience:
			return fmt.Errorf("%d messages were accepted and %d have arrived; nothing moves any more", accepted, arrived)
		}
	}
}

// lastLines returns the end of a file.
func lastLines(path string, n int) string {
	raw, err := os.ReadFile(path) // our own log
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
