package config

import (
	"encoding/base64"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Server is the configuration of the server.
type Server struct {
	Listen         string                 `yaml:"listen"`       // host:port, or unix:/path for a socket of our user's
	PublicURL      string                 `yaml:"public_url"`   // what browsers and webhook senders use
	InternalURL    string                 `yaml:"internal_url"` // what other replicas use
	DataDir        string                 `yaml:"data_dir"`
	DB             DB                     `yaml:"db"`
	LogStorage     LogStorage             `yaml:"log_storage"`
	Workspaces     map[string]Workspace   `yaml:"workspaces"`
	WorkerToken    Secret                 `yaml:"worker_token"` // lets workers be anything; required without WorkerTokens
	WorkerTokens   map[string]WorkerToken `yaml:"worker_tokens"`
	InsecureNoAuth bool                   `yaml:"insecure_no_auth"` // allows other than loopback without Auth
	Auth           *Auth                  `yaml:"auth"`             // nil: everybody may do everything
	ACL            []ACLRule              `yaml:"acl"`              // the first that is for a user and a task decides
	TrustedProxies []Network              `yaml:"trusted_proxies"`  // that say for whom they ask
	Limits         Limits                 `yaml:"limits"`
	TLS            *ServerTLS             `yaml:"tls"` // nil: plain HTTP
	CORS           CORS                   `yaml:"cors"`
	Secrets        Secrets                `yaml:"secrets"`
	Recovery       Recovery               `yaml:"recovery"`
	Retention      Retention              `yaml:"retention"`
	Metrics        Metrics                `yaml:"metrics"`
	Log            Log                    `yaml:"log"`
	Plugins        Plugins                `yaml:"plugins"`
}

// ServerTLS names the PEM files of the certificate that the server shows.
type ServerTLS struct {
	Cert string `yaml:"cert" config:"required"`
	Key  string `yaml:"key" config:"required"`
}

// CORS lists the origins whose pages may call the API.
type CORS struct {
	AllowedOrigins []string `yaml:"allowed_origins"`
}

// Secrets says how secret values are kept and which variables workflow files may use.
type Secrets struct {
	Key Secret `yaml:"key"` // 32 bytes in base64; "": made once in the data directory
	// OldKeys open what was sealed before Key was changed.
	OldKeys []Secret `yaml:"old_keys"`
	Env     []string `yaml:"env"` // names that env.<NAME> may stand for
}

// Recovery says when a silent worker counts as lost, and for how long a step waits for a worker that can run it; 0 is for ever.
type Recovery struct {
	HeartbeatTimeout time.Duration `yaml:"heartbeat_timeout_secs"`
	SweepInterval    time.Duration `yaml:"sweep_interval_secs"`
	Unclaimable      time.Duration `yaml:"unclaimable_secs"`
	// ReplicaTimeout is how long the logs that a replica keeps wait for it once it is silent, before they go on at another one.
	ReplicaTimeout time.Duration `yaml:"replica_timeout_secs"`
}

// Retention says how long things are kept; 0 is for good.
type Retention struct {
	JobDays     int `yaml:"job_days"`     // finished jobs, with their logs
	LogDays     int `yaml:"log_days"`     // local copies of archived logs
	WorkerHours int `yaml:"worker_hours"` // workers that are gone
	AuditDays   int `yaml:"audit_days"`
}

// Metrics is the Prometheus endpoint.
type Metrics struct {
	Enabled bool   `yaml:"enabled"`
	Listen  string `yaml:"listen"` // an address of its own; "": /metrics beside the API
}

func (c *Server) setDefaults() {
	c.Listen = "127.0.0.1:8080"
	c.LogStorage.MaxStepBytes = 1 << 30
	c.Recovery = Recovery{HeartbeatTimeout: 120 * time.Second, SweepInterval: 60 * time.Second, ReplicaTimeout: 60 * time.Second}
	c.Metrics.Enabled = true
	c.Log = Log{Level: "info", Format: "text"}
}

func (c *Server) complete(env map[string]string) {
	if c.DataDir == "" {
		c.DataDir = dataDir(env)
	}
	if c.LogStorage.LocalDir == "" && c.DataDir != "" {
		c.LogStorage.LocalDir = filepath.Join(c.DataDir, "logs")
	}
	if c.Auth != nil && c.Auth.BaseURL == "" {
		c.Auth.BaseURL = c.PublicURL
	}
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *Server) validate(p *problems) {
	p.listenAddress("listen", c.Listen)
	if c.Metrics.Listen != "" {
		p.address("metrics.listen", c.Metrics.Listen)
	}
	if c.Auth == nil && !c.InsecureNoAuth && !loopback(c.Listen) {
		p.add("listen", "%s is reachable from other machines and there is no auth section, so anybody could run commands; "+
			"add auth, listen on 127.0.0.1, or set insecure_no_auth: true", c.Listen)
	}
	p.url("public_url", c.PublicURL)
	p.url("internal_url", c.InternalURL)
	p.dataDir(c.DataDir)
	c.DB.validate(p)
	c.LogStorage.validate(p, &c.Plugins)
	for _, origin := range c.CORS.AllowedOrigins {
		p.url("cors.allowed_origins", origin)
	}
	for name := range c.Workspaces {
		if !workspaceName.MatchString(name) {
			p.add("workspaces."+name, "a name starts with a letter, a digit or _, goes on with these, . and -, and has at most 100 characters")
		}
	}
	c.validateWorkerTokens(p)
	if c.Auth != nil {
		c.Auth.validate(p)
	}
	c.validateACL(p)
	c.Limits.validate(p)
	if c.Secrets.Key != "" {
		p.sealingKey("secrets.key", c.Secrets.Key)
	}
	for i, key := range c.Secrets.OldKeys {
		p.sealingKey("secrets.old_keys."+strconv.Itoa(i), key)
	}
	if len(c.Secrets.OldKeys) > 0 && c.Secrets.Key == "" {
		p.add("secrets.old_keys", "needs secrets.key, the key that takes their place")
	}
	for _, name := range c.Secrets.Env {
		if !envName.MatchString(name) {
			p.add("secrets.env", "%q is not the name of a variable", name)
		}
	}
	p.positive("recovery.heartbeat_timeout_secs", c.Recovery.HeartbeatTimeout)
	p.positive("recovery.sweep_interval_secs", c.Recovery.SweepInterval)
	p.positive("recovery.replica_timeout_secs", c.Recovery.ReplicaTimeout)
	p.min("retention.job_days", c.Retention.JobDays, 0)
	p.min("retention.log_days", c.Retention.LogDays, 0)
	p.min("retention.worker_hours", c.Retention.WorkerHours, 0)
	p.min("retention.audit_days", c.Retention.AuditDays, 0)
	c.Log.validate(p)
	c.Plugins.validate(p)
}

func (p *problems) sealingKey(name string, key Secret) {
	if secret, err := base64.StdEncoding.DecodeString(key.Reveal()); err != nil || len(secret) != 32 {
		p.add(name, "must be 32 bytes in base64, as from: openssl rand -base64 32")
	}
}

// loopback tells whether only this machine can reach the address.
func loopback(listen string) bool {
	if strings.HasPrefix(listen, UnixScheme) {
		return true
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true // reported as a bad address already
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
