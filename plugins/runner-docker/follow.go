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
	// settleLimit is how long the end of a container may come after that of its log.
	settleLimit = time.Second
	// unheardLimit is how long the end of a run's context may come after that of its output.
	unheardLimit = 5 * time.Second
	// logTries is how often a log is read again that the engine cannot read.
	logTries = 3
)

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
	switch {
	case errors.Is(err, errDrained):
		return f.drained(context.WithoutCancel(ctx))
	case errors.Is(err, errOutput):
		return nil, unheard(ctx, err)
	}
	return result, err
}

// watch reads until the log and the container have ended. Engines may end a log that is followed before its last pieces, so
// that the log of a container that has ended is looked at once more. A connection that breaks while the container runs says
// nothing of the log.
func (f *follower) watch(ctx context.Context) (*pluginapi.Result, error) {
	seen := container.InspectResponse{}
	for broken, over := 0, false; ; {
		before := f.pieces
		err := f.read(ctx, !over)
		if f.pieces > before {
			broken = 0
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, errOutput):
			return nil, err
		case err == nil && over:
			f.outage = f.outage || f.closing(ctx, seen.State)
			return f.result(&seen), nil
		case cerrdefs.IsConflict(err): // it is being removed
			return nil, errRemoved()
		case err != nil && (over || !isUnreachable(err)):
			if broken++; broken == logTries {
				return nil, f.failed("read the output of the step", err)
			}
		}
		if seen, err = f.inspect(ctx); err != nil {
			return nil, err
		}
		if over = !seen.State.Running; !over {
			f.settle(ctx)
		}
	}
}

// errOutput wraps errors of the host's end: nobody listens any more.
var errOutput = errors.New("hand out output")

// unheard says why nobody listens, which the context of the run tells a moment later than the output: a run whose host has gone is
// to go on.
func unheard(ctx context.Context, err error) error {
	wait := time.NewTimer(unheardLimit)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-wait.C:
		return err
	}
}

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
