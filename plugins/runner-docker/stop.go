package main

import (
	"context"
	"errors"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

const (
	// drainLimit is how long what a stopped step has written is still read when it has ended. The host waits for little more.
	drainLimit = 3 * time.Second
	// lastLook is how long the engine may take after that to tell how the step ended.
	lastLook = 1500 * time.Millisecond
)

var errDrained = errors.New("what a stopped step wrote is not waited for any longer")

// stop ends the container: politely, by force after the grace. It returns when the run has ended; what is still to be read
// when the container has ended is given up after a while.
func (f *follower) stop(ctx context.Context, grace time.Duration, ended <-chan struct{}, give context.CancelCauseFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var polite sync.WaitGroup
	defer polite.Wait()
	defer cancel()
	over := make(chan struct{}, 1)
	polite.Go(func() {
		forever := -1 // the force is ours: the engine counts in seconds
		err := repeat(ctx, isUnreachable, func() error {
			return f.api.ContainerStop(ctx, f.id, container.StopOptions{Timeout: &forever})
		})
		switch {
		case err == nil:
			over <- struct{}{}
		case ctx.Err() == nil:
			f.log.WarnContext(ctx, "ask a container to stop", "container", f.id, "error", err)
		}
	})
	force, drained := time.NewTimer(grace), time.NewTimer(grace+drainLimit)
	defer force.Stop()
	defer drained.Stop()
	for {
		select {
		case <-ended:
			return
		case <-over:
			force.Stop()
			drained.Reset(drainLimit)
		case <-force.C:
			if err := f.kill(ctx); err != nil {
				f.log.WarnContext(ctx, "kill a container", "container", f.id, "error", err)
			}
		case <-drained.C:
			give(errDrained)
			<-ended
			return
		}
	}
}

// kill ends the container by force, if it has not ended.
func (f *follower) kill(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	err := repeat(call, isUnreachable, func() error { return f.api.ContainerKill(call, f.id, "KILL") })
	if cerrdefs.IsConflict(err) || cerrdefs.IsNotFound(err) { // it does not run
		return nil
	}
	return err
}

// drained says how a stopped container ended whose output is not waited for.
func (f *follower) drained(ctx context.Context) (*pluginapi.Result, error) {
	seen, err := f.look(ctx, lastLook)
	switch {
	case cerrdefs.IsNotFound(err):
		return nil, errRemoved()
	case err != nil:
		return nil, f.failed("stop the step", err)
	case seen.State.Running:
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "the container %s does not end, though it was killed", seen.Name)
	}
	f.note("the step was stopped; the last that it wrote was not waited for")
	return f.result(&seen), nil
}
