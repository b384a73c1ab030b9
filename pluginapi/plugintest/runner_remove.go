package plugintest

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// remove calls Remove twice, because it has to be idempotent.
func (s *runnerSuite) remove(t TB, i *Instance, id string, state []byte) {
	t.Helper()
	for range 2 {
		wantOK(t, "Remove", s.removeOnce(t, i, id, state))
	}
}

func (s *runnerSuite) removeOnce(t TB, i *Instance, id string, state []byte) error {
	_, err := pluginv1.NewRunnerServiceClient(i).Remove(within(t, patience), &pluginv1.RemoveRequest{
		RunId: id, Type: s.actionType.Name, Runner: s.actionType.Runner, State: state,
	})
	return err
}

func (s *runnerSuite) testRemove(t TB) {
	i, req := s.runner(t), s.request(t, s.examples.Succeed)
	f := s.start(t, i, req)
	_, err := f.wait(t, patience)
	wantOK(t, "Run", err)
	s.remove(t, i, req.GetRunId(), f.state)
}

func (s *runnerSuite) testRemoveUnknown(t TB) { s.remove(t, s.runner(t), newID(), nil) }

func (s *runnerSuite) testRemoveUnderWay(t TB) {
	i, req := s.runner(t), s.request(t, s.examples.Long)
	f := s.start(t, i, req)
	wait(t, "the start", f.started, patience)
	wantOK(t, "Remove", s.removeOnce(t, i, req.GetRunId(), f.state))
	if !closed(f.ended, goneLimit) {
		t.Fatalf("the run is still under way %v after Remove", goneLimit)
	}
	if finished, _ := f.wait(t, patience); finished != nil && finished.GetExitCode() == 0 {
		t.Errorf("a run that was removed reports success")
	}
	s.nothingLeft(t, req.GetRunId())
}

// lose starts the spec, waits for output if the example says that there is some, and kills the plugin. The run may live on.
func (s *runnerSuite) lose(t TB, req *pluginv1.RunRequest, dataDir string, output bool) *flight {
	t.Helper()
	i := s.open(t)
	s.configureIn(t, i, dataDir)
	f := s.start(t, i, req)
	wait(t, "the start", f.started, patience)
	if output {
		wait(t, "the first output", f.output, patience)
	}
	i.process.kill()
	wait(t, "the end of the stream", f.ended, patience)
	return f
}

// testRemoveLost removes a run with nothing but its state, in a new process.
func (s *runnerSuite) testRemoveLost(t TB) {
	req, dataDir := s.request(t, s.examples.Long), runDir(t)
	lost := s.lose(t, req, dataDir, false)
	i := s.open(t)
	s.configureIn(t, i, dataDir)
	s.remove(t, i, req.GetRunId(), lost.state)
	var left []int
	if !eventually(t, leftLimit, func() bool { left = processesOf(req.GetRunId()); return len(left) == 0 }) {
		t.Errorf("the run was removed, but its processes %v are still there", left)
	}
}

// testRunHostGone kills a host in the middle of a run.
func (s *runnerSuite) testRunHostGone(t TB) {
	req, dataDir := s.request(t, s.examples.Long), runDir(t)
	order, err := proto.Marshal(req)
	wantOK(t, "encode a request", err)
	begin := time.Now()
	report := s.doomed(t, &hostOrder{Config: orEmpty(s.config), DataDir: dataDir, Run: order})
	if !eventually(t, goneLimit, func() bool { return !alive(report.PID) }) {
		under(t, ruleOrphan).Errorf("the host was killed and the plugin, process %d, is still there", report.PID)
	}
	if s.actionType.Attachable {
		i := s.open(t)
		s.configureIn(t, i, dataDir)
		s.remove(under(t, ruleRemoveLost), i, req.GetRunId(), report.State)
		return
	}
	var left []int
	if !eventually(t, goneLimit, func() bool { left = processesOf(req.GetRunId()); return len(left) == 0 }) {
		t.Errorf("the host was killed %v ago, but the processes %v of its run are still there", time.Since(begin), left)
	}
}
