package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"snowbot/store"
)

var modelCases = []testCase{
	{"RandomCallsMatchASimpleModel", func(t *testing.T, w *world) {
		rapid.Check(t, func(r *rapid.T) {
			m := newMachine(t, r, w.h)
			defer func() { m.w.Close() }()
			r.Repeat(map[string]func(*rapid.T){
				"":        m.compare,
				"apply":   m.apply,
				"claim":   m.claim,
				"claim2":  m.claim,
				"settle":  m.settle,
				"settle2": m.settle,
				"begin":   m.begin,
				"letter":  m.letter,
				"erase":   m.erase,
				"advance": m.advance,
				"reopen":  m.reopen,
			})
		})
	}},
}

// modelTTL is the length of the machine's leases.
const modelTTL = time.Minute

// A machine makes random calls, and the same changes to a model of nested maps.
type machine struct {
	t    *testing.T
	w    *world
	next int // number of the next thing that needs a name
	all  map[string]*modelConversation
	dead []modelLetter
	held []*modelLease
}

type modelConversation struct {
	rec    store.Record
	events map[string]time.Time // known until
	lanes  map[store.Direction]*modelLane
	lines  []string
}

type modelLane struct {
	deliveries []store.Delivery
	lease      *modelLease
}

type modelLease struct {
	lease *store.Lease
	lane  *modelLane // nil when the lease has passed on
}

type modelLetter struct {
	conversation string
	to           store.Direction
	delivery     store.Delivery
	reason       string
}

func newMachine(t *testing.T, r *rapid.T, h Harness) *machine {
	w := &world{h: h, clock: newClock()}
	w.opts = Options{Dir: t.TempDir(), Now: w.clock.now, Keys: keys(t, 1)}
	s, err := h.Open(t, w.opts)
	if err != nil {
		r.Fatalf("Open: %v", err)
	}
	w.Store = s
	return &machine{t: t, w: w, all: map[string]*modelConversation{}}
}

func newConversation(id string) *modelConversation {
	c := &modelConversation{
		rec: store.Record{ID: id}, events: map[string]time.Time{}, lanes: map[store.Direction]*modelLane{},
	}
	for _, d := range directions() {
		c.lanes[d] = &modelLane{}
	}
	return c
}

func directions() []store.Direction {
	return []store.Direction{store.ToTeams, store.ToServiceNow, store.Held}
}

var (
	drawConversation = rapid.SampledFrom([]string{"c1", "c2", "c3"})
	drawDirection    = rapid.SampledFrom(directions())
	drawKey          = rapid.SampledFrom([]string{"k1", "k2"})
	drawPerson       = rapid.SampledFrom([]string{"p1", "p2"})
	drawEvent        = rapid.SampledFrom([]string{"e1", "e2", "e3", "e4"})
	drawPause        = rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second, modelTTL, 8 * time.Hour, 25 * time.Hour})
	errModel         = errors.New("mistake")
)

// A step is a random turn, the same each time it is run.
type step struct {
	status  string
	keys    []string
	people  []string
	due     time.Duration
	move    []store.Move
	drop    []store.Direction
	deliver []store.Outgoing
	line    string
	bury    string
	err     error
}

func (m *machine) drawStep(r *rapid.T) step {
	m.next++
	s := step{
		status: rapid.SampledFrom([]string{"", "", "live"}).Draw(r, "status"),
		keys:   rapid.SliceOfNDistinct(drawKey, 0, 1, rapid.ID).Draw(r, "keys"),
		people: rapid.SliceOfNDistinct(drawPerson, 0, 2, rapid.ID).Draw(r, "people"),
		due:    rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Hour}).Draw(r, "due"),
		line:   rapid.SampledFrom([]string{"", fmt.Sprint("line ", m.next)}).Draw(r, "line"),
		bury:   rapid.SampledFrom([]string{"", "", "", fmt.Sprint("event ", m.next)}).Draw(r, "bury"),
		err:    rapid.SampledFrom([]error{nil, nil, nil, errModel}).Draw(r, "err"),
	}
	if rapid.IntRange(0, 3).Draw(r, "moves") == 0 {
		s.move = []store.Move{{From: drawDirection.Draw(r, "from"), To: drawDirection.Draw(r, "to")}}
	}
	if rapid.IntRange(0, 5).Draw(r, "drops") == 0 {
		s.drop = []store.Direction{drawDirection.Draw(r, "drop")}
	}
	for i := range rapid.IntRange(0, 3).Draw(r, "deliver") {
		d := note(fmt.Sprintf("d%d.%d", m.next, i))
		if rapid.IntRange(0, 5).Draw(r, "late") == 0 {
			d.NotBefore = m.w.clock.now().Add(10 * time.Second)
		}
		s.deliver = append(s.deliver, store.Outgoing{Direction: drawDirection.Draw(r, "direction"), Delivery: d})
	}
	return s
}

// turn carries the step out in the store.
func (s step) turn(turn *store.Turn) error {
	turn.Record.Status, turn.Record.Keys, turn.Record.People = s.status, s.keys, s.people
	turn.Record.Due = time.Time{}
	if s.due > 0 {
		turn.Record.Due = turn.Now.Add(s.due)
	}
	turn.Record.Data = append(turn.Record.Data, 'x')
	turn.Move, turn.Drop, turn.Deliver = s.move, s.drop, slices.Clone(s.deliver)
	if s.line != "" {
		turn.Lines = []store.Line{{Data: []byte(s.line)}}
	}
	if s.bury != "" {
		turn.Bury = []store.DeadLetter{{Reason: s.bury, Delivery: store.Delivery{ID: s.bury}}}
	}
	return s.err
}

// model carries the step out in the model, and returns the error that the store should return.
func (m *machine) model(c *modelConversation, s step) error {
	if s.err != nil {
		return s.err
	}
	for _, k := range s.keys {
		for id, other := range m.all {
			if id != c.rec.ID && slices.Contains(other.rec.Keys, k) {
				return &store.KeyTakenError{Key: k, Conversation: id}
			}
		}
	}
	now := m.w.clock.now()
	c.rec.Status, c.rec.Keys, c.rec.People, c.rec.Updated = s.status, s.keys, s.people, now
	c.rec.Due = time.Time{}
	if s.due > 0 {
		c.rec.Due = now.Add(s.due)
	}
	c.rec.Data = append(slices.Clone(c.rec.Data), 'x')
	for _, mv := range s.move {
		if mv.From == mv.To {
			continue
		}
		from, to := c.lanes[mv.From], c.lanes[mv.To]
		for _, d := range from.deliveries {
			d.Begun = false
			if mv.From == store.Held {
				d.Accepted = now
			}
			to.deliveries = append(to.deliveries, d)
		}
		from.deliveries = nil
	}
	for _, d := range s.drop {
		c.lanes[d].deliveries = nil
	}
	for _, o := range s.deliver {
		o.Accepted = now
		c.lanes[o.Direction].deliveries = append(c.lanes[o.Direction].deliveries, o.Delivery)
	}
	if s.line != "" {
		c.lines = append(c.lines, s.line)
	}
	if s.bury != "" {
		m.dead = append(m.dead, modelLetter{
			conversation: c.rec.ID, reason: s.bury, delivery: store.Delivery{ID: s.bury, Accepted: now},
		})
	}
	m.all[c.rec.ID] = c
	return nil
}

// compare checks everything that can be read against the model.
func (m *machine) compare(r *rapid.T) {
	ctx := m.t.Context()
	stats := store.Stats{Waiting: map[store.Direction]int{}, DeadLetters: len(m.dead)}
	var due []*modelConversation
	for _, id := range []string{"c1", "c2", "c3"} {
		c := m.all[id]
		rec, err := m.w.Load(ctx, id)
		if c == nil {
			m.sameError(r, "Load "+id, err, store.ErrNotFound)
			continue
		}
		m.sameError(r, "Load "+id, err, nil)
		m.equal(r, "record", rec, c.rec)
		lines, err := m.w.Lines(ctx, id, 1000)
		m.sameError(r, "Lines", err, nil)
		var got []string
		for _, l := range lines {
			got = append(got, string(l.Data))
		}
		m.equal(r, "lines", got, c.lines)
		if c.rec.Status != "" {
			stats.Live++
		}
		if !c.rec.Due.IsZero() && !c.rec.Due.After(m.w.clock.now()) {
			due = append(due, c)
		}
		for d, l := range c.lanes {
			if len(l.deliveries) > 0 {
				stats.Waiting[d] += len(l.deliveries)
			}
		}
	}
	slices.SortFunc(due, func(a, b *modelConversation) int { return a.rec.Due.Compare(b.rec.Due) })
	gotDue, err := m.w.Due(ctx, 1000)
	m.sameError(r, "Due", err, nil)
	slices.SortStableFunc(gotDue, func(a, b string) int { // those of the same time in any order
		return cmp.Or(m.all[a].rec.Due.Compare(m.all[b].rec.Due), cmp.Compare(a, b))
	})
	var wantDue []string
	for _, c := range due {
		wantDue = append(wantDue, c.rec.ID)
	}
	m.equal(r, "due", gotDue, wantDue)
	m.compareStats(r, stats)

	dead, err := m.w.DeadLetters(ctx, store.DeadLetterFilter{})
	m.sameError(r, "DeadLetters", err, nil)
	var got []modelLetter
	for _, l := range dead {
		got = append(got, modelLetter{l.Lane.Conversation, l.Lane.Direction, l.Delivery, l.Reason})
	}
	m.equal(r, "dead letters", got, m.dead)
}

func (m *machine) compareStats(r *rapid.T, want store.Stats) {
	var got store.Stats
	err := m.w.soon(m.t, func() bool {
		st, err := m.w.Stats(m.t.Context())
		m.sameError(r, "Stats", err, nil)
		maps.DeleteFunc(st.Waiting, func(_ store.Direction, n int) bool { return n == 0 })
		got = st
		return gocmp.Equal(got, want)
	})
	if err != nil {
		m.equal(r, "stats", got, want)
	}
}

func (m *machine) equal(r *rapid.T, what string, got, want any) {
	r.Helper()
	opt := gocmp.AllowUnexported(modelLetter{})
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(), opt); diff != "" {
		r.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

func (m *machine) sameError(r *rapid.T, what string, got, want error) {
	r.Helper()
	var taken *store.KeyTakenError
	if errors.As(want, &taken) {
		if gotTaken := (*store.KeyTakenError)(nil); !errors.As(got, &gotTaken) || *gotTaken != *taken {
			r.Fatalf("%s: %v, want %v", what, got, want)
		}
		return
	}
	if !errors.Is(got, want) {
		r.Fatalf("%s: %v, want %v", what, got, want)
	}
}
