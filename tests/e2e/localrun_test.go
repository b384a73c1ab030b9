package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

// localRun is a run of a task without a server, with a directory for temporary files of its own.
type localRun struct {
	*process
	tmp string
	out *lockedBuffer
}

// newRun prepares a run in a directory for temporary files, which the database's unprivileged user has to enter.
func newRun(t *testing.T, tmp, dir string, args ...string) *localRun {
	t.Helper()
	r := &localRun{process: &process{t: t, name: "run", log: &lockedBuffer{}, done: make(chan struct{})}, tmp: tmp, out: &lockedBuffer{}}
	r.cmd = exec.Command(filepath.Join(bin, "stroem"), append([]string{"run", "--dir", dir}, args...)...) //nolint:noctx // ended by stop, gently
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.log
	r.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(filepath.Dir(bin), "home"), "TMPDIR=" + tmp, "RUN_TOKEN=drowssap-terces",
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return r
}

func temporary(t *testing.T) string {
	t.Helper()
	tmp, err := os.MkdirTemp("", "stroem-e2e-") //nolint:usetesting // the database's user cannot enter that one
	require.NoError(t, err)
	require.NoError(t, os.Chmod(tmp, 0o711))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tmp)) })
	return tmp
}

func (r *localRun) start() *localRun {
	r.t.Helper()
	require.NoError(r.t, r.cmd.Start())
	go func() {
		defer close(r.done)
		_ = r.cmd.Wait()
	}()
	r.t.Cleanup(r.stop)
	return r
}

// wait returns what the run printed, and its exit code, -1 if it was killed.
func (r *localRun) wait() outcome {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		r.t.Fatalf("the run does not end:\n%s%s", r.out, r.log)
	}
	got := outcome{r.out.String(), r.log.String(), r.cmd.ProcessState.ExitCode()}
	if strings.Contains(got.stderr, "PostgreSQL is not installed") && !coretest.Required("postgres") {
		r.t.Skip(got.stderr)
	}
	require.NotContains(r.t, got.stdout+got.stderr, "\x1b", "no colours into a pipe")
	return got
}

// shows waits until the run has printed a text.
func (r *localRun) shows(out *lockedBuffer, text string) {
	r.t.Helper()
	require.True(r.t, poll(r.t.Context(), func(context.Context) bool {
		select {
		case <-r.done:
			r.wait()
			r.t.Fatalf("the run has ended:\n%s%s", r.out, r.log)
		default:
		}
		return strings.Contains(out.String(), text)
	}), "waited in vain for %q", text)
}

// leavesNothing checks that no file and no process of the run is left.
func (r *localRun) leavesNothing() {
	r.t.Helper()
	entries, err := os.ReadDir(r.tmp)
	require.NoError(r.t, err)
	require.Empty(r.t, entries)
	require.Empty(r.t, processesOf(r.t, r.tmp))
}

// processesOf lists the processes that name a directory in their arguments or environment.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/*")
	require.NoError(t, err)
	for _, file := range files {
		if name := filepath.Base(file); name != "environ" && name != "cmdline" {
			continue
		}
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), dir) { // else it has ended
			found = append(found, file+": "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return found
}
