package hostapi

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// passed are the variables of the host that plugins see. Everything else, such as the password of the database, stays
// with the host. Case does not matter, for the proxy variables and for Windows.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_*", "USER", "SHELL",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", // where a pod finds its API server
	"SYSTEMROOT", "TEMP", "TMP", "USERPROFILE", "PATHEXT", "COMSPEC", // Windows programs do not start without
}

// Environ returns what a plugin sees of its host's environment, which is as of [os.Environ]. The caller adds what is
// configured, and then [Env].
func Environ(host []string) []string {
	var env []string
	for _, variable := range host {
		name, _, _ := strings.Cut(variable, "=")
		if isPassed(name) {
			env = append(env, variable)
		}
	}
	return env
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

// Env returns the environment variables by which a plugin learns what it should log.
func Env(level slog.Level) []string { return []string{wire.LogLevelEnv + "=" + level.String()} }
