package config

import (
	"encoding/hex"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Plugins says which plugins are loaded and how. What is in Dir and has no entry is loaded with its defaults.
type Plugins struct {
	Dir           string            `yaml:"dir"`            // "": beside the executable, else the system's
	RequirePinned bool              `yaml:"require_pinned"` // refuse plugins without a checksum
	Entries       map[string]Plugin `yaml:",inline"`        // by file name: runner-docker
}

// Plugin is the configuration of one plugin.
type Plugin struct {
	Path     string            `yaml:"path"`   // absolute; "": in Plugins.Dir
	SHA256   string            `yaml:"sha256"` // 64 hex digits
	Args     []string          `yaml:"args"`
	Env      map[string]Secret `yaml:"env"`
	Config   Settings          `yaml:"config"` // checked by the plugin's schema
	Disabled bool              `yaml:"disabled"`
}

// pluginKinds are the kinds of which a plugin can be. A program looks at those of its own kinds alone, so that one section
// can serve both: without this check it would pass over a slip in the kind.
var pluginKinds = []string{"runner", "source", "logstore"}

var pluginName = regexp.MustCompile(`^[a-z]+-[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (c *Plugins) validate(p *problems) {
	for _, name := range slices.Sorted(maps.Keys(c.Entries)) {
		key, plugin := "plugins."+name, c.Entries[name]
		if !pluginName.MatchString(name) {
			p.add(key, "a plugin is called <kind>-<name>, such as runner-docker; other keys here are dir and require_pinned")
		} else if kind, _, _ := strings.Cut(name, "-"); !slices.Contains(pluginKinds, kind) {
			p.add(key, "%q is not a kind of plugin; %s", kind, suggest(kind, pluginKinds))
		}
		if plugin.Path != "" && !filepath.IsAbs(plugin.Path) {
			p.add(key+".path", "must be absolute; without it the plugin is looked for in plugins.dir")
		}
		if sum, err := hex.DecodeString(plugin.SHA256); plugin.SHA256 != "" && (err != nil || len(sum) != 32) {
			p.add(key+".sha256", "must be 64 hex digits, as from: sha256sum")
		}
		for variable := range plugin.Env {
			if !envName.MatchString(variable) {
				p.add(key+".env", "%q is not the name of a variable", variable)
			}
		}
	}
}
