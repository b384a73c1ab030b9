package main

import (
	"context"
	"errors"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

// Attach goes on with a run whose plugin has gone: its container is found by its labels.
func (r *runner) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	if err := checkRunID(req.RunID); err != nil {
		return nil, err
	}
	c, err := r.find(ctx, req.RunID)
	if err != nil {
		return nil, err
	}
	volume := ""
	for _, m := range c.Mounts {
		if m.Destination == workspaceDir && m.Name != "" {
			volume = m.Name
		}
	}
	if err := begin(out, strings.TrimPrefix(c.Names[0], "/")); err != nil {
		return nil, err
	}
	var result *pluginapi.Result
	if c.State == container.StateCreated {
		l := &launch{runner: r, id: c.ID}
		result, err = l.start(ctx)
	}
	if result == nil && err == nil {
		result, err = r.follow(ctx, c.ID, req.StopGrace, newCursor(req.Since), out)
	}
	return r.ended(ctx, req.RunID, c.ID, volume, result, err)
}

// find returns the step's container. One that was not started yet is complete, or the step has not begun.
func (r *runner) find(ctx context.Context, runID string) (*container.Summary, error) {
	call, cancel := limited(ctx)
	defer cancel()
	failed := func(err error) error { return r.failed("look for the container of the step", err) }
	list, err := r.api.ContainerList(call, container.ListOptions{All: true, Filters: ofRun(runID)})
	if err != nil {
		return nil, failed(err)
	}
	for i := range list {
		c := &list[i]
		if c.Labels[labelPart] != partStep || len(c.Names) == 0 {
			continue
		}
		if c.State == container.StateCreated {
			if _, err := r.api.ContainerStatPath(call, c.ID, scratchPath); isUnreachable(err) {
				return nil, failed(err)
			} else if err != nil {
				return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "its container %s was created, but never started", strings.TrimPrefix(c.Names[0], "/"))
			}
			// A start that the plugin before this one asked for may have come between: nothing runs twice.
			seen, err := r.api.ContainerInspect(call, c.ID)
			if err != nil {
				return nil, failed(err)
			}
			c.State = seen.State.Status
		}
		return c, nil
	}
	return nil, &pluginapi.Error{Code: pluginapi.CodeNotFound, Message: "the engine has no container of the step", Err: errors.New(runID)}
}
