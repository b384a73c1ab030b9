package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/docker.json
	dockerSchema []byte
	//go:embed schema/shell-docker.json
	shellSchema []byte
)

// config is what the operator may set.
type config struct {
	Host            string                `json:"host"` // "": DOCKER_HOST or the local socket
	TLS             tlsFiles              `json:"tls"`
	Registries      map[string]credential `json:"registries"`
	PullPolicy      string                `json:"pull_policy"`
	PullTimeoutSecs int                   `json:"pull_timeout_secs"`
	RunnerImage     string                `json:"runner_image"`
	StartupDir      string                `json:"startup_dir"`
	Networks        []string              `json:"networks"`
	Mounts          []extraMount          `json:"mounts"`
	User            string                `json:"user"`
	Privileged      bool                  `json:"privileged"`
	Workspace       string                `json:"workspace"`
	Init            bool                  `json:"init"`
}

// When images are pulled.
const (
	pullMissing = "missing"
	pullAlways  = "always"
	pullNever   = "never"
)

// How the workspace gets into a container.
const (
	workspaceAuto   = "auto"
	workspaceBind   = "bind"
	workspaceVolume = "volume"
)

type tlsFiles struct {
	CA   string `json:"ca_file"`
	Cert string `json:"cert_file"`
	Key  string `json:"key_file"`
}

type extraMount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly *bool  `json:"read_only"`
}

func (m extraMount) readOnly() bool { return m.ReadOnly == nil || *m.ReadOnly }

func (c *config) pullTimeout() time.Duration { return time.Duration(c.PullTimeoutSecs) * time.Second }

// parseConfig reads the settings. Problems are [pluginapi.Diagnostics], or an error with CodeInvalid.
func parseConfig(settings json.RawMessage) (*config, error) {
	cfg := &config{
		PullPolicy: pullMissing, PullTimeoutSecs: 1800, StartupDir: "/etc/stroem/startup.d", Workspace: workspaceAuto, Init: true,
	}
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(cfg); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read config: %w", err)
	}
	if problems := cfg.check(); len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

func (c *config) check() (problems pluginapi.Diagnostics) {
	add := func(at, message string) {
		problems = append(problems, pluginapi.Diagnostic{Severity: pluginapi.SeverityError, Path: at, Message: message})
	}
	if !slices.Contains([]string{pullMissing, pullAlways, pullNever}, c.PullPolicy) {
		add("/pull_policy", "pull_policy has to be missing, always or never")
	}
	if !slices.Contains([]string{workspaceAuto, workspaceBind, workspaceVolume}, c.Workspace) {
		add("/workspace", "workspace has to be auto, bind or volume")
	}
	if c.PullTimeoutSecs < 1 {
		add("/pull_timeout_secs", "pull_timeout_secs has to be at least 1")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		add("/tls", "tls.cert_file and tls.key_file go together: set both or none")
	}
	if c.RunnerImage != "" {
		if _, err := reference.ParseNormalizedNamed(c.RunnerImage); err != nil {
			add("/runner_image", "runner_image is no reference of an image: "+err.Error())
		}
	}
	for _, host := range slices.Sorted(maps.Keys(c.Registries)) {
		if problem := c.Registries[host].check(host); problem != "" {
			add("/registries/"+pointer(host), problem)
		}
	}
	for i, m := range c.Mounts {
		if problem := m.check(); problem != "" {
			add("/mounts/"+strconv.Itoa(i), problem)
		}
	}
	return problems
}

// check says what is wrong with a mount. What a step finds at places of ours is not to be hidden.
func (m extraMount) check() string {
	target := path.Clean(m.Target)
	switch {
	case !path.IsAbs(m.Target) || target == "/":
		return "target has to be an absolute path in the container, and not /"
	case within(target, workspaceDir) || within(target, ownDir) || within(target, startupDir):
		return "target " + m.Target + " is a place that the runner uses itself"
	case m.Source == "":
		return "source has to be a path on the engine's machine or the name of a volume"
	case strings.Contains(m.Source, "/") && !path.IsAbs(m.Source):
		return "source " + m.Source + " has to be an absolute path on the engine's machine; the name of a volume has no slash"
	}
	return ""
}

// within tells whether one of two clean paths is, or is below, the other.
func within(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// pointer escapes a key for a JSON Pointer.
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
