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

// removeOne removes the container of a run that has ended, and its volume if it has one. An engine that is away may come back: it
// is waited for, unless the run is told to stop.
func (r *runner) removeOne(ctx context.Context, id, volume string) error {
	patient := ctx.Err() == nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	return repeat(ctx, func(err error) bool { return patient && isUnreachable(err) }, func() error {
		err := r.removeContainer(ctx, id)
		if volume != "" {
			err = errors.Join(err, r.removeVolume(ctx, volume))
		}
		return err
	})
}

// removeContainer removes a container with its anonymous volumes, running or not. One that is gone is removed.
func (r *runner) removeContainer(ctx context.Context, id string) error {
	return removeBusy(ctx, func() error {
		return r.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	})
}

func (r *runner) removeVolume(ctx context.Context, name string) error {
	return removeBusy(ctx, func() error { return r.api.VolumeRemove(ctx, name, false) })
}

// busyLimit is how long something is removed again and again that the engine says is busy: processes have just ended, or
// somebody is at it already.
const busyLimit = 15 * time.Second

func removeBusy(ctx context.Context, remove func() error) error {
	ctx, cancel := context.WithTimeout(ctx, busyLimit)
	defer cancel()
	return repeat(ctx, func(err error) bool { return !isUnreachable(err) }, func() error {
		err := remove()
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// repeatPause is between two calls of which the first had an error that passes.
const repeatPause = 300 * time.Millisecond

// repeat calls until the error is none of those that pass, or ctx has ended.
func repeat(ctx context.Context, passes func(error) bool, call func() error) error {
	for {
		err := call()
		if err == nil || !passes(err) {
			return err
		}
		pause := time.NewTimer(repeatPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}
