package bot

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"snowbot/store"
)

// metrics are the counters of a Bot. Labels are words of this package, never of a person.
type metrics struct {
	events     *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	possible   *prometheus.CounterVec
	age        *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, b *Bot) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snowbot_conversation_events_total",
			Help: "What happened in conversations, such as escalations, ends and repeats, by kind.",
		}, []string{"event", "detail"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snowbot_deliveries_total",
			Help: "Sends that were tried, by direction, kind and outcome.",
		}, []string{"direction", "kind", "outcome"}),
		possible: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snowbot_possible_repeats_total",
			Help: "Sends to Teams that may show twice, by cause: repeats after an unclear outcome, sends in hand at an unclean end or when a lease ran out, and sends that were done and could not be settled, or whose settle the store may have lost.",
		}, []string{"cause"}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "snowbot_delivery_age_seconds",
			Help:    "Age of what was delivered, from its acceptance.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"direction"}),
	}
	if r != nil {
		r.MustRegister(m.events, m.deliveries, m.possible, m.age, gauges{b})
	}
	return m
}

func (m *metrics) add(counts []count) {
	for _, c := range counts {
		m.events.WithLabelValues(c.what, c.label).Inc()
	}
}

func (m *metrics) repeats(cause string, n int) { m.possible.WithLabelValues(cause).Add(float64(n)) }

func (m *metrics) delivered(d store.Direction, kind string, v decision, age time.Duration) {
	switch v.fate {
	case done:
		m.deliveries.WithLabelValues(string(d), kind, "done").Inc()
		m.age.WithLabelValues(string(d)).Observe(age.Seconds())
	case never:
		m.deliveries.WithLabelValues(string(d), kind, string(v.why)).Inc()
	default:
		m.deliveries.WithLabelValues(string(d), kind, "again").Inc()
	}
}

// gauges collect what is not counted here: by the store, and by those who wait.
type gauges struct{ bot *Bot }

var (
	waitingDesc = prometheus.NewDesc("snowbot_deliveries_waiting", "Deliveries in lanes, by direction. On PostgreSQL up to twenty times as old as counting takes.", []string{"direction"}, nil)
	deadDesc    = prometheus.NewDesc("snowbot_dead_letters", "Deliveries given up and kept. On PostgreSQL up to twenty times as old as counting takes.", nil, nil)
	heldDesc    = prometheus.NewDesc("snowbot_lanes_held", "Lanes in hand that wait for a rate window or for a host, by direction.", []string{"direction"}, nil)
	outDesc     = prometheus.NewDesc("snowbot_host_out", "1 while the breaker of a host is open.", []string{"host"}, nil)
	countDesc   = prometheus.NewDesc("snowbot_replicas", "Processes that work on the store, as far as this one knows; 0 while the others may not know of it.", nil, nil)
	filesDesc   = prometheus.NewDesc("snowbot_files_kept_bytes", "Bytes of files that people have sent and that can be fetched still. On PostgreSQL up to twenty times as old as counting takes.", nil, nil)
	liveDesc    = prometheus.NewDesc("snowbot_sessions_live", "Sessions that are on. On PostgreSQL up to twenty times as old as counting takes.", nil, nil)
)

func (gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- waitingDesc
	ch <- deadDesc
	ch <- liveDesc
	ch <- filesDesc
	ch <- countDesc
	ch <- heldDesc
	ch <- outDesc
}

func (w gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // a scrape has no context
	defer cancel()
	for d, n := range w.bot.room.lanes() {
		ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(n), string(d))
	}
	for name, out := range w.bot.hosts.state() {
		n := 0.0
		if out {
			n = 1
		}
		ch <- prometheus.MustNewConstMetric(outDesc, prometheus.GaugeValue, n, name)
	}
	ch <- prometheus.MustNewConstMetric(countDesc, prometheus.GaugeValue, float64(w.bot.room.replicas.count()))
	s, err := w.bot.store.Stats(ctx)
	if err != nil {
		return
	}
	for d, n := range s.Waiting {
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(n), string(d))
	}
	ch <- prometheus.MustNewConstMetric(deadDesc, prometheus.GaugeValue, float64(s.DeadLetters))
	ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(s.Live))
	ch <- prometheus.MustNewConstMetric(filesDesc, prometheus.GaugeValue, float64(s.FileBytes))
}
