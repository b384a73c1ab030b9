package httpapi

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/core/workspace"
)

// refreshLimit is how long the answer to a refresh may take; it is less than what clients wait for.
const refreshLimit = 100 * time.Second

func (a *API) listWorkspaces(c *fiber.Ctx) error {
	statuses := a.Workspaces.List()
	list := make([]api.Workspace, 0, len(statuses))
	for _, s := range statuses {
		if user(c).power.Workspace(s.Name) {
			list = append(list, a.presentWorkspace(c, s))
		}
	}
	return c.JSON(list)
}

// refreshWorkspace answers once the source was asked and what it has was loaded. That this failed is told with the
// workspace: the request itself was well.
func (a *API) refreshWorkspace(c *fiber.Ctx) error {
	name, err := param(c, "ws")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.polls, refreshLimit)
	defer cancel()
	failed := a.Workspaces.Refresh(ctx, name)
	switch {
	case failed == nil:
	case core.ErrorCode(failed) == core.CodeNotFound, a.polls.Err() != nil:
		return failed
	case ctx.Err() != nil:
		a.audit(c, "workspace.refresh", name, core.AuditFailed, map[string]any{"code": "refresh_timed_out"})
		return core.Errorf(core.CodeUnavailable, "refresh_timed_out", "The source of workspace '%s' has not brought its newest revision within %s; "+
			"the server goes on asking it at its own pace", name, refreshLimit)
	}
	status, err := a.Workspaces.Status(name)
	if err != nil {
		return err
	}
	a.auditRefresh(c, status, failed)
	return c.JSON(a.presentWorkspace(c, status))
}

func (a *API) presentWorkspace(c *fiber.Ctx, s workspace.Status) api.Workspace {
	w := presentWorkspace(s)
	for _, warning := range a.webhooks.Warnings(requestContext(c), s.Name, user(c).sees) {
		w.Warnings = append(w.Warnings, api.Diagnostic{Message: warning})
	}
	return w
}

func diagnostics(found workflow.Diagnostics) []api.Diagnostic {
	list := make([]api.Diagnostic, len(found))
	for i, d := range found {
		list[i] = api.Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Message: d.Message}
	}
	return list
}

func (a *API) listTasks(c *fiber.Ctx) error {
	name, ws, err := a.workspace(c)
	if err != nil {
		return err
	}
	list := make([]api.TaskItem, 0, len(ws.Tasks))
	triggered := map[string]bool{}
	for _, trigger := range ws.Triggers {
		triggered[trigger.Task] = triggered[trigger.Task] || trigger.Enabled
	}
	for _, task := range slices.Sorted(maps.Keys(ws.Tasks)) {
		if !user(c).sees(name, task) {
			continue
		}
		t := ws.Tasks[task]
		list = append(list, api.TaskItem{Name: task, Mode: mode(t), Workspace: name, Folder: t.Folder, HasTriggers: triggered[task]})
	}
	return c.JSON(list)
}

func (a *API) getTask(c *fiber.Ctx) error {
	workspace, ws, err := a.workspace(c)
	if err != nil {
		return err
	}
	name, err := param(c, "name")
	if err != nil {
		return err
	}
	t := ws.Tasks[name]
	if t == nil {
		return core.Errorf(core.CodeNotFound, "", "Task not found")
	}
	secrets := a.workspaceRedactor(workspace)
	task := api.Task{
		Name: name, Mode: mode(t), Folder: t.Folder, TimeoutSecs: time.Duration(t.Timeout).Seconds(),
		Input: make(map[string]api.InputField, len(t.Input)), Flow: make(map[string]api.FlowStep, len(t.Flow)),
	}
	for field, f := range t.Input {
		task.Input[field] = api.InputField{
			Type: f.Type, Required: f.Required, Default: f.Default, Description: f.Description, Enum: f.Enum, Secret: f.Secret,
		}
		if task.Input[field], err = secrets.field(task.Input[field]); err != nil {
			return err
		}
	}
	for step, s := range t.Flow {
		flow := api.FlowStep{
			Action: s.Action, DependsOn: s.DependsOn, Input: s.Input, ContinueOnFailure: s.ContinueOnFailure,
			TimeoutSecs: time.Duration(s.Timeout).Seconds(),
		}
		if flow.DependsOn == nil {
			flow.DependsOn = []string{}
		}
		if flow.Input == nil {
			flow.Input = map[string]any{}
		}
		if flow.Input, err = copied(secrets, flow.Input); err != nil {
			return err
		}
		task.Flow[step] = flow
	}
	task.Triggers, err = secrets.triggers(triggers(ws, name))
	if err != nil {
		return err
	}
	return c.JSON(task)
}

func (a *API) executeTask(c *fiber.Ctx) error {
	name, _, err := a.workspace(c)
	if err != nil {
		return err
	}
	task, err := param(c, "name")
	if err != nil {
		return err
	}
	var request api.ExecuteRequest
	if err := decode(c, &request, true); err != nil {
		return err
	}
	source, sourceID := core.SourceUser, user(c).User.Email
	if user(c).open {
		source = core.SourceAPI
	}
	entry := a.auditEntry(c, "job.execute", name+"/"+task, core.AuditOK, nil)
	id, err := a.Engine.Execute(requestContext(c), engine.Execute{
		Workspace: name, Task: task, Input: request.Input, Source: source, SourceID: sourceID, IdempotencyKey: c.Get("Idempotency-Key"), Audit: &entry,
	})
	if err != nil {
		return err
	}
	return c.JSON(api.ExecuteResponse{JobID: id.String()})
}

func (a *API) workspace(c *fiber.Ctx) (string, *core.Workspace, error) {
	name, err := param(c, "ws")
	if err != nil {
		return "", nil, err
	}
	ws, _, err := a.Workspaces.Workspace(name)
	return name, ws, err
}

func mode(t *core.Task) string {
	if t.Mode == "" {
		return "distributed"
	}
	return t.Mode
}
