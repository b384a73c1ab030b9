package workspace_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// errDown is that of a source that cannot be reached.
var errDown = errors.New("connection refused")

// files are those of a revision by name. Content that starts with "#!" makes an executable, with "-> " a link.
type files map[string]string

// flow is a workspace with one task.
func flow(task string) files {
	return files{".workflows/flow.yaml": "actions: {ok: {type: shell, cmd: 'true'}}\ntasks: {" + task + ": {flow: {a: {action: ok}}}}\n"}
}

// with adds files to those there are.
func (f files) with(more files) files {
	all := files{}
	for _, some := range []files{f, more} {
		maps.Copy(all, some)
	}
	return all
}

func (f files) writeTo(dir string) error {
	for name, content := range f {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, name)
		} else if strings.HasPrefix(content, "#!") {
			err = os.WriteFile(name, []byte(content), 0o777)
		} else {
			err = os.WriteFile(name, []byte(content), 0o666)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// broken is a workspace with an error.
var broken = files{".workflows/flow.yaml": "tasks: 5\n"}

// source is a source in memory: a repository of revisions, one of which is current.
type source struct {
	mu         sync.Mutex
	current    string
	revisions  map[string]files
	absent     bool  // the plugin is not there
	terse      bool  // Resolve tells nothing but the id
	resolveErr error // what Resolve returns instead
	// onResolve and onFetch run before the answer is made; their error is the answer.
	onResolve func(ctx context.Context) error
	onFetch   func(ctx context.Context, req *pluginapi.FetchRequest) error
	fetchedID string // what Fetch says it fetched; "" is what it was asked for

	unknown     bool   // it is not known what settings the plugin asks for
	settingsErr string // what is wrong with them, after where
	checks      int

	resolves []time.Time
	fetches  []pluginapi.FetchRequest
}

// commit makes a source whose current revision has these files.
func commit(id string, content files) *source {
	s := &source{}
	s.commit(id, content)
	return s
}

// commit makes a revision the current one.
func (s *source) commit(id string, content files) {
	s.change(func() {
		if s.revisions == nil {
			s.revisions = map[string]files{}
		}
		s.revisions[id] = content
		s.current = id
	})
}

// change changes the source while it is in use.
func (s *source) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *source) asked() (resolves, fetches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resolves), len(s.fetches)
}

func (s *source) Resolve(ctx context.Context, _ *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	s.mu.Lock()
	s.resolves = append(s.resolves, time.Now())
	hook := s.onResolve
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resolveErr != nil {
		return nil, s.resolveErr
	}
	if s.terse {
		return &pluginapi.Revision{ID: s.current}, nil
	}
	return describe(s.current), nil
}

func describe(id string) *pluginapi.Revision {
	return &pluginapi.Revision{ID: id, Author: "Ada", Message: "made " + id}
}

func (s *source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	s.mu.Lock()
	s.fetches = append(s.fetches, *req)
	hook := s.onFetch
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, req); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.revisions[req.Revision]
	if !ok {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "revision %s is gone", req.Revision)
	}
	if err := content.writeTo(req.Dir); err != nil {
		return nil, err
	}
	id := req.Revision
	if s.fetchedID != "" {
		id = s.fetchedID
	}
	return describe(id), nil
}

func (*source) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Kind: pluginapi.KindSource, Name: "scripted"}, nil
}

func (*source) Configure(context.Context, *pluginapi.Config) error { return nil }

func (*source) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// checkSettings is what the plugin says of settings.
func (s *source) checkSettings(where string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	if s.unknown {
		return false, nil
	}
	if s.settingsErr != "" {
		return true, errors.New(where + s.settingsErr)
	}
	return true, nil
}

// sources are plugins by type.
type sources map[string]*source

func (all sources) Source(name string) (pluginapi.Source, bool) {
	s, ok := all[name]
	if !ok {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, !s.absent
}

func (all sources) CheckSettings(name, where string, _ json.RawMessage) (bool, error) {
	s, ok := all[name]
	if !ok {
		return false, nil
	}
	return s.checkSettings(where)
}
