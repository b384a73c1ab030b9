package plugintest

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

func (s *runnerSuite) testStarted(t TB)  { _, _, _ = s.end(t, s.examples.Succeed) }
func (s *runnerSuite) testFinished(t TB) { _, _, _ = s.end(t, s.examples.Fail) }

func (s *runnerSuite) testSucceed(t TB) {
	finished, _, err := s.end(t, s.examples.Succeed)
	switch {
	case err != nil:
		t.Errorf("the example succeed could not be run: %v", err)
	case finished != nil && (finished.GetExitCode() != 0 || finished.GetSignal() != "" || finished.GetOomKilled()):
		t.Errorf("the example succeed ended with {%v}, want exit code 0 and nothing else", finished)
	}
}

func (s *runnerSuite) testFail(t TB) {
	finished, _, err := s.end(t, s.examples.Fail)
	switch {
	case err != nil:
		t.Errorf("the example fail ended with the error %v instead of an exit code", err)
	case finished != nil && (finished.GetExitCode() <= 0 || finished.GetSignal() != ""):
		t.Errorf("the example fail ended with {%v}, want an exit code above 0 and no signal", finished)
	}
}

func (s *runnerSuite) testKilled(t TB) {
	finished, _, err := s.end(t, s.examples.Killed)
	switch {
	case err != nil:
		t.Errorf("the example killed ended with the error %v instead of a signal", err)
	case finished != nil && (finished.GetExitCode() != -1 || !strings.HasPrefix(finished.GetSignal(), "SIG")):
		t.Errorf("the example killed ended with {%v}, want exit code -1 and the name of a signal such as SIGKILL", finished)
	}
}

func (s *runnerSuite) testBadSpec(t TB) {
	i := s.runner(t)
	for _, spec := range []string{``, `"text"`, `{"broken`} {
		f := s.start(t, i, s.request(t, json.RawMessage(spec)))
		select {
		case <-f.started:
			t.Errorf("the spec %q was accepted", spec)
			f.cancel()
		case <-f.ended:
			if _, err := f.wait(t, patience); status.Code(err) != codes.InvalidArgument {
				t.Errorf("the spec %q: got %v, want INVALID_ARGUMENT", spec, err)
			}
		case <-time.After(patience):
			t.Fatalf("the spec %q was neither accepted nor refused within %v", spec, patience)
		}
	}
	if len(s.examples.Succeed) > 0 {
		_, err := s.start(t, i, s.request(t, s.examples.Succeed)).wait(t, patience)
		wantOK(t, "a good run after bad ones", err)
	}
}

func (s *runnerSuite) testParallel(t TB) {
	i := s.runner(t)
	flights := make([]*flight, s.opts.Parallel)
	var wg sync.WaitGroup
	for n := range flights {
		flights[n] = s.start(t, i, s.request(t, s.examples.Succeed))
	}
	for _, f := range flights {
		wg.Go(func() { <-f.ended })
	}
	all := make(chan struct{})
	go func() {
		wg.Wait()
		close(all)
	}()
	wait(t, "the end of all runs", all, 2*time.Minute)
	for _, f := range flights {
		finished, err := f.wait(t, patience)
		if err != nil || (finished != nil && finished.GetExitCode() != 0) {
			t.Errorf("one of %d parallel runs ended with {%v}, %v", s.opts.Parallel, finished, err)
		}
	}
}

// testSameID runs a request twice at the same time.
func (s *runnerSuite) testSameID(t TB) {
	i, req := s.runner(t), s.request(t, s.examples.Long)
	first := s.start(t, i, req)
	wait(t, "the start", first.started, patience)
	_, err := s.start(t, i, req).wait(t, patience)
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("a second run of the same id: got %v, want ALREADY_EXISTS", err)
	}
	if isClosed(first.ended) {
		t.Errorf("the second run ended the first")
	}
	first.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, first)
}
