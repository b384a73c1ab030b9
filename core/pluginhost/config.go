package pluginhost

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// Config says which plugins a host runs, and how.
type Config struct {
	Dir           string                  // where plugins are looked for; "": only plugins with a Path
	Kinds         []pluginapi.Kind        // the kinds that this host runs; all others are ignored
	Only          []string                // file names of the plugins to run; nil: all
	Plugins       map[string]PluginConfig // by file name, such as runner-docker
	RequirePinned bool                    // refuse plugins without a checksum
	DataDir       string                  // gets a directory per plugin, for its own files; "": none
	Logger        *slog.Logger            // nil: slog.Default()
	Limits        Limits
}

// PluginConfig is what the operator says about one plugin.
type PluginConfig struct {
	Path     string // absolute; "": in Config.Dir
	SHA256   string // of the file, 64 hex digits; "": not checked
	Args     []string
	Env      map[string]string // in addition to what every plugin gets
	Config   map[string]any    // checked against the plugin's schema
	Disabled bool
	Optional bool // it is all right if the plugin is not installed, or has nothing to work with
}

// Limits are the durations and numbers of the supervision. A zero field means the default.
type Limits struct {
	Start          time.Duration // from launch until the plugin has described itself: 15 s
	Configure      time.Duration // for Configure: 15 s
	HealthInterval time.Duration // between health checks: 10 s
	HealthTimeout  time.Duration // for the answer to one: 3 s
	Misses         int           // unanswered checks in a row until the plugin is given up: 3
	BackoffMin     time.Duration // before the first restart, doubled each time: 1 s
	BackoffMax     time.Duration // 2 min
	Starts         int           // so many starts within StartWindow, and the plugin has failed: 5
	StartWindow    time.Duration // 10 min; a plugin that is up for so long starts its back-off afresh
	Remove         time.Duration // for removing what lost runs left behind: 30 s
	Exit           time.Duration // for a drained plugin to exit: 5 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&l.Start, 15*time.Second)
	def(&l.Configure, 15*time.Second)
	def(&l.HealthInterval, 10*time.Second)
	def(&l.HealthTimeout, 3*time.Second)
	def(&l.BackoffMin, time.Second)
	def(&l.BackoffMax, 2*time.Minute)
	def(&l.StartWindow, 10*time.Minute)
	def(&l.Remove, 30*time.Second)
	def(&l.Exit, 5*time.Second)
	if l.Misses == 0 {
		l.Misses = 3
	}
	if l.Starts == 0 {
		l.Starts = 5
	}
	return l
}

var fileName = regexp.MustCompile(`^([a-z]+)-([A-Za-z0-9][A-Za-z0-9._-]{0,99})$`)

// splitName takes a file name such as runner-docker apart; ok is false when it is not the name of a plugin.
func splitName(file string) (kind pluginapi.Kind, name string, ok bool) {
	m := fileName.FindStringSubmatch(file)
	if m == nil {
		return "", "", false
	}
	return pluginapi.Kind(m[1]), m[2], true
}

// wants says whether this host runs the plugin with the given file name.
func (c *Config) wants(file string) bool {
	kind, _, ok := splitName(file)
	return ok && slices.Contains(c.Kinds, kind) && !c.Plugins[file].Disabled &&
		(c.Only == nil || slices.Contains(c.Only, file))
}

func (c *Config) check() error {
	for file := range c.Plugins {
		if _, _, ok := splitName(file); !ok {
			return fmt.Errorf("plugins.%s: a plugin is called <kind>-<name>, such as runner-docker", file)
		}
	}
	for _, file := range c.Only {
		kind, _, ok := splitName(file)
		if !ok || !slices.Contains(c.Kinds, kind) {
			return fmt.Errorf("plugin %q cannot run here: its name has to begin with one of %s", file, c.prefixes())
		}
	}
	return nil
}

func (c *Config) prefixes() string {
	prefixes := make([]string, len(c.Kinds))
	for i, kind := range c.Kinds {
		prefixes[i] = string(kind) + "-"
	}
	return strings.Join(prefixes, ", ")
}
