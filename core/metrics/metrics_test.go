package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/metrics"
	"github.com/stroem/stroem/core/tally"
)

// database is what one knows at the moment.
type database struct {
	workers []core.Worker
	backlog core.Backlog
	err     error
}

func (d *database) ActiveWorkers(context.Context) ([]core.Worker, error) { return d.workers, d.err }

func (d *database) Backlog(ctx context.Context) (core.Backlog, error) {
	if _, limited := ctx.Deadline(); !limited {
		return core.Backlog{}, errors.New("asked without a limit")
	}
	return d.backlog, d.err
}

func (d *database) UploadBacklog(context.Context) (core.UploadBacklog, error) {
	return core.UploadBacklog{Pending: 12, Failing: 5, Oldest: time.Minute}, d.err
}

func scrape(t *testing.T, o metrics.Options) string {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	answer := httptest.NewRecorder()
	metrics.Handler(o).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body.String())
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}

// everything is a server of which each series has a value.
func everything() metrics.Options {
	counted := &tally.Server{}
	counted.Engine.JobsCreated.Add(3, "main", "api")
	counted.Engine.JobsEnded.Add(2, "main", "completed")
	counted.Engine.JobsEnded.Add(1, `odd "name"`, "failed")
	counted.Engine.StepsEnded.Add(5, "completed")
	counted.Engine.Claims.Add(1, "empty")
	counted.Engine.Transition.Observe(3 * time.Millisecond)
	counted.Schedules.Fires.Add(4, tally.FiredInVain)
	counted.Schedules.Lag.Observe(time.Second)
	counted.Webhooks.Deliveries.Add(1, "", "4xx")
	counted.Webhooks.Unrecorded.Add(1, "main")
	counted.Logs.Lines.Add(7)
	counted.Streams.Add(3)
	counted.Streams.Add(-1)
	db := &database{
		workers: []core.Worker{
			{Name: "w", Tags: []string{"gpu", "shell"}, Plugins: []byte(`[{"kind": "runner", "name": "shell", "state": "ready"}]`)},
			{Name: "broken", Plugins: []byte(`[]`)},
		},
		backlog: core.Backlog{
			Queues: []core.Queue{
				{Tags: []string{"shell"}, Ready: 5, Oldest: time.Minute}, {Tags: []string{"kubernetes", "shell"}, Ready: 2, Oldest: time.Hour},
			},
			WorkerSteps: 3, ServerSteps: 1, OpenJobs: 9, ScheduleDelay: 2 * time.Second,
		},
	}
	plugins := func() []api.Plugin { return []api.Plugin{{Kind: "source", Name: "folder", State: "ready"}} }
	return metrics.Options{Workers: db, Queue: db, Uploads: db, Counted: counted, Plugins: plugins}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	body := scrape(t, everything())
	for _, line := range []string{
		`stroem_jobs_created_total{source="api",workspace="main"} 3`,
		`stroem_jobs_ended_total{status="completed",workspace="main"} 2`,
		`stroem_jobs_ended_total{status="failed",workspace="odd \"name\""} 1`,
		`stroem_steps_ended_total{status="completed"} 5`,
		`stroem_steps_ended_total{status="skipped"} 0`,
		`stroem_claims_total{result="empty"} 1`,
		"stroem_log_streams 2",
		`stroem_claimed_steps_total 0`,
		`stroem_schedule_fires_total{result="in_vain"} 4`,
		`stroem_schedule_lag_seconds_bucket{le="0.5"} 0`,
		`stroem_schedule_lag_seconds_bucket{le="1"} 1`,
		`stroem_orchestration_seconds_bucket{operation="transition",le="0.005"} 1`,
		`stroem_orchestration_seconds_count{operation="create"} 0`,
		`stroem_webhook_deliveries_total{status="4xx",workspace=""} 1`,
		`stroem_webhook_unrecorded_total{workspace="main"} 1`,
		`stroem_log_lines_total 7`,
		`stroem_queue_ready_steps{tags="shell"} 5`,
		`stroem_queue_oldest_seconds{tags="kubernetes,shell"} 3600`,
		`stroem_queue_unclaimable_steps{tags="shell"} 0`,
		`stroem_queue_unclaimable_steps{tags="kubernetes,shell"} 2`,
		`stroem_steps_running{executor="worker"} 3`,
		`stroem_steps_running{executor="server"} 1`,
		`stroem_jobs_open 9`,
		`stroem_schedule_overdue_seconds 2`,
		`stroem_workers_active 2`,
		`stroem_log_uploads_total{result="failed"} 0`,
		`stroem_log_upload_bytes_total 0`,
		`stroem_log_uploads_pending{state="waiting"} 7`,
		`stroem_log_uploads_pending{state="failing"} 5`,
		`stroem_log_uploads_oldest_seconds 60`,
	} {
		require.Contains(t, body, line+"\n")
	}
}

// TestNamesAreGood asks Prometheus' own linter.
func TestNamesAreGood(t *testing.T) {
	t.Parallel()
	problems, err := promlint.New(strings.NewReader(scrape(t, everything()))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestADatabaseThatFails costs what it would have told, and nothing else.
func TestADatabaseThatFails(t *testing.T) {
	t.Parallel()
	o := everything()
	o.Workers, o.Queue = &database{err: errors.New("gone")}, &database{err: errors.New("gone")}
	body := scrape(t, o)
	require.NotContains(t, body, "stroem_jobs_open")
	require.Contains(t, body, "stroem_log_lines_total 7\n")
	require.Contains(t, body, `stroem_plugin_ready{plugin="source-folder"`)
}

func TestManyQueuesAreShownAsOne(t *testing.T) {
	t.Parallel()
	db := &database{}
	for i := range 300 {
		db.backlog.Queues = append(db.backlog.Queues, core.Queue{Tags: []string{fmt.Sprint("tag", i)}, Ready: 2, Oldest: time.Duration(i) * time.Second})
	}
	// These look the same.
	db.backlog.Queues[0].Tags, db.backlog.Queues[1].Tags = []string{"a,b"}, []string{"a", "b"}
	o := everything()
	o.Workers, o.Queue = db, db
	body := scrape(t, o)
	require.Equal(t, 101, strings.Count(body, "\nstroem_queue_ready_steps{"))
	require.Contains(t, body, `stroem_queue_ready_steps{tags="a,b"} 4`+"\n")
	require.Contains(t, body, `stroem_queue_ready_steps{tags="_other"} 398`+"\n")
	require.Contains(t, body, `stroem_queue_oldest_seconds{tags="_other"} 299`+"\n")
}
