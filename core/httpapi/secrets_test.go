package httpapi_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

func TestDefinitionsShowNoSecrets(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 2 { // what is loaded stays as it is
		task := into[api.Task](t, b.get("/api/workspaces/vault/tasks/secretive"))
		require.Equal(t, "••••••", task.Input["token"].Default)
		require.True(t, task.Input["token"].Secret)
		require.Equal(t, "{{ secret.password }}", task.Input["note"].Default, "a template says nothing")
		require.Equal(t, "••••••, as it is", task.Input["code"].Default)
		require.Equal(t, map[string]any{"list": []any{"••••••", "••••••"}, "n": 5.0}, task.Flow["a"].Input)
		require.Equal(t, map[string]any{"code": "••••••"}, task.Triggers[0].Input)
		triggers := into[[]api.Trigger](t, b.get("/api/workspaces/vault/triggers"))
		require.Equal(t, map[string]any{"code": "••••••"}, triggers[0].Input)
	}
	require.Equal(t, "hunter22", b.loaded["vault"].Triggers["daily"].Input["code"])
	require.Equal(t, []any{"hunter22", "ref+vault://a#b"}, b.loaded["vault"].Tasks["secretive"].Flow["a"].Input["list"])
}

// TestLinesOfWorkersThatDoNotMask sends secrets in every form in which lines are taken.
func TestLinesOfWorkersThatDoNotMask(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := into[api.ExecuteResponse](t, b.do(call{
		method: "POST", path: "/api/workspaces/vault/tasks/secretive/execute", body: `{"input":{"token":"t0k3n that is given"}}`,
	})).JobID
	token := b.register("w")
	step := b.claim(token)
	require.Equal(t, []string{"hunter22", "t0k3n that is given"}, step.Mask)
	lease := map[string]string{"X-Stroem-Lease": step.Lease}
	base := "/worker/jobs/" + id
	into[api.Status](t, b.do(call{method: "POST", path: base + "/steps/a/start", token: token, header: lease, body: `{}`}))
	const ts = "2026-01-02T03:04:05Z"
	into[api.Status](t, b.do(call{
		method: "POST", path: base + "/logs", token: token, header: lease,
		body: `{"step_name":"a","lines":[{"ts":"` + ts + `","stream":"stdout","line":"json form: hunter22"}]}`,
	}))
	into[api.Status](t, b.do(call{
		method: "POST", path: base + "/logs?step=a&first=2", token: token, header: lease, contentType: "application/x-ndjson",
		body: string(joblog.AppendLine(nil, "a", 1, "stderr", ts, `lines: {"x":"t0k3n that is given"}`)),
	}))
	last := `{\"step\":\"a\",\"stream\":\"stdout\",\"ts\":\"` + ts + `\",\"line\":\"last: aHVudGVyMjI=\"}\n`
	into[api.CompleteResponse](t, b.do(call{
		method: "POST", path: "/worker/steps/complete", token: token, body: `{"completions":[{"step_id":` + strconv.FormatInt(step.StepID, 10) +
			`,"lease":"` + step.Lease + `","exit_code":1,"error":"failed with hunter22","logs":{"first":3,"lines":"` + last + `"}}]}`,
	}))
	logs := into[api.Logs](t, b.get("/api/jobs/"+id+"/logs")).Logs
	require.Contains(t, logs, `"line":"json form: ••••••"`)
	require.Contains(t, logs, `"line":"lines: {\"x\":\"••••••\"}"`)
	require.Contains(t, logs, `"line":"last: ••••••"`)
	answer := b.get("/api/jobs/" + id)
	require.Equal(t, http.StatusOK, answer.status)
	require.NotContains(t, string(answer.body), "hunter22")
	require.NotContains(t, string(answer.body), "t0k3n")
	require.Contains(t, string(answer.body), "failed with ••••••")
}
