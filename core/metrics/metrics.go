// Package metrics serves what the server knows of itself and of its workers in the format of Prometheus.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/tally"
	"github.com/stroem/stroem/core/version"
)

// Workers tells of the workers that are active.
type Workers interface {
	ActiveWorkers(ctx context.Context) ([]core.Worker, error)
}

// Queue tells what waits and what runs.
type Queue interface {
	Backlog(ctx context.Context) (core.Backlog, error)
}

// Uploads tells what waits to be archived.
type Uploads interface {
	UploadBacklog(ctx context.Context) (core.UploadBacklog, error)
}

// Options are where the figures come from.
type Options struct {
	Workers Workers
	Queue   Queue
	Uploads Uploads // nil: there is no archive
	Counted *tally.Server
	Plugins func() []api.Plugin // of this server
	Logger  *slog.Logger
}

const (
	// scrapeLimit bounds how long the database may take for a scrape.
	scrapeLimit = 5 * time.Second
	// maxScrapes is how many may be answered at a time: a database that hangs is not to be asked by more and more of them.
	maxScrapes = 4
)

// Handler serves the metrics. Figures are read when they are asked for.
func Handler(o Options) http.Handler {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stroem_build_info", Help: "Always 1; the label says which version this is.",
		ConstLabels: prometheus.Labels{"version": version.Version},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&counted{o.Counted}, &stored{o})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{o.Logger}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
	})
}

// errorLog is a log as promhttp wants it.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) Println(v ...any) { l.logger.Warn("metrics are not complete", "error", v) }
