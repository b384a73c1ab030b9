package hostapi

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

const (
	// stopSlack is how long, beyond the grace, a plugin may take to end a run that it was told to stop.
	stopSlack = 5 * time.Second
	// stopRetry is how often Stop is repeated for a run that the plugin has not taken up yet.
	stopRetry = 50 * time.Millisecond
)

// Runner is a runner plugin at the other end of a connection. It is a [pluginapi.Attacher] as well; for a plugin that
// cannot attach, Attach fails with CodeUnimplemented.
type Runner struct {
	*Plugin
	rpc pluginv1.RunnerServiceClient
}

// NewRunner returns the runner at the other end of conn; see [NewPlugin].
func NewRunner(conn grpc.ClientConnInterface, name string) *Runner {
	return &Runner{Plugin: NewPlugin(conn, name), rpc: pluginv1.NewRunnerServiceClient(conn)}
}

// Run implements [pluginapi.Runner]. When ctx ends the plugin is told to stop the run, as a timeout if ctx's cause is
// ErrTimedOut or its deadline has passed, and the output and the result are still received. If the run has not ended five seconds
// after its grace, Run returns an error. An error of out stops the run too, and is returned. If ctx's cause is ErrHostGone,
// the plugin is not told to stop anything: the call is given up, as if this process had died.
func (r *Runner) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, r.label.fail(status.FromContextError(err).Err())
	}
	msg := &pluginv1.RunRequest{
		RunId: req.RunID, Type: req.Type, Runner: req.Runner, Spec: req.Spec, Env: req.Env,
		Workspace:  &pluginv1.Workspace{Dir: req.Workspace.Dir, Url: req.Workspace.URL, Token: req.Workspace.Token, Writable: req.Workspace.Writable},
		ScratchDir: req.ScratchDir, StopGrace: durationpb.New(req.StopGrace), Labels: req.Labels,
	}
	return r.follow(ctx, req.RunID, req.StopGrace, out, func(ctx context.Context) (eventStream, error) {
		return r.rpc.Run(ctx, msg)
	})
}

// Attach implements [pluginapi.Attacher]; its context and errors are as with Run. When ctx has ended already, the run is
// attached to all the same, in order to stop it.
func (r *Runner) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	msg := &pluginv1.AttachRequest{
		RunId: req.RunID, Type: req.Type, Runner: req.Runner, State: req.State,
		ScratchDir: req.ScratchDir, StopGrace: durationpb.New(req.StopGrace), Labels: req.Labels,
	}
	if !req.Since.IsZero() {
		msg.Since = timestamppb.New(req.Since)
	}
	return r.follow(ctx, req.RunID, req.StopGrace, out, func(ctx context.Context) (eventStream, error) {
		return r.rpc.Attach(ctx, msg)
	})
}

// Remove implements [pluginapi.Runner].
func (r *Runner) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	_, err := r.rpc.Remove(ctx, &pluginv1.RemoveRequest{
		RunId: req.RunID, Type: req.Type, Runner: req.Runner, State: req.State, Labels: req.Labels,
	})
	return r.label.fail(err)
}

type eventStream = grpc.ServerStreamingClient[pluginv1.RunEvent]

// follow opens the stream of a run and receives it to its end. The stream does not end with ctx, because a cancelled stream
// loses its tail: the end of ctx becomes a Stop.
func (r *Runner) follow(ctx context.Context, id string, grace time.Duration, out pluginapi.Output,
	open func(context.Context) (eventStream, error),
) (*pluginapi.Result, error) {
	streamCtx, closeStream := context.WithCancel(context.WithoutCancel(ctx))
	defer closeStream()
	stream, err := open(streamCtx)
	if err != nil {
		return nil, r.label.fail(err)
	}
	runCtx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	overdue := make(chan bool, 1)
	unwatch := context.AfterFunc(runCtx, func() {
		if errors.Is(context.Cause(runCtx), pluginapi.ErrHostGone) {
			overdue <- false
			closeStream()
			return
		}
		overdue <- r.stop(streamCtx, id, grace, context.Cause(runCtx))
		closeStream()
	})
	result, err := r.receive(stream, out, abort, closeStream)
	closeStream()
	if !unwatch() && <-overdue && result == nil {
		return nil, pluginapi.Errorf(pluginapi.CodeTimeout, "%s: the run did not end within %v of being told to stop",
			r.label, grace+stopSlack)
	}
	return result, err
}

// stop tells the plugin to end a run and returns when the stream has ended, or true if the plugin has had time enough.
func (r *Runner) stop(stream context.Context, id string, grace time.Duration, cause error) (overdue bool) {
	ctx, cancel := context.WithTimeout(stream, grace+stopSlack)
	defer cancel()
	req := &pluginv1.StopRequest{RunId: id, Grace: durationpb.New(grace), Reason: pluginv1.StopReason_STOP_REASON_STOPPED}
	if errors.Is(cause, pluginapi.ErrTimedOut) || errors.Is(cause, context.DeadlineExceeded) {
		req.Reason = pluginv1.StopReason_STOP_REASON_TIMED_OUT
	}
	for {
		_, err := r.rpc.Stop(ctx, req)
		if status.Code(err) != codes.NotFound {
			<-ctx.Done()
			return stream.Err() == nil
		}
		select { // the run may not have reached the plugin yet
		case <-ctx.Done():
			return stream.Err() == nil
		case <-time.After(stopRetry):
		}
	}
}

// receive hands the events of a run to out. After a failure of out it reads on to the end of the run. It calls endless when the
// stream goes on after that.
func (r *Runner) receive(stream eventStream, out pluginapi.Output, abort context.CancelCauseFunc, endless func()) (*pluginapi.Result, error) {
	var result *pluginapi.Result
	var outErr error
	var last *time.Timer // since the result
	started := false
	for {
		event, err := stream.Recv()
		switch {
		case err != nil && outErr != nil:
			return nil, outErr
		case errors.Is(err, io.EOF) && result != nil:
			return result, nil
		case err != nil && result != nil && !last.Stop():
			return nil, r.label.broken("the stream of the run did not end within %v of its result", stopSlack)
		case errors.Is(err, io.EOF):
			return nil, r.label.broken("the run ended without a result")
		case err != nil:
			return nil, r.label.fail(err)
		case result != nil:
			return nil, r.label.broken("an event came after the end of the run")
		}
		switch e := event.GetEvent().(type) {
		case *pluginv1.RunEvent_Started:
			if started {
				return nil, r.label.broken("the run started twice")
			}
			started = true
			if len(e.Started.GetState()) > pluginapi.MaxState {
				return nil, r.label.broken("runner state has %d bytes, more than %d", len(e.Started.GetState()), pluginapi.MaxState)
			}
			err = out.Started(e.Started.GetState())
		case *pluginv1.RunEvent_Output:
			if !started {
				return nil, r.label.broken("output came before the start of the run")
			}
			if len(e.Output.GetData()) > wire.MaxOutput {
				return nil, r.label.broken("a chunk of output has %d bytes, more than %d", len(e.Output.GetData()), wire.MaxOutput)
			}
			if outErr == nil {
				err = write(out, e.Output)
			}
		case *pluginv1.RunEvent_Finished:
			result = &pluginapi.Result{
				ExitCode: int(e.Finished.GetExitCode()), Signal: clip(e.Finished.GetSignal(), maxDiagnostic),
				OOMKilled: e.Finished.GetOomKilled(), Message: clip(e.Finished.GetMessage(), maxText),
			}
			last = time.AfterFunc(stopSlack, endless)
			defer last.Stop()
		}
		if err != nil {
			outErr = err
			abort(err)
		}
	}
}

func write(out pluginapi.Output, chunk *pluginv1.OutputChunk) error {
	w := out.Stdout()
	if chunk.GetStream() == pluginv1.Stream_STREAM_STDERR {
		w = out.Stderr()
	}
	at := time.Now()
	if chunk.GetTime().CheckValid() == nil {
		at = chunk.GetTime().AsTime()
	}
	_, err := pluginapi.WriteTimed(w, chunk.GetData(), at)
	return err
}
