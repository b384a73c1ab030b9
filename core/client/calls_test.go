package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// TestRequests holds every call against the request that it makes.
func TestRequests(t *testing.T) {
	t.Parallel()
	steps, wait := 3, 25
	for name, c := range map[string]struct {
		call   func(context.Context, *client.Client) error
		want   string // method and address
		body   string
		header map[string]string
		answer string
	}{
		"workspaces": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Workspaces(ctx); return err },
			want: "GET /api/workspaces", answer: "[]",
		},
		"refresh": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Refresh(ctx, "a b"); return err },
			want: "POST /api/workspaces/a%20b/refresh",
		},
		"tasks": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Tasks(ctx, "ws"); return err },
			want: "GET /api/workspaces/ws/tasks", answer: "[]",
		},
		"names are escaped": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Task(ctx, "a b", "ops/deploy?x#y%")
				return err
			},
			want: "GET /api/workspaces/a%20b/tasks/ops%2Fdeploy%3Fx%23y%25",
		},
		"execute": {
			call: func(ctx context.Context, c *client.Client) error {
				created, err := c.Execute(ctx, "ws", "hello", api.ExecuteRequest{Input: map[string]any{"n": 1}}, "key-1")
				assert.Equal(t, "7", created.JobID)
				return err
			},
			want: "POST /api/workspaces/ws/tasks/hello/execute", body: `{"input":{"n":1}}`,
			header: map[string]string{"Idempotency-Key": "key-1", "Content-Type": "application/json"}, answer: `{"job_id":"7"}`,
		},
		"execute without a key": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Execute(ctx, "ws", "hello", api.ExecuteRequest{}, "")
				return err
			},
			want: "POST /api/workspaces/ws/tasks/hello/execute", body: `{}`, header: map[string]string{"Idempotency-Key": ""},
		},
		"jobs": {
			call: func(ctx context.Context, c *client.Client) error {
				_, _, err := c.Jobs(ctx, client.JobFilter{})
				return err
			},
			want: "GET /api/jobs", answer: "[]",
		},
		"some jobs": {
			call: func(ctx context.Context, c *client.Client) error {
				_, _, err := c.Jobs(ctx, client.JobFilter{Workspace: "ws", TaskName: "a/b", Statuses: []string{"failed", "running"}, Limit: 5, Offset: 10})
				return err
			},
			want: "GET /api/jobs?limit=5&offset=10&status=failed%2Crunning&task_name=a%2Fb&workspace=ws", answer: "[]",
		},
		"job": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Job(ctx, "7", 0); return err },
			want: "GET /api/jobs/7",
		},
		"job, when it has ended": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Job(ctx, "7", 1500*time.Millisecond)
				return err
			},
			want: "GET /api/jobs/7?wait_secs=2",
		},
		"the server waits a minute at the most": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Job(ctx, "7", time.Hour); return err },
			want: "GET /api/jobs/7?wait_secs=60",
		},
		"cancel": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Cancel(ctx, "7"); return err },
			want: "POST /api/jobs/7/cancel",
		},
		"logs": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Logs(ctx, "7", client.LogQuery{})
				return err
			},
			want: "GET /api/jobs/7/logs",
		},
		"some logs": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Logs(ctx, "7", client.LogQuery{Step: "build", From: 3, Limit: 100, Tail: 10, Wait: 5 * time.Second})
				return err
			},
			want: "GET /api/jobs/7/steps/build/logs?from=3&limit=100&tail=10&wait_secs=5",
		},
		"audit log": {
			call: func(ctx context.Context, c *client.Client) error {
				_, _, err := c.Audit(ctx, client.AuditFilter{})
				return err
			},
			want: "GET /api/audit", answer: "[]",
		},
		"a page of the audit log": {
			call: func(ctx context.Context, c *client.Client) error {
				at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))
				_, _, err := c.Audit(ctx, client.AuditFilter{
					Actor: "ada@example.com", Action: "user.", Target: "a/b", Results: []string{"ok", "denied"}, Since: at, Until: at.Add(time.Hour),
					Before: 7, Limit: 5,
				})
				return err
			},
			want: "GET /api/audit?action=user.&actor=ada%40example.com&before=7&limit=5&result=ok%2Cdenied&since=2026-01-02T02%3A04%3A05.0000006Z" +
				"&target=a%2Fb&until=2026-01-02T03%3A04%3A05.0000006Z", answer: "[]",
		},
		"workers": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Workers(ctx, 0, 0); return err },
			want: "GET /api/workers", answer: "[]",
		},
		"some workers": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Workers(ctx, 5, 10); return err },
			want: "GET /api/workers?limit=5&offset=10", answer: "[]",
		},
		"worker": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Worker(ctx, "9"); return err },
			want: "GET /api/workers/9",
		},
		"triggers": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Triggers(ctx, "ops"); return err },
			want: "GET /api/workspaces/ops/triggers", answer: "[]",
		},
		"fires": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Fires(ctx, "ops", "every/night", 5)
				return err
			},
			want: "GET /api/workspaces/ops/triggers/every%2Fnight/fires?limit=5", answer: "[]",
		},
		"deliveries": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Deliveries(ctx, "ops", "push", 0)
				return err
			},
			want: "GET /api/workspaces/ops/triggers/push/deliveries", answer: "[]",
		},
		"config": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Config(ctx); return err },
			want: "GET /api/config",
		},
		"login": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Login(ctx, api.Login{Email: "ada@example.org", Password: "<a & b>"})
				return err
			},
			want: "POST /api/auth/login", body: `{"email":"ada@example.org","password":"<a & b>"}`,
		},
		"continue a session": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.ContinueSession(ctx, "r"); return err },
			want: "POST /api/auth/refresh", body: `{"refresh_token":"r"}`,
		},
		"logout": {
			call: func(ctx context.Context, c *client.Client) error { return c.Logout(ctx, "r") },
			want: "POST /api/auth/logout", body: `{"refresh_token":"r"}`,
		},
		"me": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.Me(ctx); return err },
			want: "GET /api/auth/me",
		},
		"create a key": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.CreateAPIKey(ctx, api.NewAPIKey{Name: "ci", ExpiresInDays: &steps})
				return err
			},
			want: "POST /api/auth/api-keys", body: `{"name":"ci","expires_in_days":3}`,
		},
		"keys": {
			call: func(ctx context.Context, c *client.Client) error { _, err := c.APIKeys(ctx); return err },
			want: "GET /api/auth/api-keys", answer: "[]",
		},
		"delete a key": {
			call: func(ctx context.Context, c *client.Client) error { return c.DeleteAPIKey(ctx, "strm_0a/b") },
			want: "DELETE /api/auth/api-keys/strm_0a%2Fb",
		},
		"ready": {
			call: func(ctx context.Context, c *client.Client) error { return c.Ready(ctx) },
			want: "GET /readyz", answer: `{"status":"ok"}`,
		},
		"register": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Register(ctx, api.Register{Name: "w", Tags: []string{"shell"}, Protocol: api.Protocol})
				return err
			},
			want: "POST /worker/register", body: `{"name":"w","tags":["shell"],"protocol":1}`,
		},
		"heartbeat": {
			call: func(ctx context.Context, c *client.Client) error { return c.Heartbeat(ctx, api.Heartbeat{}) },
			want: "POST /worker/heartbeat", body: `{}`,
		},
		"claim": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Claim(ctx, api.ClaimRequest{ClaimID: "c", MaxSteps: &steps, WaitSecs: &wait})
				return err
			},
			want: "POST /worker/jobs/claim", body: `{"claim_id":"c","max_steps":3,"wait_secs":25}`,
		},
		"start": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Start(ctx, api.StartRequest{Steps: []api.StepLease{{StepID: 1, Lease: "l"}}})
				return err
			},
			want: "POST /worker/steps/start", body: `{"steps":[{"step_id":1,"lease":"l"}]}`,
		},
		"state": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.SaveState(ctx, api.StartRequest{Steps: []api.StepLease{{StepID: 1, Lease: "l", State: []byte("s")}}})
				return err
			},
			want: "POST /worker/steps/state", body: `{"steps":[{"step_id":1,"lease":"l","state":"cw=="}]}`,
		},
		"complete": {
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Complete(ctx, api.CompleteRequest{Completions: []api.Completion{{StepID: 1, Lease: "l", Error: "<no>"}}})
				return err
			},
			want: "POST /worker/steps/complete", body: `{"completions":[{"step_id":1,"lease":"l","error":"<no>"}]}`,
		},
		"append logs": {
			call: func(ctx context.Context, c *client.Client) error {
				return c.AppendLogs(ctx, "7", "build", "lease", 12, []byte("{}\n"))
			},
			want: "POST /worker/jobs/7/logs?first=12&step=build", body: "{}\n",
			header: map[string]string{"Content-Type": "application/x-ndjson", "X-Stroem-Lease": "lease"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type seen struct {
				request, body string
				header        http.Header
			}
			requests := make(chan seen, 1)
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				requests <- seen{r.Method + " " + r.RequestURI, string(body), r.Header}
				if c.answer == "" {
					c.answer = "{}"
				}
				answer(t, w, 200, json.RawMessage(c.answer))
			})
			require.NoError(t, c.call(t.Context(), cl))
			got := <-requests
			require.Equal(t, c.want, got.request)
			require.Equal(t, c.body, got.body)
			for key, value := range c.header {
				require.Equal(t, value, got.header.Get(key), key)
			}
			require.Equal(t, "Bearer secret", got.header.Get("Authorization"))
		})
	}
}

func TestTotalOfJobs(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Total-Count", "321")
		answer(t, w, 200, []api.Job{{JobID: "7"}})
	})
	jobs, total, err := c.Jobs(t.Context(), client.JobFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 321, total)
	require.Len(t, jobs, 1)
	require.Equal(t, "7", jobs[0].JobID)
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.RequestURI {
		case "/worker/workspace/ws.tar.gz?revision=abc":
			assert.Equal(t, "lease", r.Header.Get("X-Stroem-Lease"))
			_, err := io.WriteString(w, "tarball")
			assert.NoError(t, err)
		case "/worker/workspace/partial.tar.gz":
			w.Header().Set("Content-Length", "1000")
			_, err := io.WriteString(w, "tar")
			assert.NoError(t, err)
		default:
			answer(t, w, 404, api.Error{Error: "Workspace 'other' not found", Code: "not_found"})
		}
	})
	for address, want := range map[string]string{
		"/worker/workspace/ws.tar.gz?revision=abc":                    "",
		"http://evil.example/worker/workspace/ws.tar.gz?revision=abc": "", // the client's own server is asked, whatever it says
		"/worker/workspace/other.tar.gz?revision=abc":                 "Server returned 404: Workspace 'other' not found",
		"%zz": "read the workspace's address",
	} {
		body, err := c.Workspace(t.Context(), address, "lease")
		if want != "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		data, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, "tarball", string(data))
		require.NoError(t, body.Close())
	}
	body, err := c.Workspace(t.Context(), "/worker/workspace/partial.tar.gz", "lease")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, body.Close())
}

func TestInputThatIsNoJSON(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing must be sent") })
	_, err := c.Execute(t.Context(), "ws", "hello", api.ExecuteRequest{Input: map[string]any{"f": strings.ToUpper, "x": 1}}, "")
	require.ErrorContains(t, err, "encode request")
}
