package httpapi

import (
	"math"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core/joblog"
)

// selectLines reads which lines of a log a request wants: what holds for all ways to read one.
func (q *query) selectLines(step string) joblog.Query {
	lines := joblog.Query{
		Step: step, From: q.number("from", 1, 1, math.MaxInt64), Since: q.time("since"), Until: q.time("until"),
		Q: q.text("q"), Regexp: q.flag("regex"), IgnoreCase: q.flag("ignore_case"),
	}
	if streams := choices(q, "stream", joblog.Stdout, joblog.Stderr); len(streams) == 1 {
		lines.Stream = streams[0]
	}
	if err := lines.Check(); err != nil && q.err == nil {
		q.err = err
	}
	return lines
}

// flag reads what is true or false; left out it is false.
func (q *query) flag(name string) bool {
	switch text := q.c.Query(name); text {
	case "", "false", "0":
		return false
	case "true", "1":
		return true
	default:
		q.refuse("%s has to be true or false, and is %q", name, text)
		return false
	}
}

// loggedJob is the job, which exists, and the step if there is one in the path.
func (a *API) loggedJob(c *fiber.Ctx) (id uuid.UUID, step string, err error) {
	if id, err = uuidParam(c, "job"); err != nil {
		return id, "", err
	}
	if step, err = param(c, "step"); err != nil {
		return id, "", err
	}
	_, err = a.Store.JobStatus(requestContext(c), id)
	return id, step, err
}
