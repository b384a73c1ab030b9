package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

func (a *API) listWorkers(c *fiber.Ctx) error {
	q := &query{c: c}
	limit, offset := q.number("limit", defaultLimit, 1, maxLimit), q.number("offset", 0, 0, maxOffset)
	if q.err != nil {
		return q.err
	}
	workers, total, err := a.Store.ListWorkers(requestContext(c), int(limit), int(offset))
	if err != nil {
		return err
	}
	list := make([]api.Worker, len(workers))
	for i := range workers {
		list[i] = presentWorker(&workers[i])
	}
	setTotal(c, total)
	return c.JSON(list)
}

func (a *API) getWorker(c *fiber.Ctx) error {
	id, err := uuidParam(c, "worker")
	if err != nil {
		return err
	}
	w, err := a.Store.GetWorker(requestContext(c), id)
	if err != nil {
		return err
	}
	jobs, _, err := a.Store.ListJobs(requestContext(c), core.JobFilter{WorkerID: id, Visible: user(c).power.Visible(), Limit: defaultLimit})
	if err != nil {
		return err
	}
	detail := api.WorkerDetail{Worker: presentWorker(&w), Jobs: make([]api.Job, len(jobs))}
	if detail.Plugins, err = pluginsOf(&w); err != nil {
		return err
	}
	for i := range jobs {
		detail.Jobs[i] = user(c).present(&jobs[i])
	}
	return c.JSON(detail)
}

func (a *API) revokeWorker(c *fiber.Ctx) error {
	id, err := uuidParam(c, "worker")
	if err != nil {
		return err
	}
	given, err := a.Engine.Revoke(requestContext(c), id)
	if err != nil {
		return err
	}
	w, err := a.Store.GetWorker(requestContext(c), id)
	if err != nil {
		return err
	}
	a.audit(c, "worker.revoke", w.Name, core.AuditOK, map[string]any{"worker_id": id.String(), "requeued": given.Requeued, "ended": given.Ended})
	return c.JSON(api.RevokedWorker{Worker: presentWorker(&w), Requeued: given.Requeued, Ended: given.Ended})
}

func (a *API) restoreWorker(c *fiber.Ctx) error {
	id, err := uuidParam(c, "worker")
	if err != nil {
		return err
	}
	if err := a.Engine.Restore(requestContext(c), id); err != nil {
		return err
	}
	w, err := a.Store.GetWorker(requestContext(c), id)
	if err != nil {
		return err
	}
	a.audit(c, "worker.restore", w.Name, core.AuditOK, map[string]any{"worker_id": id.String()})
	return c.JSON(presentWorker(&w))
}
