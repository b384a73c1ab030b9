package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/stroem/stroem/pluginapi"
)

// launch is the way of a step from its request to a container that is ready to start.
type launch struct {
	*runner
	req     *pluginapi.RunRequest
	spec    *spec
	image   reference.Named
	name    string // of the container, and of the volume
	out     pluginapi.Output
	started bool   // out knows of the run
	id      string // of the container, once it is there
	volume  bool   // the workspace is in a volume
}

// state is what is told of a run. Runs are found by their labels, so that this is for people.
type state struct {
	Container string `json:"container"`
}

func (r *runner) newLaunch(req *pluginapi.RunRequest, out pluginapi.Output) (*launch, error) {
	if err := checkRunID(req.RunID); err != nil {
		return nil, err
	}
	s, err := parseSpec(req.Type, req.Spec)
	if err != nil {
		return nil, err
	}
	image, err := s.image(req.Type, r.cfg)
	if err != nil {
		return nil, err
	}
	if req.Type == typeShell {
		if err := s.checkWorkspace(req.Workspace.Dir); err != nil {
			return nil, err
		}
	}
	return &launch{runner: r, req: req, spec: s, image: image, name: name(req.RunID, req.Labels), out: out}, nil
}

// begin tells the host that there is something of the run now.
func (l *launch) begin() error {
	if l.started {
		return nil
	}
	l.started = true
	return begin(l.out, l.name)
}

func begin(out pluginapi.Output, name string) error {
	data, err := json.Marshal(state{Container: name})
	if err != nil {
		return err
	}
	return out.Started(data)
}

// prepare makes the container with everything in it that the step needs. The host hears of the run when it is complete, so
// that a run which is known can be gone on with, or before the first output, which a pull makes.
func (l *launch) prepare(ctx context.Context) error {
	if l.cfg.PullPolicy == pullAlways {
		if err := l.pull(ctx); err != nil {
			return err
		}
	}
	err := l.create(ctx)
	if isNoImage(err) {
		if l.cfg.PullPolicy != pullMissing {
			return pluginapi.Errorf(pluginapi.CodeNotFound,
				"the image %q does not exist on the engine, and pull_policy is %s: load it there, or change pull_policy", familiar(l.image), l.cfg.PullPolicy)
		}
		if err := l.pull(ctx); err != nil {
			return err
		}
		err = l.create(ctx)
	}
	if err != nil {
		return l.failed("create the container", err)
	}
	if err := l.fill(ctx); err != nil {
		return err
	}
	return l.begin()
}

// create makes the container. Its errors are the engine's, or errors of the plugin.
func (l *launch) create(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	config, host, err := l.container()
	if err != nil {
		return err
	}
	step := func(more ...mount.Mount) (err error) {
		with := *host
		with.Mounts = slices.Concat(host.Mounts, more)
		l.id, err = l.createWith(ctx, l.name, config, &with)
		return err
	}
	if l.req.Type == typeDocker {
		return step()
	}
	if l.cfg.Workspace == workspaceBind || l.cfg.Workspace == workspaceAuto && isLocal(l.api) {
		switch err := step(bindWorkspace(l.req.Workspace)); {
		case !noSuchSource(err):
			return err
		case l.cfg.Workspace == workspaceBind:
			return pluginapi.Errorf(pluginapi.CodePrecondition,
				"the engine does not see the workspace at %s: mount it there, or set workspace to volume in the plugin's config", l.req.Workspace.Dir)
		}
	}
	l.volume = true
	if err := l.makeVolume(ctx); err != nil {
		return err
	}
	return step(volumeWorkspace(l.name, !l.req.Workspace.Writable))
}

// makeVolume makes the volume for the workspace. The step's own container can fill it if it may write to it.
func (l *launch) makeVolume(ctx context.Context) error {
	if !l.req.Workspace.Writable {
		return l.fillVolume(ctx)
	}
	return l.createVolume(ctx)
}

// createWith makes a container. One of the same name is left of the same run, which nobody follows any more.
func (l *launch) createWith(ctx context.Context, name string, config *container.Config, host *container.HostConfig) (id string, err error) {
	call, cancel := limited(ctx)
	defer cancel()
	created, err := l.api.ContainerCreate(call, config, host, nil, nil, name)
	if cerrdefs.IsConflict(err) {
		if err := l.removeContainers(call, l.req.RunID); err != nil {
			return "", err
		}
		created, err = l.api.ContainerCreate(call, config, host, nil, nil, name)
	}
	return created.ID, err
}

// fill connects the container to further networks and gets files into it. Those of the step are the last: a container that has
// them is complete.
func (l *launch) fill(ctx context.Context) error {
	for _, network := range l.cfg.Networks[min(1, len(l.cfg.Networks)):] {
		if err := l.connect(ctx, network); err != nil {
			return err
		}
	}
	if l.volume && l.req.Workspace.Writable {
		if err := l.copyWorkspace(ctx, l.id); err != nil {
			return err
		}
	}
	files, err := l.files(l.req, l.spec)
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := l.api.CopyToContainer(call, l.id, "/", files, container.CopyToContainerOptions{}); err != nil {
		return l.failed("copy the step's files into the container", err)
	}
	return nil
}

func (l *launch) connect(ctx context.Context, network string) error {
	call, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := l.api.NetworkConnect(call, network, l.id, nil); err != nil {
		return l.failed("connect the container to the network "+network, err)
	}
	return nil
}

// failed makes an error for people of what the engine answered.
func (r *runner) failed(what string, err error) error {
	if e, ok := errors.AsType[*pluginapi.Error](err); ok {
		return e
	}
	text, code := what+": "+said(err), pluginapi.CodeInternal
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, pluginapi.ErrStopped), errors.Is(err, pluginapi.ErrTimedOut), errors.Is(err, pluginapi.ErrHostGone):
		return err
	case isUnreachable(err):
		text, code = what+": "+r.unreachable(err), pluginapi.CodeUnavailable
	case strings.Contains(text, "No command specified"), strings.Contains(text, "no command specified"):
		text, code = "the image has no command of its own: set command, entrypoint or cmd", pluginapi.CodeInvalid
	case cerrdefs.IsInvalidArgument(err):
		code = pluginapi.CodeInvalid
	case cerrdefs.IsNotFound(err):
		code = pluginapi.CodeNotFound
	}
	return &pluginapi.Error{Code: code, Message: text, Retryable: code == pluginapi.CodeUnavailable, Err: err}
}

func isNoImage(err error) bool {
	return cerrdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such image")
}

// familiar is an image as people write it: without the registry that is meant if none is named.
func familiar(image reference.Named) string { return reference.FamiliarString(image) }
