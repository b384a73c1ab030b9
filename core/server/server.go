// Package server wires the server from its configuration: database, source plugins, workspaces, logs, engine and API.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/metrics"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/ratelimit"
	"github.com/stroem/stroem/core/replica"
	"github.com/stroem/stroem/core/retention"
	"github.com/stroem/stroem/core/scheduler"
	"github.com/stroem/stroem/core/tally"
	"github.com/stroem/stroem/core/workspace"
	"github.com/stroem/stroem/pluginapi"
)

// shutdownLimit bounds how long requests under way may take to end.
const shutdownLimit = 10 * time.Second

// Server is a server that has been configured; Run may be called once.
type Server struct {
	// Manual keeps triggers from firing by time: for a server that is there for one run. To be set before Run.
	Manual bool

	config  config.Server
	logger  *slog.Logger
	bound   chan struct{} // closed when address is known
	address net.Addr
}

// New returns a server; nothing is started.
func New(c config.Server, logger *slog.Logger) *Server {
	return &Server{config: c, logger: logger, bound: make(chan struct{})}
}

// Addr waits until the server listens, and returns where.
func (s *Server) Addr(ctx context.Context) (net.Addr, error) {
	select {
	case <-s.bound:
		return s.address, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Run starts everything, serves until ctx ends, and stops everything in the opposite order. It returns nil after an
// orderly end.
func (s *Server) Run(ctx context.Context) (err error) {
	self, err := replica.Take(s.config.DataDir)
	if err != nil {
		return err
	}
	defer self.Release()
	url := s.config.DB.URL.Reveal()
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	store, err := postgres.Open(ctx, url, s.config.DB.MaxConnections, postgres.Timeout(s.config.DB.Timeout))
	if err != nil {
		return err
	}
	defer store.Close()
	host, err := pluginhost.New(s.hostConfig(os.Environ()))
	if err != nil {
		return fmt.Errorf("set up the plugins: %w", err)
	}
	defer func() { err = errors.Join(err, host.Close(context.WithoutCancel(ctx))) }()
	if err := host.Start(ctx); err != nil {
		return fmt.Errorf("start the plugins: %w", err)
	}
	if err := s.checkLogStore(host); err != nil {
		return err
	}
	return s.serve(ctx, store, host, self)
}

func (s *Server) serve(ctx context.Context, store *postgres.Store, host *pluginhost.Host, self *replica.Identity) (err error) {
	types := &actionTypes{store: store}
	if _, err := types.reload(ctx); err != nil {
		return err
	}
	sources, err := s.workspaceConfig(host, types)
	if err != nil {
		return err
	}
	sources.Pinned = store.Pins
	sources.Loaded = func(ctx context.Context, name, revision string, err error) {
		s.auditLoad(ctx, store, name, revision, err)
	}
	workspaces, err := workspace.New(sources)
	if err != nil {
		return err
	}
	key, err := s.sealingKey(ctx, store)
	if err != nil {
		return err
	}
	others, err := s.replicas(self, key)
	if err != nil {
		return err
	}
	defer others.peers.Close()
	var all *logs.Logs
	counted := &tally.Server{}
	eng := engine.New(store, workspaces, s.logger, engine.Config{
		HeartbeatTimeout: s.config.Recovery.HeartbeatTimeout, SweepInterval: s.config.Recovery.SweepInterval,
		UnclaimableLimit: s.config.Recovery.Unclaimable,
		WorkerTokens:     s.workerTokens(),
		MaxStepBytes:     int64(s.config.LogStorage.MaxStepBytes), Seal: key, Tally: &counted.Engine,
		Event: func(ctx context.Context, job uuid.UUID, text string) {
			if err := all.Event(ctx, job, text); err != nil {
				s.logger.WarnContext(ctx, "an event is not in the log of its job", "job", job, "event", text, "error", err)
			}
		},
		ActionTypes: func(ctx context.Context) {
			changed, err := types.reload(ctx)
			if err != nil {
				s.logger.WarnContext(ctx, "workspaces may be held against old schemas of action types", "error", err)
			} else if changed {
				workspaces.Recheck()
			}
		},
	})
	local, err := joblog.Open(s.config.LogStorage.LocalDir, eng.JobMasker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	local.Tally, local.Logger = &counted.Logs, s.logger
	all = others.logs(s, local, store)
	archived, err := s.archive(host, all, store, &counted.Archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archived.close()) }()
	plugins := func() []api.Plugin { return describePlugins(host) }
	figures := metrics.Handler(metrics.Options{
		Workers: store, Queue: store, Uploads: archived.waiting(), Counted: counted, Plugins: plugins, Logger: s.logger,
	})
	stopMetrics, err := s.serveMetrics(ctx, figures)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopMetrics()) }()
	config := httpapi.Config{
		Engine: eng, Store: store, Workspaces: workspaces, Plugins: plugins, Deliveries: &counted.Webhooks, OpenStreams: &counted.Streams,
		Logger: s.logger,
		Policy: s.accessPolicy(), Proxies: s.trustedProxies(), WebhookRate: s.webhookRate(), Logins: ratelimit.NewLogins(s.config.Limits.LoginPerMinute),
	}
	if s.config.Metrics.Enabled && s.config.Metrics.Listen == "" {
		config.Metrics = figures
	}
	others.configure(&config, all)
	archived.configure(&config)
	identity, err := s.identity(ctx, store)
	if err != nil {
		return err
	}
	identity.configure(&config)
	web := httpapi.New(config) //nolint:contextcheck // every request has its own context
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	seen, err := store.LocalAddr(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	internalURL := s.internalURL(listener.Addr(), seen)
	if err := all.Join(ctx, internalURL); err != nil {
		return errors.Join(err, listener.Close())
	}
	// The parts outlive ctx: requests under way need them.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	schedules := scheduler.New(scheduler.Options{Store: store, Jobs: eng, Workspaces: workspaces, Logger: s.logger, Tally: &counted.Schedules})
	old := retention.New(retention.Options{
		Jobs: time.Duration(s.config.Retention.JobDays) * 24 * time.Hour, Workers: time.Duration(s.config.Retention.WorkerHours) * time.Hour,
		Audit: time.Duration(s.config.Retention.AuditDays) * 24 * time.Hour,
		Store: store, Logs: local, Logger: s.logger,
	})
	leading := []func(context.Context){old.RunRows}
	if !s.Manual {
		leading = append(leading, schedules.Run)
	}
	running.Go(func() { eng.Run(parts, leading...) })
	running.Go(func() { old.RunLogs(parts) })
	running.Go(func() { workspaces.Run(parts) })
	running.Go(func() { all.Run(parts, internalURL) })
	if archived != nil {
		running.Go(func() { archived.Run(parts) })
	}
	running.Go(func() { identity.run(parts) })
	defer func() {
		stopParts()
		running.Wait()
		s.leave(context.WithoutCancel(ctx), all, internalURL)
	}()
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	s.address = listener.Addr()
	s.auditStart(ctx, store)
	close(s.bound)
	s.logger.InfoContext(ctx, "listening", "address", s.address.String())
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.logger.InfoContext(ctx, "stopping")
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if err := web.Shutdown(limit); err != nil {
		s.logger.WarnContext(limit, "requests were cut off", "error", err)
	}
	_ = listener.Close() // which Shutdown does, unless serving had not begun
	return <-served
}

// workerTokens are the tokens that workers register with.
func (s *Server) workerTokens() []engine.WorkerToken {
	var tokens []engine.WorkerToken
	if token := s.config.WorkerToken; token != "" {
		tokens = append(tokens, engine.WorkerToken{Name: engine.DefaultToken, Secret: token.Reveal()})
	}
	for name, t := range s.config.WorkerTokens {
		tokens = append(tokens, engine.WorkerToken{Name: name, Secret: t.Token.Reveal(), Workers: t.Workers, Tags: t.Tags})
	}
	return tokens
}

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	if path, ok := strings.CutPrefix(s.config.Listen, config.UnixScheme); ok {
		return listenSocket(ctx, path)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.config.Listen, err)
	}
	if s.config.TLS == nil {
		return listener, nil
	}
	certificate, err := tls.LoadX509KeyPair(s.config.TLS.Cert, s.config.TLS.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load the TLS certificate: %w", err), listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), nil
}

// listenSocket listens on a socket that only our user may connect to. One that a crash has left there is replaced; one that
// somebody listens on is not.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: another server does", path), conn.Close())
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path) // if not, the next call says why
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("keep others from the socket: %w", err), listener.Close())
	}
	return listener, nil
}

// hostConfig has the server run the source plugins that its workspaces need and the log store of its archive, and no others.
func (s *Server) hostConfig(environ []string) pluginhost.Config {
	only := []string{}
	for _, w := range s.config.Workspaces {
		if plugin := "source-" + w.Type; !slices.Contains(only, plugin) {
			only = append(only, plugin)
		}
	}
	if plugin := s.archivePlugin(); plugin != "" {
		only = append(only, plugin)
	}
	return pluginhost.Config{
		Dir: pluginhost.Dir(s.config.Plugins.Dir), Kinds: []pluginapi.Kind{pluginapi.KindSource, pluginapi.KindLogStore}, Only: only,
		Plugins: s.pluginConfigs(environ), RequirePinned: s.config.Plugins.RequirePinned,
		DataDir: filepath.Join(s.config.DataDir, "plugins"), Logger: s.logger,
	}
}
