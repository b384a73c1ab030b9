package httpapi

import (
	"context"
	"math"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

// maxLogBytes bounds one answer; next tells where to go on.
const maxLogBytes = 4 * mib

func (a *API) getLogs(c *fiber.Ctx) error {
	id, step, err := a.loggedJob(c)
	if err != nil {
		return err
	}
	q := &query{c: c}
	lines := q.selectLines(step)
	lines.Limit, lines.Tail = q.number("limit", 0, 1, math.MaxInt64), q.number("tail", 0, 1, math.MaxInt32)
	lines.Bytes, lines.Within = maxLogBytes, searchPage
	wait := q.seconds("wait_secs")
	if q.err != nil {
		return q.err
	}
	if wait > 0 && lines.Tail == 0 {
		ctx, cancel := context.WithTimeout(a.polls, wait)
		defer cancel()
		if err := a.waitForLine(ctx, c, lines.From-1); err != nil {
			return err
		}
	}
	if lines.Q != "" {
		leave, err := a.searches.enter(c, searchWait)
		if err != nil {
			return err
		}
		defer leave()
	}
	page, err := a.readLog(requestContext(c), id, lines)
	if err != nil {
		return err
	}
	return sendJSON(c, api.Logs{Logs: string(page.Logs), From: page.From, Next: page.Next, Total: page.Total})
}

func (a *API) readLog(ctx context.Context, job uuid.UUID, q joblog.Query) (joblog.Page, error) {
	v, err := a.Logs.View(ctx, job)
	if err != nil {
		return joblog.Page{}, err
	}
	defer func() { _ = v.Close() }() // only read from
	return v.Read(ctx, q)
}

// waitForLine returns when the log has a line behind the given one, when the job has ended, or when ctx ends.
func (a *API) waitForLine(ctx context.Context, c *fiber.Ctx, after int64) error {
	id, err := uuidParam(c, "job")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = a.Engine.WaitJob(ctx, id) // however it returns, there is nothing more to wait for
		cancel()
	}()
	err = a.Logs.Wait(ctx, id, after)
	stopped := ctx.Err() != nil
	cancel()
	<-ended
	if stopped {
		return nil
	}
	return err
}
