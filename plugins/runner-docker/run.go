package main

import (
	"context"
	"errors"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

// Run runs a step in a container of its own, and removes that at the end.
func (r *runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	l, err := r.newLaunch(req, out)
	if err != nil {
		return nil, err
	}
	err = l.prepare(ctx)
	switch cause := context.Cause(ctx); {
	case err == nil && errors.Is(cause, pluginapi.ErrHostGone): // it knows of the run, and somebody may start that
		return nil, cause
	case cause != nil:
		err = cause
	}
	if err != nil {
		r.tidy(ctx, req.RunID)
		return nil, err
	}
	result, err := l.start(ctx)
	if result == nil && err == nil {
		result, err = r.follow(ctx, l.id, req.StopGrace, newCursor(zero), out)
	}
	return r.ended(ctx, req.RunID, l.id, l.volumeName(), result, err)
}

// volumeName is the volume of the run, "" if it has none.
func (l *launch) volumeName() string {
	if l.volume {
		return l.name
	}
	return ""
}

// start starts the container. Its result is nil if that worked; a command that cannot be executed is one.
func (l *launch) start(ctx context.Context) (*pluginapi.Result, error) {
	call, cancel := limited(ctx)
	defer cancel()
	err := l.api.ContainerStart(call, l.id, container.StartOptions{})
	if err == nil {
		return nil, nil
	}
	text := said(err)
	if strings.Contains(text, "docker-init") {
		return nil, pluginapi.Errorf(pluginapi.CodePrecondition,
			"the engine has no docker-init: install it there, or set init to false in the plugin's config: %s", text)
	}
	if seen, inspectErr := l.api.ContainerInspect(call, l.id); inspectErr == nil {
		if code := seen.State.ExitCode; code == codeNotFound || code == codeNotExecutable {
			return &pluginapi.Result{ExitCode: code, Message: notExecutable(text)}, nil
		}
	}
	return nil, l.failed("start the container", err)
}

// ended removes the container of a run that has come to its end. One whose host has gone stays, whatever is known of it: somebody
// will ask for it. So does one whose engine does not answer: the host has it removed later.
func (r *runner) ended(ctx context.Context, runID, id, volume string, result *pluginapi.Result, err error) (*pluginapi.Result, error) {
	stopped := context.Cause(ctx)
	switch {
	case errors.Is(stopped, pluginapi.ErrHostGone):
		return nil, stopped
	case pluginapi.CodeOf(err) == pluginapi.CodeUnavailable:
		return nil, err
	case err != nil:
		r.tidy(ctx, runID)
		return nil, err
	}
	removeErr := r.removeOne(ctx, id, volume)
	switch {
	case removeErr != nil && stopped != nil: // the host has it removed later, and what came out of it matters less
		return nil, r.failed("remove the container of a step that was stopped", removeErr)
	case removeErr != nil:
		r.log.WarnContext(ctx, "remove the container of a step that has ended", "run", runID, "container", id, "error", removeErr)
	case stopped != nil && result.ExitCode == 0: // it was told to stop, and says that all is well
		return nil, stopped
	}
	return result, nil
}
