package httpd

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/plaincover/plaincover/internal/store"
)

// metrics is the handler of /metrics. Each server has its own registry: there is no global one.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: log.New(mute{s.cfg.Log}, "", 0), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: metricsAtOnce, DisableCompression: true,
	})
}

// collector reads the figures when they are asked for. Counters begin at zero with the
// program; gauges are what the database holds.
type collector struct{ s *Server }

// figure is one value that /metrics shows.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	label      string // its name; empty: none
	values     func(*figures) map[string]float64
}

// figures is what there is to show, read once for each scrape.
type figures struct {
	readiness
	s       *Server
	at      time.Time
	waiting *store.Waiting // nil: the database cannot be read
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// figureTable is everything of ours that /metrics shows. No label ever takes a value from a
// message, a person or a visitor.
func figureTable() []figure {
	one := func(of func(*figures) float64) func(*figures) map[string]float64 {
		return func(f *figures) map[string]float64 { return map[string]float64{"": of(f)} }
	}
	return []figure{
		{"plaincover_build_info", "The version of the program; always 1.", gauge, "version",
			func(f *figures) map[string]float64 { return map[string]float64{f.s.cfg.Version: 1} }},
		{"plaincover_ready", "1 when /readyz says yes.", gauge, "", one(func(f *figures) float64 { return bit(f.Ready) })},
		{"plaincover_database_writable", "1 when the database takes writes.", gauge, "", one(func(f *figures) float64 { return bit(f.Database == "ok") })},
		{"plaincover_messages_total", "Messages from mail apps by outcome; deferred: put off with 4yz by our own trouble.", counter, "outcome",
			func(f *figures) map[string]float64 {
				t := f.s.cfg.Gateway.Tally()
				return map[string]float64{"send": float64(t.Sent), "hold": float64(t.Held), "refuse": float64(t.Refused), "deferred": float64(t.Failed)}
			}},
		{"plaincover_deliveries_total", "Attempts at the smarthost by what they came to, for each recipient; unknown: the last reply was lost.", counter, "outcome",
			func(f *figures) map[string]float64 {
				out := map[string]float64{}
				t := f.s.cfg.Queue.Tally()
				for _, o := range []store.Outcome{store.OutDelivered, store.OutTransient, store.OutPermanent, store.OutUnknown} {
					out[string(o)] = float64(t[o])
				}
				return out
			}},
		{"plaincover_jobs", "Deliveries that are not finished, by state.", gauge, "state",
			func(f *figures) map[string]float64 {
				w := f.waiting
				if w == nil {
					return nil
				}
				return map[string]float64{string(store.Queued): float64(w.Queued), string(store.Sending): float64(w.Sending),
					string(store.InDoubt): float64(w.InDoubt), string(store.Held): float64(w.Held)}
			}},
		{"plaincover_oldest_job_seconds", "How long the oldest delivery that should leave has been waiting; 0: none.", gauge, "",
			func(f *figures) map[string]float64 {
				switch {
				case f.waiting == nil:
					return nil
				case f.waiting.Oldest.IsZero():
					return map[string]float64{"": 0}
				}
				return map[string]float64{"": max(0, f.at.Sub(f.waiting.Oldest).Seconds())}
			}},
		{"plaincover_policy_reloads_total", "Reloads of the policies by what became of them.", counter, "result",
			func(f *figures) map[string]float64 {
				in := f.s.cfg.Gateway.InForce()
				return map[string]float64{"taken": float64(in.Taken), "kept": float64(in.Kept)}
			}},
		{"plaincover_policy_kept", "1 when the last reload or the start refused the policies in the files, and the ones before decide.", gauge, "",
			one(func(f *figures) float64 { return bit(f.Policies == "kept") })},
		{"plaincover_policy_since_seconds", "When the policies in force were taken, in seconds since 1970.", gauge, "",
			one(func(f *figures) float64 { return float64(f.Since.UnixMilli()) / 1000 })},
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (f figure) desc() *prometheus.Desc {
	if f.label == "" {
		return prometheus.NewDesc(f.name, f.help, nil, nil)
	}
	return prometheus.NewDesc(f.name, f.help, []string{f.label}, nil)
}

// Describe sends what there is.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range figureTable() {
		to <- f.desc()
	}
}

// Collect sends the values. Where the database cannot be read its values are missing, which
// monitors can see; nothing is made up.
func (c collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	now := figures{readiness: c.s.readiness(ctx), s: c.s, at: c.s.cfg.Now()}
	if w, err := c.s.cfg.Store.Waiting(ctx); err == nil {
		now.waiting = &w
	}
	for _, f := range figureTable() {
		d := f.desc()
		for label, v := range f.values(&now) {
			if f.label == "" {
				to <- prometheus.MustNewConstMetric(d, f.kind, v)
			} else {
				to <- prometheus.MustNewConstMetric(d, f.kind, v, label)
			}
		}
	}
}
