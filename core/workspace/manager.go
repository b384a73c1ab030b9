package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

// Sources gives the source plugin of a type: folder, git, vendor.name. ok is false while it is not available.
type Sources interface {
	Source(name string) (source pluginapi.Source, ok bool)
}

// Config says which workspaces there are, and where their revisions are kept.
type Config struct {
	Dir        string // for revisions and tarballs; created
	Sources    Sources
	Workspaces map[string]Source // by name
	Logger     *slog.Logger
	// Load reads the files of a revision; nil is workflow.Load without decryption.
	Load func(dir string) (*core.Workspace, workflow.Diagnostics)
}

// Source says where the files of a workspace come from.
type Source struct {
	Type     string
	Interval time.Duration // between two questions for the current revision; 0: 2 s for a folder, else a minute
	Settings json.RawMessage
}

// Status is what is known of a workspace.
type Status struct {
	Name        string
	Revision    string // "" while none was good
	Tasks       int
	Actions     int
	Triggers    int
	Error       string // why the newest revision is not the one that is used; "" if it is
	Diagnostics workflow.Diagnostics
	Source      pluginapi.Revision // of Revision: who, when, what for
	CheckedAt   time.Time          // when the source last answered
}

// Manager is safe for concurrent use. Run polls; everything else answers from memory.
type Manager struct {
	config Config
	all    map[string]*entry
}

// entry is one workspace.
type entry struct {
	name   string
	source Source

	mu      sync.RWMutex
	tried   bool
	content *core.Workspace // nil while none was good
	status  Status
	failed  string // revision that could not be loaded: not tried again until there is another one

	refresh sync.Mutex // one load at a time
	pack    sync.Mutex // one tarball at a time
}

const (
	folderInterval = 2 * time.Second
	otherInterval  = time.Minute
	maxBackoff     = 5 * time.Minute
)

var (
	nameRule     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)
	revisionRule = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]{0,127}$`)
)

// New makes a manager; nothing is loaded before Run.
func New(config Config) (*Manager, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the workspaces: %w", err)
	}
	if config.Load == nil {
		config.Load = func(dir string) (*core.Workspace, workflow.Diagnostics) {
			return workflow.Load(os.DirFS(dir), workflow.Options{})
		}
	}
	m := &Manager{config: config, all: map[string]*entry{}}
	for name, source := range config.Workspaces {
		if !nameRule.MatchString(name) {
			return nil, fmt.Errorf("the workspace name %q has to be of letters, digits, _, . and -, at most 100", name)
		}
		if source.Interval == 0 {
			source.Interval = otherInterval
			if source.Type == "folder" {
				source.Interval = folderInterval
			}
		}
		m.all[name] = &entry{name: name, source: source, status: Status{Name: name}}
	}
	return m, nil
}

// Run polls all sources, each at its own pace, until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, e := range m.all {
		group.Go(func() { m.poll(ctx, e) })
	}
	group.Wait()
}

func (m *Manager) poll(ctx context.Context, e *entry) {
	delay := e.source.Interval
	for {
		err := m.Refresh(ctx, e.name)
		if ctx.Err() != nil {
			return
		}
		if delay = e.source.Interval; err != nil && core.ErrorCode(err) == core.CodeUnavailable {
			delay = min(2*delay, max(maxBackoff, e.source.Interval))
		}
		// Jitter keeps many workspaces from asking at the same moment.
		timer := time.NewTimer(delay*9/10 + rand.N(delay/5+1)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// Workspace returns the last good content of a workspace and its revision. Errors: not_found, and unavailable as long as
// there was no good revision.
func (m *Manager) Workspace(name string) (*core.Workspace, string, error) {
	e := m.all[name]
	if e == nil {
		return nil, "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.content == nil {
		reason := e.status.Error
		if reason == "" {
			reason = "it is being loaded"
		}
		return nil, "", core.Errorf(core.CodeUnavailable, "workspace_unavailable", "Workspace '%s' cannot be used: %s", name, reason)
	}
	return e.content, e.status.Revision, nil
}

// List returns the state of all workspaces by name.
func (m *Manager) List() []Status {
	list := make([]Status, 0, len(m.all))
	for _, name := range slices.Sorted(maps.Keys(m.all)) {
		e := m.all[name]
		e.mu.RLock()
		list = append(list, e.status)
		e.mu.RUnlock()
	}
	return list
}

// Ready tells whether every workspace was tried once, with or without success.
func (m *Manager) Ready() bool {
	for _, e := range m.all {
		e.mu.RLock()
		tried := e.tried
		e.mu.RUnlock()
		if !tried {
			return false
		}
	}
	return true
}

// Dir is where the files of a revision are, or would be.
func (m *Manager) dir(name, revision string) string {
	return filepath.Join(m.config.Dir, name, revision)
}
