package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// dockerHost is the variable that names the engine for tests.
const dockerHost = "STROEM_TEST_DOCKER_HOST"

// docker runs the engine's client.
func docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin, cmd.Env = stdin, os.Environ()
	if host := os.Getenv(dockerHost); host != "" {
		cmd.Env = append(cmd.Env, "DOCKER_HOST="+host)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// dockerImage makes an image with busybox in it. Without an engine the test is skipped, or fails if STROEM_TEST_REQUIRE names
// docker.
func dockerImage(t *testing.T) string {
	t.Helper()
	if _, err := docker(t.Context(), nil, "version"); err != nil {
		if !coretest.Required("docker") && os.Getenv(dockerHost) == "" {
			t.Skip(err)
		}
		require.NoError(t, err)
	}
	busybox, err := exec.LookPath("busybox")
	require.NoError(t, err, "install busybox-static")
	dir := filepath.Join(t.TempDir(), "bin")
	require.NoError(t, os.Mkdir(dir, 0o755))
	program, err := os.ReadFile(busybox)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "busybox"), program, 0o755))
	for _, name := range []string{"sh", "sleep", "cat"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(dir, name)))
	}
	image := fmt.Sprintf("stroem-e2e-%d/busybox:1", os.Getpid())
	pack := exec.CommandContext(t.Context(), "tar", "-C", filepath.Dir(dir), "-c", "bin")
	packed, err := pack.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, pack.Start())
	_, err = docker(t.Context(), packed, "import", "-", image)
	require.NoError(t, errors.Join(err, pack.Wait()))
	t.Cleanup(func() {
		_, err := docker(context.WithoutCancel(t.Context()), nil, "rmi", image)
		require.NoError(t, err)
	})
	return image
}

const contained = `
actions:
  count:
    type: shell
    runner: docker
    image: IMAGE
    cmd: |
      echo 'OUTPUT: {"token": "{{ secret.token }}"}'
      i=0
      while [ $i -lt 300 ]; do
        i=$((i + 1))
        echo "line $i"
        [ $((i % 10)) != 0 ] || echo "note $i" >&2
        sleep 0.02
      done
      cat "$STROEM_INPUT" >/dev/null && exit 3
secrets: {token: very-secret}
tasks:
  count:
    flow:
      s: {action: count, continue_on_failure: true}
`

// A step in a container goes on whoever is killed, and its real result is told.
func TestAContainerOutlivesWorkerAndPlugin(t *testing.T) {
	t.Parallel()
	image := dockerImage(t)
	s := newSystem(t, workspace(t, strings.ReplaceAll(contained, "IMAGE", image)), nil)
	config := settings{"max_concurrent": 1, "plugins": settings{"dir": filepath.Join(bin, "plugins")}}
	if host := os.Getenv(dockerHost); host != "" {
		config["plugins"].(settings)["runner-docker"] = settings{"config": settings{"host": host}}
	}
	w := s.startWorker("w", config)
	id := s.execute("default", "count", nil)
	for _, lines := range []int64{50, 150} {
		s.eventually(fmt.Sprint(lines, " lines are stored"), func(ctx context.Context) bool {
			page, err := s.Logs(ctx, id, client.LogQuery{})
			return err == nil && page.Total >= lines
		})
		plugin := child(t, w.pid(), "runner-docker")
		w.kill()
		_ = syscall.Kill(plugin, syscall.SIGKILL) // it may have seen that its host is gone
		w = s.startWorker("w", config)
	}
	job := s.wait(id)
	require.Contains(t, *job.Steps[0].ErrorMessage, "Exit code: 3")
	want := map[string][]string{"stdout": {`OUTPUT: {"token": "••••••"}`}}
	for i := 1; i <= 300; i++ {
		want["stdout"] = append(want["stdout"], fmt.Sprintf("line %d", i))
		if i%10 == 0 {
			want["stderr"] = append(want["stderr"], fmt.Sprintf("note %d", i))
		}
	}
	require.Equal(t, want, s.linesOf(id))
	require.Empty(t, s.scratch("w"), "nothing is left")
	left, err := docker(t.Context(), nil, "ps", "-aq", "--filter", "label=stroem.job="+id)
	require.NoError(t, err)
	require.Empty(t, left)
}
