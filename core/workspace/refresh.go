package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/pluginapi"
)

// refreshLimit bounds one look at a source, its fetch included.
const refreshLimit = 5 * time.Minute

// Refresh asks the source of a workspace for the current revision, and loads that if it is new. The error is what is
// then shown as the workspace's.
func (m *Manager) Refresh(ctx context.Context, name string) error {
	e := m.all[name]
	if e == nil {
		return core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	e.refresh.Lock()
	defer e.refresh.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	err := m.refresh(ctx, e)
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := false
	if err != nil && !errors.Is(err, context.Canceled) {
		changed = e.status.Error != err.Error()
		e.status.Error = err.Error()
	}
	if changed {
		m.config.Logger.WarnContext(ctx, "workspace", "name", name, "error", err, "in_use", e.status.Revision)
	}
	e.tried = true
	return err
}

func (m *Manager) refresh(ctx context.Context, e *entry) error {
	source, ok := m.config.Sources.Source(e.source.Type)
	if !ok {
		return core.Errorf(core.CodeUnavailable, "", "the source plugin source-%s is not available", e.source.Type)
	}
	revision, err := source.Resolve(ctx, &pluginapi.ResolveRequest{Workspace: e.name, Settings: e.source.Settings})
	if err != nil {
		return &core.Error{Code: core.CodeUnavailable, Message: "cannot ask for the current revision", Err: err}
	}
	e.mu.Lock()
	e.status.CheckedAt = time.Now()
	current, failed := e.status.Revision, e.failed
	if revision.ID == current { // also when it was left and is back
		e.status.Error, e.status.Diagnostics, e.failed = "", e.status.Diagnostics.Warnings(), ""
	}
	lastError := e.status.Error
	e.mu.Unlock()
	switch revision.ID {
	case current:
		return nil
	case failed:
		return errors.New(lastError)
	}
	fetched, dir, err := m.fetch(ctx, source, e, revision.ID)
	if err != nil {
		return err
	}
	return m.load(e, fetched, dir)
}

// fetch fills a directory with a revision, unless it is there already. The directory appears with all its files.
func (m *Manager) fetch(ctx context.Context, source pluginapi.Source, e *entry, id string) (*pluginapi.Revision, string, error) {
	if !revisionRule.MatchString(id) {
		return nil, "", fmt.Errorf("the source names the revision %q, which is no revision", id)
	}
	parent := filepath.Join(m.config.Dir, e.name)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, "", fmt.Errorf("create the workspace's directory: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return nil, "", fmt.Errorf("create a directory for the revision: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	fetched, err := source.Fetch(ctx, &pluginapi.FetchRequest{Workspace: e.name, Settings: e.source.Settings, Revision: id, Dir: tmp})
	if err != nil {
		return nil, "", &core.Error{Code: core.CodeUnavailable, Message: "cannot fetch revision " + id, Err: err}
	}
	if !revisionRule.MatchString(fetched.ID) {
		return nil, "", fmt.Errorf("the source fetched the revision %q, which is no revision", fetched.ID)
	}
	dir := m.dir(e.name, fetched.ID)
	if _, err := os.Stat(dir); err == nil {
		return fetched, dir, nil // from an earlier process, and revisions never change
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, "", fmt.Errorf("put the revision in place: %w", err)
	}
	return fetched, dir, nil
}

// load validates a revision and makes it the current one if it is good.
func (m *Manager) load(e *entry, revision *pluginapi.Revision, dir string) error {
	content, diagnostics := m.config.Load(dir)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Diagnostics = diagnostics
	if err := diagnostics.Err(); err != nil || content == nil {
		e.failed = revision.ID
		return core.Errorf(core.CodeInvalid, "", "revision %s has errors: %s", short(revision.ID), firstLine(diagnostics))
	}
	e.content, e.failed = content, ""
	e.status = Status{
		Name: e.name, Revision: revision.ID, Tasks: len(content.Tasks), Actions: len(content.Actions), Triggers: len(content.Triggers),
		Diagnostics: diagnostics, Source: *revision, CheckedAt: e.status.CheckedAt,
	}
	m.config.Logger.Info("workspace loaded", "name", e.name, "revision", short(revision.ID), "tasks", len(content.Tasks), "warnings", len(diagnostics))
	return nil
}
