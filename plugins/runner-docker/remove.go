package main

import (
	"context"
	"errors"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"

	"github.com/stroem/stroem/pluginapi"
)

// Remove removes whatever the engine has of a run, running or not.
func (r *runner) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	if err := checkRunID(req.RunID); err != nil {
		return err
	}
	if err := r.removeRun(ctx, req.RunID); err != nil {
		return r.failed("remove what is left of the run", err)
	}
	return nil
}

func (r *runner) removeRun(ctx context.Context, runID string) error {
	if err := r.removeContainers(ctx, runID); err != nil {
		return err
	}
	list, err := r.api.VolumeList(ctx, volume.ListOptions{Filters: ofRun(runID)})
	if err != nil {
		return err
	}
	var problems error
	for _, v := range list.Volumes {
		problems = errors.Join(problems, r.removeVolume(ctx, v.Name))
	}
	return problems
}

func (r *runner) removeContainers(ctx context.Context, runID string) error {
	list, err := r.api.ContainerList(ctx, container.ListOptions{All: true, Filters: ofRun(runID)})
	if err != nil {
		return err
	}
	var problems error
	for _, c := range list {
		problems = errors.Join(problems, r.removeContainer(ctx, c.ID))
	}
	return problems
}

// tidy removes whatever there is of a run that came to no result.
func (r *runner) tidy(ctx context.Context, runID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	if err := r.removeRun(ctx, runID); err != nil {
		r.log.WarnContext(ctx, "remove what is left of a step", "run", runID, "error", err)
	}
}

// removeOne removes the container of a run, and its volume if it has one.
func (r *runner) removeOne(ctx context.Context, id, volume string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	err := r.removeContainer(ctx, id)
	if volume != "" {
		err = errors.Join(err, r.removeVolume(ctx, volume))
	}
	return err
}

// removeTries is how often something is removed that the engine says is busy, as it does when processes have just ended.
const (
	removeTries = 5
	removeRetry = 300 * time.Millisecond
)

// removeContainer removes a container with its anonymous volumes, running or not. One that is gone is removed.
func (r *runner) removeContainer(ctx context.Context, id string) error {
	return again(ctx, func() error {
		err := r.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
}

func (r *runner) removeVolume(ctx context.Context, name string) error {
	return again(ctx, func() error {
		err := r.api.VolumeRemove(ctx, name, false)
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// again repeats what the engine refuses for a reason that passes, such as that somebody is at it already.
func again(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if err == nil || try == removeTries || isUnreachable(err) || ctx.Err() != nil {
			return err
		}
		retry := time.NewTimer(removeRetry)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return err
		}
	}
}
