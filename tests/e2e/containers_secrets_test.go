package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
)

const showing = `
secrets: {token: s3cret-of-the-workspace}
actions:
  show:
    type: shell
    env: {TOKEN: "{{ secret.token }}"}
    input: {password: {type: string, secret: true}}
    cmd: |
      test "$TOKEN" = "{{ secret.token }}" && test "$INPUT_PASSWORD" = p4ssword-of-the-job || exit 1
      test "$(cat data/numbers.txt)" = "1 2 3" || exit 2
      grep -q p4ssword-of-the-job "$STROEM_INPUT" || exit 3
      echo "it runs: $TOKEN"
      env | grep -i worker
      sleep 600 # until it has been looked at
tasks:
  show:
    input: {password: {type: string, secret: true}}
    flow: {s: {action: show, input: {password: "{{ input.password }}"}}}
`

// What is secret is in no argument of a process, in no pod's specification, and in no log; no worker's token is in a container.

func TestDockerSecrets(t *testing.T) {
	t.Parallel()
	dockerEngine(t).secrets()
}

func TestKubeSecrets(t *testing.T) {
	t.Parallel()
	kubeEngine(t).secrets()
}

func (e *engine) secrets() {
	t := e.t
	files := workspace(t, showing)
	require.NoError(t, os.Mkdir(filepath.Join(files["default"], "data"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(files["default"], "data", "numbers.txt"), []byte("1 2 3\n"), 0o600))
	s := e.system(files)
	w := e.startWorker(s, "w", 1)
	id := s.execute("default", "show", map[string]any{"password": "p4ssword-of-the-job"})
	s.eventually("it runs", func(ctx context.Context) bool {
		lines := s.linesOf(id)
		return len(lines["stdout"]) > 0
	})
	places := map[string]string{"the processes": commandLines(t), "the engine": e.specs()}
	_, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "cancelled", s.wait(id).Status)
	page, err := s.Logs(t.Context(), id, client.LogQuery{})
	require.NoError(t, err)
	places["the log"], places["the worker's own log"], places["the server's own log"] = page.Logs, w.log.String(), s.server.log.String()
	require.Equal(t, []string{"it runs: ••••••"}, s.linesOf(id)["stdout"])
	for place, text := range places {
		for _, secret := range []string{"s3cret-of-the-workspace", "p4ssword-of-the-job", token, "stroem_ws_"} {
			require.NotContains(t, text, secret, place)
		}
	}
	e.nothingLeft(s)
}

// commandLines are the arguments of all processes of this machine, those of containers included.
func commandLines(t *testing.T) (all string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		content, _ := os.ReadFile(file) // it may have ended meanwhile
		all += string(content) + "\n"
	}
	require.Contains(t, all, "/stroem/", "the step's own is among them")
	return all
}
