package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// supervisor takes one plugin through its states. Its goroutine alone moves the machine; the rest is read by callers.
type supervisor struct {
	*candidate
	host *Host
	log  *slog.Logger
	work context.Context // ends when calls have to end: the host cannot wait for them any longer
	runs *runs

	mu          sync.Mutex
	machine     *machine
	current     *instance // up, whatever its health
	description *pluginapi.Description
	specs       specSchemas // of its action types
	lastError   string
	cause       error         // of the last move for the worse
	settled     chan struct{} // closed when the first start has come to something
	once        sync.Once
}

func newSupervisor(h *Host, c *candidate, log *slog.Logger) *supervisor {
	return &supervisor{
		candidate: c, host: h, log: log.With("plugin", c.file), work: h.work, runs: newRuns(),
		machine: newMachine(h.config.Limits, time.Now()), settled: make(chan struct{}),
	}
}

// known is the description of the plugin, nil as long as it has not started once.
func (s *supervisor) known() *pluginapi.Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.description
}

// attachable tells whether runs of an action type outlive the plugin.
func (s *supervisor) attachable(key actionKey) bool {
	description := s.known()
	return description != nil && slices.ContainsFunc(description.ActionTypes, func(t pluginapi.ActionType) bool {
		return t.Attachable && t.Name == key.name && t.Runner == key.runner
	})
}

// spec is the schema of an action type's spec, nil if it has none.
func (s *supervisor) spec(key actionKey) *specSchema {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.specs[key]
}

// refused is why the plugin must not run, nil if it may.
func (s *supervisor) refused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine.state != StateFailed {
		return nil
	}
	return s.cause
}

func (s *supervisor) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.state
}

// acquire counts a call to the instance of the moment, unless there is none that takes calls.
func (s *supervisor) acquire() (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.machine.state != StateReady && s.machine.state != StateUnhealthy ||
		s.current.ended() || !s.current.calls.begin() {
		reason := s.lastError
		if reason == "" {
			reason = "no process runs"
		}
		return nil, away(s.label(), "the plugin is %s: %s", s.machine.state, reason)
	}
	return s.current, nil
}

// on takes in an event; what others can see of it is announced.
func (s *supervisor) on(e event, cause error) State {
	s.mu.Lock()
	before := s.machine.state
	after := s.machine.on(e, time.Now())
	if cause != nil {
		s.cause, s.lastError = cause, oneLine(cause)
	} else if after == StateReady {
		s.cause, s.lastError = nil, ""
	}
	s.mu.Unlock()
	if before != after {
		s.tell(after, cause)
		s.host.announce()
	}
	if after != StateStarting && after != StateConfiguring {
		s.once.Do(func() { close(s.settled) }) // after it was told: who waits for the start may end the program next
	}
	return after
}

func (s *supervisor) tell(state State, cause error) {
	switch {
	case state == StateFailed:
		s.log.Error("plugin has failed and is not started again", "path", s.binary.path(), "error", cause)
	case state == StateUnhealthy && !s.configured:
		s.log.Info("plugin is not available", "reason", cause)
	case cause != nil:
		s.log.Warn("plugin", "state", string(state), "error", cause)
	default:
		s.log.Debug("plugin", "state", string(state))
	}
}

// run supervises until stop ends, then drains.
func (s *supervisor) run(stop context.Context) {
	for stop.Err() == nil {
		switch s.state() {
		case StateStarting:
			s.start(stop)
		case StateReady, StateUnhealthy:
			s.watch(stop)
		case StateBackoff:
			s.pause(stop)
		default:
			<-stop.Done()
		}
	}
	s.drain()
}

// health asks a process whether it can work. A failure that the plugin reports means that it cannot; an error means that
// there was no answer.
func (s *supervisor) health(ctx context.Context, i *instance) (*pluginapi.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, s.host.config.Limits.HealthTimeout)
	defer cancel()
	health, err := i.plugin().CheckHealth(ctx)
	if err == nil || ctx.Err() != nil || noAnswer(ctx, err) || s.cutOff(ctx, err) {
		return health, err
	}
	return &pluginapi.Health{State: pluginapi.Unhealthy, Message: err.Error()}, nil
}

// cutOff says whether a health check ended with its time: the connection may tell that a moment before the context does.
func (s *supervisor) cutOff(ctx context.Context, err error) bool {
	code := pluginapi.CodeOf(err)
	deadline, limited := ctx.Deadline()
	return limited && time.Until(deadline) < s.host.config.Limits.HealthTimeout/10 && (code == pluginapi.CodeCanceled || code == pluginapi.CodeTimeout)
}

// watch asks a process that is up for its health until it is up no more.
func (s *supervisor) watch(stop context.Context) {
	i := s.instance()
	ticker := time.NewTicker(s.host.config.Limits.HealthInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop.Done():
			return
		case <-i.exited:
			s.lose(i, i.ending())
			return
		case <-ticker.C:
		}
		health, err := s.health(stop, i)
		state := StateReady
		switch {
		case stop.Err() != nil:
			return
		case err != nil:
			state = s.on(eventMissed, fmt.Errorf("no answer to a health check: %w", err))
		case health.State == pluginapi.Healthy:
			s.on(eventHealthy, nil)
		default:
			s.on(eventSick, errors.New(health.Message))
		}
		if state == StateBackoff || state == StateFailed {
			s.release(i)
			return
		}
	}
}

func (s *supervisor) instance() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *supervisor) lose(i *instance, cause error) {
	s.on(eventLost, cause)
	s.release(i)
}

// release gives up a process: calls to it fail.
func (s *supervisor) release(i *instance) {
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	i.calls.close()
	i.stop(0)
}

func (s *supervisor) pause(stop context.Context) {
	s.mu.Lock()
	wait := s.machine.backoff(rand.Float64()) //nolint:gosec // no secret
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-stop.Done():
	case <-timer.C:
		s.on(eventDue, nil)
	}
}

// drain lets the calls under way end, as long as the host can wait, and stops the process.
func (s *supervisor) drain() {
	s.on(eventStop, nil)
	i := s.instance()
	if i == nil {
		return
	}
	select {
	case <-i.calls.close():
	case <-i.exited:
	}
	i.stop(s.host.config.Limits.Exit)
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
}

// status is what is told of the plugin.
func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		File: s.file, Name: s.name, Kind: s.kind, Path: s.binary.path(), State: s.machine.state,
		Since: s.machine.since, Restarts: s.machine.total - 1, LastError: s.lastError,
	}
	if s.current != nil {
		status.PID = s.current.pid()
	}
	if s.description != nil {
		status.Version = s.description.Version
		status.ActionTypes = slices.Clone(s.description.ActionTypes)
	}
	return status
}
