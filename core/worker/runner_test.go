package worker_test

import (
	"context"
	"slices"
	"sync"

	"github.com/stroem/stroem/pluginapi"
)

// behaviour is what a step does.
type behaviour func(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error)

// scripted is a runner whose steps do what the test says, by the step's name; others succeed at once. It is the worker's
// source of runners, too.
type scripted struct {
	pluginapi.Plugin

	mu      sync.Mutex
	types   []pluginapi.ActionType
	changed chan struct{}
	steps   map[string]behaviour
	runs    map[string]int // by step name
	now     int
	most    int // steps at the same time
}

func newScripted(steps map[string]behaviour) *scripted {
	return &scripted{
		steps: steps, runs: map[string]int{}, changed: make(chan struct{}),
		types: []pluginapi.ActionType{
			{Name: "shell", Runner: "local", Tag: "shell", Workspace: pluginapi.WorkspaceHostDir, Attachable: true},
			{Name: "acme.noop", Tag: "acme"},
		},
	}
}

func (s *scripted) Runner(actionType, runner string) (pluginapi.Runner, bool) {
	return s, slices.ContainsFunc(s.ActionTypes(), func(t pluginapi.ActionType) bool { return t.Name == actionType && t.Runner == runner })
}

func (s *scripted) ActionTypes() []pluginapi.ActionType {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.types
}

// Changed is closed by offer.
func (s *scripted) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// offer changes the action types.
func (s *scripted) offer(types ...pluginapi.ActionType) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types = types
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *scripted) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	name := req.Labels["step"]
	s.mu.Lock()
	s.runs[name]++
	s.now++
	s.most = max(s.most, s.now)
	do := s.steps[name]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	if do == nil {
		do = exit(0)
	}
	return do(ctx, req, out)
}

func (s *scripted) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }

// ran is how often a step was run.
func (s *scripted) ran(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[name]
}

// exit ends at once.
func exit(code int) behaviour {
	return func(_ context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		return &pluginapi.Result{ExitCode: code}, out.Started([]byte("state"))
	}
}

// say writes to stdout and ends.
func say(text string) behaviour {
	return func(_ context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		_, err := out.Stdout().Write([]byte(text))
		return &pluginapi.Result{}, err
	}
}

// gate is a step that says that it runs, and then does so until it is opened or stopped.
type gate struct {
	running chan *pluginapi.RunRequest
	open    chan struct{}
	causes  chan error // why it was stopped
}

func newGate() *gate {
	return &gate{running: make(chan *pluginapi.RunRequest, 64), open: make(chan struct{}), causes: make(chan error, 64)}
}

func (g *gate) run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	if err := out.Started(nil); err != nil {
		return nil, err
	}
	g.running <- req
	select {
	case <-g.open:
		return &pluginapi.Result{}, nil
	case <-ctx.Done():
		g.causes <- context.Cause(ctx)
		return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, nil
	}
}
