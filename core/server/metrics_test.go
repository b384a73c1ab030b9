package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
)

const measured = `
actions:
  say: {type: shell, cmd: echo hello}
  train: {type: shell, tags: [gpu], cmd: train}
  below: {type: task, task: hello}
tasks:
  hello: {flow: {say: {action: say}}}
  parent: {flow: {child: {action: below}}}
  learn: {flow: {train: {action: train}}}
  needy: {input: {n: {type: integer, required: true}}, flow: {say: {action: say}}}
triggers:
  often: {type: scheduler, cron: "* * * * * *", task: needy}
  push: {type: webhook, name: push, secret: hunter22, task: hello}
`

// TestMetricsOfARealServer looks at what is counted of some jobs, fires and requests.
func TestMetricsOfARealServer(t *testing.T) {
	t.Parallel()
	files := folder(t, map[string]string{"flows.yaml": measured})
	api, _ := start(t, load(t, coretest.Postgres(t), "workspaces: {main: {type: folder, path: "+files+"}}"))
	ready(t, api)
	for _, task := range []string{"hello", "hello", "hello", "parent", "learn"} {
		_, err := api.Execute(t.Context(), "main", task, apiv1.ExecuteRequest{}, "")
		require.NoError(t, err)
	}
	worker := api.WithToken("a token for the tests of the server")
	registered, err := worker.Register(t.Context(), apiv1.Register{Name: "w", Tags: []string{"shell"}})
	require.NoError(t, err)
	own := worker.WithToken(registered.Token)
	claimed, err := own.Claim(t.Context(), apiv1.ClaimRequest{MaxSteps: new(3), WaitSecs: new(10)})
	require.NoError(t, err)
	require.Len(t, claimed.Steps, 3)
	var leases []apiv1.StepLease
	for _, step := range claimed.Steps {
		leases = append(leases, apiv1.StepLease{StepID: step.StepID, Lease: step.Lease})
	}
	_, err = own.Start(t.Context(), apiv1.StartRequest{Steps: leases})
	require.NoError(t, err)
	_, err = own.Complete(t.Context(), apiv1.CompleteRequest{Completions: []apiv1.Completion{
		{StepID: leases[0].StepID, Lease: leases[0].Lease, ExitCode: new(0), Logs: &apiv1.LogBatch{
			First: 1, Lines: `{"step":"say","stream":"stdout","ts":"2026-01-02T03:04:05.000000Z","line":"hello"}` + "\n",
		}},
		{StepID: leases[1].StepID, Lease: leases[1].Lease, ExitCode: new(1)},
	}})
	require.NoError(t, err)
	for _, path := range []string{"/hooks/push?secret=wrong", "/hooks/nothing"} {
		get(t, api.Address+path)
	}
	lines := []string{
		`stroem_jobs_created_total{source="api",workspace="main"} 5`,
		`stroem_jobs_created_total{source="task",workspace="main"} 1`,
		`stroem_jobs_ended_total{status="completed",workspace="main"} 1`,
		`stroem_jobs_ended_total{status="failed",workspace="main"} 1`,
		`stroem_steps_ended_total{status="failed"} 1`,
		`stroem_claims_total{result="steps"} 1`,
		`stroem_claimed_steps_total 3`,
		`stroem_requeued_steps_total 0`,
		`stroem_jobs_open 4`, // one that runs, the parent, its child, and the one that nobody can run
		`stroem_steps_running{executor="worker"} 1`,
		`stroem_steps_running{executor="server"} 1`,
		`stroem_queue_ready_steps{tags="shell"} 1`,
		`stroem_queue_ready_steps{tags="gpu,shell"} 1`,
		`stroem_queue_unclaimable_steps{tags="shell"} 0`,
		`stroem_queue_unclaimable_steps{tags="gpu,shell"} 1`,
		`stroem_webhook_deliveries_total{status="4xx",workspace="main"} 1`,
		`stroem_webhook_deliveries_total{status="4xx",workspace=""} 1`,
		`stroem_log_lines_total 1`,
		`stroem_schedule_fires_total{result="job"} 0`,
		`stroem_orchestration_seconds_count{operation="claim"} 1`,
		`stroem_workers_active 1`,
	}
	var figures string
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		figures = get(t, api.Address+"/metrics")
		for _, line := range lines {
			assert.Contains(c, figures, line+"\n")
		}
		assert.NotContains(c, figures, "stroem_schedule_fires_total{result=\"in_vain\"} 0\n", "a trigger whose task lacks an input")
		assert.NotContains(c, figures, "stroem_schedule_lag_seconds_count 0\n")
	}, patience, 100*time.Millisecond)
	for _, unwanted := range []string{"hunter22", "stroem_webhook_unrecorded_total"} {
		require.NotContains(t, figures, unwanted)
	}
	problems, err := promlint.New(strings.NewReader(figures)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}
