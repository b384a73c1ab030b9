package main

import (
	"context"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
)

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
		err := f.api.ContainerStop(ctx, f.id, container.StopOptions{Timeout: &forever})
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
	err := f.api.ContainerKill(call, f.id, "KILL")
	if notRunning(err) {
		return nil
	}
	return err
}
