package main

import (
	"context"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/stroem/stroem/pluginapi"
)

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
	for _, warning := range created.Warnings { // such as of limits that the engine's machine does not keep
		l.log.WarnContext(ctx, "the engine warns of a container", "run", l.req.RunID, "warning", warning)
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
