// Package metrics serves what the server knows of itself and of its workers in the format of Prometheus.
package metrics

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/version"
)

// Workers tells of the workers that are active.
type Workers interface {
	ActiveWorkers(ctx context.Context) ([]core.Worker, error)
}

// Options are where the figures come from.
type Options struct {
	Workers Workers
	Plugins func() []api.Plugin // of this server
	Logger  *slog.Logger
}

// scrapeLimit bounds how long the database may take for a scrape.
const scrapeLimit = 5 * time.Second

// Handler serves the metrics. Figures are read when they are asked for.
func Handler(o Options) http.Handler {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stroem_build_info", Help: "Always 1; the label says which version this is.",
		ConstLabels: prometheus.Labels{"version": version.Version},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &plugins{o})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: errorLog{o.Logger}, ErrorHandling: promhttp.ContinueOnError})
}

// errorLog is a log as promhttp wants it.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) Println(v ...any) { l.logger.Warn("metrics are not complete", "error", v) }

// plugins collects how the plugins of the server and of all active workers are.
type plugins struct{ Options }

var (
	pluginLabels  = []string{"worker", "plugin", "version"} // no worker: the server's own
	pluginReady   = prometheus.NewDesc("stroem_plugin_ready", "1 if the plugin works, else 0.", pluginLabels, nil)
	pluginState   = prometheus.NewDesc("stroem_plugin_state", "Always 1; the label state says where the plugin is in its life.", slices.Concat(pluginLabels, []string{"state"}), nil)
	pluginRestart = prometheus.NewDesc("stroem_plugin_restarts_total", "How often the plugin was started again.", pluginLabels, nil)
	workersActive = prometheus.NewDesc("stroem_workers_active", "Workers that were heard of lately.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*plugins) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{pluginReady, pluginState, pluginRestart, workersActive} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (p *plugins) Collect(to chan<- prometheus.Metric) {
	if p.Plugins != nil {
		collect(to, "", p.Plugins())
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	workers, err := p.Workers.ActiveWorkers(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(workersActive, err)
		return
	}
	to <- prometheus.MustNewConstMetric(workersActive, prometheus.GaugeValue, float64(len(workers)))
	for i := range workers {
		var list []api.Plugin
		if err := json.Unmarshal(workers[i].Plugins, &list); err != nil {
			to <- prometheus.NewInvalidMetric(pluginState, err)
			continue
		}
		collect(to, workers[i].Name, list)
	}
}

func collect(to chan<- prometheus.Metric, worker string, list []api.Plugin) {
	for _, plugin := range list {
		labels := []string{worker, plugin.Kind + "-" + plugin.Name, plugin.Version}
		ready := 0.0
		if plugin.State == "ready" {
			ready = 1
		}
		to <- prometheus.MustNewConstMetric(pluginReady, prometheus.GaugeValue, ready, labels...)
		to <- prometheus.MustNewConstMetric(pluginState, prometheus.GaugeValue, 1, slices.Concat(labels, []string{plugin.State})...)
		to <- prometheus.MustNewConstMetric(pluginRestart, prometheus.CounterValue, float64(plugin.Restarts), labels...)
	}
}
