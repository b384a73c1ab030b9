package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/tally"
)

// counted collects what this process has counted since its start.
type counted struct{ *tally.Server }

// counter is a series, and the counter that it is read from.
type counter struct {
	desc   *prometheus.Desc
	labels int
	kind   prometheus.ValueType
	of     func(*tally.Server) *tally.Counter
	always []string // first labels that are shown with 0 from the start: the first increase of a new series is not seen
}

func newCounter(name, help string, of func(*tally.Server) *tally.Counter, labels ...string) counter {
	c := counter{desc: prometheus.NewDesc(name, help, labels, nil), labels: len(labels), kind: prometheus.CounterValue, of: of}
	if len(labels) == 0 {
		c.always = []string{""}
	}
	return c
}

// gauge has a counter shown as what there is, for it goes down, too.
func (c counter) gauge() counter {
	c.kind = prometheus.GaugeValue
	return c
}

// from has a counter show labels before anything is counted.
func (c counter) from(always ...string) counter {
	c.always = always
	return c
}

var counters = []counter{
	newCounter("stroem_jobs_created_total", "Jobs that were created, by what started them.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.JobsCreated }, "workspace", "source"),
	newCounter("stroem_jobs_ended_total", "Jobs that have ended, by the state in which.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.JobsEnded }, "workspace", "status"),
	newCounter("stroem_steps_ended_total", "Steps that have ended, by the state in which.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.StepsEnded }, "status").
		from(string(core.StepCompleted), string(core.StepFailed), string(core.StepSkipped), string(core.StepCancelled)),
	newCounter("stroem_claims_total", "Requests of workers for steps, each time that the queue was looked at, by what they got: steps or empty.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.Claims }, "result").from("steps", "empty"),
	newCounter("stroem_claimed_steps_total", "Steps that were handed out to workers.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.StepsClaimed }),
	newCounter("stroem_requeued_steps_total", "Steps that were handed out, not started in time, and made ready again.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.StepsRequeued }),
	newCounter("stroem_unreported_steps_total", "Steps that were ended without a report of their worker: it was lost, or did not stop them.",
		func(s *tally.Server) *tally.Counter { return &s.Engine.StepsUnreported }),
	newCounter("stroem_schedule_fires_total", "Fires of triggers by time; in_vain: no job could be created.",
		func(s *tally.Server) *tally.Counter { return &s.Schedules.Fires }, "result").from(tally.FiredJob, tally.FiredInVain),
	newCounter("stroem_schedule_missed_fires_total", "Instants at which nothing fired, and for which one later fire made up.",
		func(s *tally.Server) *tally.Counter { return &s.Schedules.Missed }),
	newCounter("stroem_webhook_deliveries_total", "Requests to webhooks by class of the answer; workspace is empty for names that no webhook has.",
		func(s *tally.Server) *tally.Counter { return &s.Webhooks.Deliveries }, "workspace", "status"),
	newCounter("stroem_webhook_unrecorded_total", "Refused requests to webhooks that are not in the list of deliveries, because there were too many.",
		func(s *tally.Server) *tally.Counter { return &s.Webhooks.Unrecorded }, "workspace"),
	newCounter("stroem_log_lines_total", "Lines that were added to the logs of jobs.",
		func(s *tally.Server) *tally.Counter { return &s.Logs.Lines }),
	newCounter("stroem_log_bytes_total", "Bytes by which the logs of jobs have grown.",
		func(s *tally.Server) *tally.Counter { return &s.Logs.Bytes }),
	newCounter("stroem_log_write_errors_total", "Writes to logs of jobs that the file system refused; they are repeated.",
		func(s *tally.Server) *tally.Counter { return &s.Logs.Failures }),
	newCounter("stroem_log_uploads_total", "Attempts to archive the log of a job, by what became of them: stored or failed.",
		func(s *tally.Server) *tally.Counter { return &s.Archive.Uploads }, "result").from(tally.UploadStored, tally.UploadFailed),
	newCounter("stroem_log_upload_bytes_total", "Bytes that were sent to the archive of logs, compressed.",
		func(s *tally.Server) *tally.Counter { return &s.Archive.Bytes }),
	newCounter("stroem_log_streams", "Log streams that are open.",
		func(s *tally.Server) *tally.Counter { return &s.Streams }).gauge(),
}

var (
	orchestration = prometheus.NewDesc("stroem_orchestration_seconds",
		"How long the database took to create jobs, to change them, and to hand out steps.", []string{"operation"}, nil)
	scheduleLag = prometheus.NewDesc("stroem_schedule_lag_seconds",
		"How long after its time each trigger was fired; what was missed counts from the last instant.", nil, nil)
)

// Describe implements prometheus.Collector.
func (counted) Describe(to chan<- *prometheus.Desc) {
	for _, c := range counters {
		to <- c.desc
	}
	to <- orchestration
	to <- scheduleLag
}

// Collect implements prometheus.Collector.
func (c counted) Collect(to chan<- prometheus.Metric) {
	for _, one := range counters {
		counts := one.of(c.Server).Counts()
		for _, first := range one.always {
			counts[tally.Labels{first}] += 0
		}
		for labels, n := range counts {
			to <- prometheus.MustNewConstMetric(one.desc, one.kind, float64(n), labels[:one.labels]...)
		}
	}
	for operation, h := range map[string]*tally.Histogram{
		"create": &c.Engine.Creation, "transition": &c.Engine.Transition, "claim": &c.Engine.Claim,
	} {
		collectHistogram(to, orchestration, h, operation)
	}
	collectHistogram(to, scheduleLag, &c.Schedules.Lag)
}

func collectHistogram(to chan<- prometheus.Metric, desc *prometheus.Desc, h *tally.Histogram, labels ...string) {
	count, sum, upTo := h.Read()
	to <- prometheus.MustNewConstHistogram(desc, count, sum, upTo, labels...)
}
