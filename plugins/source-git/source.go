package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"github.com/stroem/stroem/pluginapi"
)

// source brings workspaces from git repositories. The revision of a workspace is the id of a commit.
type source struct {
	logger *slog.Logger
	webs   *webs
	ssh    proxy.Dialer
	config config
	store  *store
	warned sync.Map // by URL: that it was said that credentials go over plain http
}

// resolveLimit bounds the question for the current revision.
const resolveLimit = 30 * time.Second

func newSource(logger *slog.Logger) *source {
	return &source{
		logger: logger, config: defaultConfig(), store: &store{}, ssh: proxy.FromEnvironmentUsing(newDialer()),
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
		conversation, err = openSSH(ctx, s.ssh, w)
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
