package images_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

// engine is a Docker engine with the docker program.
type engine struct {
	host string
}

func newEngine(t *testing.T) engine {
	t.Helper()
	return engine{host: engines.Docker(t)}
}

var images atomic.Int64

// newImage is the name of an image of the test's own, which is removed with the test.
func (e engine) newImage(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("stroem.local/images-%d-%d:test", os.Getpid(), images.Add(1))
	t.Cleanup(func() { _ = exec.Command("docker", "-H", e.host, "rmi", "-f", name).Run() }) //nolint:noctx // the test's has ended
	return name
}

// docker runs the docker program and returns what it puts out, and its exit code.
func (e engine) docker(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", args...)
	// The builder that every engine has.
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.host, "DOCKER_BUILDKIT=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	require.NoError(t, err)
	return out.String(), errs.String(), 0
}

// do is docker for what has to work.
func (e engine) do(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := e.docker(t, args...)
	require.Zero(t, code, "docker %v: %s%s", args, stdout, stderr)
	return stdout
}

// busyboxBase is a base that takes a moment to make: it has bash and curl, and an apt-get that does
// nothing.
func (e engine) busyboxBase(t *testing.T) string {
	t.Helper()
	name := e.newImage(t)
	archive, err := os.Create(filepath.Join(t.TempDir(), "base.tar"))
	require.NoError(t, err)
	base := localimage.Image{
		Name: name, Command: []string{"sh"}, Programs: []string{"bash", "curl"},
		Scripts: map[string]string{"apt-get": "#!/bin/sh\n"},
	}
	require.NoError(t, base.Write(t.Context(), archive))
	require.NoError(t, archive.Close())
	e.do(t, "load", "-q", "-i", archive.Name())
	return name
}

// build builds an image of the runner's Dockerfile.
func (e engine) build(t *testing.T, args ...string) (name, output string, code int) {
	t.Helper()
	name = e.newImage(t)
	const context = "../../deploy/docker"
	args = append([]string{"build", "--network=host", "-f", context + "/runner.Dockerfile", "-t", name}, args...)
	for _, proxy := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		args = append(args, "--build-arg", proxy)
	}
	stdout, stderr, code := e.docker(t, append(args, context)...)
	return name, stdout + stderr, code
}
