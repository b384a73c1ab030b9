package workspace

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

// races is how often a source may change between two calls before it is left for later.
const races = 3

// update brings the newest revision of a workspace into use.
func (m *Manager) update(ctx context.Context, e *entry, force bool) error {
	source, err := m.source(e)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		revision, err := source.Resolve(ctx, &pluginapi.ResolveRequest{Workspace: e.name, Settings: e.source.Settings})
		if err != nil {
			return &core.Error{Code: core.CodeUnavailable, Message: "cannot ask for the current revision", Err: err}
		}
		if !revisionRule.MatchString(revision.ID) {
			return core.Errorf(core.CodeUnavailable, "", "the source names the revision %q, which is no revision", revision.ID)
		}
		if known, err := e.known(revision.ID, force); known {
			return err
		}
		files, fetched, err := m.fetch(ctx, source, e, revision.ID)
		if pluginapi.CodeOf(err) == pluginapi.CodeNotFound && try < races {
			continue // it changed in the meantime
		}
		if err != nil {
			return &core.Error{Code: core.CodeUnavailable, Message: "cannot fetch revision " + short(revision.ID), Err: err}
		}
		if fetched != nil && *revision == (pluginapi.Revision{ID: revision.ID}) {
			revision = fetched // some sources know nothing but the id before
		}
		return m.load(ctx, e, *revision, files)
	}
}

// source returns the plugin that a workspace comes from, once the workspace's settings are what the plugin asks for.
// Whether they are is known when the plugin has been up, and need not be looked at again. Errors: unavailable, invalid.
func (m *Manager) source(e *entry) (pluginapi.Source, error) {
	source, ok := m.config.Sources.Source(e.source.Type)
	if !ok {
		return nil, core.Errorf(core.CodeUnavailable, "", "the source plugin source-%s is not available", e.source.Type)
	}
	if !e.checked.Load() {
		checked, err := m.config.Sources.CheckSettings(e.source.Type, "workspaces."+e.name, e.source.Settings)
		if err != nil {
			return nil, core.Errorf(core.CodeInvalid, "", "%s", err)
		}
		e.checked.Store(checked)
	}
	return source, nil
}

// read loads the files of a revision; links do not lead out of its directory. A panic costs the revision alone.
func (m *Manager) read(e *entry, s stored) (content *core.Workspace, diagnostics workflow.Diagnostics) {
	defer func() {
		if r := recover(); r != nil {
			m.config.Logger.Error("a defect stopped the loading of a workspace", "workspace", e.name, "revision", short(s.id),
				"panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack())) // the value may tell a secret
			content, diagnostics = nil, problem("a defect of the server stopped the loading of this revision; its log says where")
		}
	}()
	root, err := os.OpenRoot(m.dir(e, s))
	if err != nil {
		return nil, problem(err.Error())
	}
	defer func() { _ = root.Close() }() // only read from
	if content, diagnostics = m.config.Load(root.FS()); content != nil {
		content.Digest = s.digest
	}
	return content, diagnostics
}

func problem(message string) workflow.Diagnostics {
	return workflow.Diagnostics{{Severity: workflow.SeverityError, Message: message}}
}

// load validates a revision and makes it the current one if it is good.
func (m *Manager) load(ctx context.Context, e *entry, revision pluginapi.Revision, files stored) error {
	content, diagnostics := m.read(e, files)
	if content == nil || diagnostics.Err() != nil {
		err := core.Errorf(core.CodeInvalid, "", "revision %s has errors: %s", short(revision.ID), firstLine(diagnostics))
		e.reject(revision.ID, err, diagnostics)
		m.tell(ctx, e, files, err)
		return err
	}
	before, changed := e.use(revision, content, Status{Diagnostics: diagnostics})
	defer m.tell(ctx, e, files, nil) // last of all: it may take its time
	if !changed {
		return nil
	}
	if before.id != "" {
		m.touch(e, before) // it was in use until now
	}
	if err := m.remember(e, revision, files); err != nil {
		m.config.Logger.WarnContext(ctx, "a restart will not know the workspace's revision", "workspace", e.name, "error", err)
	}
	m.config.Logger.InfoContext(ctx, "workspace loaded", "workspace", e.name, "revision", short(revision.ID),
		"tasks", len(content.Tasks), "warnings", len(diagnostics))
	m.announce()
	return nil
}

// tell says what came of a load, unless that is no news: a bad revision is loaded again and again.
func (m *Manager) tell(ctx context.Context, e *entry, files stored, err error) {
	if e.isNews(outcome(files, err)) && m.config.Loaded != nil {
		m.config.Loaded(ctx, e.name, files.id, err)
	}
}

func outcome(files stored, err error) string {
	if err != nil {
		return files.String() + ": " + err.Error()
	}
	return files.String()
}

func short(revision string) string { return revision[:min(len(revision), 12)] }

func firstLine(diagnostics workflow.Diagnostics) string {
	bad := diagnostics.Errors()
	switch len(bad) {
	case 0:
		return "it has no content"
	case 1:
		return bad[0].String()
	default:
		return fmt.Sprintf("%s (and %d more)", bad[0].String(), len(bad)-1)
	}
}
