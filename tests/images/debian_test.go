//go:build debian

package images_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRunnerImageOnDebian takes a minute, and needs debootstrap and a mirror: it is for make nightly.
func TestRunnerImageOnDebian(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	image := testTools(t, e, "--build-arg=BASE="+e.debianBase(t))
	require.Equal(t, "/workspace\n3\n", e.do(t, "run", "--rm", image, `
		set -e
		for program in bash curl git gzip ssh tar unzip; do command -v $program >/dev/null; done
		test -s /etc/ssl/certs/ca-certificates.crt
		pwd
		echo '{"a": [1, 2, 3]}' | jq '.a[2]'`))
}

// debianBase is a Debian of its packages, as the image is based on. It takes half a minute.
func (e engine) debianBase(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	args := []string{"--variant=minbase", "bookworm", root}
	if mirror := debianMirror(t); mirror != "" {
		args = append(args, mirror)
	}
	out, err := exec.CommandContext(t.Context(), "debootstrap", args...).CombinedOutput()
	require.NoError(t, err, "debootstrap: %s", out)
	archive := root + ".tar"
	out, err = exec.CommandContext(t.Context(), "tar", "-C", root, "-cf", archive, ".").CombinedOutput()
	require.NoError(t, err, "tar: %s", out)
	name := e.newImage(t)
	e.do(t, "import", archive, name)
	return name
}

// debianMirror is where a Debian gets its packages, empty if this is none.
func debianMirror(t *testing.T) string {
	t.Helper()
	release, err := os.ReadFile("/etc/os-release")
	require.NoError(t, err)
	if !strings.Contains("\n"+string(release), "\nID=debian\n") {
		return ""
	}
	targets, err := exec.CommandContext(t.Context(), "apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages",
		"Label: Debian").Output()
	require.NoError(t, err)
	mirror, _, _ := strings.Cut(string(targets), "\n")
	return strings.TrimSpace(mirror)
}
