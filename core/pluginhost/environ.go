package pluginhost

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/stroem/stroem/pluginapi/hostapi"
)

// environment is what a plugin sees: what it may see of host (as of os.Environ), and the configured variables.
func environment(host []string, configured map[string]string, level slog.Level) []string {
	env := hostapi.Environ(host)
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		env = append(env, name+"="+configured[name])
	}
	return append(env, hostapi.Env(level)...)
}
