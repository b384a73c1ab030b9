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
	known   []pluginapi.ActionType // that were ever offered
	changed chan struct{}
	steps   map[string]behaviour
	runs    map[string]int // by step name
	now     int
	most    int                  // steps at the same time
	attach  map[string]attaching // by step name; others are gone
	removed []*pluginapi.RemoveRequest

	removing chan struct{} // Remove waits until it is closed, or given up; nil: it does not
	stuck    error         // what Remove fails with
}

// attaching is what a step does that is taken up.
type attaching func(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error)

func newScripted(steps map[string]behaviour) *scripted {
	s := &scripted{
		steps: steps, runs: map[string]int{}, changed: make(chan struct{}),
		types: []pluginapi.ActionType{
			{Name: "shell", Runner: "local", Tag: "shell", Workspace: pluginapi.WorkspaceHostDir, Attachable: true},
			{Name: "acme.noop", Tag: "acme"},
			{Name: "shell", Runner: "pod", Tag: "pods", Workspace: pluginapi.WorkspaceDownload},
		},
	}
	s.known = s.types
	return s
}

func (s *scripted) Runner(actionType, runner string) (pluginapi.Runner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, slices.ContainsFunc(s.known, func(t pluginapi.ActionType) bool { return t.Name == actionType && t.Runner == runner })
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
	s.types, s.known = types, append(slices.Clone(s.known), types...)
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

func (s *scripted) Attach(ctx context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	s.mu.Lock()
	do := s.attach[req.Labels["step"]]
	s.mu.Unlock()
	if do == nil {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "no such container")
	}
	return do(ctx, req, out)
}

func (s *scripted) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	if s.removing != nil {
		select {
		case <-s.removing:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, req)
	return s.stuck
}

// removals are the calls of Remove up to now.
func (s *scripted) removals() []*pluginapi.RemoveRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.removed)
}

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
