package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// Host runs plugins. Its methods may be called concurrently.
type Host struct {
	config      Config
	supervisors []*supervisor
	work        context.Context
	endWork     context.CancelFunc
	endRun      context.CancelFunc
	group       sync.WaitGroup

	mu      sync.Mutex
	owners  map[actionKey]*supervisor
	changed chan struct{} // closed and replaced when a plugin's state changes
}

// Status is what can be told of a plugin.
type Status struct {
	File        string // runner-docker
	Name        string // docker
	Kind        pluginapi.Kind
	Version     string // "" before it has started once
	Path        string
	State       State
	Since       time.Time // when it came into State
	PID         int       // of its process, 0 when it has none that is up
	Restarts    int       // starts of a process after the first
	LastError   string    // what went wrong last, "" once it is ready and answers
	ActionTypes []pluginapi.ActionType
}

// New finds the plugins that the configuration asks for; nothing is started.
func New(config Config) (*Host, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	config.Limits = config.Limits.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	h := &Host{config: config, owners: map[actionKey]*supervisor{}, changed: make(chan struct{})}
	candidates, err := discover(&h.config)
	if err != nil {
		return nil, err
	}
	h.work, h.endWork = context.WithCancel(context.Background())
	for _, c := range candidates {
		h.supervisors = append(h.supervisors, newSupervisor(h, c, config.Logger))
	}
	return h, nil
}

// Start launches all plugins, and returns when each is up, has failed or waits for its next start. Plugins that do not
// come up are no error: they are told by Plugins. Two plugins that offer the same are one.
func (h *Host) Start(ctx context.Context) error {
	run, endRun := context.WithCancel(context.WithoutCancel(ctx))
	h.endRun = endRun
	for _, s := range h.supervisors {
		h.group.Go(func() { s.run(run) })
	}
	for _, s := range h.supervisors {
		select {
		case <-s.settled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return h.conflict()
}

// Close takes no more calls, waits for those under way until ctx ends, and stops all plugins. After that it waits for runs only
// as long as they take to stop; an output of theirs that does not return holds it up.
func (h *Host) Close(ctx context.Context) error {
	if h.endRun != nil {
		defer context.AfterFunc(ctx, h.endWork)()
		h.endRun()
		h.group.Wait()
	}
	h.endWork()
	return nil
}

// Kill ends the processes of all plugins that are up, and with them the steps that do not outlive their plugin. It waits for
// nothing and starts nothing; to do that for good, Close has to follow.
func (h *Host) Kill() {
	for _, s := range h.supervisors {
		s.mu.Lock()
		if s.current != nil {
			s.current.kill()
		}
		s.mu.Unlock()
	}
}

// claim reserves the action types of a plugin in place of those that it had; two plugins cannot offer the same. They stay
// reserved when the plugin fails for good, so that a conflict is found whatever dies first.
func (h *Host) claim(s *supervisor, d *pluginapi.Description) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range d.ActionTypes {
		if owner := h.owners[keyOf(t)]; owner != nil && owner != s {
			return fmt.Errorf("%w: %s and %s both run %s; disable one in plugins", ErrConflict, owner.binary.path(), s.binary.path(), keyOf(t))
		}
	}
	maps.DeleteFunc(h.owners, func(_ actionKey, owner *supervisor) bool { return owner == s })
	for _, t := range d.ActionTypes {
		h.owners[keyOf(t)] = s
	}
	return nil
}

// conflict is the error of a plugin that offers what another one offers.
func (h *Host) conflict() error {
	for _, s := range h.supervisors {
		if err := s.refused(); errors.Is(err, ErrConflict) {
			return err
		}
	}
	return nil
}

// Runner returns the plugin that runs an action type, as long as it can; the plugin stays valid across restarts.
func (h *Host) Runner(actionType, runner string) (pluginapi.Runner, bool) {
	h.mu.Lock()
	s := h.owners[actionKey{actionType, runner}]
	h.mu.Unlock()
	if s == nil {
		return nil, false
	}
	return runnerHandle{handle{s}}, true
}

// Source returns the source plugin of a name: folder, git.
func (h *Host) Source(name string) (pluginapi.Source, bool) {
	s := h.find(pluginapi.KindSource, name)
	if s == nil {
		return nil, false
	}
	return sourceHandle{handle{s}}, true
}

// LogStore returns the log store plugin of a name: s3.
func (h *Host) LogStore(name string) (pluginapi.LogStore, bool) {
	s := h.find(pluginapi.KindLogStore, name)
	if s == nil {
		return nil, false
	}
	return logStoreHandle{handle{s}}, true
}

func (h *Host) find(kind pluginapi.Kind, name string) *supervisor {
	for _, s := range h.supervisors {
		if s.kind == kind && s.name == name {
			return s
		}
	}
	return nil
}

// ActionTypes are the types that can be run now: those of runners that are ready.
func (h *Host) ActionTypes() []pluginapi.ActionType {
	var types []pluginapi.ActionType
	for _, s := range h.supervisors {
		if status := s.status(); status.State == StateReady {
			types = append(types, status.ActionTypes...)
		}
	}
	return types
}

// Plugins tells about all plugins, sorted by file name.
func (h *Host) Plugins() []Status {
	list := make([]Status, len(h.supervisors))
	for i, s := range h.supervisors {
		list[i] = s.status()
	}
	return list
}

// Changed returns a channel that is closed when a plugin's state changes.
func (h *Host) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *Host) announce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// Dir is the plugin directory when the configuration names none: plugins beside the executable, else the system's.
func Dir(configured string) string {
	if configured != "" {
		return configured
	}
	if exe, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(exe), "plugins")
		if info, err := os.Stat(beside); err == nil && info.IsDir() {
			return beside
		}
	}
	return "/usr/lib/stroem/plugins"
}
