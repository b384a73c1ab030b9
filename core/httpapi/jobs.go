package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	maxOffset    = 10_000
	maxChildren  = 500
)

func (a *API) listJobs(c *fiber.Ctx) error {
	q := &query{c: c}
	f := core.JobFilter{
		Workspace: q.text("workspace"), TaskName: q.text("task_name"),
		Statuses: choices(q, "status", core.JobPending, core.JobRunning, core.JobCompleted, core.JobFailed, core.JobCancelled),
		SourceTypes: choices(q, "source_type", core.SourceTrigger, core.SourceUser, core.SourceAPI, core.SourceWebhook,
			core.SourceHook, core.SourceTask),
		Since: q.time("since"), Until: q.time("until"),
		Limit: int(q.number("limit", defaultLimit, 1, maxLimit)), Offset: int(q.number("offset", 0, 0, maxOffset)),
	}
	if f.TaskName != "" && f.Workspace == "" {
		q.refuse("task_name filter requires workspace")
	}
	if text := c.Query("parent_job_id"); text != "" && q.err == nil {
		f.ParentJobID, q.err = parseUUID(text, "parent job")
	}
	if text := c.Query("before"); text != "" && q.err == nil {
		f.BeforeTime, f.BeforeID, q.err = parseBefore(text)
	}
	if q.err != nil {
		return q.err
	}
	f.Visible = user(c).power.Visible()
	jobs, total, err := a.Store.ListJobs(requestContext(c), f)
	if err != nil {
		return err
	}
	list := make([]api.Job, len(jobs))
	for i := range jobs {
		list[i] = user(c).present(&jobs[i])
	}
	setTotal(c, total)
	if len(jobs) == f.Limit {
		last := jobs[len(jobs)-1]
		setNext(c, "before", last.CreatedAt.UTC().Format(time.RFC3339Nano)+","+last.ID.String())
	}
	return c.JSON(list)
}

func parseBefore(text string) (time.Time, uuid.UUID, error) {
	at, id, _ := strings.Cut(text, ",")
	t, errTime := time.Parse(time.RFC3339, at)
	job, errID := parseUUID(id, "job")
	if err := errors.Join(errTime, errID); err != nil {
		return time.Time{}, uuid.Nil, invalid("before has to be created_at,job_id of a job, and is %q", text)
	}
	return t, job, nil
}

func setTotal(c *fiber.Ctx, total int) {
	if total > core.CountLimit {
		total = core.CountLimit
		c.Set("X-Total-Capped", "true")
	}
	c.Set("X-Total-Count", strconv.Itoa(total))
}

// setNext links to the next page: the same query, with one parameter changed and no offset.
func setNext(c *fiber.Ctx, name, value string) {
	next, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return
	}
	next.Del("offset")
	next.Set(name, value)
	c.Set(fiber.HeaderLink, fmt.Sprintf("<%s?%s>; rel=\"next\"", c.Path(), next.Encode()))
}

func (a *API) getJob(c *fiber.Ctx) error {
	id, err := uuidParam(c, "job")
	if err != nil {
		return err
	}
	q := &query{c: c}
	wait := q.seconds("wait_secs")
	if q.err != nil {
		return q.err
	}
	if wait > 0 {
		ctx, cancel := context.WithTimeout(a.polls, wait)
		defer cancel()
		if err := a.Engine.WaitJob(ctx, id); err != nil && ctx.Err() == nil {
			return err
		}
	}
	job, steps, err := a.Store.GetJob(requestContext(c), id)
	if err != nil {
		return err
	}
	children, _, err := a.Store.ListJobs(requestContext(c), core.JobFilter{ParentJobID: id, Visible: user(c).power.Visible(), Limit: maxChildren})
	if err != nil {
		return err
	}
	var hooks []core.Job
	if job.Status.Terminal() && job.SourceType != core.SourceHook { // no other job has any
		if hooks, _, err = a.Store.ListJobs(requestContext(c), core.JobFilter{HookOf: id, Visible: user(c).power.Visible(), Limit: maxChildren}); err != nil {
			return err
		}
	}
	detail, err := presentDetail(user(c), &job, steps, a.redactor(requestContext(c), &job))
	if err != nil {
		return err
	}
	for i := range children {
		detail.ChildJobs = append(detail.ChildJobs, user(c).present(&children[i]))
	}
	for i := range hooks {
		detail.HookJobs = append(detail.HookJobs, user(c).present(&hooks[i]))
	}
	return c.JSON(detail)
}

func (a *API) cancelJob(c *fiber.Ctx) error {
	id, err := uuidParam(c, "job")
	if err != nil {
		return err
	}
	status, err := a.Engine.Cancel(requestContext(c), id)
	if err != nil {
		return err
	}
	a.audit(c, "job.cancel", id.String(), core.AuditOK, map[string]any{"status": status})
	return c.JSON(api.CancelResponse{JobID: id.String(), Status: string(status)})
}
