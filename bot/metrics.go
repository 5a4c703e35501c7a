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
	age        *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, st store.Store) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snowbot_conversation_events_total",
			Help: "What happened in conversations, such as escalations, ends and repeats, by kind.",
		}, []string{"event", "detail"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snowbot_deliveries_total",
			Help: "Sends that were tried, by direction, kind and outcome.",
		}, []string{"direction", "kind", "outcome"}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "snowbot_delivery_age_seconds",
			Help:    "Age of what was delivered, from its acceptance.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"direction"}),
	}
	if r != nil {
		r.MustRegister(m.events, m.deliveries, m.age, gauges{st})
	}
	return m
}

func (m *metrics) add(counts []count) {
	for _, c := range counts {
		m.events.WithLabelValues(c.what, c.label).Inc()
	}
}

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

// gauges collect what the store counts.
type gauges struct{ store store.Store }

var (
	waitingDesc = prometheus.NewDesc("snowbot_deliveries_waiting", "Deliveries in lanes, by direction.", []string{"direction"}, nil)
	deadDesc    = prometheus.NewDesc("snowbot_dead_letters", "Deliveries given up and kept.", nil, nil)
	liveDesc    = prometheus.NewDesc("snowbot_sessions_live", "Sessions that are on.", nil, nil)
)

func (gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- waitingDesc
	ch <- deadDesc
	ch <- liveDesc
}

func (w gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // a scrape has no context
	defer cancel()
	s, err := w.store.Stats(ctx)
	if err != nil {
		return
	}
	for d, n := range s.Waiting {
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(n), string(d))
	}
	ch <- prometheus.MustNewConstMetric(deadDesc, prometheus.GaugeValue, float64(s.DeadLetters))
	ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(s.Live))
}
