package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"golang.org/x/net/http/httpproxy"

	"github.com/stroem/stroem/pluginapi"
)

// source brings workspaces from git repositories. The revision of a workspace is the id of a commit.
type source struct {
	logger *slog.Logger
	webs   *webs
	config config
	store  *store
	warned sync.Map // by URL: that it was said that credentials go over plain http
}

const (
	// resolveLimit bounds the question for the current revision.
	resolveLimit = 30 * time.Second
	// nearby is how many commits of a branch are looked at for one that is no longer its last, where the remote does not
	// hand out what it has not named.
	nearby = 100
)

func newSource(logger *slog.Logger) *source {
	return &source{
		logger: logger, config: defaultConfig(), store: &store{},
		webs: &webs{proxy: httpproxy.FromEnvironment().ProxyFunc(), all: map[[32]byte]*http.Transport{}},
	}
}

func (*source) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "git", Version: version, ConfigSchema: configSchema, SettingsSchema: settingsSchema}, nil
}

func (s *source) Configure(_ context.Context, cfg *pluginapi.Config) error {
	if err := decode("config", cfg.Settings, &s.config); err != nil {
		return err
	}
	if c := s.config; c.MaxFiles < 1 || c.MaxBytes < 1 || c.MaxFileBytes < 1 || c.TimeoutSecs < 1 || c.CacheBytes < 0 {
		return invalid("config: limits must be more than 0")
	}
	var err error
	s.store, err = newStore(cfg.DataDir, s.config.CacheBytes)
	return err
}

func (*source) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Validate checks settings as far as that needs no files and no remote.
//
//nolint:unparam // an error would be one of the plugin, not of the settings
func (s *source) Validate(_ context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	w, err := s.config.parse(req.Spec)
	if err != nil {
		return pluginapi.Diagnostics{{Severity: pluginapi.SeverityError, Message: err.Error()}}, nil
	}
	if w.exposed() {
		return pluginapi.Diagnostics{{Severity: pluginapi.SeverityWarning, Path: "/url", Message: exposedWarning}}, nil
	}
	return nil, nil
}

const exposedWarning = "credentials are sent over plain http, where others can read them; use https"

// exposed tells whether credentials would go over the network as they are.
func (w *workspace) exposed() bool { return w.remote.scheme == schemeHTTP && w.Auth != nil }

func (s *source) Resolve(ctx context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	w, err := s.workspace(ctx, req.Workspace, req.Settings)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	id, err := s.resolve(ctx, w)
	if err != nil {
		return nil, w.explain(err)
	}
	return s.known(w, id), nil
}

func (s *source) workspace(ctx context.Context, name string, settings []byte) (*workspace, error) {
	w, err := s.config.parse(settings)
	if err != nil {
		return nil, err
	}
	if w.exposed() {
		if _, again := s.warned.LoadOrStore(w.remote.String(), true); !again {
			s.logger.WarnContext(ctx, exposedWarning, "workspace", name, "url", w.remote.String())
		}
	}
	return w, nil
}

// resolve returns the id of the current commit.
func (s *source) resolve(ctx context.Context, w *workspace) (string, error) {
	if pinned(w.Ref) {
		if _, ok := s.store.find(w.remote.key(), w.Ref); ok {
			return w.Ref, nil // there is nothing to ask for
		}
	}
	var id string
	err := s.converse(ctx, w, func(_ session, refs *packp.AdvRefs) (err error) {
		if id = w.Ref; !pinned(w.Ref) {
			id, err = tip(refs, w.Ref)
		}
		return err
	})
	return id, err
}

// converse opens a session, asks for what the remote has, and hands both over.
func (s *source) converse(ctx context.Context, w *workspace, talk func(session, *packp.AdvRefs) error) error {
	var conversation session
	var err error
	switch w.remote.scheme {
	case schemeSSH:
		conversation, err = openSSH(ctx, w)
	case schemeFile:
		conversation, err = openFile(ctx, w)
	default:
		conversation, err = s.webs.open(w)
	}
	if err != nil {
		return err
	}
	defer conversation.close()
	refs, err := conversation.refs(ctx)
	switch {
	case err == nil && refs == nil:
		err = pluginapi.Errorf(pluginapi.CodeNotFound, "the repository has no commits yet")
	case err == nil:
		err = talk(conversation, refs)
	}
	if err != nil {
		return errors.Join(ctx.Err(), err) // a connection that was ended for the context tells another story
	}
	return nil
}

func (s *source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	w, err := s.workspace(ctx, req.Workspace, req.Settings)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.timeout())
	defer cancel()
	revision, err := s.fetch(ctx, w, req)
	if err != nil {
		return nil, w.explain(err)
	}
	return revision, nil
}

func (s *source) fetch(ctx context.Context, w *workspace, req *pluginapi.FetchRequest) (_ *pluginapi.Revision, err error) {
	id := req.Revision
	if id == "" {
		if id, err = s.resolve(ctx, w); err != nil {
			return nil, err
		}
	}
	if !commitID.MatchString(id) {
		return nil, gone(id)
	}
	place, err := s.store.take(ctx, w.remote.key(), id, func(dir string) error { return s.download(ctx, w, id, dir) })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, place.give()) }()
	storage := objects(place.dir())
	commit, err := object.GetCommit(storage, plumbing.NewHash(id))
	if err != nil {
		return nil, fmt.Errorf("read the commit: %w", err)
	}
	dir, err := os.OpenRoot(req.Dir)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	defer func() { _ = dir.Close() }() // every file in it was closed with its error heeded
	c := &checkout{config: s.config, objects: storage, dir: dir}
	if err := c.tree(ctx, commit.TreeHash, ""); err != nil {
		return nil, err
	}
	return describe(commit), nil
}

// download fills a directory with the objects of a commit.
func (s *source) download(ctx context.Context, w *workspace, id, dir string) error {
	return s.converse(ctx, w, func(conversation session, refs *packp.AdvRefs) error {
		req, err := ask(refs, w.Ref, id)
		if err != nil {
			return err
		}
		err = download(ctx, conversation, req, func(pack io.Reader) error { return s.config.takePack(ctx, pack, dir) })
		if err != nil {
			return err
		}
		if _, err := object.GetCommit(objects(dir), plumbing.NewHash(id)); err != nil {
			return gone(id)
		}
		return nil
	})
}

// generous are what servers say that hand out more than they have named.
var generous = []capability.Capability{capability.AllowReachableSHA1InWant, "allow-any-sha1-in-want"}

// ask decides what to ask for in order to get one commit. All servers hand out what a branch or tag is at, and many
// whatever a branch leads to. Of others it takes a piece of the history to get an older commit, or all of it where that is
// what the workspace stays at.
func ask(refs *packp.AdvRefs, ref, id string) (*packp.UploadPackRequest, error) {
	if want, ok := advertised(refs, id); ok {
		return newRequest(refs, 1, want), nil
	}
	if slices.ContainsFunc(generous, refs.Capabilities.Supports) {
		return newRequest(refs, 1, plumbing.NewHash(id)), nil
	}
	if ref != id {
		last, err := tip(refs, ref)
		if err != nil {
			return nil, err
		}
		want, _ := advertised(refs, last)
		return newRequest(refs, nearby, want), nil
	}
	var wants []plumbing.Hash
	for _, hash := range refs.References {
		if !slices.Contains(wants, hash) {
			wants = append(wants, hash)
		}
	}
	return newRequest(refs, 0, wants...), nil
}

func gone(id string) error {
	return pluginapi.Errorf(pluginapi.CodeNotFound, "the remote has no commit %.100s any more", id)
}
