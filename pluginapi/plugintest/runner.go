package plugintest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// RunnerOptions says what the suite cannot find out itself.
type RunnerOptions struct {
	Config    json.RawMessage                   // settings to work with; nil is {}
	BadConfig json.RawMessage                   // settings to be refused; nil leaves the case out
	Workspace func(t TB) pluginapi.Workspace    // nil gives an empty directory
	Parallel  int                               // runs at the same time; 0 is 20
	Only      func(t pluginapi.ActionType) bool // action types to exercise; nil means all
}

// TestRunner runs the suite. open makes an instance for each case.
func TestRunner(t *testing.T, open Opener, opts RunnerOptions) {
	t.Helper()
	run(t, RunnerCases(t, open, opts))
}

// RunnerCases are the cases that a runner should pass, for each of its action types those for which it has an example.
func RunnerCases(t TB, open Opener, opts RunnerOptions) []Case {
	t.Helper()
	if opts.Parallel == 0 {
		opts.Parallel = 20
	}
	cases := pluginCases(open, pluginapi.KindRunner, opts.Config, opts.BadConfig)
	description := describe(t, hostapi.NewPlugin(open(t), "runner"))
	if len(description.ActionTypes) == 0 {
		t.Errorf("the runner describes no action types")
	}
	for _, actionType := range description.ActionTypes {
		if opts.Only == nil || opts.Only(actionType) {
			s := &runnerSuite{open: open, opts: opts, actionType: actionType}
			cases = append(cases, s.cases()...)
		}
	}
	return cases
}

// runnerSuite are the cases of one action type.
type runnerSuite struct {
	open       Opener
	opts       RunnerOptions
	actionType pluginapi.ActionType
}

func (s *runnerSuite) cases() []Case {
	name := s.actionType.Name
	if s.actionType.Runner != "" {
		name += "-" + s.actionType.Runner
	}
	var cases []Case
	add := func(title string, run func(t TB), examples ...json.RawMessage) {
		for _, example := range examples {
			if len(example) == 0 {
				return
			}
		}
		cases = append(cases, Case{name + " " + title, run})
	}
	examples := s.actionType.Examples
	add("type", s.testType)
	add("bad spec", s.testBadSpec)
	add("succeed", s.testSucceed, examples.Succeed)
	add("fail", s.testFail, examples.Fail)
	add("killed", s.testKilled, examples.Killed)
	add("large output", s.testLarge, examples.Large)
	add("stop", s.testStop, examples.Long)
	add("stop at once", s.testStopAtOnce, examples.Long)
	add("stop twice", s.testStopTwice, examples.Long)
	add("time out", s.testTimeOut, examples.Long)
	add("stop by force", s.testStopByForce, examples.Stubborn)
	add("remove", s.testRemove, examples.Succeed)
	add("remove unknown", s.testRemoveUnknown)
	add("remove under way", s.testRemoveUnderWay, examples.Long)
	add("same id", s.testSameID, examples.Long)
	add("parallel", s.testParallel, examples.Succeed)
	return cases
}

// runner returns a fresh, configured instance.
func (s *runnerSuite) runner(t TB) *hostapi.Runner {
	t.Helper()
	r := hostapi.NewRunner(s.open(t), "runner")
	configure(t, r, s.opts.Config)
	return r
}

// request returns a request to run the spec.
func (s *runnerSuite) request(t TB, spec json.RawMessage) *pluginapi.RunRequest {
	t.Helper()
	req := &pluginapi.RunRequest{
		RunID: newID(), Type: s.actionType.Name, Runner: s.actionType.Runner, Spec: spec,
		Env:        map[string]string{"STROEM_CONFORMANCE": "1"},
		ScratchDir: t.TempDir(), StopGrace: 10 * time.Second,
		Labels: map[string]string{"job": "conformance", "step": "step"},
	}
	switch {
	case s.opts.Workspace != nil:
		req.Workspace = s.opts.Workspace(t)
	case s.actionType.Workspace == pluginapi.WorkspaceHostDir:
		req.Workspace.Dir = t.TempDir()
	}
	return req
}

func (s *runnerSuite) testType(t TB) {
	if s.actionType.Name == "" || s.actionType.Tag == "" {
		t.Errorf("name %q and tag %q must not be empty", s.actionType.Name, s.actionType.Tag)
	}
	if len(s.actionType.SpecSchema) == 0 {
		t.Errorf("a type needs a schema")
	}
	isSchema(t, "SpecSchema", s.actionType.SpecSchema)
	r := s.runner(t)
	for _, spec := range []json.RawMessage{s.actionType.Examples.Succeed, s.actionType.Examples.Fail} {
		if len(spec) == 0 {
			continue
		}
		req := &pluginapi.ValidateRequest{Type: s.actionType.Name, Runner: s.actionType.Runner, Spec: spec}
		problems, err := r.Validate(within(t, patience), req)
		wantOK(t, "Validate", err)
		if err := problems.Err(); err != nil {
			t.Errorf("Validate finds problems with an example: %v", err)
		}
	}
}

func (s *runnerSuite) testBadSpec(t TB) {
	r := s.runner(t)
	for _, spec := range []string{``, `"text"`, `{"broken`} {
		_, err := r.Run(within(t, patience), s.request(t, json.RawMessage(spec)), NewRecorder())
		if err == nil {
			t.Errorf("the spec %q was accepted", spec)
			continue
		}
		wantCode(t, err, pluginapi.CodeInvalid)
	}
	if spec := s.actionType.Examples.Succeed; len(spec) > 0 {
		_, err := r.Run(within(t, patience), s.request(t, spec), NewRecorder())
		wantOK(t, "a good run after bad ones", err)
	}
}

// end runs the spec to its end.
func (s *runnerSuite) end(t TB, spec json.RawMessage) (*pluginapi.Result, *Recorder) {
	t.Helper()
	out := NewRecorder()
	result, err := s.runner(t).Run(within(t, 2*time.Minute), s.request(t, spec), out)
	wantOK(t, "Run", err)
	out.check(t)
	return result, out
}

func (s *runnerSuite) testSucceed(t TB) {
	if result, _ := s.end(t, s.actionType.Examples.Succeed); *result != (pluginapi.Result{}) {
		t.Errorf("got %+v, want exit code 0 and nothing else", *result)
	}
}

func (s *runnerSuite) testFail(t TB) {
	if result, _ := s.end(t, s.actionType.Examples.Fail); result.ExitCode <= 0 || result.Signal != "" {
		t.Errorf("got %+v, want a positive exit code and no signal", *result)
	}
}

func (s *runnerSuite) testKilled(t TB) {
	result, _ := s.end(t, s.actionType.Examples.Killed)
	if result.ExitCode != -1 || !strings.HasPrefix(result.Signal, "SIG") {
		t.Errorf("got %+v, want exit code -1 and the name of a signal", *result)
	}
}

func (s *runnerSuite) testLarge(t TB) {
	result, out := s.end(t, s.actionType.Examples.Large)
	if result.ExitCode != 0 {
		t.Errorf("got %+v, want exit code 0", *result)
	}
	stdout, _, _ := out.Text()
	const lines = 1_500_000
	number, rest := 0, stdout
	for rest != "" {
		number++
		line, after, _ := strings.Cut(rest, "\n")
		if line != decimal(number) {
			t.Fatalf("line %d is %.80q", number, line)
		}
		rest = after
	}
	if number != lines {
		t.Errorf("got %d lines, want %d", number, lines)
	}
}
