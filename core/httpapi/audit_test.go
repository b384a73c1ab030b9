package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// audited are the entries that a query finds, without what differs each time, and checks that.
func (b *bundle) audited(query string) []api.AuditEntry {
	b.t.Helper()
	a := b.get("/api/audit?" + query)
	list := into[[]api.AuditEntry](b.t, a)
	b.validate("/api/audit", a)
	require.Equal(b.t, fmt.Sprint(len(list)), a.header.Get("X-Total-Count"))
	for i := range list {
		require.Positive(b.t, list[i].ID)
		require.WithinDuration(b.t, time.Now(), list[i].At, time.Minute)
		require.Equal(b.t, time.UTC, list[i].At.Location())
		list[i].ID, list[i].At = 0, time.Time{}
	}
	return list
}

// entry is that of a request, which it belongs to by its id.
func entry(a answer, e api.AuditEntry) api.AuditEntry {
	e.RequestID, e.RemoteAddress = new(a.header.Get("X-Request-Id")), new("127.0.0.1")
	return e
}

func TestExecutesAndCancelsAreAudited(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	run := func(body string, key string) answer {
		return b.do(call{
			method: "POST", path: "/api/workspaces/default/tasks/task/execute", body: body, header: map[string]string{"Idempotency-Key": key},
		})
	}
	ran := run(`{"input":{"token":"hunter22"}}`, "once")
	again := run(`{"input":{"token":"hunter22"}}`, "once")
	require.Equal(t, 409, run(`{"input":{"token":"another"}}`, "once").status)
	id := into[api.ExecuteResponse](t, ran).JobID
	require.Equal(t, id, into[api.ExecuteResponse](t, again).JobID)
	require.Equal(t, 400, b.do(call{method: "POST", path: "/api/workspaces/default/tasks/needy/execute", body: `{}`}).status)
	require.Equal(t, 404, b.do(call{method: "POST", path: "/api/workspaces/default/tasks/nope/execute", body: `{}`}).status)
	into[api.WebhookAccepted](t, b.do(call{method: "POST", path: "/hooks/open", body: "{}"})) // has a delivery
	stopped := b.do(call{method: "POST", path: "/api/jobs/" + id + "/cancel"})
	require.Equal(t, 200, stopped.status)
	require.Equal(t, 404, b.do(call{method: "POST", path: "/api/jobs/00000000-0000-4000-8000-000000000000/cancel"}).status)
	require.Equal(t, []api.AuditEntry{
		entry(stopped, api.AuditEntry{
			ActorType: "anonymous", Action: "job.cancel", Target: id, Result: "ok", Details: map[string]any{"status": "cancelled"},
		}),
		entry(ran, api.AuditEntry{
			ActorType: "anonymous", Action: "job.execute", Target: "default/task", Result: "ok",
			Details: map[string]any{"job_id": id, "revision": "rev-1"},
		}),
	}, b.audited("action=job."))
}

func TestRefreshesAreAudited(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	refresh := func(name string) answer {
		return b.do(call{method: "POST", path: "/api/workspaces/" + name + "/refresh"})
	}
	good := refresh("default")
	b.workspaces.refresh = func(context.Context) (string, error) { return "a.yaml:1:2: no", errors.New("for the log alone") }
	bad := refresh("default")
	require.Equal(t, 404, refresh("nope").status)
	require.Equal(t, []api.AuditEntry{
		entry(bad, api.AuditEntry{
			ActorType: "anonymous", Action: "workspace.refresh", Target: "default", Result: "failed",
			Details: map[string]any{"revision": "rev-1", "error": "a.yaml:1:2: no"},
		}),
		entry(good, api.AuditEntry{
			ActorType: "anonymous", Action: "workspace.refresh", Target: "default", Result: "ok", Details: map[string]any{"revision": "rev-1"},
		}),
	}, b.audited(""))
}

func TestRegistrationsAreAudited(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	register := func(c call) answer {
		c.method, c.path = "POST", "/worker/register"
		return b.do(c)
	}
	const body = `{"name":"w1\n","tags":["shell","gpu"],"protocol":1,"version":"1.2"}`
	taken := register(call{token: workerToken, body: body})
	old := register(call{token: workerToken, body: `{"name":"w2","protocol":7}`})
	wrong := register(call{token: "hunter22", body: body})
	none := register(call{body: body})
	require.Equal(t, 400, register(call{token: workerToken, body: `{`}).status)
	require.Equal(t, 401, b.do(call{method: "POST", path: "/worker/heartbeat", token: "hunter22", body: `{}`}).status)
	refused := func(a answer, reason string) api.AuditEntry {
		require.Equal(t, 401, a.status)
		return entry(a, api.AuditEntry{
			ActorType: "anonymous", Action: "worker.register", Result: "denied", Details: map[string]any{"code": "unauthenticated", "reason": reason},
		})
	}
	require.Equal(t, []api.AuditEntry{
		refused(none, "Missing authorization header"), refused(wrong, "Invalid worker token"),
		entry(old, api.AuditEntry{
			Actor: "w2", ActorType: "worker", Action: "worker.register", Target: "w2", Result: "failed", Details: map[string]any{
				"code": "protocol_unsupported", "reason": "The worker speaks protocol 7, this server 1: use a worker of the server's version",
			},
		}),
		entry(taken, api.AuditEntry{
			Actor: "w1�", ActorType: "worker", Action: "worker.register", Target: "w1�", Result: "ok", Details: map[string]any{
				"worker_id": into[api.Registered](t, taken).WorkerID, "version": "1.2", "tags": "shell, gpu",
			},
		}),
	}, b.audited("action=worker.register"))
}

// TestHostileRegistrationsAreAuditedSafely sends names that are no names.
func TestHostileRegistrationsAreAuditedSafely(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, c := range []struct {
		name, target string // as it stands in the request, and in the log
		status       int
	}{
		{strings.Repeat("x", 1<<20), strings.Repeat("x", 1000) + "…", 400},
		{`\u001b]0;x\u0007\r\n2026-01-02 forged\u2028\u202e`, "�]0;x���2026-01-02 forged��", 200},
		{"\xff\xfe\xc3", "���", 200},
		{`\ud800`, "�", 200},
	} {
		a := b.do(call{method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"` + c.name + `","protocol":1}`})
		require.Equal(t, c.status, a.status, "%s", a.body)
		got := b.audited("limit=1&offset=0&target=" + url.QueryEscape(c.target))[0]
		require.Equal(t, c.target, got.Target)
		require.LessOrEqual(t, len(got.Actor), 323)
	}
	require.Equal(t, 400, b.do(call{
		method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"\u0000","protocol":1}`,
	}).status, "a NUL is refused at the door")
	require.Len(t, b.audited(""), 4)
}

// TestAFloodOfRefusalsIsBounded tells of those that it passes over.
func TestAFloodOfRefusalsIsBounded(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const flood = 300
	for range flood {
		require.Equal(t, 401, b.do(call{method: "POST", path: "/worker/register", token: "wrong"}).status)
	}
	noted := 0
	require.Eventually(t, func() bool { // until one more may be noted
		require.Equal(t, 401, b.do(call{method: "POST", path: "/worker/register", token: "wrong"}).status)
		list := b.audited("result=denied&limit=500")
		noted = len(list)
		passed, _ := list[0].Details["not_recorded_before"].(float64)
		return passed > 0
	}, 20*time.Second, 100*time.Millisecond)
	require.Less(t, noted, flood)
	require.GreaterOrEqual(t, noted, 100)
}

func TestAuditIsListedPageByPage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for i := range 25 {
		require.NoError(t, b.store.RecordAudit(t.Context(), core.AuditEntry{
			Actor: core.Actor{Type: core.ActorOperator, Name: "root"}, Action: "user.create", Target: fmt.Sprint(i), Result: core.AuditOK,
		}))
	}
	path, seen := "/api/audit?limit=10&action=user.&offset=2", []string{}
	for path != "" {
		a := b.get(path)
		for _, e := range into[[]api.AuditEntry](t, a) {
			require.Nil(t, e.RequestID)
			require.Nil(t, e.RemoteAddress)
			require.Equal(t, map[string]any{}, e.Details)
			seen = append(seen, e.Target)
		}
		require.Equal(t, "25", a.header.Get("X-Total-Count"))
		require.Empty(t, a.header.Get("X-Total-Capped"))
		next, found := strings.CutSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
		require.Equal(t, len(seen)%10 == 0, found)
		path = next
	}
	require.Len(t, seen, 23)
	require.Equal(t, "22", seen[0])
	require.Equal(t, "0", seen[22])
}

func TestAuditFiltersAreChecked(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.register("w")
	now := time.Now().UTC()
	for query, found := range map[string]int{
		"": 1, "actor=w": 1, "actor=W": 1, "actor=worker": 1, "actor=user": 0, "action=worker.": 1, "action=worker.register": 1, "action=worker": 0,
		"target=w": 1, "target=x": 0, "result=ok": 1, "result=denied,failed": 0, "result=ok,failed": 1, "before=1": 0, "before=9223372036854775807": 1,
		"since=" + now.Add(-time.Hour).Format(time.RFC3339): 1, "since=" + now.Add(time.Hour).Format(time.RFC3339): 0,
		"until=" + now.Add(time.Hour).Format(time.RFC3339): 1, "until=" + now.Add(-time.Hour).Format(time.RFC3339): 0,
		"actor=" + url.QueryEscape("' or 1=1 --"): 0, "action=" + url.QueryEscape("%."): 0, "target=" + strings.Repeat("x", 4000): 0, "offset=1": 0,
	} {
		require.Len(t, into[[]api.AuditEntry](t, b.get("/api/audit?"+query)), found, query)
	}
	for query, text := range map[string]string{
		"limit=0": "limit has to be a number from 1 to 500", "limit=501": "limit", "offset=-1": "offset", "before=0": "before", "before=x": "before",
		"before=9223372036854775808": "before", "result=good": "result has to be one or more of", "since=yesterday": "since has to be a time",
		"until=1": "until", "actor=%00": "actor is not text", "action=%ff": "action is not text", "target=a%00": "target is not text",
	} {
		requireError(t, b.get("/api/audit?"+query), 400, text)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		requireError(t, b.do(call{method: method, path: "/api/audit"}), 405, method)
	}
}
