package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

var zero time.Time

const (
	// outageLimit is how long a run waits for an engine that does not answer any more.
	outageLimit = time.Minute
	// outageRetry is how often it is asked meanwhile.
	outageRetry = time.Second
	// settleLimit is how long the end of a container may come after that of its log.
	settleLimit = time.Second
	// drainLimit is how long what a stopped step has written is still read when it has ended.
	drainLimit = 3 * time.Second
	// logTries is how often a log is read again that the engine cannot read.
	logTries = 3
)

var errDrained = errors.New("what a stopped step wrote is not waited for any longer")

// follower hands out the output of a container until it has ended.
type follower struct {
	*runner
	id     string
	out    pluginapi.Output
	cursor *cursor
	pieces int  // that were handed out
	last   tail // of stderr
	outage bool // the engine was away meanwhile
}

// follow hands out what the container has written from the cursor on, until the container has ended, and says how. When ctx
// ends, the container is stopped, or left alone if that is because the host has gone.
func (r *runner) follow(ctx context.Context, id string, grace time.Duration, from *cursor, out pluginapi.Output) (*pluginapi.Result, error) {
	f := &follower{runner: r, id: id, out: out, cursor: from}
	reading, give := context.WithCancelCause(context.WithoutCancel(ctx))
	defer give(nil)
	ended := make(chan struct{})
	var stopper sync.WaitGroup
	stopper.Go(func() {
		select {
		case <-ended:
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, pluginapi.ErrHostGone) {
				give(cause)
				return
			}
			f.stop(context.WithoutCancel(ctx), grace, ended, give)
		}
	})
	result, err := f.watch(reading)
	close(ended)
	stopper.Wait()
	return result, err
}

// watch reads until the log and the container have ended. Engines may end a log that is followed before its last pieces, so
// that the log of a container that has ended is looked at once more.
func (f *follower) watch(ctx context.Context) (*pluginapi.Result, error) {
	seen := container.InspectResponse{}
	for broken, over := 0, false; ; {
		before := f.pieces
		err := f.read(ctx, !over)
		if f.pieces > before {
			broken = 0
		}
		drained := errors.Is(context.Cause(ctx), errDrained)
		switch {
		case ctx.Err() != nil && !drained:
			return nil, context.Cause(ctx)
		case errors.Is(err, errOutput):
			return nil, err
		case err == nil && over:
			return f.result(&seen), nil
		case cerrdefs.IsConflict(err): // it is being removed
			return nil, errRemoved()
		case err != nil && !isUnreachable(err):
			if broken++; broken == logTries {
				return nil, f.failed("read the output of the step", err)
			}
		}
		if seen, err = f.inspect(ctx); err != nil {
			return nil, err
		}
		over = !seen.State.Running
		switch {
		case drained && over:
			_, _ = io.WriteString(f.out.Stderr(), pluginapi.NotePrefix+"the step was stopped; the last that it wrote was not waited for\n")
			return f.result(&seen), nil
		case drained:
			return nil, pluginapi.Errorf(pluginapi.CodeInternal, "the container %s does not end, though it was killed", seen.Name)
		case !over:
			f.settle(ctx)
		}
	}
}

// errOutput wraps errors of the host's end: nobody listens any more.
var errOutput = errors.New("hand out output")

// read hands out the log from the cursor on until it ends, or what there is of it: with nil, or an error if it broke off.
func (f *follower) read(ctx context.Context, follow bool) error {
	log, err := f.api.ContainerLogs(ctx, f.id, container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow, Since: stamp(f.cursor.rewind()),
	})
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // only read from
	stdout, stderr := f.out.Stdout(), f.out.Stderr()
	for pieces := newFrames(log); ; {
		p, err := pieces.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !f.cursor.fresh(p) {
			continue
		}
		f.pieces++
		w := stdout
		if p.stderr {
			w = stderr
			f.last.add(p.data)
		}
		if _, err := pluginapi.WriteTimed(w, p.data, p.at); err != nil {
			return errors.Join(errOutput, err)
		}
	}
}

// inspect asks for the state of the container. An engine that does not answer is asked again for a limited time.
func (f *follower) inspect(ctx context.Context) (container.InspectResponse, error) {
	giveUp := time.NewTimer(outageLimit)
	defer giveUp.Stop()
	for told := false; ; told = true {
		call, cancel := limited(ctx)
		seen, err := f.api.ContainerInspect(call, f.id)
		cancel()
		switch {
		case err == nil:
			if told {
				_, _ = io.WriteString(f.out.Stderr(), pluginapi.NotePrefix+"the Docker engine answers again\n")
			}
			return seen, nil
		case cerrdefs.IsNotFound(err):
			return seen, errRemoved()
		case !isUnreachable(err):
			return seen, f.failed("look at the container", err)
		}
		if !told {
			f.outage = true
			_, _ = io.WriteString(f.out.Stderr(), pluginapi.NotePrefix+"lost the connection to the Docker engine; trying again for "+outageLimit.String()+"\n")
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

func errRemoved() error {
	return pluginapi.Errorf(pluginapi.CodeNotFound, "the container of the step is gone: somebody removed it while it ran")
}

// settle waits a moment for the end of a container whose log has ended.
func (f *follower) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	ended, failed := f.api.ContainerWait(ctx, f.id, container.WaitConditionNotRunning)
	select {
	case <-ended:
	case err := <-failed:
		f.log.DebugContext(ctx, "wait for the end of a container", "container", f.id, "error", err)
		<-ctx.Done() // or the next look would come at once
	}
}
