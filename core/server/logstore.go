package server

import (
	"fmt"
	"maps"
	"strings"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// s3Plugin is the log store for which the configuration has a section of its own.
const s3Plugin = "logstore-s3"

// archivePlugin is the file name of the log store that the configuration asks for, "" if it asks for none.
func (s *Server) archivePlugin() string {
	if name := s.config.LogStorage.Archive(); name != "" {
		return string(pluginapi.KindLogStore) + "-" + name
	}
	return ""
}

// logStore is where the logs of finished jobs go to; ok is false if they stay where they are. It may not answer at the moment,
// and is valid for as long as the host is.
func (s *Server) logStore(host *pluginhost.Host) (store pluginapi.LogStore, ok bool) {
	return host.LogStore(s.config.LogStorage.Archive())
}

// checkLogStore refuses a server whose log store can never work: it is not installed, or does not take its configuration. That
// what it needs does not answer is no reason.
func (s *Server) checkLogStore(host *pluginhost.Host) error {
	file, key := s.archivePlugin(), "log_storage.plugin"
	if s.config.LogStorage.S3 != nil {
		key = "log_storage.s3"
	}
	for _, p := range host.Plugins() {
		if p.File == file && p.State == pluginhost.StateFailed {
			return fmt.Errorf("%s: its plugin cannot be used: %s", key, p.LastError)
		}
	}
	return nil
}

// pluginConfigs is what is configured of the plugins, under plugins and elsewhere.
func (s *Server) pluginConfigs(environ []string) map[string]pluginhost.PluginConfig {
	plugins := map[string]pluginhost.PluginConfig{}
	for name, p := range s.config.Plugins.Entries {
		plugins[name] = pluginConfig(p)
	}
	if s.archivePlugin() == s3Plugin {
		p := plugins[s3Plugin]
		p.Env = withAWS(p.Env, environ)
		if s3 := s.config.LogStorage.S3; s3 != nil {
			p.Config = s3.Settings()
		}
		plugins[s3Plugin] = p
	}
	return plugins
}

func pluginConfig(p config.Plugin) pluginhost.PluginConfig {
	env := make(map[string]string, len(p.Env))
	for key, value := range p.Env {
		env[key] = value.Reveal()
	}
	return pluginhost.PluginConfig{Path: p.Path, SHA256: p.SHA256, Args: p.Args, Env: env, Config: p.Config, Disabled: p.Disabled}
}

// withAWS adds those variables of environ (as of [os.Environ]) in which programs look for credentials of AWS. Plugins get them from
// the server only if they are for it, and what is configured comes first.
func withAWS(configured map[string]string, environ []string) map[string]string {
	env := map[string]string{}
	for _, variable := range environ {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(strings.ToUpper(name), "AWS_") {
			env[name] = value
		}
	}
	maps.Copy(env, configured)
	return env
}
