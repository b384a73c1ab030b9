package pluginapi

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

type runnerServer struct {
	pluginv1.UnimplementedRunnerServiceServer
	*server
	runner Runner
}

func (s *runnerServer) Run(req *pluginv1.RunRequest, stream grpc.ServerStreamingServer[pluginv1.RunEvent]) error {
	return s.stream(req.GetRunId(), stream, func(ctx context.Context, out Output) (*Result, error) {
		return s.runner.Run(ctx, &RunRequest{
			RunID: req.GetRunId(), Type: req.GetType(), Runner: req.GetRunner(), Spec: req.GetSpec(), Env: req.GetEnv(),
			Workspace: Workspace{
				Dir: req.GetWorkspace().GetDir(), URL: req.GetWorkspace().GetUrl(), Token: req.GetWorkspace().GetToken(),
				Writable: req.GetWorkspace().GetWritable(),
			},
			ScratchDir: req.GetScratchDir(), StopGrace: req.GetStopGrace().AsDuration(), Labels: req.GetLabels(),
		}, out)
	})
}

func (s *runnerServer) Attach(req *pluginv1.AttachRequest, stream grpc.ServerStreamingServer[pluginv1.RunEvent]) error {
	attacher, ok := s.runner.(Attacher)
	if !ok {
		return Errorf(CodeUnimplemented, "runs cannot be attached to")
	}
	var since time.Time
	if req.GetSince() != nil {
		since = req.GetSince().AsTime()
	}
	return s.stream(req.GetRunId(), stream, func(ctx context.Context, out Output) (*Result, error) {
		return attacher.Attach(ctx, &AttachRequest{
			RunID: req.GetRunId(), Type: req.GetType(), Runner: req.GetRunner(), State: req.GetState(),
			Since: since, ScratchDir: req.GetScratchDir(), StopGrace: req.GetStopGrace().AsDuration(),
			Labels: req.GetLabels(),
		}, out)
	})
}

// stream runs f under the run's id and sends what it says.
func (s *runnerServer) stream(id string, stream grpc.ServerStreamingServer[pluginv1.RunEvent], f func(context.Context, Output) (*Result, error)) error {
	if err := s.ready(); err != nil {
		return err
	}
	ctx, end, err := s.runs.begin(stream.Context(), id)
	if err != nil {
		return err
	}
	defer end()
	out := newOutput(stream.Send)
	result, err := f(ctx, out)
	if err == nil && result == nil {
		err = Errorf(CodeInternal, "the runner returned neither a result nor an error")
	}
	if err != nil {
		out.close(nil)
		return err
	}
	return out.close(&pluginv1.Finished{
		ExitCode: int32(result.ExitCode), //nolint:gosec // exit codes are small
		Signal:   result.Signal, OomKilled: result.OOMKilled, Message: result.Message,
	})
}

func (s *runnerServer) Stop(_ context.Context, req *pluginv1.StopRequest) (*pluginv1.StopResponse, error) {
	cause := ErrStopped
	if req.GetReason() == pluginv1.StopReason_STOP_REASON_TIMED_OUT {
		cause = ErrTimedOut
	}
	if !s.runs.stop(req.GetRunId(), cause) {
		return nil, Errorf(CodeNotFound, "no run %q is under way", req.GetRunId())
	}
	return &pluginv1.StopResponse{}, nil
}

func (s *runnerServer) Remove(ctx context.Context, req *pluginv1.RemoveRequest) (*pluginv1.RemoveResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if err := s.runs.remove(ctx, req.GetRunId()); err != nil {
		return nil, err
	}
	err := s.runner.Remove(ctx, &RemoveRequest{
		RunID: req.GetRunId(), Type: req.GetType(), Runner: req.GetRunner(), State: req.GetState(), Labels: req.GetLabels(),
	})
	if err != nil {
		return nil, err
	}
	return &pluginv1.RemoveResponse{}, nil
}

// runs are the runs under way, by id.
type runs struct {
	mu       sync.Mutex
	underWay map[string]run
	closed   bool
}

type run struct {
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func newRuns() *runs { return &runs{underWay: map[string]run{}} }

// begin returns the context of a new run. It outlives the stream, so that a host that goes away is told from one that
// stops the run. The caller calls end when the run is over.
func (r *runs) begin(stream context.Context, id string) (ctx context.Context, end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, Errorf(CodeUnavailable, "the plugin is shutting down")
	case r.underWay[id].cancel != nil:
		return nil, nil, Errorf(CodeAlreadyExists, "run %q is under way already", id)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stream))
	unwatch := context.AfterFunc(stream, func() { cancel(ErrHostGone) })
	ended := make(chan struct{})
	r.underWay[id] = run{cancel, ended}
	return ctx, func() {
		unwatch()
		cancel(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.underWay, id)
		close(ended)
	}, nil
}

func (r *runs) stop(id string, cause error) bool {
	run, ok := r.get(id)
	if ok {
		run.cancel(cause)
	}
	return ok
}

func (r *runs) get(id string) (run, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, ok := r.underWay[id]
	return run, ok
}

// remove ends a run that is under way as if its host were gone, and waits for that.
func (r *runs) remove(ctx context.Context, id string) error {
	run, ok := r.get(id)
	if !ok {
		return nil
	}
	run.cancel(ErrHostGone)
	select {
	case <-run.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close refuses new runs, ends the others because the host is gone, and waits for them.
func (r *runs) close() {
	r.mu.Lock()
	r.closed = true
	left := slices.Collect(maps.Values(r.underWay))
	r.mu.Unlock()
	for _, run := range left {
		run.cancel(ErrHostGone)
	}
	for _, run := range left {
		<-run.ended
	}
}
