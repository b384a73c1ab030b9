package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
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
	// CheckSettings holds the settings of a workspace against what the plugin asks for. checked is false as long as
	// that is not known. The error says which key is wrong, below where, and why, and repeats no value.
	CheckSettings(name, where string, settings json.RawMessage) (checked bool, err error)
}

// Config says which workspaces there are, and where their revisions are kept.
type Config struct {
	Dir        string // for revisions and tarballs; created; one process at a time
	Sources    Sources
	Workspaces map[string]Source // by name
	Logger     *slog.Logger
	// Load reads the files of a revision, out of which no link leads; nil is workflow.Load without decryption.
	Load func(files fs.FS) (*core.Workspace, workflow.Diagnostics)
	// Loaded is called when a workspace gets another revision, and when one cannot be used, with the reason: once for each, but
	// again after a restart. It may block; one call at a time for a workspace. nil: nobody cares.
	Loaded func(ctx context.Context, workspace, revision string, err error)
	// Pinned lists the revisions that unfinished jobs need, of all replicas; nil: nothing is ever removed.
	Pinned func(ctx context.Context) ([]core.Pin, error)
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
	Error       string               // why the newest revision is not the one that is used; "" if it is
	Diagnostics workflow.Diagnostics // of the newest revision that was loaded, good or bad
	Source      pluginapi.Revision   // of Revision: who, when, what for
	CheckedAt   time.Time            // when the source last answered
}

// Manager is safe for concurrent use. Run polls; everything else but Refresh and Tarball answers from memory.
type Manager struct {
	config Config
	all    map[string]*entry

	mu      sync.Mutex
	changed chan struct{} // closed when a workspace gets another revision
}

const (
	folderInterval = 2 * time.Second
	otherInterval  = time.Minute
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
		config.Load = func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
			return workflow.Load(files, workflow.Options{})
		}
	}
	m := &Manager{config: config, all: map[string]*entry{}, changed: make(chan struct{})}
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
		e := newEntry(name, source)
		if err := m.tidy(e); err != nil {
			return nil, fmt.Errorf("make room for workspace %s: %w", name, err)
		}
		m.all[name] = e
	}
	return m, nil
}

// Run polls all sources, each at its own pace, until ctx ends. A workspace that was good in an earlier process is there
// at once, whether or not its source answers.
func (m *Manager) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { m.pruneAll(ctx) })
	for _, e := range m.all {
		group.Go(func() {
			m.restore(ctx, e)
			m.poll(ctx, e)
		})
	}
	group.Wait()
}

// Workspace returns the last good content of a workspace and its revision. Errors: not_found, and unavailable as long as
// there was no good revision.
func (m *Manager) Workspace(name string) (*core.Workspace, string, error) {
	e, err := m.entry(name)
	if err != nil {
		return nil, "", err
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

// Status returns the state of a workspace. Errors: not_found.
func (m *Manager) Status(name string) (Status, error) {
	e, err := m.entry(name)
	if err != nil {
		return Status{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.status, nil
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

// Names are those of all workspaces, loaded or not, in order.
func (m *Manager) Names() []string { return slices.Sorted(maps.Keys(m.all)) }

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

// Changed returns a channel that is closed when any workspace gets another revision. Whoever wants to hear of the next
// change, too, asks again before looking at the workspaces.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *Manager) announce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Manager) entry(name string) (*entry, error) {
	e := m.all[name]
	if e == nil {
		return nil, core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	return e, nil
}
