package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"snowbot/adapter/adaptertest"
	"snowbot/snow/snowtest"
)

// Addresses are where a service that runs is reached.
type Addresses struct {
	Bot           string // its /api/messages
	Webhook       string // its /api/v1/snowBot/receiveMessage
	WebhookSecret string
	Metrics       string // its /metrics
}

// A Target is the service under test. Start returns when it is ready; Kill ends it as a power cut would, at a moment of its own
// choosing; Stop ends it in good order. After either it can be started again, on the same database.
type Target interface {
	Start(ctx context.Context) (Addresses, error)
	Kill() error
	Stop() error
	// Drain begins an orderly end and returns at once. Kill may cut it short. A Start fails while the database is still
	// in use, and takes over when it is not.
	Drain() error
}

// A Plan says what to do to a service.
type Plan struct {
	Teams      *adaptertest.Channel
	ServiceNow *snowtest.Instance
	Target     Target
	// Seed fixes the script, the faults, and after how many accepted messages the service is killed or stopped.
	Seed uint64
	// Conversations are how many talk at once, default 20, and Messages how many each of them has in each direction, default 25.
	Conversations, Messages int
	// FaultRate is the share of requests, on either side and in either direction, that something goes wrong with.
	FaultRate float64
	// Kills, Stops and Drains are how often, while all talk, the service is killed, stopped in good order, and disturbed in the
	// middle of an orderly end: killed then, or started anew.
	Kills, Stops, Drains int
	// KillEvery kills the service whenever it has been ready for so long, in place of the former.
	KillEvery time.Duration
	// Outage, unless nil, takes away what the service needs, such as its database, and gives it back; it is called Outages
	// times, spread over Lasting.
	Outage  func(context.Context) error
	Outages int
	// Lasting ends the run after so long: no more sessions begin. Zero is no limit.
	Lasting time.Duration
	// Enough ends the run when so many messages have been accepted: no more sessions begin. Zero is no limit. Over ends it in the
	// same way when it is closed.
	Enough int
	Over   <-chan struct{}
	// Progress is told how many messages have been accepted. It has to return quickly.
	Progress func(accepted int)
	Log      *slog.Logger
}

// A Report is what came of a run.
type Report struct {
	Seed       uint64
	Record     *Record
	Violations []Violation
	Accepted   int             // test messages
	Faults     int             // applied
	Kills      int             // made
	Stops      int             // made
	Drains     int             // disturbed
	Outages    int             // made
	Flagged    int             // possible repeats, by the service's own count
	Repeated   int             // sends that were repeated, as the other side saw it
	Recovered  []time.Duration // from each kill to the first relayed message after it, the shortest first
	Took       time.Duration   // all in all
}

// String is one line.
func (r Report) String() string {
	s := fmt.Sprintf("seed %d: %d messages accepted, %d faults, %d kills, %d stops, %d drains, %d outages, %d sends repeated of %d counted as possible, %d violations, %v",
		r.Seed, r.Accepted, r.Faults, r.Kills, r.Stops, r.Drains, r.Outages, r.Repeated, r.Flagged, len(r.Violations), r.Took.Round(time.Millisecond))
	if n := len(r.Recovered); n > 0 {
		s += fmt.Sprintf(", first message %v after a kill, %v at worst",
			r.Recovered[n/2].Round(time.Millisecond), r.Recovered[n-1].Round(time.Millisecond))
	}
	return s
}

// Run starts the target, lets everybody talk, and checks what was seen. The target is stopped when Run returns. An error means that the plan
// could not be carried out, for one conversation at least; the report holds what was found all the same. Faults that the emulators have already stay as they are.
func Run(ctx context.Context, p Plan) (Report, error) {
	if p.Teams == nil || p.ServiceNow == nil || p.Target == nil {
		return Report{}, errors.New("history: both emulators and a target are needed")
	}
	if p.FaultRate < 0 || p.FaultRate > 0.5 || p.Kills < 0 || p.Stops < 0 || p.Drains < 0 || p.KillEvery < 0 || p.Enough < 0 || p.Outages < 0 || p.Lasting < 0 {
		return Report{}, errors.New("history: the fault rate has to be within 0 and 0.5, and counts cannot be negative")
	}
	if p.Conversations <= 0 {
		p.Conversations = 20
	}
	if p.Messages <= 0 {
		p.Messages = 25
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	r := &runner{plan: p, watch: newWatch(p.Progress), report: Report{Seed: p.Seed}}
	err := r.run(ctx)
	r.report.Record, r.report.Accepted = r.watch.record, int(r.watch.accepted.Load())
	r.report.Took = time.Since(r.watch.start)
	for _, d := range r.dice {
		r.report.Faults += d.thrown
	}
	h := judge(r.watch.record.Events())
	r.report.Violations, r.report.Repeated, r.report.Recovered = h.found, h.repeated, h.recovered()
	return r.report, err
}

type runner struct {
	plan   Plan
	watch  *watch
	dice   []*dice
	disarm []func()
	talks  map[string]*talk // by e-mail address
	report Report
	client http.Client
	addr   Addresses
	broken atomic.Bool // the service cannot be disturbed any more, and the run is not what was planned
}

func (r *runner) run(ctx context.Context) error {
	p := r.plan
	defer p.Teams.Subscribe(r.watch.teams)()
	defer p.ServiceNow.Subscribe(r.watch.serviceNow)()
	r.client.Timeout = 5 * time.Second
	r.client.Transport = &http.Transport{DisableKeepAlives: true}
	r.talks = map[string]*talk{}
	for n := range p.Conversations {
		r.newTalk(int32(n + 1)) // a number of conversations
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.arm(); err != nil {
		return err
	}
	working, done := context.WithCancel(ctx)
	defer done()
	talk, hangUp := context.WithCancel(ctx)
	defer hangUp()
	var helpers sync.WaitGroup
	helpers.Go(func() { r.queue(working) })
	disturbed := make(chan error, 1)
	helpers.Go(func() {
		err := r.disturb(working)
		if err != nil { // nobody answers any more
			r.broken.Store(true)
			hangUp()
		}
		disturbed <- err
	})
	out := make(chan error, 1)
	helpers.Go(func() { out <- r.outages(working) })
	// One who is stuck does not keep the others from going on.
	var talking sync.WaitGroup
	stuck := make(chan error, len(r.talks))
	for _, t := range r.talks {
		talking.Go(func() { stuck <- t.run(talk, int32(p.Messages), r.enough) }) // a number of messages
	}
	talking.Wait()
	var err error
	for range r.talks {
		err = errors.Join(err, <-stuck)
	}
	done()
	helpers.Wait()
	for _, remove := range r.disarm {
		remove()
	}
	if err = errors.Join(err, <-disturbed, <-out); err != nil {
		return errors.Join(err, p.Target.Stop())
	}
	if err := r.read(ctx); err != nil {
		return errors.Join(err, p.Target.Stop())
	}
	return p.Target.Stop()
}

// enough reports whether no more sessions need to begin.
func (r *runner) enough() bool {
	select {
	case <-r.plan.Over:
		return true
	default:
	}
	return r.broken.Load() || r.plan.Enough > 0 && r.watch.accepted.Load() >= int64(r.plan.Enough) ||
		r.plan.Lasting > 0 && time.Since(r.watch.start) >= r.plan.Lasting
}

func (r *runner) newTalk(id int32) {
	name := fmt.Sprintf("employee%d", id)
	u := r.plan.Teams.AddUser(adaptertest.User{Name: "Employee " + strconv.Itoa(int(id)), Email: fmt.Sprintf("%s.%d@example.com", name, r.plan.Seed)})
	t := &talk{
		id: id, watch: r.watch, snow: r.plan.ServiceNow, user: u, chat: r.plan.Teams.Personal(u),
		rng:    rand.New(rand.NewPCG(r.plan.Seed, uint64(id))), // a script, and positive
		signal: make(chan struct{}, 1), desk: make(chan snowtest.Chat, 8),
		taken: map[string]bool{}, messages: map[Mark]*progress{}, past: map[Direction]int32{}, ended: map[int32]bool{}, gone: map[string]bool{}, joined: map[int32]bool{},
		said: map[Direction]*int32{FromEmployee: new(int32), FromAgent: new(int32)},
	}
	r.talks[u.Email] = t
	r.watch.add(t)
}

// arm lets things go wrong, with the seed.
func (r *runner) arm() error {
	p := r.plan
	if p.FaultRate == 0 {
		return nil
	}
	roll := func(n uint64) *dice {
		d := newDice(mix(p.Seed+n), p.FaultRate)
		r.dice = append(r.dice, d)
		return d
	}
	r.disarm = append(r.disarm, teamsFaults(p.Teams, roll(1), adaptertest.Out, r.watch.number)...)
	r.disarm = append(r.disarm, teamsFaults(p.Teams, roll(2), adaptertest.In, r.watch.number)...)
	for n, direction := range []snowtest.Direction{snowtest.Out, snowtest.In} {
		disarm, err := serviceNowFaults(p.ServiceNow, roll(uint64(3+n)), direction, r.watch.number) // 3 or 4
		r.disarm = append(r.disarm, disarm...)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	return nil
}

// queue hands every chat that is queued to the talk it belongs to.
func (r *runner) queue(ctx context.Context) {
	known := uint64(0)
	for {
		var came []snowtest.Chat
		err := r.plan.ServiceNow.Wait(ctx, func() bool {
			came, known = r.plan.ServiceNow.ChatsSince(known)
			return len(came) > 0
		})
		if err != nil {
			return
		}
		for _, c := range came {
			t := r.talks[c.Email]
			if t == nil {
				continue
			}
			select {
			case t.desk <- c:
			case <-ctx.Done():
				return
			}
			t.wake()
		}
	}
}

// read reads how many possible repeats the process counts. It is read once in the life of each, so it is all that was counted. A
// machine that has much else to do gets some time to answer.
func (r *runner) read(ctx context.Context) error {
	for began := time.Now(); ; {
		at := r.watch.at(time.Now())
		n, err := r.ask(ctx)
		if err == nil {
			r.report.Flagged += n
			r.watch.record.Add(Event{Kind: Flagged, Count: int32(n), At: at}) // a count of messages
			return nil
		}
		if time.Since(began) > patience || !pause(ctx, recheck) {
			return fmt.Errorf("metrics: %w", err)
		}
	}
}

func (r *runner) ask(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.addr.Metrics, http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return possibleRepeats(res.Body)
}

// possibleRepeats adds up the series of the metric, in the text format of Prometheus.
func possibleRepeats(r io.Reader) (int, error) {
	sum := 0.0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), "} ")
		if !strings.HasPrefix(series, "snowbot_possible_repeats_total") && !strings.Contains(series, `"possible repeats"`) {
			continue
		}
		if value == "" { // a series without labels
			_, value, _ = strings.Cut(series, " ")
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return 0, fmt.Errorf("series %q: %w", series, err)
		}
		sum += n
	}
	return int(sum), lines.Err()
}
