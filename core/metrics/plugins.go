package metrics

import (
	"encoding/json"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

var (
	pluginLabels  = []string{"worker", "plugin", "version"} // no worker: the server's own
	pluginReady   = prometheus.NewDesc("stroem_plugin_ready", "1 if the plugin works, else 0.", pluginLabels, nil)
	pluginState   = prometheus.NewDesc("stroem_plugin_state", "Always 1; the label state says where the plugin is in its life.", slices.Concat(pluginLabels, []string{"state"}), nil)
	pluginRestart = prometheus.NewDesc("stroem_plugin_restarts_total", "How often the plugin was started again.", pluginLabels, nil)
)

func collectWorkers(to chan<- prometheus.Metric, workers []core.Worker) {
	to <- prometheus.MustNewConstMetric(workersActive, prometheus.GaugeValue, float64(len(workers)))
	for i := range workers {
		var list []api.Plugin
		if err := json.Unmarshal(workers[i].Plugins, &list); err != nil {
			to <- prometheus.NewInvalidMetric(pluginState, err)
			continue
		}
		collectPlugins(to, workers[i].Name, list)
	}
}

func collectPlugins(to chan<- prometheus.Metric, worker string, list []api.Plugin) {
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
