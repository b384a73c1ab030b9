package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// relative is a job that another one has led to, and what it has to come to. $JOB stands for the id of the other one.
type relative struct {
	Task     string              `json:"task"`
	Status   string              `json:"status"`
	Input    map[string]any      `json:"input"`
	Output   json.RawMessage     `json:"output"` // absent: not looked at
	Log      []string            `json:"log"`
	Children map[string]relative `json:"children"` // by step; absent: there are none
}

// checkRelatives checks the jobs that are listed with another one, by the step or the hook that they are of: these and no others.
func (s *system) checkRelatives(of string, want map[string]relative, list []api.Job, cause func(api.JobDetail) string) {
	t := s.t
	t.Helper()
	var causes []string
	for _, listed := range list {
		job := s.wait(listed.JobID)
		name := cause(job)
		causes = append(causes, name)
		expected, ok := want[name]
		require.True(t, ok, "%s of job %s", name, of)
		require.Equal(t, expected.Task, job.TaskName, name)
		require.Equal(t, expected.Status, job.Status, name)
		fill := func(text string) string { return strings.ReplaceAll(text, "$JOB", of) }
		input, _ := job.Input.(map[string]any)
		for key, value := range expected.Input {
			if text, ok := value.(string); ok {
				value = fill(text)
			}
			require.Equal(t, value, input[key], "input %s of %s", key, name)
		}
		if expected.Output != nil {
			var output any
			require.NoError(t, json.Unmarshal(expected.Output, &output))
			require.Empty(t, cmp.Diff(output, job.Output), "output of %s", name)
		}
		lines := make([]string, len(expected.Log))
		for i, line := range expected.Log {
			lines[i] = fill(line)
		}
		s.checkLog(job.JobID, expectation{Log: lines})
		s.checkChildren(job, expected.Children)
		require.Empty(t, job.HookJobs, "hooks of hooks, or of the children here")
	}
	for name := range want {
		require.Contains(t, causes, name, "job %s", of)
	}
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(causes))), len(list), "each once: %v", causes)
}

func (s *system) checkChildren(job api.JobDetail, want map[string]relative) {
	s.t.Helper()
	s.checkRelatives(job.JobID, want, job.ChildJobs, func(child api.JobDetail) string {
		require.Equal(s.t, job.JobID, *child.ParentJobID)
		require.Equal(s.t, "task", child.SourceType)
		return *child.ParentStepName
	})
}

func (s *system) checkHooks(job api.JobDetail, want map[string]relative) {
	s.t.Helper()
	s.checkRelatives(job.JobID, want, job.HookJobs, func(hook api.JobDetail) string {
		require.Equal(s.t, "hook", hook.SourceType)
		return strings.TrimPrefix(*hook.SourceID, job.Workspace+"/"+job.TaskName+"/"+job.JobID+"/")
	})
}

// post calls the server as anything may that is not ours.
func (s *system) post(path, body, authorization string) (status int, answer []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.listen+path, strings.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", authorization)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, response.Body.Close()) }()
	answer, err = io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, answer
}

// checkEvents waits for what the server says in the log of a job.
func (s *system) checkEvents(job string, texts []string) {
	s.t.Helper()
	for _, text := range texts {
		s.eventually("the server says in the log: "+text, func(ctx context.Context) bool {
			logs, err := s.Logs(ctx, job, client.LogQuery{Step: "_server"})
			return err == nil && strings.Contains(logs.Logs, text)
		})
	}
}

const relatedWorkspace = `
actions:
  work: {type: shell, cmd: echo working}
  tell: {type: shell, cmd: 'echo "$INPUT_TEXT"'}
  below: {type: task, task: child}
tasks:
  child: {flow: {work: {action: work}}}
  parent:
    flow: {first: {action: below}, second: {action: below, depends_on: [first]}}
    on_success: [{action: tell, input: {text: "{{ hook.source_id }}"}}]
triggers:
  push: {type: webhook, name: push, secret: hunter22, task: parent, input: {from: a trigger}}
  nightly: {type: scheduler, cron: "30 2 * * *", timezone: Europe/Oslo, task: child}
`

// TestAWebhookStartsAJob follows a request to the jobs that it leads to, as the command line shows them.
func TestAWebhookStartsAJob(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, relatedWorkspace), nil)
	s.startWorker("w", nil)
	s.eventually("the workspace is loaded", func(ctx context.Context) bool {
		triggers, err := s.Triggers(ctx, "default")
		return err == nil && len(triggers) == 2
	})
	status, _ := s.post("/hooks/push", `{"ref": "main"}`, "Bearer wrong")
	require.Equal(t, 401, status)
	status, body := s.post("/hooks/push", `{"ref": "main"}`, "Bearer hunter22")
	require.Equal(t, 200, status)
	var accepted api.WebhookAccepted
	require.NoError(t, json.Unmarshal(body, &accepted))
	job := s.wait(accepted.JobID)
	require.Equal(t, "completed", job.Status)
	require.Equal(t, map[string]any{"ref": "main"}, job.Input.(map[string]any)["body"])
	child := relative{Task: "child", Status: "completed"}
	s.checkChildren(job, map[string]relative{"first": child, "second": child})
	s.checkHooks(job, map[string]relative{"on_success[0]": {Task: "_hook:tell", Status: "completed", Log: []string{"default/push"}}})

	shown := s.stroem("status", job.JobID)
	require.Regexp(t, `(?m)^Source: +webhook default/push$`, shown.stdout)
	require.Regexp(t, `(?s)Jobs of its steps:\n.*first +child +completed .*second +child +completed `, shown.stdout)
	require.Regexp(t, `(?s)Jobs of its hooks:\n.*on_success\[0\] +_hook:tell +completed `, shown.stdout)
	shown = s.stroem("status", job.ChildJobs[1].JobID)
	require.Contains(t, shown.stdout, "step first of job "+job.JobID)

	listed := s.stroem("triggers")
	require.Zero(t, listed.code, listed.stderr)
	require.Regexp(t, `(?m)^nightly +default +scheduler +30 2 \* \* \* Europe/Oslo +child +yes +\S+ \S+ +-$`, listed.stdout)
	require.Regexp(t, `(?m)^push +default +webhook +- +parent +yes +- +\S+ \S+$`, listed.stdout)
	listed = s.stroem("triggers", "deliveries", "default", "push", "-o", "json")
	var deliveries []api.Delivery
	require.NoError(t, json.Unmarshal([]byte(listed.stdout), &deliveries))
	require.Len(t, deliveries, 2)
	require.Equal(t, []int{200, 401}, []int{deliveries[0].Status, deliveries[1].Status})
	require.Equal(t, job.JobID, *deliveries[0].JobID)
	require.Equal(t, "wrong bearer token", *deliveries[1].Reason)
	require.NotContains(t, listed.stdout, "hunter22")
	require.Contains(t, s.stroem("triggers", "fires", "default", "nightly").stdout, "has not fired yet")
}
