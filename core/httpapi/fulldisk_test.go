package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
)

// fullLogs do not take lines of a job for a while.
type fullLogs struct {
	httpapi.Logs

	of   string // job
	full atomic.Bool
}

func (l *fullLogs) Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error {
	if l.full.Load() && job.String() == l.of {
		return &core.Error{Code: core.CodeUnavailable, Reason: "log_unavailable", Message: "The log cannot be written"}
	}
	return l.Logs.Append(ctx, job, step, attempt, first, ndjson)
}

// TestCompletionsWithAFullDisk: a step whose last lines cannot be stored is reported again until they are, and those that are
// reported with it have ended at once.
func TestCompletionsWithAFullDisk(t *testing.T) {
	t.Parallel()
	full := &fullLogs{}
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) {
		full.Logs = c.Logs
		c.Logs = full
	})
	token := b.register("w")
	var request api.CompleteRequest
	for range 2 {
		b.execute()
		step := b.claim(token)
		lease := []api.StepLease{{StepID: step.StepID, Lease: step.Lease}}
		body, err := json.Marshal(api.StartRequest{Steps: lease})
		require.NoError(t, err)
		b.do(call{method: "POST", path: "/worker/steps/start", token: token, body: string(body)})
		zero := 0
		request.Completions = append(request.Completions, api.Completion{
			StepID: step.StepID, Lease: step.Lease, ExitCode: &zero,
			Logs: &api.LogBatch{First: 1, Lines: string(joblog.AppendLine(nil, step.StepName, 1, joblog.Stdout, "2026-01-02T03:04:05Z", "the last one"))},
		})
		if full.of == "" {
			full.of = step.JobID
			full.full.Store(true)
		}
	}
	body, err := json.Marshal(request)
	require.NoError(t, err)
	report := call{method: "POST", path: "/worker/steps/complete", token: token, body: string(body)}
	for range 2 {
		requireError(t, b.do(report), http.StatusServiceUnavailable, "The log cannot be written")
	}
	ended := map[string]int{}
	for _, job := range into[[]api.Job](t, b.get("/api/jobs")) {
		for _, step := range into[api.JobDetail](t, b.get("/api/jobs/"+job.JobID)).Steps {
			if step.Status == "completed" {
				ended[job.JobID]++
			}
		}
	}
	require.Len(t, ended, 1)
	require.NotContains(t, ended, full.of)
	full.full.Store(false)
	answer := into[api.CompleteResponse](t, b.do(report))
	require.Equal(t, []string{api.Accepted, api.Duplicate}, []string{answer.Results[0].Status, answer.Results[1].Status})
	require.Equal(t, 1, strings.Count(into[api.Logs](t, b.get("/api/jobs/"+full.of+"/logs")).Logs, "the last one"))
}
