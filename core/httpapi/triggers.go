package httpapi

import (
	"maps"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/cron"
)

// nextRuns is how many fires of a trigger are shown.
const nextRuns = 5

func (a *API) listTriggers(c *fiber.Ctx) error {
	name, ws, err := a.workspace(c)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(triggers(ws, ""), func(t api.Trigger) bool { return !user(c).sees(name, t.Task) })
	uses, err := a.Store.LastUses(requestContext(c), name, slices.Collect(maps.Keys(ws.Triggers)))
	if err != nil {
		return err
	}
	for i := range list {
		if use, ok := uses[list[i].Name]; ok {
			list[i].Last = &api.TriggerUse{At: use.At.UTC(), JobID: optionalID(use.JobID), Reason: optional(use.Reason)}
		}
	}
	shown, err := a.workspaceRedactor(name).triggers(list)
	if err != nil {
		return err
	}
	return c.JSON(shown)
}

// triggers lists a workspace's triggers, or those of one task.
func triggers(ws *core.Workspace, task string) []api.Trigger {
	list := []api.Trigger{}
	for _, name := range slices.Sorted(maps.Keys(ws.Triggers)) {
		t := ws.Triggers[name]
		if task != "" && t.Task != task {
			continue
		}
		trigger := api.Trigger{
			Name: name, Type: t.Type, Cron: t.Cron, Timezone: t.Timezone, Task: t.Task, Enabled: t.Enabled, Input: t.Input,
			NextRuns: upcoming(t),
		}
		if trigger.Input == nil {
			trigger.Input = map[string]any{}
		}
		list = append(list, trigger)
	}
	return list
}

func upcoming(t *core.Trigger) []time.Time {
	runs := []time.Time{}
	if t.Type != "scheduler" {
		return runs
	}
	timetable, err := cron.NewTimetable(t.Cron, t.Timezone)
	if err != nil { // told where the workspace is loaded
		return runs
	}
	at := time.Now()
	for range nextRuns {
		if at = timetable.After(at); at.IsZero() {
			break
		}
		runs = append(runs, at)
	}
	return runs
}

// trigger is the one that the path names, of a type.
func (a *API) trigger(c *fiber.Ctx, kind, what string) (workspace, name string, err error) {
	workspace, content, err := a.workspace(c)
	if err != nil {
		return "", "", err
	}
	if name, err = param(c, "name"); err != nil {
		return "", "", err
	}
	t := content.Triggers[name]
	if t == nil {
		return "", "", core.Errorf(core.CodeNotFound, "", "Trigger not found")
	}
	if t.Type != kind {
		return "", "", core.Errorf(core.CodeInvalid, "", "The trigger '%s' is a %s, which has no %s", name, t.Type, what)
	}
	return workspace, name, nil
}

func (a *API) listFires(c *fiber.Ctx) error {
	workspace, trigger, err := a.trigger(c, "scheduler", "fires")
	if err != nil {
		return err
	}
	q := query{c: c}
	limit := q.number("limit", 50, 1, 500)
	if q.err != nil {
		return q.err
	}
	fires, err := a.Store.Fires(requestContext(c), workspace, trigger, int(limit))
	if err != nil {
		return err
	}
	list := make([]api.Fire, len(fires))
	for i, f := range fires {
		list[i] = api.Fire{
			ScheduledAt: f.At.UTC(), FiredAt: f.FiredAt.UTC(), Missed: f.Missed, JobID: optionalID(f.JobID), Reason: optional(f.Reason),
		}
	}
	return c.JSON(list)
}

func (a *API) listDeliveries(c *fiber.Ctx) error {
	workspace, trigger, err := a.trigger(c, "webhook", "deliveries")
	if err != nil {
		return err
	}
	q := query{c: c}
	limit, offset := q.number("limit", 50, 1, 500), q.number("offset", 0, 0, 10_000)
	if q.err != nil {
		return q.err
	}
	deliveries, total, err := a.Store.Deliveries(requestContext(c), workspace, trigger, int(limit), int(offset))
	if err != nil {
		return err
	}
	list := make([]api.Delivery, len(deliveries))
	for i, d := range deliveries {
		list[i] = api.Delivery{
			ID: d.ID, At: d.At.UTC(), Method: d.Method, RemoteAddress: d.RemoteAddress, Bytes: d.Bytes, Status: d.Status,
			Reason: optional(d.Reason), JobID: optionalID(d.JobID),
		}
	}
	setTotal(c, total)
	return c.JSON(list)
}
