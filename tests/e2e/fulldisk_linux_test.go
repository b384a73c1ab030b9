package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/joblog"
)

const loud = `
actions:
  loud: {type: shell, cmd: 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i of a step that writes more than there is room for"; done'}
  quiet: {type: shell, cmd: echo done}
tasks:
  loud: {flow: {s: {action: loud}, after: {action: quiet, depends_on: [s]}}}
  quiet: {flow: {s: {action: quiet}}}
`

// TestFullDisk fills the disk with the logs: steps wait with their output, the server is killed and started again meanwhile, and
// when there is room all jobs end well, with every line once and in order.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(coretest.TempDir(t), "logs")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); errors.Is(err, syscall.EPERM) && !coretest.Required("docker") {
		t.Skip("mounting a file system takes root")
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	s := newSystem(t, workspace(t, loud), settings{"log_storage": settings{"local_dir": dir}})
	s.startWorker("w", nil)
	id := s.execute("default", "loud", nil)
	s.eventuallyRefuses("writes")
	other := s.execute("default", "quiet", nil)
	s.eventuallyRefuses("writes")
	s.server.kill()
	s.startServer()
	s.eventuallyRefuses("writes, after its restart")
	job, err := s.Job(t.Context(), id, 0)
	require.NoError(t, err)
	require.Equal(t, "running", job.Status, "%s", describeSteps(job))

	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
	for _, id := range []string{id, other} {
		job := s.wait(id)
		require.Equal(t, "completed", job.Status, "%s", describeSteps(job))
	}
	var printed strings.Builder
	require.NoError(t, s.DownloadLogs(t.Context(), id, client.LogQuery{Step: "s"}, false, &printed))
	n := 0
	for line := range strings.Lines(printed.String()) {
		n++
		require.Equal(t, fmt.Sprintf("line %d of a step that writes more than there is room for\n", n), line)
	}
	require.Equal(t, 20_000, n)
	said, err := s.Logs(t.Context(), id, client.LogQuery{Step: joblog.ServerStep})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(said.Logs, "[logs] The log could not be written"), "%s", said.Logs)
	require.Contains(t, said.Logs, "no space left on device")
}

// eventuallyRefuses waits until the file system has refused more than it has now, or than a server that was just started knows of.
func (s *system) eventuallyRefuses(what string) {
	s.t.Helper()
	before := s.refused(s.t.Context())
	s.eventually("the disk refuses "+what, func(ctx context.Context) bool {
		now := s.refused(ctx)
		return now != "" && now != "0" && now != before
	})
}

// refused is how many writes to logs have failed, as the metrics say.
func (s *system) refused(ctx context.Context) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+"/metrics", nil)
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	_, rest, _ := strings.Cut(string(data), "\nstroem_log_write_errors_total ")
	number, _, _ := strings.Cut(rest, "\n")
	return number
}
