package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/version"
)

// ErrKill as the cause of its end has abort not even ask the steps to stop, see [Serve].
var ErrKill = errors.New("the steps are to be killed")

// Serve runs a worker as configured: it starts the runner plugins, works until ctx ends, drains, and stops the plugins.
// Ending abort stops the running steps at once; with the cause [ErrKill] the plugins are killed, and the steps with them.
func Serve(ctx, abort context.Context, c config.Worker, logger *slog.Logger) (err error) {
	server, err := client.New(client.Options{Server: c.ServerURL, Token: c.WorkerToken.Reveal(), CAFile: c.TLS.CA})
	if err != nil {
		return err
	}
	defer server.Close()
	hosted, err := hostConfig(c, logger)
	if err != nil {
		return err
	}
	host, err := pluginhost.New(hosted)
	if err != nil {
		return fmt.Errorf("set up the plugins: %w", err)
	}
	defer func() { err = errors.Join(err, host.Close(context.WithoutCancel(abort))) }()
	defer context.AfterFunc(abort, func() {
		if errors.Is(context.Cause(abort), ErrKill) {
			host.Kill()
		}
	})()
	if err := host.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it ever worked
		}
		return fmt.Errorf("start the plugins: %w", err)
	}
	if err := checkPlugins(pluginhost.Dir(c.Plugins.Dir), host.Plugins(), c.Labels()); err != nil {
		return err
	}
	w := New(Options{
		Name: c.WorkerName, Version: version.Version, Client: server, Runners: host, Changed: host.Changed,
		Plugins: func() []api.Plugin { return describePlugins(host) }, Labels: c.Labels(), Slots: c.MaxConcurrent,
		CacheDir: c.WorkspaceCacheDir, CacheBytes: int64(c.WorkspaceCacheMaxBytes),
		ScratchDir:  filepath.Join(c.DataDir, "scratch", fileName(c.WorkerName)),
		DownloadURL: c.Download(), StopGrace: c.StopGrace, Drain: c.Drain, Logger: logger,
	})
	return w.Run(ctx, abort)
}

// fileName makes a directory's name of a worker's, another one for each: a worker removes what it finds there of others.
func fileName(worker string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, worker)
	if name == worker {
		return name
	}
	sum := sha256.Sum256([]byte(worker))
	return name + "-" + hex.EncodeToString(sum[:8])
}

// bundled are the plugins of the tags that everybody knows.
var bundled = map[string]string{"shell": "runner-shell", "docker": "runner-docker", "kubernetes": "runner-kube"}

// checkPlugins refuses a worker that is configured for a runner whose plugin it does not have: it would claim nothing of
// what it is meant for.
func checkPlugins(dir string, plugins []pluginhost.Status, labels []string) error {
	offered, failures := map[string]bool{}, ""
	for _, p := range plugins {
		for _, t := range p.ActionTypes {
			offered[t.Tag] = true
		}
		if p.LastError != "" {
			failures += fmt.Sprintf("; %s is %s: %s", p.File, p.State, p.LastError)
		}
	}
	for _, label := range labels {
		if plugin := bundled[label]; plugin != "" && !offered[label] {
			return fmt.Errorf("the worker is configured with the tag %s, but the plugin %s is not loaded: install it in %s, or remove the tag%s",
				label, plugin, dir, failures)
		}
	}
	if len(offered) == 0 {
		return fmt.Errorf("no runner plugin is loaded from %s: a worker without runners can do nothing%s", dir, failures)
	}
	return nil
}

func describePlugins(host *pluginhost.Host) []api.Plugin {
	var plugins []api.Plugin
	for _, p := range host.Plugins() {
		described := api.Plugin{
			Kind: string(p.Kind), Name: p.Name, Version: p.Version, State: string(p.State), Since: new(p.Since.UTC()),
			Restarts: p.Restarts, LastError: p.LastError,
		}
		for _, t := range p.ActionTypes {
			described.ActionTypes = append(described.ActionTypes, api.ActionType{
				Name: t.Name, Runner: t.Runner, Tag: t.Tag, Workspace: string(t.Workspace), Attachable: t.Attachable, SpecSchema: t.SpecSchema,
			})
		}
		plugins = append(plugins, described)
	}
	return plugins
}
