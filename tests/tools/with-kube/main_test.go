//go:build linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
)

// actAsCommand tells the test binary to be with-kube.
const actAsCommand = "STROEM_TEST_ACT_AS_WITH_KUBE"

func TestMain(m *testing.M) {
	enclosure.Inside(serve)
	if os.Getenv(actAsCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// runPod is a script that runs a pod on the cluster, without a program for it, and waits until it runs.
const runPod = `
set -e
certificates=$(dirname $STROEM_TEST_KUBECONFIG)
address=${STROEM_TEST_KUBE_HOST_ADDRESS%.*}.1
ask() {
	path=$1
	shift
	curl -fsS --cacert $certificates/ca.crt --cert $certificates/admin.crt --key $certificates/admin.key \
		"https://$address/api/v1/namespaces/default/pods$path" "$@"
}
ask '' -H 'Content-Type: application/json' -d '{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "test"}, "spec":
	{"containers": [{"name": "main", "image": "` + engines.KubeTools + `", "command": ["sh", "-c", "curl -V; sleep 1000"]}]}}' >/dev/null
until ask /test | grep -q '"phase": "Running"' && ask /test/log | grep -q libcurl; do sleep 0.1; done
echo $STROEM_TEST_KUBECONFIG
`

// Whatever ends it, a cluster with a pod that runs leaves nothing behind.
func TestClusterEndsWithCommand(t *testing.T) {
	t.Parallel()
	engines.Kube(t) // where tests get one, this can start one
	program, err := os.Executable()
	require.NoError(t, err)
	programs, err := filepath.Abs("../../../.bin/kube")
	require.NoError(t, err)
	for name, ends := range map[string]func(t *testing.T, cmd *exec.Cmd){
		"command": func(*testing.T, *exec.Cmd) {},
		"killed":  func(t *testing.T, cmd *exec.Cmd) { require.NoError(t, cmd.Process.Signal(syscall.SIGKILL)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp, err := os.MkdirTemp("", "stroem-test-") //nolint:usetesting // paths of sockets are to be short
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(temp) })
			cmd := exec.CommandContext(t.Context(), program, "--programs", programs, "sh", "-c", runPod+"cat >&2; exit 7")
			cmd.Env = append(os.Environ(), actAsCommand+"=1", engines.Kubeconfig+"=", "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0")
			cmd.Stderr = os.Stderr
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			trace := enclosure.Follow(filepath.Dir(strings.TrimSpace(line)))
			require.Len(t, trace.Links, 1)
			require.NotEmpty(t, trace.Left())

			ends(t, cmd)
			require.NoError(t, stdin.Close())
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			if name == "command" {
				require.Equal(t, 7, exit.ExitCode(), "the command's exit code is ours")
			}
			require.Eventually(t, func() bool { return len(trace.Left()) == 0 }, 20*time.Second, 20*time.Millisecond)
		})
	}
}
