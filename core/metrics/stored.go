package metrics

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stroem/stroem/core"
)

// stored collects what the database knows of the whole system, which is the same on every replica, and this server's plugins.
type stored struct{ Options }

var (
	workersActive    = prometheus.NewDesc("stroem_workers_active", "Workers that were heard of lately.", nil, nil)
	queueReady       = prometheus.NewDesc("stroem_queue_ready_steps", "Steps that wait for a worker, by the tags that it has to offer.", []string{"tags"}, nil)
	queueOldest      = prometheus.NewDesc("stroem_queue_oldest_seconds", "How long the first of the steps that require these tags has waited.", []string{"tags"}, nil)
	queueUnclaimable = prometheus.NewDesc("stroem_queue_unclaimable_steps", "Those of the waiting steps that no active worker can run.", []string{"tags"}, nil)
	stepsRunning     = prometheus.NewDesc("stroem_steps_running", "Steps that run, or are about to: on a worker, or as a job of their own (server).", []string{"executor"}, nil)
	jobsOpen         = prometheus.NewDesc("stroem_jobs_open", "Jobs that have not ended.", nil, nil)
	uploadsPending   = prometheus.NewDesc("stroem_log_uploads_pending", "Logs of jobs that have ended, and are not archived; failing: it was tried.", []string{"state"}, nil)
	uploadsOldest    = prometheus.NewDesc("stroem_log_uploads_oldest_seconds", "How long ago the job ended whose log has waited longest to be archived; 0 if none does.", nil, nil)
	scheduleOverdue  = prometheus.NewDesc("stroem_schedule_overdue_seconds", "How long ago the trigger should have fired that is due first; 0 if none is.", nil, nil)
)

// maxQueues is how many sets of tags are shown apart; the rest, the shortest queues, are shown as one.
const maxQueues = 100

// otherTags stands for the tags of the rest.
const otherTags = "_other"

// Describe implements prometheus.Collector.
func (*stored) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		pluginReady, pluginState, pluginRestart, workersActive, queueReady, queueOldest, queueUnclaimable, stepsRunning, jobsOpen, scheduleOverdue,
		uploadsPending, uploadsOldest,
	} {
		to <- desc
	}
}

// Collect implements prometheus.Collector. What the database does not tell in time is left out.
func (s *stored) Collect(to chan<- prometheus.Metric) {
	if s.Plugins != nil {
		collectPlugins(to, "", s.Plugins())
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	workers, err := s.Workers.ActiveWorkers(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(workersActive, err)
		return
	}
	collectWorkers(to, workers)
	backlog, err := s.Queue.Backlog(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(queueReady, err)
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, q := range queues(backlog.Queues, workers) {
		gauge(queueReady, q.ready, q.tags)
		gauge(queueOldest, q.oldest, q.tags)
		gauge(queueUnclaimable, q.unclaimable, q.tags)
	}
	gauge(stepsRunning, float64(backlog.WorkerSteps), "worker")
	gauge(stepsRunning, float64(backlog.ServerSteps), "server")
	gauge(jobsOpen, float64(backlog.OpenJobs))
	gauge(scheduleOverdue, backlog.ScheduleDelay.Seconds())
	if s.Uploads == nil {
		return
	}
	waiting, err := s.Uploads.UploadBacklog(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(uploadsPending, err)
		return
	}
	gauge(uploadsPending, float64(waiting.Pending-waiting.Failing), "waiting")
	gauge(uploadsPending, float64(waiting.Failing), "failing")
	gauge(uploadsOldest, waiting.Oldest.Seconds())
}

// queue is a queue as it is shown.
type queue struct {
	tags                       string
	ready, oldest, unclaimable float64
}

// queues are the longest ones, and one that stands for all others. Sets of tags that look the same are shown as one.
func queues(list []core.Queue, workers []core.Worker) []queue {
	var shown []queue
	for _, q := range list {
		tags := strings.Join(q.Tags, ",")
		i := slices.IndexFunc(shown, func(one queue) bool { return one.tags == tags })
		if i < 0 && len(shown) >= maxQueues {
			tags = otherTags
			i = slices.IndexFunc(shown, func(one queue) bool { return one.tags == tags })
		}
		if i < 0 {
			i = len(shown)
			shown = append(shown, queue{tags: tags})
		}
		one := &shown[i]
		one.ready += float64(q.Ready)
		one.oldest = max(one.oldest, q.Oldest.Seconds())
		if !slices.ContainsFunc(workers, func(w core.Worker) bool { return offers(w.Tags, q.Tags) }) {
			one.unclaimable += float64(q.Ready)
		}
	}
	return shown
}

func offers(tags, required []string) bool {
	return !slices.ContainsFunc(required, func(tag string) bool { return !slices.Contains(tags, tag) })
}
