package pluginapi_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDependencies keeps the public API light: a plugin links what go-plugin and gRPC need, and nothing else of ours.
func TestDependencies(t *testing.T) {
	t.Parallel()
	list := func(args ...string) []string {
		out, err := exec.CommandContext(t.Context(), "go", append([]string{
			"list", "-deps", "-f",
			`{{if not .Standard}}{{.ImportPath}}{{"\t"}}{{with .Module}}{{.Path}}{{end}}{{end}}`,
		}, args...)...).Output()
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	const ours = "github.com/stroem/stroem"
	allowed := map[string]bool{}
	for _, line := range list("github.com/hashicorp/go-plugin", "github.com/hashicorp/go-hclog", "google.golang.org/grpc",
		"google.golang.org/grpc/test/bufconn", "google.golang.org/protobuf/proto") {
		_, module, _ := strings.Cut(line, "\t")
		allowed[module] = true
	}
	for _, line := range list("./...") {
		pkg, module, _ := strings.Cut(line, "\t")
		switch {
		case module == ours && !strings.HasPrefix(pkg+"/", ours+"/pluginapi/"):
			t.Errorf("pluginapi imports %s", pkg)
		case module != ours && !allowed[module] && !strings.HasPrefix(module, "golang.org/x/"):
			t.Errorf("pluginapi links %s of %s", pkg, module)
		}
	}
}
