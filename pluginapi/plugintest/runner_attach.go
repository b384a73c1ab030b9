package plugintest

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// attach takes up a lost run, on a fresh instance.
func (s *runnerSuite) attach(t TB, req *pluginv1.RunRequest, dataDir string, state []byte, since time.Time) (*Instance, *flight) {
	t.Helper()
	i := s.open(t)
	s.configureIn(t, i, dataDir)
	return i, attachOn(t, i, req, state, since)
}

// attachOn takes up a run on an instance.
func attachOn(t TB, i *Instance, req *pluginv1.RunRequest, state []byte, since time.Time) *flight {
	t.Helper()
	msg := &pluginv1.AttachRequest{
		RunId: req.GetRunId(), Type: req.GetType(), Runner: req.GetRunner(), State: state, ScratchDir: req.GetScratchDir(),
		StopGrace: req.GetStopGrace(), Labels: req.GetLabels(),
	}
	if !since.IsZero() {
		msg.Since = timestamppb.New(since)
	}
	return follow(t, i, req.GetRunId(), req.GetStopGrace().AsDuration(), nil,
		func(ctx context.Context, rpc pluginv1.RunnerServiceClient) (eventStream, error) {
			return rpc.Attach(ctx, msg)
		})
}

// isAttached waits for the start of a run that was taken up.
func (f *flight) isAttached(t TB) {
	t.Helper()
	select {
	case <-f.started:
	case <-f.ended:
		_, err := f.wait(t, patience)
		t.Fatalf("Attach ended before started: %v", err)
	case <-time.After(patience):
		t.Fatalf("Attach sent no started within %v", patience)
	}
}

func (s *runnerSuite) testAttach(t TB) {
	req, dataDir := s.request(t, s.examples.Long), runDir(t)
	lost := s.lose(t, req, dataDir, false)
	i, f := s.attach(t, req, dataDir, lost.state, time.Time{})
	f.isAttached(t)
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
	s.remove(under(t, ruleRemove), i, req.GetRunId(), lost.state)
	s.nothingLeft(t, req.GetRunId())
}

// testAttachSince attaches to the same run twice: the line that it wrote is to come with the first attempt alone.
func (s *runnerSuite) testAttachSince(t TB) {
	req, dataDir := s.request(t, s.examples.Stubborn), runDir(t)
	lost := s.lose(t, req, dataDir, true)
	i, all := s.attach(t, req, dataDir, lost.state, time.Time{})
	all.isAttached(t)
	if !closed(all.output, patience) {
		t.Fatalf("Attach without since did not send what the run wrote before")
	}
	i.process.kill()
	wait(t, "the end of the stream", all.ended, patience)
	known := time.Now()
	i, rest := s.attach(t, req, dataDir, all.state, known)
	rest.isAttached(t)
	s.discard(t, i, rest)
	if n := rest.size(); n > 0 {
		t.Errorf("Attach since %v sent %d bytes, all of which had come before", known.Format(time.RFC3339Nano), n)
	}
}

func (s *runnerSuite) testAttachGone(t TB) {
	req, dataDir := s.request(t, s.examples.Long), runDir(t)
	lost := s.lose(t, req, dataDir, false)
	i := s.open(t)
	s.configureIn(t, i, dataDir)
	s.remove(under(t, ruleRemoveLost), i, req.GetRunId(), lost.state)
	_, f := s.attach(t, req, dataDir, lost.state, time.Time{})
	if finished, err := f.wait(t, patience); finished != nil || status.Code(err) != codes.NotFound {
		t.Errorf("Attach to a run that was removed: got {%v}, %v, want NOT_FOUND", finished, err)
	}
}
