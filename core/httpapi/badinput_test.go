package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// requireError checks that an answer is one of ours: JSON with a text and a code, and nothing internal.
func requireError(t *testing.T, a answer, status int, texts ...string) {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	require.Contains(t, a.header.Get("Content-Type"), "application/json")
	var failure api.Error
	require.NoError(t, json.Unmarshal(a.body, &failure), "%s", a.body)
	require.NotEmpty(t, failure.Error)
	require.Regexp(t, "^[a-z][a-z_]*$", failure.Code)
	require.NotContains(t, strings.ToLower(failure.Error), "sql")
	for _, text := range texts {
		require.Contains(t, failure.Error, text)
	}
}

// TestBadInputOnEveryRoute takes the routes from the OpenAPI document, so that a new one is covered by itself.
func TestBadInputOnEveryRoute(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	token, admin := b.register("w"), b.as("admin").token
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string           `json:"operationId"`
			RequestBody *json.RawMessage `json:"requestBody"`
			Security    []any            `json:"security"`
		}
	}
	openapi := b.get("/api/openapi.json")
	require.NoError(t, json.Unmarshal(openapi.body, &document))
	require.Greater(t, len(document.Paths), 20)
	for path, operations := range document.Paths {
		for method, operation := range operations {
			method = strings.ToUpper(method)
			t.Run(operation.OperationID, func(t *testing.T) {
				t.Parallel()
				b := b.of(t)
				worker, auth := strings.HasPrefix(path, "/worker/"), admin
				switch {
				case operation.OperationID == "registerWorker":
					auth = workerToken
				case worker:
					auth = token
				}
				good := strings.NewReplacer("{ws}", "default", "{name}", "task", "{id}", "00000000-0000-4000-8000-000000000000", "{step}", "a").Replace(path)
				if strings.Contains(path, "/{id}") {
					for _, id := range []string{"nonsense", "00000000000040008000000000000000", "%7B00000000-0000-4000-8000-000000000000%7D", "1%27--"} {
						bad := strings.Replace(good, "00000000-0000-4000-8000-000000000000", id, 1)
						requireError(t, b.do(call{method: method, path: bad, token: auth, body: bodyFor(operation.RequestBody)}), 400, "Invalid", "ID")
					}
					if !worker {
						requireError(t, b.do(call{method: method, path: good, token: auth, body: bodyFor(operation.RequestBody)}), 404, "not found")
					}
				}
				wrong := map[string]string{"GET": "PUT", "POST": "PUT", "PATCH": "PUT", "DELETE": "PUT"}[method]
				a := b.do(call{method: wrong, path: good, token: auth})
				requireError(t, a, 405, wrong)
				require.Contains(t, a.header.Get("Allow"), method)
				if worker {
					requireError(t, b.do(call{method: method, path: good}), 401, "Missing authorization header")
					requireError(t, b.do(call{method: method, path: good, header: map[string]string{"Authorization": "Basic x"}}), 401, "Invalid authorization header format")
					requireError(t, b.do(call{method: method, path: good, token: "wrong"}), 401, "Invalid worker token")
				}
				if !worker && len(operation.Security) > 0 {
					requireError(t, b.do(call{method: method, path: good}), 401, "Authentication required")
					requireError(t, b.do(call{method: method, path: good, header: map[string]string{"Authorization": "Basic x"}}), 401, "Authentication required")
					requireError(t, b.do(call{method: method, path: good, token: "wrong"}), 401, "Invalid or expired token")
				}
				if operation.RequestBody == nil {
					return
				}
				requireError(t, b.do(call{method: method, path: good, token: auth, body: `{"input": `}), 400, "not JSON")
				requireError(t, b.do(call{method: method, path: good, token: auth, body: "{\n  \"a\" 1}"}), 400, "line 2, column 7")
				requireError(t, b.do(call{method: method, path: good, token: auth, body: `[1]`}), 400, "has to be an object")
				requireError(t, b.do(call{method: method, path: good, token: auth, body: `{} {}`}), 400, "more than one JSON value")
				requireError(t, b.do(call{method: method, path: good, token: auth, body: "x=1", contentType: "application/x-www-form-urlencoded"}), 400, "application/json")
			})
		}
	}
	t.Cleanup(func() { b.requireNoJobs() })
}

// What is not UTF-8 is nothing that a name could be.
func TestPathsThatAreNoText(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	admin := b.as("admin")
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(b.get("/api/openapi.json").body, &document))
	for path, operations := range document.Paths {
		for method := range operations {
			if !strings.Contains(path, "{") {
				continue
			}
			for _, bad := range []string{"%ff", "%00", "%ed%a0%80", "..", "%2e%2e", "a%2fb", strings.Repeat("a", 5000)} {
				good := strings.NewReplacer("{ws}", "default", "{name}", "task", "{id}", "00000000-0000-4000-8000-000000000000", "{step}", "a")
				for _, one := range []string{"{ws}", "{name}", "{id}", "{step}", "{prefix}", "{provider}"} {
					if strings.Contains(path, one) {
						p := good.Replace(strings.Replace(path, one, bad, 1))
						a := admin.do(call{method: strings.ToUpper(method), path: p})
						require.Less(t, a.status, 500, "%s %s: %s", method, p, a.body)
					}
				}
			}
		}
	}
}

// bodyFor is an empty object where a body is expected, so that the path alone is at fault.
func bodyFor(body *json.RawMessage) string {
	if body == nil {
		return ""
	}
	return "{}"
}

func (b *bundle) of(t *testing.T) *bundle {
	t.Helper()
	other := *b
	other.t = t
	return &other
}

func (b *bundle) requireNoJobs() {
	b.t.Helper()
	conn, total, err := b.store.ListJobs(b.t.Context(), core.JobFilter{Limit: 1})
	if b.t.Context().Err() == nil {
		require.NoError(b.t, err)
	}
	require.Zero(b.t, total)
	require.Empty(b.t, conn)
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	execute := "/api/workspaces/default/tasks/task/execute"
	large := func(n int) string { return fmt.Sprintf(`{"input":{"x":%q}}`, strings.Repeat("x", n)) }
	requireError(t, b.do(call{method: "POST", path: execute, body: large(1 << 20)}), 413, "1048576")
	for _, path := range []string{execute, "/worker/jobs/claim", "/worker/steps/complete"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, strings.NewReader(large(10<<20)))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			continue // the server hung up before all was sent, which is its right
		}
		require.Equal(t, 413, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	b.requireNoJobs()
}

func TestWrongValues(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	execute := func(task, body string) answer {
		return b.do(call{method: "POST", path: "/api/workspaces/default/tasks/" + task + "/execute", body: body})
	}
	requireError(t, execute("task", `{"inptu":{}}`), 400, `Unknown key "inptu"`, `did you mean "input"?`)
	requireError(t, execute("task", `{"input":[1]}`), 400, "input has to be an object, and is array")
	requireError(t, execute("task", `{"input":{"x":"a\u0000b"}}`), 400, "NUL")
	requireError(t, execute("nope", `{}`), 404, "Task not found")
	requireError(t, execute("deep%2Ftyped", `{}`), 400, "n is required")
	requireError(t, execute("deep%2Ftyped", `{"input":{"n":"3"}}`), 400, `n has to be an integer, and is the string "3"`)
	requireError(t, b.do(call{method: "POST", path: "/api/workspaces/nope/tasks/task/execute", body: `{}`}), 404, "Workspace 'nope' not found")
	for query, text := range map[string]string{
		"limit=abc": "limit has to be a number from 1 to 500", "limit=0": "limit", "limit=501": "limit", "offset=-1": "offset has to be", "offset=10001": "offset",
		"status=done": "status has to be one or more of", "since=yesterday": "since has to be a time", "task_name=task": "requires workspace",
		"before=x": "before has to be created_at,job_id", "parent_job_id=7": "Invalid parent job ID",
	} {
		requireError(t, b.get("/api/jobs?"+query), 400, text)
	}
	requireError(t, b.do(call{method: "POST", path: "/worker/jobs/claim", token: token, body: `{"max_steps":-1}`}), 400, "max_steps")
	requireError(t, b.do(call{method: "POST", path: "/worker/jobs/claim", token: token, body: `{"max_steps":1,"wait_secs":61}`}), 400, "wait_secs")
	requireError(t, b.do(call{method: "POST", path: "/worker/jobs/claim", token: token, body: `{"claim_id":"x"}`}), 400, "claim_id")
	requireError(t, b.do(call{method: "POST", path: "/worker/register", token: workerToken, body: `{"name":""}`}), 400, "name")
	requireError(t, b.do(call{method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"x","protocol":7}`}), 400, "protocol 7")
	for _, path := range []string{"/api/nope", "/worker/nope", "/hooks/nope", "/api/jobs/", "/API/jobs", "/nope", "/api/workspaces/default/tasks/a/b/c"} {
		requireError(t, b.get(path), 404)
	}
	b.requireNoJobs()
}
