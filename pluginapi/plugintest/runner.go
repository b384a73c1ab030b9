package plugintest

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// RunnerOptions says what the suite cannot find out itself.
type RunnerOptions struct {
	Config    json.RawMessage                   // settings to work with; nil is {}
	BadConfig json.RawMessage                   // settings to be refused; nil: not covered
	Examples  map[string]pluginapi.Examples     // by [TypeKey]; those that are set replace what the plugin describes
	Workspace func(t TB) pluginapi.Workspace    // nil gives an empty directory
	Parallel  int                               // runs at the same time; 0 is 20
	StopGrace time.Duration                     // for runs that end when told to; 0 is ten seconds
	Only      func(t pluginapi.ActionType) bool // action types to exercise; nil means all
}

// TypeKey is how options name an action type: its name, and its runner if it has one: shell/local.
func TypeKey(t pluginapi.ActionType) string {
	if t.Runner == "" {
		return t.Name
	}
	return t.Name + "/" + t.Runner
}

// TestRunner runs the suite. open makes an instance for each case.
func TestRunner[S Test[S]](t S, open Opener, opts RunnerOptions) {
	t.Helper()
	run(t, RunnerCases(t, open, opts))
}

// RunnerCases are the cases that a runner should pass, for each of its action types. An instance is started to see which it
// has.
func RunnerCases(t TB, open Opener, opts RunnerOptions) []Case {
	t.Helper()
	if opts.Parallel == 0 {
		opts.Parallel = 20
	}
	if opts.StopGrace == 0 {
		opts.StopGrace = 10 * time.Second
	}
	suite := &pluginSuite{open: open, kind: pluginapi.KindRunner, config: opts.Config, badConfig: opts.BadConfig}
	description := suite.look(t)
	if len(description.ActionTypes) == 0 {
		under(t, ruleActionType).Errorf("the runner describes no action types")
	}
	cases := suite.cases()
	for _, actionType := range description.ActionTypes {
		if opts.Only == nil || opts.Only(actionType) {
			s := &runnerSuite{pluginSuite: suite, opts: opts, actionType: actionType}
			s.examples = merge(actionType.Examples, opts.Examples[TypeKey(actionType)])
			cases = append(cases, s.cases()...)
		}
	}
	return cases
}

// merge returns the examples with those of other that are set in their place.
func merge(examples, other pluginapi.Examples) pluginapi.Examples {
	fields := examples.ByName()
	for name, example := range other.ByName() {
		if len(*example) > 0 {
			*fields[name] = *example
		}
	}
	return examples
}

// runnerSuite are the cases of one action type.
type runnerSuite struct {
	*pluginSuite
	opts       RunnerOptions
	actionType pluginapi.ActionType
	examples   pluginapi.Examples
}

// What examples are called where they are missing.
const (
	needSucceed      = "succeed (ends with exit code 0 within seconds)"
	needFail         = "fail (ends with another exit code within seconds)"
	needLong         = "long (runs for a minute, ends when told to stop)"
	needLarge        = "large (writes the numbers 1 to 1500000, one a line)"
	needStubborn     = "stubborn (writes a line, runs for a minute whatever polite signals it gets)"
	needKilled       = "killed (ends by a signal that nobody sent from outside)"
	needUnterminated = `unterminated (writes "no newline", without one)`
	needEndless      = "endless (writes as fast as it can until told to stop)"
)

func (s *runnerSuite) cases() []Case {
	e := s.examples
	var cases []Case
	prefix := strings.ReplaceAll(TypeKey(s.actionType), "/", "-") + " "
	add := func(title string, rule Rule, test func(t TB), needs ...string) {
		cases = append(cases, newCase(prefix+title, rule, test).unless(needs...))
	}
	example := func(spec json.RawMessage, what string) string {
		if len(spec) > 0 {
			return ""
		}
		return "the example " + what + " for " + TypeKey(s.actionType)
	}
	succeed, fail, long := example(e.Succeed, needSucceed), example(e.Fail, needFail), example(e.Long, needLong)
	large, stubborn, endless := example(e.Large, needLarge), example(e.Stubborn, needStubborn), example(e.Endless, needEndless)
	add("type", ruleActionType, s.testType)
	add("bad spec", ruleBadSpec, s.testBadSpec)
	add("started first", ruleStarted, s.testStarted, succeed)
	add("finished once", ruleFinished, s.testFinished, fail)
	add("succeed", ruleExitCode, s.testSucceed, succeed)
	add("fail", ruleExitCode, s.testFail, fail)
	add("killed", ruleSignal, s.testKilled, example(e.Killed, needKilled))
	add("large output", ruleComplete, s.testLarge, large)
	add("unterminated output", ruleUnterminated, s.testUnterminated, example(e.Unterminated, needUnterminated))
	add("slow host", ruleSlowHost, s.testSlowHost, large)
	add("chunks", ruleChunks, s.testChunks, endless)
	add("flush", ruleFlush, s.testFlush, stubborn)
	add("stop", ruleStop, s.testStop, long)
	add("stop at once", ruleStop, s.testStopAtOnce, long)
	add("time out", ruleStop, s.testTimeOut, long)
	add("stop while writing", ruleStop, s.testStopEndless, endless)
	add("stop by force", ruleStopForce, s.testStopForce, stubborn)
	add("stop twice", ruleStopTwice, s.testStopTwice, long)
	add("nothing left", ruleLeft, s.testNothingLeft, long)
	add("same id", ruleRunID, s.testSameID, long)
	add("remove", ruleRemove, s.testRemove, succeed)
	add("remove unknown", ruleRemove, s.testRemoveUnknown)
	add("remove under way", ruleRemoveLive, s.testRemoveUnderWay, long)
	add("parallel", ruleParallel, s.testParallel, succeed)
	add("stream cancelled", ruleCancelled, s.testCancelled, long)
	if s.binary == nil {
		return cases
	}
	add("secrets", ruleSecrets, s.testSecrets, succeed)
	add("remove after a crash", ruleRemoveLost, s.testRemoveLost, long)
	if memory(os.Getpid()) > 0 {
		add("back-pressure", rulePressure, s.testPressure, endless)
	}
	if canDie {
		add("host gone", ruleHostGone, s.testRunHostGone, long, noHost())
	}
	if s.actionType.Attachable {
		add("attach", ruleAttach, s.testAttach, long)
		add("attach since", ruleAttachSince, s.testAttachSince, stubborn)
		add("attach gone", ruleAttach, s.testAttachGone, long)
	}
	return cases
}

// newID returns an id that no other run has.
func newID() string { return strings.ToLower(rand.Text()) }

// runner returns a fresh, configured instance.
func (s *runnerSuite) runner(t TB) *Instance {
	t.Helper()
	i := s.open(t)
	s.configure(t, i)
	return i
}

// runVariable is in the environment of every run, to find its processes.
const runVariable = "STROEM_CONFORMANCE_RUN"

// request returns a request to run the spec.
func (s *runnerSuite) request(t TB, spec json.RawMessage) *pluginv1.RunRequest {
	t.Helper()
	id := newID()
	req := &pluginv1.RunRequest{
		RunId: id, Type: s.actionType.Name, Runner: s.actionType.Runner, Spec: spec,
		Env:        map[string]string{"STROEM_CONFORMANCE": "1", runVariable: id},
		Workspace:  &pluginv1.Workspace{},
		ScratchDir: runDir(t), StopGrace: durationpb.New(s.opts.StopGrace),
		Labels: map[string]string{"job": "conformance", "step": "step"},
	}
	switch {
	case s.opts.Workspace != nil:
		w := s.opts.Workspace(t)
		req.Workspace = &pluginv1.Workspace{Dir: w.Dir, Url: w.URL, Token: w.Token}
	case s.actionType.Workspace == pluginapi.WorkspaceHostDir:
		req.Workspace.Dir = runDir(t)
	}
	return req
}

// runDir makes a directory for a run. Unlike those of a test it may be removed while what is left of a run that was given up
// still writes into it: that is tried again.
func runDir(t TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stroem-run-")
	wantOK(t, "make a directory", err)
	t.Cleanup(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		err := os.RemoveAll(dir)
		for n := 0; n < 100 && err != nil; n++ {
			<-tick.C
			err = os.RemoveAll(dir)
		}
		if err != nil {
			t.Errorf("remove the directory of a run: %v", err)
		}
	})
	return dir
}

func (s *runnerSuite) testType(t TB) {
	a := s.actionType
	if !names.MatchString(a.Name) || !names.MatchString(a.Tag) || (a.Runner != "" && !names.MatchString(a.Runner)) {
		t.Errorf("name %q, runner %q and tag %q: each has to match %s; only the runner may be empty", a.Name, a.Runner, a.Tag, names)
	}
	if len(a.SpecSchema) == 0 {
		t.Errorf("a type needs a schema: without one no workspace can be checked")
	}
	p := hostapi.NewPlugin(s.runner(t), "plugin")
	for _, spec := range []json.RawMessage{s.examples.Succeed, s.examples.Fail} {
		if len(spec) == 0 {
			continue
		}
		problems, err := p.Validate(within(t, patience), &pluginapi.ValidateRequest{Type: a.Name, Runner: a.Runner, Spec: spec})
		wantOK(t, "Validate", err)
		if err := problems.Err(); err != nil {
			t.Errorf("Validate finds problems with the example %s: %v", spec, err)
		}
	}
}
