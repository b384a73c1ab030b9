package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/shell.json
	shellSchema []byte
)

// config is what the operator may set.
type config struct {
	PassEnv []string `json:"pass_env"`
}

func parseConfig(settings json.RawMessage) (config, error) {
	var cfg config
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&cfg); err != nil {
		return cfg, pluginapi.Errorf(pluginapi.CodeInvalid, "read config: %w", err)
	}
	return cfg, nil
}

// passed are the variables that every step inherits. The plugin's environment may hold more, which is not the steps'
// business.
var passed = []string{
	"PATH", "HOME", "USER", "SHELL", "LANG", "TZ",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// inherited returns those of the plugin's own variables that steps see.
func (c config) inherited() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") || slices.Contains(c.PassEnv, name) {
			env = append(env, entry)
		}
	}
	return env
}
