package plugintest

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

func (s *runnerSuite) stopped(t TB, reason pluginv1.StopReason) {
	t.Helper()
	f := s.start(t, s.runner(t), s.request(t, s.examples.Long))
	wait(t, "the start", f.started, patience)
	f.stop(t, reason)
	s.wantStopped(t, f)
}

func (s *runnerSuite) testStop(t TB)    { s.stopped(t, pluginv1.StopReason_STOP_REASON_STOPPED) }
func (s *runnerSuite) testTimeOut(t TB) { s.stopped(t, pluginv1.StopReason_STOP_REASON_TIMED_OUT) }

// testStopAtOnce stops a run without waiting for its start, as a host does whose job is cancelled at that moment.
func (s *runnerSuite) testStopAtOnce(t TB) {
	f := s.start(t, s.runner(t), s.request(t, s.examples.Long))
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
}

func (s *runnerSuite) testStopEndless(t TB) {
	f := s.start(t, s.runner(t), s.request(t, s.examples.Endless))
	wait(t, "the first output", f.output, patience)
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
}

func (s *runnerSuite) testStopForce(t TB) {
	const grace = time.Second
	req := s.request(t, s.examples.Stubborn)
	req.StopGrace = durationpb.New(grace)
	f := s.start(t, s.runner(t), req)
	wait(t, "the first output", f.output, patience)
	before := time.Now()
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
	if took := time.Since(before); took < grace {
		t.Errorf("the run was ended after %v, before its grace of %v was over", took, grace)
	}
	s.nothingLeft(t, req.GetRunId())
}

func (s *runnerSuite) testStopTwice(t TB) {
	req := s.request(t, s.examples.Long)
	if len(s.examples.Stubborn) > 0 { // then the run is still under way when the second call comes
		req.Spec, req.StopGrace = s.examples.Stubborn, durationpb.New(time.Second)
	}
	f := s.start(t, s.runner(t), req)
	wait(t, "the start", f.started, patience)
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	stop := &pluginv1.StopRequest{RunId: f.id, Grace: durationpb.New(f.grace)}
	// The run may have ended before the second call comes.
	if _, err := f.rpc.Stop(within(t, patience), stop); err != nil && status.Code(err) != codes.NotFound {
		t.Errorf("the second Stop: %v", err)
	}
	s.wantStopped(t, f)
	if _, err := f.rpc.Stop(within(t, patience), stop); status.Code(err) != codes.NotFound {
		t.Errorf("Stop after the end: got %v, want NOT_FOUND", err)
	}
}

// leftLimit is how long the processes of a run may take to disappear.
const leftLimit = 2 * time.Second

// nothingLeft looks for processes of a run that has ended.
func (s *runnerSuite) nothingLeft(t TB, id string) {
	t.Helper()
	var left []int
	if !eventually(t, leftLimit, func() bool { left = processesOf(id); return len(left) == 0 }) {
		under(t, ruleLeft).Errorf("the run has ended, but its processes %v are still there", left)
	}
}

// processesOf finds the processes of a run by their environment, where the system lets see that.
func processesOf(id string) []int { return withEnv(runVariable + "=" + id) }

func (s *runnerSuite) testNothingLeft(t TB) {
	req := s.request(t, s.examples.Long)
	f := s.start(t, s.runner(t), req)
	wait(t, "the start", f.started, patience)
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
	s.nothingLeft(t, req.GetRunId())
}

// testCancelled gives a run up as a host does that has gone. There is no stream left that would tell of the end: the plugin
// takes another run of the same id then. What is attachable goes on without a host, and
// can be attached to.
func (s *runnerSuite) testCancelled(t TB) {
	i, req := s.runner(t), s.request(t, s.examples.Long)
	f := s.start(t, i, req)
	wait(t, "the start", f.started, patience)
	f.cancel()
	if s.actionType.Attachable {
		s.goesOn(t, i, req, f)
		return
	}
	ended := eventually(t, goneLimit, func() bool {
		again := s.start(t, i, req)
		defer again.cancel()
		select {
		case <-again.started:
			return true
		case <-again.ended:
			_, err := again.wait(t, patience)
			return status.Code(err) != codes.AlreadyExists
		case <-t.Context().Done():
			return false
		}
	})
	if !ended {
		t.Errorf("the run is still under way %v after its stream was cancelled", goneLimit)
	}
	s.nothingLeft(t, req.GetRunId())
}

// goesOn attaches to a run whose stream was cancelled, as soon as the call of that has ended, and removes it.
func (s *runnerSuite) goesOn(t TB, i *Instance, req *pluginv1.RunRequest, f *flight) {
	t.Helper()
	attached := eventually(t, goneLimit, func() bool {
		again := attachOn(t, i, req, f.state, time.Time{})
		select {
		case <-again.started:
			s.discard(t, i, again)
			return true
		case <-again.ended:
			_, err := again.wait(t, patience)
			if status.Code(err) != codes.AlreadyExists {
				t.Fatalf("a run of an attachable type whose stream was cancelled cannot be attached to: %v", err)
			}
			return false
		case <-t.Context().Done():
			return false
		}
	})
	if !attached {
		t.Errorf("the call is still under way %v after its stream was cancelled", goneLimit)
	}
	s.nothingLeft(t, req.GetRunId())
}
