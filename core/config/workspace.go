package config

import (
	"maps"
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Types of workspaces whose settings are known here; all others belong to third parties and hold a dot.
const (
	WorkspaceFolder = "folder"
	WorkspaceGit    = "git"
)

// Workspace says where the files of a workspace come from.
type Workspace struct {
	Type         string        `yaml:"type" config:"required"` // which source plugin: folder, git, vendor.name
	PollInterval time.Duration `yaml:"poll_interval_secs"`     // how often the source is asked; 0: as its type does
	Settings     Settings      `yaml:",inline"`                // the rest, for the source plugin
}

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// MarshalYAML writes the workspace as it stands in the file, without secrets.
func (w Workspace) MarshalYAML() (any, error) {
	shown, _ := hide(map[string]any(w.Settings)).(map[string]any)
	entry := map[string]any{"type": w.Type, "poll_interval_secs": w.PollInterval}
	maps.Copy(entry, shown)
	return entry, nil
}

type folder struct {
	Type         string        `yaml:"type"`
	PollInterval time.Duration `yaml:"poll_interval_secs"`
	Path         string        `yaml:"path" config:"required"`
}

type git struct {
	Type           string        `yaml:"type"`
	PollInterval   time.Duration `yaml:"poll_interval_secs"`
	URL            string        `yaml:"url" config:"required"`
	Ref            string        `yaml:"ref"`
	Auth           *gitAuth      `yaml:"auth"`
	KnownHosts     string        `yaml:"known_hosts"`
	KnownHostsPath string        `yaml:"known_hosts_path"`
	AcceptAnyHost  bool          `yaml:"insecure_accept_any_host"`
	CA             string        `yaml:"ca"`
	CAPath         string        `yaml:"ca_path"`
	SkipTLSVerify  bool          `yaml:"insecure_skip_tls_verify"`
}

type gitAuth struct {
	Type       string `yaml:"type" config:"required"`
	KeyPath    string `yaml:"key_path"`
	Key        string `yaml:"key"`
	Passphrase string `yaml:"passphrase"`
	Token      string `yaml:"token"`
	Username   string `yaml:"username"`
	Password   string `yaml:"password"`
}

// decodeSection reads the keys that the workspace's type has.
func (w *Workspace) decodeSection(d *decoder, node *yaml.Node, key string) {
	if node.Kind == yaml.MappingNode {
		if kind := lookup(node, "type"); kind != nil {
			w.Type = kind.Value
		}
	}
	switch {
	case w.Type == WorkspaceFolder:
		c := folder{PollInterval: 2 * time.Second}
		d.section(node, reflect.ValueOf(&c).Elem(), key)
		w.PollInterval, w.Settings = c.PollInterval, Settings{"path": c.Path}
	case w.Type == WorkspaceGit:
		c := git{PollInterval: 60 * time.Second, Ref: "main"}
		d.section(node, reflect.ValueOf(&c).Elem(), key)
		w.PollInterval, w.Settings = c.PollInterval, c.settings(d, key)
	case w.Type != "" && !strings.Contains(w.Type, "."):
		d.add(join(key, "type"), "%q is not a type of workspace; %s (types of third parties are called vendor.name)",
			w.Type, suggest(w.Type, []string{WorkspaceFolder, WorkspaceGit}))
		return
	default:
		w.PollInterval = 60 * time.Second
		d.section(node, reflect.ValueOf(w).Elem(), key)
	}
	d.positive(join(key, "poll_interval_secs"), w.PollInterval)
}

func (c *git) settings(d *decoder, key string) Settings {
	s := Settings{"url": c.URL, "ref": c.Ref}
	add := func(to map[string]any, values map[string]string) {
		for name, value := range values {
			if value != "" {
				to[name] = value
			}
		}
	}
	add(s, map[string]string{"known_hosts": c.KnownHosts, "known_hosts_path": c.KnownHostsPath, "ca": c.CA, "ca_path": c.CAPath})
	for name, on := range map[string]bool{"insecure_accept_any_host": c.AcceptAnyHost, "insecure_skip_tls_verify": c.SkipTLSVerify} {
		if on {
			s[name] = true
		}
	}
	if c.Auth == nil {
		return s
	}
	d.oneOf(join(key, "auth.type"), c.Auth.Type, "ssh_key", "token", "basic")
	if c.Auth.Type == "token" && c.Auth.Token == "" {
		d.add(join(key, "auth.token"), "is required for auth of type token")
	}
	if c.Auth.Type == "basic" && (c.Auth.Username == "" || c.Auth.Password == "") {
		d.add(join(key, "auth"), "username and password are required for auth of type basic")
	}
	auth := map[string]any{}
	add(auth, map[string]string{
		"type": c.Auth.Type, "key_path": c.Auth.KeyPath, "key": c.Auth.Key, "passphrase": c.Auth.Passphrase,
		"token": c.Auth.Token, "username": c.Auth.Username, "password": c.Auth.Password,
	})
	s["auth"] = auth
	return s
}
