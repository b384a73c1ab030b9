package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Worker is the configuration of a worker.
type Worker struct {
	ServerURL              string        `yaml:"server_url"`   // or unix:/path of the server's socket
	DownloadURL            string        `yaml:"download_url"` // of the server, for pods that download workspaces; default server_url
	WorkerToken            Secret        `yaml:"worker_token" config:"required"`
	WorkerName             string        `yaml:"worker_name"` // default: the host's name
	MaxConcurrent          int           `yaml:"max_concurrent"`
	PollInterval           time.Duration `yaml:"poll_interval_secs"` // a safety net: work is pushed
	DataDir                string        `yaml:"data_dir"`
	WorkspaceCacheDir      string        `yaml:"workspace_cache_dir" config:"alias=workspace_dir"` // default <data_dir>/cache
	WorkspaceCacheMaxBytes Bytes         `yaml:"workspace_cache_max_bytes"`
	StopGrace              time.Duration `yaml:"stop_grace_secs"` // between the polite and the hard stop of a step
	Drain                  time.Duration `yaml:"drain_secs"`      // for running steps when the worker is stopped
	Tags                   []string      `yaml:"tags"`
	Capabilities           []string      `yaml:"capabilities"` // older name of tags
	RunnerImage            string        `yaml:"runner_image"`
	Docker                 *Docker       `yaml:"docker"`     // nil: used only if an engine answers
	Kubernetes             *Kubernetes   `yaml:"kubernetes"` // nil: not used
	TLS                    WorkerTLS     `yaml:"tls"`
	Log                    Log           `yaml:"log"`
	Plugins                Plugins       `yaml:"plugins"`
}

// Docker is for the bundled docker runner.
type Docker struct {
	Host string `yaml:"host"` // "": DOCKER_HOST or the local socket
}

// Kubernetes is for the bundled kubernetes runner.
type Kubernetes struct {
	Namespace              string `yaml:"namespace"` // "": the worker's own, in a cluster
	InitImage              string `yaml:"init_image"`
	RunnerStartupConfigMap string `yaml:"runner_startup_configmap"`
}

// WorkerTLS says which server the worker trusts.
type WorkerTLS struct {
	CA string `yaml:"ca"` // PEM file; "": the system's
}

func (c *Worker) setDefaults() {
	c.ServerURL = "http://127.0.0.1:8080"
	c.MaxConcurrent = 2 * runtime.NumCPU()
	c.PollInterval = 2 * time.Second
	c.WorkspaceCacheMaxBytes = 10 << 30
	c.StopGrace = 10 * time.Second
	c.Drain = 300 * time.Second
	c.Log = Log{Level: "info", Format: "text"}
}

func (c *Worker) complete(env map[string]string) {
	if c.WorkerName == "" {
		c.WorkerName, _ = os.Hostname() // "" is reported by validate
	}
	if c.DataDir == "" {
		c.DataDir = dataDir(env)
	}
	if c.WorkspaceCacheDir == "" && c.DataDir != "" {
		c.WorkspaceCacheDir = filepath.Join(c.DataDir, "cache")
	}
}

func (c *Worker) validate(p *problems) {
	if c.ServerURL == "" {
		p.add("server_url", "is required")
	}
	if strings.HasPrefix(c.ServerURL, UnixScheme) {
		p.listenAddress("server_url", c.ServerURL)
	} else {
		p.url("server_url", c.ServerURL)
	}
	p.url("download_url", c.DownloadURL)
	if c.WorkerName == "" {
		p.add("worker_name", "is required, because this host does not know its name")
	}
	p.min("max_concurrent", c.MaxConcurrent, 1)
	p.positive("poll_interval_secs", c.PollInterval)
	p.dataDir(c.DataDir)
	p.min("workspace_cache_max_bytes", int(c.WorkspaceCacheMaxBytes), 1<<20)
	p.tags("tags", c.Tags)
	p.tags("capabilities", c.Capabilities)
	c.Log.validate(p)
	c.Plugins.validate(p)
}

// Download is the address of the server for steps that download their workspace; "" if there is none that they could reach.
func (c *Worker) Download() string {
	if c.DownloadURL != "" || strings.HasPrefix(c.ServerURL, UnixScheme) {
		return c.DownloadURL
	}
	return c.ServerURL
}

// Labels are the tags that the worker has beside those of its runners: tags, or capabilities if there are none.
func (c *Worker) Labels() []string {
	if len(c.Tags) > 0 {
		return c.Tags
	}
	return c.Capabilities
}
