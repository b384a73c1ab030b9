package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var document struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(b.get("/api/openapi.json").body, &document))
	require.Equal(t, "3.1.0", document.OpenAPI)
	described, ids := map[string]bool{}, map[string]bool{}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			described[strings.ToUpper(method)+" "+path] = true
			id, _ := operation["operationId"].(string)
			require.False(t, ids[id], "operationId %q is used twice", id)
			ids[id] = true
			require.NotEmpty(t, operation["summary"], path)
		}
	}
	registered := map[string]bool{}
	for _, route := range b.api.Routes() {
		if route.Method != http.MethodHead && !strings.HasPrefix(route.Path, "/internal/") {
			registered[route.Method+" "+route.Path] = true
		}
	}
	require.Equal(t, registered, described)
}

// validate holds an answer against the schema of its operation in the document.
func (b *bundle) validate(path string, a answer) {
	b.t.Helper()
	b.validateAs("get", path, a)
}

func (b *bundle) validateAs(method, path string, a answer) {
	b.t.Helper()
	var document map[string]any
	require.NoError(b.t, json.Unmarshal(b.get("/api/openapi.json").body, &document))
	dig := func(value any, keys ...string) any {
		for _, key := range keys {
			object, ok := value.(map[string]any)
			require.True(b.t, ok, "%v", keys)
			value = object[key]
		}
		return value
	}
	schema := dig(document, "paths", path, method, "responses", "200", "content", "application/json", "schema")
	data, err := json.Marshal(map[string]any{"$defs": dig(document, "components", "schemas"), "allOf": []any{schema}})
	require.NoError(b.t, err)
	var root jsonschema.Schema
	require.NoError(b.t, json.Unmarshal([]byte(strings.ReplaceAll(string(data), "#/components/schemas/", "#/$defs/")), &root))
	resolved, err := root.Resolve(nil)
	require.NoError(b.t, err)
	var value any
	require.NoError(b.t, json.Unmarshal(a.body, &value))
	require.NoError(b.t, resolved.Validate(value), "%s: %s", path, a.body)
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	id := b.execute()
	step := b.claim(token)
	worker := into[[]api.Worker](t, b.get("/api/workers"))[0].WorkerID
	for path, actual := range map[string]string{
		"/api/config": "/api/config", "/readyz": "/readyz", "/api/workspaces": "/api/workspaces",
		"/api/workspaces/{ws}/tasks":        "/api/workspaces/default/tasks",
		"/api/workspaces/{ws}/tasks/{name}": "/api/workspaces/default/tasks/deep%2Ftyped",
		"/api/workspaces/{ws}/triggers":     "/api/workspaces/default/triggers",
		"/api/jobs":                         "/api/jobs", "/api/jobs/{id}": "/api/jobs/" + id, "/api/jobs/{id}/logs": "/api/jobs/" + id + "/logs",
		"/api/jobs/{id}/steps/{step}/logs": "/api/jobs/" + id + "/steps/" + step.StepName + "/logs",
		"/api/workers":                     "/api/workers", "/api/workers/{id}": "/api/workers/" + worker,
		"/api/plugins": "/api/plugins", "/api/action-types": "/api/action-types",
	} {
		a := b.get(actual)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", actual, a.body)
		b.validate(path, a)
		head := b.do(call{method: "HEAD", path: actual})
		require.Equal(t, http.StatusOK, head.status, "HEAD %s", actual)
		require.Empty(t, head.body)
	}
}

func TestAJobFromStartToEnd(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	id := b.execute()
	job := into[api.JobDetail](t, b.get("/api/jobs/"+id))
	require.Equal(t, "pending", job.Status)
	require.Equal(t, "api", job.SourceType)
	require.Nil(t, job.SourceID)
	require.Nil(t, job.WorkerID)
	require.Equal(t, []string{"a", "b"}, []string{job.Steps[0].StepName, job.Steps[1].StepName})
	require.Equal(t, []string{"ready", "pending"}, []string{job.Steps[0].Status, job.Steps[1].Status})
	require.Equal(t, []string{"a"}, job.Steps[1].DependsOn)
	require.Equal(t, map[string]any{"x": 1.0}, job.Input)

	step := b.claim(token)
	job = into[api.JobDetail](t, b.get("/api/jobs/"+id))
	require.Equal(t, "running", job.Steps[0].Status, "claimed")
	require.Nil(t, job.Steps[0].StartedAt)
	require.Equal(t, "pending", job.Status)

	base := "/worker/jobs/" + id + "/steps/a"
	lease := map[string]string{"X-Stroem-Lease": step.Lease}
	requireError(t, b.do(call{method: "POST", path: base + "/start", token: token, body: "{}"}), 403, "lease")
	requireError(t, b.do(call{method: "POST", path: base + "/start", token: b.register("other"), body: "{}", header: lease}), 403, "lease")
	into[api.Status](t, b.do(call{method: "POST", path: base + "/start", token: token, body: "{}", header: lease}))
	job = into[api.JobDetail](t, b.get("/api/jobs/"+id))
	require.Equal(t, "running", job.Status)
	require.NotNil(t, job.StartedAt)
	require.NotNil(t, job.WorkerID)

	lines := `{"step":"a","stream":"stdout","ts":"2026-01-02T03:04:05Z","line":"one"}` + "\n"
	into[api.Status](t, b.do(call{
		method: "POST", path: "/worker/jobs/" + id + "/logs?step=a&first=1", token: token, body: lines, contentType: "application/x-ndjson", header: lease,
	}))
	into[api.Status](t, b.do(call{
		method: "POST", path: "/worker/jobs/" + id + "/logs", token: token, header: lease,
		body: `{"step_name":"a","lines":[{"ts":"2026-01-02T03:04:06Z","stream":"stderr","line":"two"}]}`,
	}))
	requireError(t, b.do(call{
		method: "POST", path: "/worker/jobs/" + id + "/logs?step=a&first=3", token: token, header: lease,
		body: strings.Replace(lines, `"a"`, `"b"`, 1), contentType: "application/x-ndjson",
	}), 400)
	logs := into[api.Logs](t, b.get("/api/jobs/"+id+"/logs"))
	require.Equal(t, int64(2), logs.Total)
	require.Contains(t, logs.Logs, `"line":"one"`)
	require.Contains(t, into[api.Logs](t, b.get("/api/jobs/"+id+"/steps/a/logs?stream=stderr")).Logs, `"line":"two"`)
	require.Empty(t, into[api.Logs](t, b.get("/api/jobs/"+id+"/steps/nope/logs")).Logs)

	into[api.Status](t, b.do(call{method: "POST", path: base + "/complete", token: token, header: lease, body: `{"exit_code":0,"output":{"secret":"hunter22!"}}`}))
	into[api.Status](t, b.do(call{method: "POST", path: base + "/complete", token: token, header: lease, body: `{"exit_code":1}`}))
	requireError(t, b.do(call{method: "POST", path: base + "/complete", token: token, header: map[string]string{"X-Stroem-Lease": "x"}, body: `{}`}), 403)
	job = into[api.JobDetail](t, b.get("/api/jobs/"+id))
	require.Equal(t, "completed", job.Steps[0].Status)
	require.Equal(t, map[string]any{"secret": "••••••!"}, job.Steps[0].Output, "values of secrets are not shown")
	require.Equal(t, "ready", job.Steps[1].Status)
}

func TestSingleClaim(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	claim := call{method: "POST", path: "/worker/jobs/claim", token: token, body: `{"capabilities":["shell"]}`}
	empty := into[map[string]any](t, b.do(claim))
	for _, key := range []string{"workspace", "job_id", "step_name", "action_name", "action_type", "action_image", "action_spec", "input", "runner"} {
		require.Contains(t, empty, key)
		require.Nil(t, empty[key])
	}
	id := b.execute()
	claimed := into[map[string]any](t, b.do(claim))
	require.Equal(t, id, claimed["job_id"])
	require.Equal(t, "local", claimed["runner"])
	require.Equal(t, map[string]any{"type": "shell", "cmd": "true"}, claimed["action_spec"])
}

func TestListsAndPages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	require.JSONEq(t, `[]`, string(b.get("/api/jobs").body))
	ids := []string{b.execute(), b.execute(), b.execute()}
	first := b.get("/api/jobs?limit=2&workspace=default")
	require.Equal(t, "3", first.header.Get("X-Total-Count"))
	require.Equal(t, []string{ids[2], ids[1]}, jobIDs(into[[]api.Job](t, first)))
	next, _, _ := strings.Cut(strings.TrimPrefix(first.header.Get("Link"), "<"), ">")
	require.Contains(t, next, "before=")
	require.Equal(t, []string{ids[0]}, jobIDs(into[[]api.Job](t, b.get(next))))
	require.Empty(t, into[[]api.Job](t, b.get("/api/jobs?workspace=nope")))
	require.Len(t, into[[]api.Job](t, b.get("/api/jobs?status=pending,running&source_type=api")), 3)

	tasks := into[[]api.TaskItem](t, b.get("/api/workspaces/default/tasks"))
	require.Equal(t, []api.TaskItem{
		{Name: "deep/typed", Mode: "distributed", Workspace: "default", Folder: "f"},
		{Name: "needy", Mode: "distributed", Workspace: "default", HasTriggers: true},
		{Name: "task", Mode: "distributed", Workspace: "default", HasTriggers: true},
	}, tasks)
	task := into[api.Task](t, b.get("/api/workspaces/default/tasks/task"))
	nightly := slices.IndexFunc(task.Triggers, func(t api.Trigger) bool { return t.Name == "nightly" })
	require.Len(t, task.Triggers[nightly].NextRuns, 5)
	requireError(t, b.get("/api/workspaces/nope/tasks"), 404, "Workspace 'nope' not found")
}

func jobIDs(jobs []api.Job) []string {
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.JobID
	}
	return ids
}

func TestCancelAndWait(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.execute()
	waited := make(chan answer, 1)
	go func() { waited <- b.of(t).get("/api/jobs/" + id + "?wait_secs=30") }()
	cancelled := into[api.CancelResponse](t, b.do(call{method: "POST", path: "/api/jobs/" + id + "/cancel"}))
	require.Equal(t, api.CancelResponse{JobID: id, Status: "cancelled"}, cancelled)
	require.Equal(t, "cancelled", into[api.JobDetail](t, <-waited).Status)
	require.Equal(t, "cancelled", into[api.CancelResponse](t, b.do(call{method: "POST", path: "/api/jobs/" + id + "/cancel"})).Status)
}

func TestIdempotencyKeyHeader(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	execute := func(body string) answer {
		return b.do(call{
			method: "POST", path: "/api/workspaces/default/tasks/task/execute", body: body, header: map[string]string{"Idempotency-Key": "k"},
		})
	}
	first := into[api.ExecuteResponse](t, execute(`{"input":{"x":1}}`))
	require.Equal(t, first, into[api.ExecuteResponse](t, execute(`{"input":{"x":1.0}}`)))
	requireError(t, execute(`{"input":{"x":2}}`), 409, "another input")
}

func TestEveryTypeOnTheWireHasASchema(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	document, err := b.api.OpenAPI()
	require.NoError(t, err)
	for _, value := range []any{api.JobDetail{}, api.ClaimResponse{}, api.CompleteRequest{}, api.Error{}} {
		require.Contains(t, string(document), `"`+reflect.TypeOf(value).Name()+`"`)
	}
}
