package plugintest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// newID returns an id that no other run has.
func newID() string { return strings.ToLower(rand.Text()) }

func decimal(n int) string { return strconv.Itoa(n) }

// outcome is how a run in the background ended.
type outcome struct {
	result *pluginapi.Result
	err    error
}

// start runs req in the background and returns how to cancel it.
func (s *runnerSuite) start(t TB, r pluginapi.Runner, req *pluginapi.RunRequest, out pluginapi.Output) (cancel context.CancelCauseFunc, done <-chan outcome) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ch := make(chan outcome, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err := r.Run(ctx, req, out)
		ch <- outcome{result, err}
	}()
	t.Cleanup(func() {
		cancel(nil)
		<-ended
	})
	return cancel, ch
}

// wait waits for something that should happen soon.
func wait[T any](t TB, what string, ch <-chan T, limit time.Duration) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatalf("%s did not happen within %v", what, limit)
		return *new(T) // not reached
	}
}

// wantStopped checks how a stopped run ended: with a result that is not a success, or as cancelled or timed out.
func wantStopped(t TB, o outcome) {
	t.Helper()
	switch {
	case o.err == nil && o.result.ExitCode == 0:
		t.Errorf("a stopped run reports success")
	case o.err != nil && !errors.Is(o.err, context.Canceled) && !errors.Is(o.err, context.DeadlineExceeded):
		t.Errorf("a stopped run failed: %v", o.err)
	}
}

func (s *runnerSuite) stop(t TB, cause error) {
	t.Helper()
	out := NewRecorder()
	req := s.request(t, s.actionType.Examples.Long)
	cancel, done := s.start(t, s.runner(t), req, out)
	wait(t, "the start", out.HasStarted(), patience)
	cancel(cause)
	wantStopped(t, wait(t, "the end", done, req.StopGrace+5*time.Second))
	out.check(t)
}

func (s *runnerSuite) testStop(t TB)    { s.stop(t, pluginapi.ErrStopped) }
func (s *runnerSuite) testTimeOut(t TB) { s.stop(t, pluginapi.ErrTimedOut) }

func (s *runnerSuite) testStopAtOnce(t TB) {
	req := s.request(t, s.actionType.Examples.Long)
	cancel, done := s.start(t, s.runner(t), req, NewRecorder())
	cancel(pluginapi.ErrStopped)
	wantStopped(t, wait(t, "the end", done, req.StopGrace+5*time.Second))
}

func (s *runnerSuite) testStopByForce(t TB) {
	out := NewRecorder()
	req := s.request(t, s.actionType.Examples.Stubborn)
	req.StopGrace = time.Second
	cancel, done := s.start(t, s.runner(t), req, out)
	wait(t, "the first output", out.HasOutput(), patience)
	before := time.Now()
	cancel(pluginapi.ErrStopped)
	wantStopped(t, wait(t, "the end", done, req.StopGrace+5*time.Second))
	if took := time.Since(before); took < req.StopGrace {
		t.Errorf("the run was ended after %v, before its grace of %v was over", took, req.StopGrace)
	}
}

// testStopTwice talks to the plugin directly, because the Go client sends Stop only once.
func (s *runnerSuite) testStopTwice(t TB) {
	conn := s.open(t)
	configure(t, hostapi.NewPlugin(conn, "runner"), s.opts.Config)
	rpc := pluginv1.NewRunnerServiceClient(conn)
	req := s.request(t, s.actionType.Examples.Long)
	stream, err := rpc.Run(within(t, patience), &pluginv1.RunRequest{
		RunId: req.RunID, Type: req.Type, Runner: req.Runner, Spec: req.Spec,
		Workspace:  &pluginv1.Workspace{Dir: req.Workspace.Dir, Url: req.Workspace.URL, Token: req.Workspace.Token},
		ScratchDir: req.ScratchDir, StopGrace: durationpb.New(req.StopGrace), Labels: req.Labels,
	})
	wantOK(t, "Run", err)
	event, err := stream.Recv()
	wantOK(t, "receive", err)
	if event.GetStarted() == nil {
		t.Errorf("the first event is %v", event)
	}
	stop := &pluginv1.StopRequest{RunId: req.RunID, Grace: durationpb.New(req.StopGrace)}
	for range 2 {
		// The run may have ended before the second call comes.
		if _, err := rpc.Stop(within(t, patience), stop); err != nil && status.Code(err) != codes.NotFound {
			t.Errorf("Stop: %v", err)
		}
	}
	finished := 0
	for err == nil {
		event, err = stream.Recv()
		if event.GetFinished() != nil {
			finished++
		}
	}
	if stopped := status.Code(err) == codes.Canceled && finished == 0; !stopped && (!errors.Is(err, io.EOF) || finished != 1) {
		t.Errorf("the stream ended with %v after %d finished events", err, finished)
	}
	if _, err := rpc.Stop(within(t, patience), stop); status.Code(err) != codes.NotFound {
		t.Errorf("Stop after the end: got %v, want NOT_FOUND", err)
	}
}

func (s *runnerSuite) testSameID(t TB) {
	out := NewRecorder()
	r := s.runner(t)
	req := s.request(t, s.actionType.Examples.Long)
	cancel, done := s.start(t, r, req, out)
	wait(t, "the start", out.HasStarted(), patience)
	_, err := r.Run(within(t, patience), req, NewRecorder())
	wantCode(t, err, pluginapi.CodeAlreadyExists)
	cancel(pluginapi.ErrStopped)
	wantStopped(t, wait(t, "the end", done, req.StopGrace+5*time.Second))
}

// remove calls Remove twice, because it has to be idempotent.
func (s *runnerSuite) remove(t TB, r pluginapi.Runner, id string, state []byte) {
	t.Helper()
	for range 2 {
		err := r.Remove(within(t, patience), &pluginapi.RemoveRequest{
			RunID: id, Type: s.actionType.Name, Runner: s.actionType.Runner, State: state,
		})
		wantOK(t, "Remove", err)
	}
}

func (s *runnerSuite) testRemove(t TB) {
	r, out := s.runner(t), NewRecorder()
	req := s.request(t, s.actionType.Examples.Succeed)
	_, err := r.Run(within(t, patience), req, out)
	wantOK(t, "Run", err)
	s.remove(t, r, req.RunID, out.State())
}

func (s *runnerSuite) testRemoveUnknown(t TB) { s.remove(t, s.runner(t), newID(), nil) }

func (s *runnerSuite) testRemoveUnderWay(t TB) {
	r, out := s.runner(t), NewRecorder()
	req := s.request(t, s.actionType.Examples.Long)
	_, done := s.start(t, r, req, out)
	wait(t, "the start", out.HasStarted(), patience)
	s.remove(t, r, req.RunID, out.State())
	if o := wait(t, "the end", done, patience); o.err == nil && o.result.ExitCode == 0 {
		t.Errorf("a removed run reports success")
	}
}

func (s *runnerSuite) testParallel(t TB) {
	r := s.runner(t)
	var wg sync.WaitGroup
	for range s.opts.Parallel {
		req := s.request(t, s.actionType.Examples.Succeed)
		wg.Go(func() {
			out := NewRecorder()
			result, err := r.Run(within(t, 2*time.Minute), req, out)
			if err != nil || result.ExitCode != 0 {
				t.Errorf("one of %d parallel runs ended with %+v, %v", s.opts.Parallel, result, err)
			}
			out.check(t)
		})
	}
	wg.Wait()
}
