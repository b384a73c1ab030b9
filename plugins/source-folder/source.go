package main

import (
	"context"
	"io/fs"
	"os"
	"sync"

	"github.com/stroem/stroem/pluginapi"
)

// source brings workspaces from folders. The revision of a folder is a hash of all that is in it.
type source struct {
	mu      sync.Mutex
	indexes map[string]*index // by path of the folder
}

func newSource() *source { return &source{indexes: map[string]*index{}} }

func (*source) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "folder", Version: version, ConfigSchema: configSchema, SettingsSchema: settingsSchema}, nil
}

func (*source) Configure(_ context.Context, cfg *pluginapi.Config) error {
	return decode("config", cfg.Settings, &struct{}{})
}

func (*source) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

func (s *source) Resolve(ctx context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	folder, path, err := openFolder(req.Settings)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }() // only read from
	return s.resolve(ctx, folder, path)
}

func (s *source) resolve(ctx context.Context, folder *os.Root, path string) (*pluginapi.Revision, error) {
	x := s.index(path)
	x.mu.Lock()
	defer x.mu.Unlock()
	seen := x.renew()
	revision, err := scan(ctx, folder, visitor{
		file: func(name string, info fs.FileInfo) (digest, error) { return seen.digest(folder, name, info) },
	})
	if err == nil {
		x.last = revision.ID
	}
	return revision, err
}

// expected tells whether a folder was last seen with this revision.
func (s *source) expected(path, revision string) bool {
	x := s.index(path)
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.last == revision
}

func (s *source) index(path string) *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.indexes[path]
	if !ok {
		x = &index{}
		s.indexes[path] = x
	}
	return x
}

func (s *source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	folder, path, err := openFolder(req.Settings)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }() // only read from
	// Say no before anything is copied, unless it is most likely a yes: files that were just written are all read again.
	if req.Revision != "" && !s.expected(path, req.Revision) {
		current, err := s.resolve(ctx, folder, path)
		if err != nil {
			return nil, err
		}
		if current.ID != req.Revision {
			return nil, gone(path, req.Revision)
		}
	}
	dir, err := os.OpenRoot(req.Dir)
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "open target: %w", err)
	}
	defer func() { _ = dir.Close() }() // every file in it was closed with its error heeded
	// The revision is that of the bytes that were copied, whatever happens to the folder meanwhile.
	revision, err := scan(ctx, folder, copyTo(folder, dir))
	if err != nil {
		return nil, err
	}
	if req.Revision != "" && revision.ID != req.Revision {
		return nil, gone(path, req.Revision)
	}
	return revision, nil
}

func gone(path, revision string) error {
	return pluginapi.Errorf(pluginapi.CodeNotFound, "folder %s has changed: revision %s is gone", path, revision)
}
