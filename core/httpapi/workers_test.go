package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// registerAs registers a worker that can attach to steps of type shell.
func (b *bundle) registerAs(name, token string) api.Registered {
	b.t.Helper()
	return into[api.Registered](b.t, b.do(call{method: "POST", path: "/worker/register", token: token, body: `{"name":"` + name +
		`","tags":["shell"],"protocol":1,"plugins":[{"name":"shell","version":"1","state":"ready","action_types":[
			{"name":"shell","runner":"local","tag":"shell","attachable":true}]}]}`}))
}

func TestTokensOfWorkers(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	register := func(token, body string) answer {
		return b.do(call{method: "POST", path: "/worker/register", token: token, body: body})
	}
	code := func(a answer, status int, code string, texts ...string) {
		t.Helper()
		requireError(t, a, status, texts...)
		require.Contains(t, string(a.body), `"code":"`+code+`"`)
		require.NotContains(t, string(a.body), limitedToken)
	}
	code(register("wrong", `{"name":"ci-1"}`), 401, "unauthenticated", "Invalid worker token")
	code(register(limitedToken, `{"name":"prod"}`), 403, "worker_name_not_allowed", "The token 'ci' is for workers that are called ci-*", "worker_tokens.ci.workers")
	code(register(limitedToken, `{"name":"ci-1","tags":["docker","gpu-10","shell"]}`), 403, "worker_tags_not_allowed", "the tags docker, gpu-10, only shell, gpu-?")
	require.JSONEq(t, "[]", string(b.get("/api/workers").body))

	limited := into[api.Registered](t, register(limitedToken, `{"name":"ci-1","tags":["shell","gpu-1"]}`))
	b.register("w")
	tokens := map[string]string{}
	list := b.get("/api/workers")
	b.validate("/api/workers", list)
	for _, w := range into[[]api.Worker](t, list) {
		tokens[w.Name] = w.TokenName
		require.Nil(t, w.RevokedAt)
	}
	require.Equal(t, map[string]string{"ci-1": "ci", "w": "default"}, tokens)
	code(b.do(call{
		method: "POST", path: "/worker/heartbeat", token: limited.Token, body: `{"tags":["shell","docker"],"plugins":[]}`,
	}), 403, "worker_tags_not_allowed", "docker")
	into[api.Status](t, b.do(call{method: "POST", path: "/worker/heartbeat", token: limited.Token, body: `{"tags":["gpu-2"],"plugins":[]}`}))
	again := into[api.Registered](t, register(workerToken, `{"name":"ci-1","tags":["shell"],"worker_token":"`+limited.Token+`"}`))
	require.Equal(t, limited.WorkerID, again.WorkerID, "it goes on under another token")
	require.Equal(t, "default", into[api.WorkerDetail](t, b.get("/api/workers/"+limited.WorkerID)).TokenName)
}

func TestRevokeAndRestore(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	id := b.execute()
	w := b.registerAs("w", workerToken)
	step := b.claim(w.Token)
	into[api.Status](t, b.do(call{
		method: "POST", path: "/worker/jobs/" + id + "/steps/a/start", token: w.Token, body: "{}", header: map[string]string{"X-Stroem-Lease": step.Lease},
	}))
	revoke := b.do(call{method: "POST", path: "/api/workers/" + w.WorkerID + "/revoke"})
	b.validateAs("post", "/api/workers/{id}/revoke", revoke)
	revoked := into[api.RevokedWorker](t, revoke)
	require.Equal(t, []any{"w", "inactive", 0, 1}, []any{revoked.Name, revoked.Status, revoked.Requeued, revoked.Ended})
	require.NotNil(t, revoked.RevokedAt)
	job := into[api.JobDetail](t, b.get("/api/jobs/"+id))
	require.Equal(t, "failed", job.Status)
	require.Contains(t, *job.Steps[0].ErrorMessage, "Worker revoked")
	for _, path := range []string{"/worker/heartbeat", "/worker/jobs/claim", "/worker/steps/complete"} {
		a := b.do(call{method: "POST", path: path, token: w.Token, body: `{}`})
		requireError(t, a, 403, "stroem worker revoke NAME --undo")
	}
	register := call{method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"w"}`}
	requireError(t, b.do(register), 403, "This worker was revoked")
	b.register("another")
	list := into[[]api.Worker](t, b.get("/api/workers"))
	require.Equal(t, []string{"another", "w"}, []string{list[0].Name, list[1].Name})
	require.NotNil(t, list[1].RevokedAt)

	restore := b.do(call{method: "POST", path: "/api/workers/" + w.WorkerID + "/restore"})
	b.validateAs("post", "/api/workers/{id}/restore", restore)
	require.Nil(t, into[api.Worker](t, restore).RevokedAt)
	require.Equal(t, http.StatusOK, b.do(register).status)
	requireError(t, b.do(call{method: "POST", path: "/worker/heartbeat", token: w.Token, body: "{}"}), 401, "Invalid worker token")
}
