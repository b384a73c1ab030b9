package pluginhost_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKilledHostLeavesNothingBehind kills a host: its plugin has to end, and to remove the socket that the host would have.
func TestKilledHostLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	dir, tmp, mark := t.TempDir(), t.TempDir(), fmt.Sprintf("host-%d-%d", os.Getpid(), time.Now().UnixNano())
	place(t, filepath.Join(dir, "runner-test"))
	text, err := json.Marshal(script{Dir: t.TempDir()})
	require.NoError(t, err)
	host := exec.CommandContext(t.Context(), self)
	host.Env = []string{hostEnv + "=" + dir, markEnv + "=" + mark, "SCRIPT=" + string(text), "TMPDIR=" + tmp}
	stdin, err := host.StdinPipe()
	require.NoError(t, err)
	stdout, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	state, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", state)
	require.Len(t, marked(mark, false), 2, "host and plugin")
	sockets, err := filepath.Glob(filepath.Join(tmp, "*", "*"))
	require.NoError(t, err)
	require.Len(t, sockets, 1)
	require.NoError(t, host.Process.Kill())
	require.Error(t, host.Wait())
	_ = stdin.Close() // the host has gone
	require.Eventually(t, func() bool { return len(marked(mark, false)) == 0 }, longEnough, 20*time.Millisecond)
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}
