// Package deps holds what the programs and the plugin API may link, beyond what lint sees in single files.
package deps

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "github.com/stroem/stroem"
)

// observe makes the go command run these tests again when the sources change: it caches results by the files that a test
// opens itself, and knows nothing of those that go list opens.
var observe = sync.OnceValue(func() error {
	for _, name := range []string{"cmd", "core", "db", "pluginapi", "plugins", "go.mod"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return err
		}
	}
	return nil
})

// list returns the lines that go list prints about packages of the module.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	require.NoError(t, observe())
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Fields(string(out))
	require.NotEmpty(t, lines)
	return lines
}

// requireNone checks that a program links no package with one of the prefixes.
func requireNone(t *testing.T, program string, prefixes []string, reason string) {
	t.Helper()
	var linked []string
	for _, dependency := range list(t, "-deps", program) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(dependency+"/", prefix+"/") {
				linked = append(linked, dependency)
			}
		}
	}
	require.Empty(t, linked, "%s links these packages, and must not: %s", program, reason)
}

func TestProgramsLinkNoVendors(t *testing.T) {
	t.Parallel()
	vendors := []string{"github.com/aws", "github.com/docker", "github.com/go-git", "github.com/moby", "k8s.io", "sigs.k8s.io"}
	for _, program := range list(t, "./cmd/...") {
		requireNone(t, program, vendors,
			"what is specific to a vendor belongs into a plugin, so that the core stays small and plugins can be replaced")
	}
}

func TestProgramsLinkNoTestCode(t *testing.T) {
	t.Parallel()
	helpers := []string{
		module + "/core/coretest", module + "/tests", "github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid",
		"github.com/Shopify/toxiproxy", "github.com/chromedp", "github.com/zitadel",
	}
	for _, program := range list(t, "./cmd/...", "./plugins/...") {
		requireNone(t, program, helpers, "helpers of tests are for tests")
		if program != module+"/cmd/stroem" {
			requireNone(t, program, []string{module + "/pluginapi/plugintest"}, "only `stroem plugin check` tries plugins")
		}
	}
}

// TestConformanceSuiteRunsWithoutTheGoTool looks at what the suite imports itself: go-plugin links the testing package.
func TestConformanceSuiteRunsWithoutTheGoTool(t *testing.T) {
	t.Parallel()
	imports := list(t, "-f", `{{join .Imports "\n"}}`, "./pluginapi/plugintest")
	require.NotContains(t, imports, "testing", "`stroem plugin check` runs the suite in a program")
}

func TestServerAndWorkerMeetOnTheWireAlone(t *testing.T) {
	t.Parallel()
	requireNone(t, module+"/cmd/stroem-server", []string{module + "/core/worker", module + "/core/client"},
		"what the server knows of a worker came over the wire")
	requireNone(t, module+"/cmd/stroem-worker", []string{
		module + "/core/engine", module + "/core/httpapi", module + "/core/postgres", module + "/core/server",
		module + "/core/template", module + "/db", "github.com/fasthttp", "github.com/gofiber", "github.com/jackc", "github.com/valyala",
	}, "a worker reaches the server by HTTP alone: no database, no templates")
}

func TestPluginAPIStandsAlone(t *testing.T) {
	t.Parallel()
	for _, dependency := range list(t, "-deps", "./pluginapi/...") {
		if rest, ours := strings.CutPrefix(dependency, module); ours {
			require.True(t, strings.HasPrefix(rest+"/", "/pluginapi/"),
				"pluginapi imports %s: third parties would have to compile our core", dependency)
		}
	}
}

func TestPluginsUseWhatThirdPartiesHave(t *testing.T) {
	t.Parallel()
	for _, plugin := range list(t, "./plugins/...") {
		for _, dependency := range list(t, "-deps", plugin) {
			rest, ours := strings.CutPrefix(dependency, module)
			if !ours || strings.HasPrefix(rest+"/", "/pluginapi/") || strings.HasPrefix(dependency+"/", plugin+"/") {
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
		require.Contains(t, allowed, dependency, "core is what everything else stands on, and does no I/O")
	}
}
