// Package deps holds what the programs and the plugin API may link, beyond what lint sees in single files.
package deps

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/stroem/stroem"

// list runs go list on packages of the module.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

func TestProgramsLinkNoVendors(t *testing.T) {
	t.Parallel()
	vendors := []string{"github.com/docker/docker", "k8s.io/", "github.com/go-git/", "github.com/aws/"}
	for _, program := range []string{"stroem-server", "stroem-worker", "stroem"} {
		for _, dependency := range list(t, "-deps", "./cmd/"+program) {
			for _, vendor := range vendors {
				require.False(t, strings.HasPrefix(dependency, vendor),
					"%s links %s: what is vendor-specific belongs into a plugin, so that the core stays small and plugins can be replaced", program, dependency)
			}
		}
	}
}

func TestServerAndWorkerMeetOnTheWireAlone(t *testing.T) {
	t.Parallel()
	for program, forbidden := range map[string][]string{
		"stroem-server": {"/core/worker"},
		"stroem-worker": {"/core/postgres", "/core/httpapi", "/core/engine", "/core/server"},
	} {
		dependencies := list(t, "-deps", "./cmd/"+program)
		for _, path := range forbidden {
			require.NotContains(t, dependencies, module+path, "%s must not link %s", program, path)
		}
	}
}

func TestPluginAPIStandsAlone(t *testing.T) {
	t.Parallel()
	for _, dependency := range list(t, "-deps", "./pluginapi/...") {
		if rest, ours := strings.CutPrefix(dependency, module); ours {
			require.True(t, strings.HasPrefix(rest, "/pluginapi"),
				"pluginapi imports %s: third parties would have to compile our core", dependency)
		}
	}
}

func TestPluginsUseWhatThirdPartiesHave(t *testing.T) {
	t.Parallel()
	for _, plugin := range list(t, "./plugins/...") {
		for _, dependency := range list(t, "-deps", plugin) {
			rest, ours := strings.CutPrefix(dependency, module)
			if !ours || strings.HasPrefix(rest, "/pluginapi") || strings.HasPrefix(dependency, plugin) {
				continue
			}
			require.Fail(t, "forbidden import", "%s imports %s: our plugins use the public API alone, which proves that it suffices", plugin, dependency)
		}
	}
}

func TestCoreUsesTheStandardLibrary(t *testing.T) {
	t.Parallel()
	allowed := []string{module + "/core", "github.com/google/uuid"}
	for _, dependency := range list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./core") {
		require.True(t, slices.Contains(allowed, dependency), "core imports %s: it is what everything else stands on", dependency)
	}
}
