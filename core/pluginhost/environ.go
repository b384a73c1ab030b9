package pluginhost

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/stroem/stroem/pluginapi/hostapi"
)

// passed are the variables of the host that plugins see. Everything else, such as the password of the database, stays
// with the host. Case does not matter, for the proxy variables and for Windows.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_*", "USER", "SHELL",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"SYSTEMROOT", "TEMP", "TMP", "USERPROFILE", "PATHEXT", "COMSPEC", // Windows programs do not start without
}

// environment is what a plugin sees: the passed variables of host (as of os.Environ), and the configured ones.
func environment(host []string, configured map[string]string, level slog.Level) []string {
	var env []string
	for _, variable := range host {
		name, _, _ := strings.Cut(variable, "=")
		if isPassed(name) {
			env = append(env, variable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		env = append(env, name+"="+configured[name])
	}
	return append(env, hostapi.Env(level)...)
}

func isPassed(name string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc(passed, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == pattern
	})
}
