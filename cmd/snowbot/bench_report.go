package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A benchReport is what is printed.
type benchReport struct {
	Chats   int            `json:"chats"`
	Senders int            `json:"senders"`
	Seconds float64        `json:"seconds"`
	Runs    int            `json:"runs"`
	Rows    []*benchFigure `json:"figures"`
	Ratio   float64        `json:"ratio"` // of what the relay delivers, both ways, to the raw echo
	// Postgres is the ratio of what PostgreSQL delivers to what the file does.
	Postgres float64 `json:"postgresRatio,omitempty"`
	// Replicas is the ratio of what the most replicas deliver to what one does.
	Replicas float64 `json:"replicasRatio,omitempty"`
	// Bots is the ratio of what the relay delivers, both ways, to the best of the other bots.
	Bots  float64 `json:"botsRatio,omitempty"`
	names []string
	all   map[string][]benchFigure
}

// A benchFigure is one line of it, of one measurement or the median of several.
type benchFigure struct {
	Name      string  `json:"name"`
	Accepted  float64 `json:"acceptedPerSecond"`
	Delivered float64 `json:"deliveredPerSecond"`
	AnswerP50 float64 `json:"answerP50Ms"`
	AnswerP99 float64 `json:"answerP99Ms"`
	EndP50    float64 `json:"endToEndP50Ms"`
	EndP99    float64 `json:"endToEndP99Ms"`
	CPU       float64 `json:"cpuMicrosPerMessage"`
	Database  float64 `json:"databaseCpuMicrosPerMessage,omitempty"` // of a private PostgreSQL
	PeersCPU  float64 `json:"peersCpuMicrosPerMessage"`
	MemoryMB  float64 `json:"memoryMB"`
	SyncsEach float64 `json:"syncsPerMessage"`
	Wrong     int     `json:"refusedMissingOrRepeated"`
}

func newBenchReport(c *benchCommand) *benchReport {
	return &benchReport{Chats: c.Chats, Senders: c.Senders, Seconds: c.For.Seconds(), Runs: c.Runs, all: map[string][]benchFigure{}}
}

// A benchRow is a measurement while it is put together.
type benchRow struct {
	name          string
	before, after usage
	accepted      float64 // a second
	messages      int
	wrong         int
	start, end    time.Time
	answers, ends []uint32
}

func newBenchRow(name string, before, after usage) *benchRow {
	return &benchRow{name: name, before: before, after: after}
}

// add adds one direction.
func (r *benchRow) add(w loadResult, a arrivalCount) {
	r.accepted += float64(w.Accepted) / w.Took.Seconds()
	r.messages += a.Arrived
	r.wrong += w.Refused + a.Repeated + a.Missing
	if r.start.IsZero() || w.Start.Before(r.start) {
		r.start = w.Start
	}
	if a.Last.After(r.end) {
		r.end = a.Last
	}
	r.answers, r.ends = append(r.answers, w.Answers...), append(r.ends, a.Latencies...)
}

// delivered is how many messages a second came through, from the first one written to the last one that arrived.
func (r *benchRow) delivered() float64 { return float64(r.messages) / r.end.Sub(r.start).Seconds() }

func (r *benchRow) figure() benchFigure {
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(1, r.messages)) }
	slices.Sort(r.answers)
	slices.Sort(r.ends)
	return benchFigure{
		Name: r.name, Accepted: r.accepted, Delivered: r.delivered(), Wrong: r.wrong,
		AnswerP50: percentile(r.answers, 50), AnswerP99: percentile(r.answers, 99),
		EndP50: percentile(r.ends, 50), EndP99: percentile(r.ends, 99),
		CPU: each(r.after.cpu - r.before.cpu), PeersCPU: each(r.after.peers - r.before.peers),
		Database: each(r.after.database - r.before.database),
		MemoryMB: float64(r.after.resident) / (1 << 20), SyncsEach: (r.after.syncs - r.before.syncs) / float64(max(1, r.messages)),
	}
}

// percentile of sorted microseconds, in milliseconds.
func percentile(sorted []uint32, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, len(sorted)*p/100)]) / 1000
}

func (r *benchReport) add(row *benchRow) {
	if len(r.all[row.name]) == 0 {
		r.names = append(r.names, row.name)
	}
	r.all[row.name] = append(r.all[row.name], row.figure())
}

// figures are the columns of a figure that have a median.
func (f *benchFigure) figures() []*float64 {
	return []*float64{
		&f.Accepted, &f.Delivered, &f.AnswerP50, &f.AnswerP99, &f.EndP50, &f.EndP99, &f.CPU, &f.Database, &f.PeersCPU, &f.MemoryMB, &f.SyncsEach,
	}
}

// finish works out the medians.
func (r *benchReport) finish() {
	r.Rows = nil
	rates := map[string]float64{}
	for _, name := range r.names {
		runs := r.all[name]
		m := benchFigure{Name: name}
		for column, to := range m.figures() {
			values := make([]float64, len(runs))
			for i := range runs {
				values[i] = *runs[i].figures()[column]
			}
			slices.Sort(values)
			*to = values[len(values)/2]
		}
		for i := range runs {
			m.Wrong += runs[i].Wrong
		}
		r.Rows = append(r.Rows, &m)
		rates[name] = m.Delivered
	}
	if rates[echoPhase] > 0 {
		r.Ratio = rates[bothWays] / rates[echoPhase]
	}
	best := 0.0
	for name, rate := range rates {
		if strings.HasPrefix(name, "echo of ") {
			best = max(best, rate)
		}
	}
	if best > 0 {
		r.Bots = rates[bothWays] / best
	}
	if one, n := rates[fleetPhase(1).name], len(r.Rows); one > 0 && n > 1 {
		r.Replicas = r.Rows[n-1].Delivered / one
	}
	if rates[bothWays] > 0 {
		r.Postgres = rates[bothWays+onPostgres] / rates[bothWays]
	}
}

func (r *benchReport) table(w io.Writer) error {
	fmt.Fprintf(w, "%d chats, %d senders on each side, %g s each, medians of %d\n\n", r.Chats, r.Senders, r.Seconds, r.Runs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\taccepted/s\tdelivered/s\tanswer p50\tp99 ms\tend to end p50\tp99 ms\tCPU us\tpeers' CPU us\tmemory MB\tsyncs\twrong\t")
	for _, f := range r.Rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.3f\t%d\t\n",
			f.Name, f.Accepted, f.Delivered, f.AnswerP50, f.AnswerP99, f.EndP50, f.EndP99, f.CPU, f.PeersCPU, f.MemoryMB, f.SyncsEach, f.Wrong)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Ratio > 0 {
		fmt.Fprintf(w, "\nThe durable relay, both ways, carries %.2f times what the raw echo does.\n", r.Ratio)
	}
	if r.Bots > 0 {
		fmt.Fprintf(w, "That is %.1f times what the best of the other bots echoes; those keep nothing.\n", r.Bots)
	}
	for _, f := range r.Rows {
		if f.Database > 0 {
			fmt.Fprintf(w, "%s: %.0f us of processor time a message in PostgreSQL\n", f.Name, f.Database)
		}
	}
	if r.Replicas > 0 {
		fmt.Fprintf(w, "\n%d replicas carry %.2f times what one does.\n", len(r.Rows), r.Replicas)
	}
	if r.Postgres > 0 {
		fmt.Fprintf(w, "With PostgreSQL it carries %.2f times what it does with the file.\n", r.Postgres)
	}
	return nil
}

// A benchBar shows how far the measurements are.
type benchBar struct {
	bar  *progressbar.ProgressBar
	done time.Duration // of those that are over
}

func newBenchBar(total time.Duration) *benchBar {
	return &benchBar{bar: progressBar(int(total.Milliseconds()), "measuring")}
}

// at shows how far the measurement is that is on. What cannot be shown is no failure.
func (b *benchBar) at(d time.Duration) { _ = b.bar.Set(int((b.done + d).Milliseconds())) }

func (b *benchBar) next(d time.Duration) { b.done += d }

func (b *benchBar) finish() { _ = b.bar.Finish() }
