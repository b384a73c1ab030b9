package client

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stroem/stroem/core/api"
)

// refreshTimeout is a little more than the time in which the server answers a refresh.
const refreshTimeout = 110 * time.Second

// Workspaces lists the workspaces.
func (c *Client) Workspaces(ctx context.Context) (list []api.Workspace, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/workspaces"}, &list)
	return list, err
}

// Refresh has the server ask the source of a workspace for the newest revision, and load it. What came of it is in the
// workspace's own error; it takes as long as the source does, at most a hundred seconds.
func (c *Client) Refresh(ctx context.Context, workspace string) (w api.Workspace, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodPost, path: path("api", "workspaces", workspace, "refresh"), timeout: refreshTimeout,
	}, &w)
	return w, err
}

// Tasks lists the tasks of a workspace.
func (c *Client) Tasks(ctx context.Context, workspace string) (list []api.TaskItem, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: path("api", "workspaces", workspace, "tasks")}, &list)
	return list, err
}

// Triggers lists the triggers of a workspace.
func (c *Client) Triggers(ctx context.Context, workspace string) (list []api.Trigger, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: path("api", "workspaces", workspace, "triggers")}, &list)
	return list, err
}

// Fires lists when a trigger by time has fired, newest first; limit 0 is the server's default.
func (c *Client) Fires(ctx context.Context, workspace, trigger string, limit int) (list []api.Fire, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodGet, path: path("api", "workspaces", workspace, "triggers", trigger, "fires"), query: limitQuery(limit),
	}, &list)
	return list, err
}

// Deliveries lists the requests to a webhook, newest first; limit 0 is the server's default.
func (c *Client) Deliveries(ctx context.Context, workspace, trigger string, limit int) (list []api.Delivery, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodGet, path: path("api", "workspaces", workspace, "triggers", trigger, "deliveries"), query: limitQuery(limit),
	}, &list)
	return list, err
}

func limitQuery(limit int) url.Values {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// Task describes a task.
func (c *Client) Task(ctx context.Context, workspace, name string) (task api.Task, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: path("api", "workspaces", workspace, "tasks", name)}, &task)
	return task, err
}

// Execute runs a task. Repeated with the same key, "" for none, it returns the same job.
func (c *Client) Execute(ctx context.Context, workspace, task string, r api.ExecuteRequest, idempotencyKey string) (created api.ExecuteResponse, err error) {
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	_, err = c.do(ctx, request{
		method: http.MethodPost, path: path("api", "workspaces", workspace, "tasks", task, "execute"), body: r, header: header,
	}, &created)
	return created, err
}

// JobFilter selects jobs; zero fields do not restrict.
type JobFilter struct {
	Workspace string
	TaskName  string
	Statuses  []string
	Limit     int
	Offset    int
}

// Jobs lists jobs, newest first; total is how many there are, counted up to a limit of the server's.
func (c *Client) Jobs(ctx context.Context, f JobFilter) (list []api.Job, total int, err error) {
	query := url.Values{}
	set := func(key, value string) {
		if value != "" && value != "0" {
			query.Set(key, value)
		}
	}
	set("workspace", f.Workspace)
	set("task_name", f.TaskName)
	set("status", strings.Join(f.Statuses, ","))
	set("limit", strconv.Itoa(f.Limit))
	set("offset", strconv.Itoa(f.Offset))
	header, err := c.do(ctx, request{method: http.MethodGet, path: "/api/jobs", query: query}, &list)
	if err != nil {
		return nil, 0, err
	}
	total, _ = strconv.Atoi(header.Get("X-Total-Count"))
	return list, total, nil
}

// Job describes a job, after waiting for up to the given time (at most a minute) for it to end.
func (c *Client) Job(ctx context.Context, id string, wait time.Duration) (job api.JobDetail, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodGet, path: path("api", "jobs", id), query: waitQuery(url.Values{}, wait), timeout: callTimeout + wait,
	}, &job)
	return job, err
}

// Cancel cancels a job.
func (c *Client) Cancel(ctx context.Context, id string) (cancelled api.CancelResponse, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: path("api", "jobs", id, "cancel")}, &cancelled)
	return cancelled, err
}

// Workers lists workers, active ones first, then those that are revoked; a limit of 0 is the server's default.
func (c *Client) Workers(ctx context.Context, limit, offset int) (list []api.Worker, err error) {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if offset > 0 {
		query.Set("offset", strconv.Itoa(offset))
	}
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/workers", query: query}, &list)
	return list, err
}

// Worker describes a worker.
func (c *Client) Worker(ctx context.Context, id string) (w api.WorkerDetail, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: path("api", "workers", id)}, &w)
	return w, err
}

// Revoke lets a worker do nothing any more, gives up its steps, and keeps its name from registering.
func (c *Client) Revoke(ctx context.Context, id string) (w api.RevokedWorker, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: path("api", "workers", id, "revoke")}, &w)
	return w, err
}

// Restore lets the name of a revoked worker register again.
func (c *Client) Restore(ctx context.Context, id string) (w api.Worker, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: path("api", "workers", id, "restore")}, &w)
	return w, err
}

// Plugins lists the plugins of the server and of active workers.
func (c *Client) Plugins(ctx context.Context) (list []api.HostedPlugin, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/plugins"}, &list)
	return list, err
}

// ActionTypes lists the types of actions.
func (c *Client) ActionTypes(ctx context.Context) (list []api.OfferedActionType, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/action-types"}, &list)
	return list, err
}

// Health tells how a server is that can serve requests; for any other it is an error.
func (c *Client) Health(ctx context.Context) (health api.Health, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/readyz"}, &health)
	return health, err
}

// Ready returns nil once the server can serve requests.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.Health(ctx)
	return err
}

// path joins parts of a path, each escaped.
func path(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}

// waitQuery asks to wait, for whole seconds: less than one becomes one.
func waitQuery(query url.Values, wait time.Duration) url.Values {
	if wait > 0 {
		query.Set("wait_secs", strconv.Itoa(int(math.Ceil(min(wait, time.Minute).Seconds()))))
	}
	return query
}
