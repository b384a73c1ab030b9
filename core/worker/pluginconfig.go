package worker

import (
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

func hostConfig(c config.Worker, logger *slog.Logger) (pluginhost.Config, error) {
	plugins := map[string]pluginhost.PluginConfig{}
	for name, p := range c.Plugins.Entries {
		plugins[name] = pluginConfig(p)
	}
	for name, own := range sections(c) {
		p, configured := plugins[name]
		merged := maps.Clone(p.Config)
		if merged == nil {
			merged = map[string]any{}
		}
		for _, s := range own.settings {
			if s.value == "" {
				continue
			}
			if _, twice := merged[s.name]; twice {
				return pluginhost.Config{}, fmt.Errorf("plugins.%s.config.%s: %s sets it as well; keep one of them", name, s.name, s.key)
			}
			merged[s.name] = s.value
		}
		p.Config, p.Optional = merged, !configured && !own.present
		plugins[name] = p
	}
	return pluginhost.Config{
		Dir: pluginhost.Dir(c.Plugins.Dir), Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: plugins,
		RequirePinned: c.Plugins.RequirePinned, DataDir: filepath.Join(c.DataDir, "plugins"), Logger: logger,
	}, nil
}

func pluginConfig(p config.Plugin) pluginhost.PluginConfig {
	env := make(map[string]string, len(p.Env))
	for key, value := range p.Env {
		env[key] = value.Reveal()
	}
	return pluginhost.PluginConfig{Path: p.Path, SHA256: p.SHA256, Args: p.Args, Env: env, Config: p.Config, Disabled: p.Disabled}
}

// section is what the worker's configuration says of a bundled plugin outside of the plugins section.
type section struct {
	present  bool // the plugin is meant to work
	settings []setting
}

// setting is a key of the worker's configuration that stands for one of a plugin's.
type setting struct{ key, name, value string }

func sections(c config.Worker) map[string]section {
	image := setting{"runner_image", "runner_image", c.RunnerImage}
	docker, kube := section{c.Docker != nil, []setting{image}}, section{c.Kubernetes != nil, []setting{image}}
	if docker.present {
		docker.settings = append(docker.settings, setting{"docker.host", "host", c.Docker.Host})
	}
	if kube.present {
		kube.settings = append(kube.settings,
			setting{"kubernetes.namespace", "namespace", c.Kubernetes.Namespace},
			setting{"kubernetes.init_image", "init_image", c.Kubernetes.InitImage},
			setting{"kubernetes.runner_startup_configmap", "runner_startup_configmap", c.Kubernetes.RunnerStartupConfigMap},
		)
	}
	return map[string]section{"runner-docker": docker, "runner-kube": kube}
}
