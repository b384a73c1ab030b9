package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// report is a call about one step, as whoever has a token and a lease makes it.
type report struct {
	name string
	call func(step api.Claim, lease string) call
	bulk bool // the answer is 200, and says for each step what became of it
}

var line = `{"step":"a","stream":"stdout","ts":"2026-01-02T03:04:05Z","line":"forged"}`

// reports are all calls for which a lease is needed.
var reports = []report{
	{"start", func(_ api.Claim, _ string) call { return call{path: "/steps/a/start", body: "{}"} }, false},
	{"complete", func(_ api.Claim, _ string) call {
		return call{path: "/steps/a/complete", body: `{"exit_code":1,"output":{"forged":true},"logs":{"first":1,"lines":` + quote(line+"\n") + `}}`}
	}, false},
	{"log lines", func(_ api.Claim, _ string) call {
		return call{path: "/logs?step=a&first=1", body: line + "\n", contentType: "application/x-ndjson"}
	}, false},
	{"log lines as JSON", func(_ api.Claim, _ string) call {
		return call{path: "/logs", body: `{"step_name":"a","lines":[{"ts":"2026-01-02T03:04:05Z","stream":"stdout","line":"forged"}]}`}
	}, false},
	{"files", func(step api.Claim, _ string) call { return call{method: "GET", path: step.WorkspaceURL} }, false},
	{"files of now", func(step api.Claim, _ string) call {
		return call{method: "GET", path: fmt.Sprintf("/worker/workspace/default.tar.gz?step_id=%d", step.StepID)}
	}, false},
	{"workspace token", func(step api.Claim, _ string) call {
		return call{path: "/worker/steps/workspace_token", body: fmt.Sprintf(`{"step_id":%d}`, step.StepID)}
	}, false},
	{"start in bulk", func(step api.Claim, lease string) call {
		return call{path: "/worker/steps/start", body: fmt.Sprintf(`{"steps":[{"step_id":%d,"lease":%q}]}`, step.StepID, lease)}
	}, true},
	{"state", func(step api.Claim, lease string) call {
		return call{path: "/worker/steps/state", body: fmt.Sprintf(`{"steps":[{"step_id":%d,"lease":%q,"state":"Zm9yZ2Vk","mask":["forged"]}]}`, step.StepID, lease)}
	}, true},
	{"complete in bulk", func(step api.Claim, lease string) call {
		return call{path: "/worker/steps/complete", body: fmt.Sprintf(`{"completions":[{"step_id":%d,"lease":%q,"exit_code":1,"output":{"forged":true},"logs":{"first":1,"lines":%s}}]}`,
			step.StepID, lease, quote(line+"\n"))}
	}, true},
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// make makes the call, and tells how it was answered: by the status, or by what is said of the step.
func (r *report) make(b *bundle, step api.Claim, token, lease string) string {
	b.t.Helper()
	c := r.call(step, lease)
	c.token = token
	if c.method == "" {
		c.method = http.MethodPost
	}
	if !strings.HasPrefix(c.path, "/worker/") {
		c.path = "/worker/jobs/" + step.JobID + c.path
	}
	if lease != "" {
		c.header = map[string]string{"X-Stroem-Lease": lease}
	}
	a := b.do(c)
	if a.status != http.StatusOK {
		var failure api.Error
		require.NoError(b.t, json.Unmarshal(a.body, &failure), "%s", a.body)
		return fmt.Sprintf("%d %s", a.status, failure.Code)
	}
	if !r.bulk {
		return "200"
	}
	results := into[api.StepResults](b.t, a).Results
	require.Len(b.t, results, 1)
	return results[0].Status
}

// credentials are a pair that somebody shows, and how they are answered: one by one, and in bulk.
type credentials struct {
	name, token, lease string
	single, bulk       string
}

// view is all that can be seen of a job.
func (b *bundle) view(job string) string {
	b.t.Helper()
	id := uuid.MustParse(job)
	_, steps, err := b.store.GetJob(b.t.Context(), id)
	require.NoError(b.t, err)
	var states []string
	for i := range steps {
		lease, err := b.store.StepLease(b.t.Context(), steps[i].ID, uuid.Nil, "")
		require.NoError(b.t, err)
		states = append(states, fmt.Sprintf("%s %x", lease.Status, lease.LeaseHash))
	}
	return string(b.get("/api/jobs/"+job).body) + strings.Join(states, "\n") + string(b.get("/api/jobs/"+job+"/logs").body)
}

// refuse has all calls made with credentials that are not right: nothing comes of any.
func (b *bundle) refuse(phase string, step api.Claim, list []credentials) {
	b.t.Helper()
	before := b.view(step.JobID)
	for _, c := range list {
		for i := range reports {
			want := c.single
			if reports[i].bulk {
				want = c.bulk
			}
			require.Equal(b.t, want, reports[i].make(b, step, c.token, c.lease), "%s: %s with %s", phase, reports[i].name, c.name)
		}
		require.Equal(b.t, before, b.view(step.JobID), "%s: %s", phase, c.name)
	}
}

// claimAs claims with an id, so that the claim can be repeated.
func (b *bundle) claimAs(token, id string, retry bool) api.Claim {
	b.t.Helper()
	claimed := into[api.ClaimResponse](b.t, b.do(call{
		method: "POST", path: "/worker/jobs/claim", token: token,
		body: fmt.Sprintf(`{"max_steps":1,"wait_secs":5,"claim_id":%q,"retry":%t}`, id, retry),
	}))
	require.Len(b.t, claimed.Steps, 1)
	return claimed.Steps[0]
}

// TestNobodySpeaksForAStepButItsWorker is the table of who may report what: only the worker of a step, with its own token and the
// lease of the current attempt, while it runs.
func TestNobodySpeaksForAStepButItsWorker(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	mine, theirs := b.register("a"), b.register("b")
	replaced := b.register("c")
	b.register("c")
	revoked := b.registerAs("d", workerToken)
	into[api.RevokedWorker](t, b.do(call{method: "POST", path: "/api/workers/" + revoked.WorkerID + "/revoke"}))
	b.execute()
	claim := uuid.NewString()
	old := b.claimAs(mine, claim, false)
	step := b.claimAs(mine, claim, true)
	require.Equal(t, old.StepID, step.StepID)
	b.execute()
	other := b.claim(theirs)
	container := into[api.WorkspaceToken](t, b.do(call{
		method: "POST", path: "/worker/steps/workspace_token", token: mine, header: map[string]string{"X-Stroem-Lease": step.Lease},
		body: fmt.Sprintf(`{"step_id":%d}`, step.StepID),
	})).Token

	const invalid, nobody = "403 lease_invalid", "401 worker_unknown"
	wrong := []credentials{
		{"another worker's token", theirs, step.Lease, invalid, api.Invalid},
		{"another step's lease", mine, other.Lease, invalid, api.Invalid},
		{"both of another worker", theirs, other.Lease, invalid, api.Invalid},
		{"no lease", mine, "", invalid, api.Invalid},
		{"a changed lease", mine, step.Lease[1:] + step.Lease[:1] + "x", invalid, api.Invalid},
		{"part of the lease", mine, step.Lease[:len(step.Lease)-1], invalid, api.Invalid},
		{"the lease of a claim that was repeated", mine, old.Lease, invalid, api.Invalid},
		{"the token that workers register with", workerToken, step.Lease, nobody, nobody},
		{"a token that lets few register", limitedToken, step.Lease, nobody, nobody},
		{"a lease as a token", step.Lease, step.Lease, nobody, nobody},
		{"no token", "", step.Lease, "401 unauthenticated", "401 unauthenticated"},
		{"the token of a worker that was replaced", replaced, step.Lease, "409 superseded", "409 superseded"},
		{"the token of a worker that was revoked", revoked.Token, step.Lease, "403 worker_revoked", "403 worker_revoked"},
	}
	b.refuse("claimed", step, wrong)
	start, complete := &reports[0], &report{"complete", func(api.Claim, string) call {
		return call{path: "/steps/a/complete", body: `{"exit_code":0,"output":{"n":1}}`}
	}, false}
	require.Equal(t, "200", start.make(b, step, mine, step.Lease))
	b.refuse("running", step, wrong)
	for i := range reports { // a container's token opens its files, and nothing else
		want := nobody
		switch reports[i].name {
		case "files":
			want = "200"
		case "files of now":
			want = "401 workspace_token_invalid"
		}
		require.Equal(t, want, reports[i].make(b, step, container, step.Lease), reports[i].name)
	}
	require.Equal(t, "200", complete.make(b, step, mine, step.Lease))
	b.refuse("ended", step, wrong)

	// Its own worker has no say in it any more either; that it reports the end once more is no mistake, and changes nothing.
	before := b.view(step.JobID)
	for i := range reports {
		want := "409 lease_stale"
		switch r := &reports[i]; {
		case r.name == "complete":
			want = "200"
		case r.name == "complete in bulk":
			want = api.Duplicate
		case r.bulk:
			want = api.Stale
		}
		require.Equal(t, want, reports[i].make(b, step, mine, step.Lease), reports[i].name)
	}
	require.Equal(t, before, b.view(step.JobID))
	require.Contains(t, before, `"n":1`)
	require.NotContains(t, before, "forged")
}

// A step that was given to another worker is no longer that of the first.
func TestAStepThatWasGivenToAnotherWorker(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	first, second := b.register("a"), b.register("b")
	b.execute()
	old := b.claim(first)
	id := core.StepID(old.StepID)
	require.NoError(t, b.store.Transition(t.Context(), core.Selection{Steps: []core.StepID{id}},
		func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
			return &core.Changes{Requeue: []core.StepID{id}}, nil
		}))
	step := b.claim(second)
	require.Equal(t, old.StepID, step.StepID)
	wrong := []credentials{
		{"the first worker's token and lease", first, old.Lease, "403 lease_invalid", api.Invalid},
		{"the first worker's lease", second, old.Lease, "403 lease_invalid", api.Invalid},
		{"the first worker's token", first, step.Lease, "403 lease_invalid", api.Invalid},
	}
	b.refuse("given to another", step, wrong)
	require.Equal(t, "200", reports[0].make(b, step, second, step.Lease))
	b.refuse("started by another", step, wrong)
}

// What a worker has left behind is removed by one of its name alone.
func TestNobodyElseRemovesWhatAWorkerLeft(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	mine, theirs := b.registerAs("a", workerToken), b.register("b")
	b.execute()
	step := b.claim(mine.Token)
	for _, name := range []string{"start in bulk", "state"} {
		for i := range reports {
			if reports[i].name == name {
				require.Equal(t, api.Accepted, reports[i].make(b, step, mine.Token, step.Lease))
			}
		}
	}
	revoked := into[api.RevokedWorker](t, b.do(call{method: "POST", path: "/api/workers/" + mine.WorkerID + "/revoke"}))
	require.Equal(t, 1, revoked.Ended)
	removed := fmt.Sprintf(`{"step_ids":[%d]}`, step.StepID)
	into[api.Status](t, b.do(call{method: "POST", path: "/worker/steps/removed", token: theirs, body: removed}))
	requireError(t, b.do(call{method: "POST", path: "/worker/steps/removed", token: mine.Token, body: removed}), 403, "revoked")
	into[api.Worker](t, b.do(call{method: "POST", path: "/api/workers/" + mine.WorkerID + "/restore"}))
	again := b.registerAs("a", workerToken)
	require.Len(t, again.Remove, 1)
	require.Equal(t, step.StepID, again.Remove[0].StepID)
	into[api.Status](t, b.do(call{method: "POST", path: "/worker/steps/removed", token: again.Token, body: removed}))
	require.Empty(t, b.registerAs("a", workerToken).Remove)
}
