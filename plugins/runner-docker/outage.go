package main

import (
	"context"
	"io"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

const (
	// outageLimit is how long a run waits for an engine that does not answer any more.
	outageLimit = time.Minute
	// outageRetry is how often it is asked meanwhile.
	outageRetry = time.Second
	// answerLimit is how long a look at a container may take until the engine counts as away.
	answerLimit = 20 * time.Second
)

// inspect asks for the state of the container. An engine that does not answer is asked again for a limited time.
func (f *follower) inspect(ctx context.Context) (container.InspectResponse, error) {
	giveUp := time.NewTimer(outageLimit)
	defer giveUp.Stop()
	for told := false; ; told = true {
		seen, err := f.look(ctx, answerLimit)
		switch {
		case err == nil:
			if told {
				f.note("the Docker engine answers again")
			}
			return seen, nil
		case ctx.Err() != nil:
			return seen, context.Cause(ctx)
		case cerrdefs.IsNotFound(err):
			return seen, errRemoved()
		case !isUnreachable(err):
			return seen, f.failed("look at the container", err)
		}
		if !told {
			f.outage = true
			f.note("lost the connection to the Docker engine; trying again for " + outageLimit.String())
		}
		retry := time.NewTimer(outageRetry)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return seen, context.Cause(ctx)
		case <-giveUp.C:
			retry.Stop()
			return seen, pluginapi.Errorf(pluginapi.CodeUnavailable,
				"lost the connection to the Docker engine while the step ran; how the step ended is not known: %s", f.unreachable(err))
		}
	}
}

func (f *follower) look(ctx context.Context, limit time.Duration) (container.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f.api.ContainerInspect(ctx, f.id)
}

// closing tells whether a container may have been ended by an engine that is about to end itself: such a one answers on the
// connections that it has, and takes no more. What it is told to remove it removes by half, so that the next one is waited for.
func (f *follower) closing(ctx context.Context, s *container.State) bool {
	if s.OOMKilled || s.ExitCode != codeTerminated && s.ExitCode != codeKilled {
		return false
	}
	connect := func() error {
		call, cancel := context.WithTimeout(ctx, settleLimit)
		defer cancel()
		conn, err := f.api.Dialer()(call)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if connect() == nil {
		return false
	}
	patience, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	_ = repeat(patience, func(error) bool { return true }, connect)
	return true
}

// note writes a line of the runner's own. Nothing depends on it: whoever does not listen any more ends the run.
func (f *follower) note(text string) {
	_, _ = io.WriteString(f.out.Stderr(), pluginapi.NotePrefix+text+"\n")
}

func errRemoved() error {
	return pluginapi.Errorf(pluginapi.CodeNotFound, "the container of the step is gone: somebody removed it while it ran")
}
