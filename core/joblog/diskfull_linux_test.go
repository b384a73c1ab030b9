package joblog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/tally"
	"github.com/stroem/stroem/tests/engines"
)

// TestDiskFull fills a file system of 1 MiB. Mounting one takes root, as where engines are required; TestFileSizeLimit takes nothing.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); errors.Is(err, syscall.EPERM) && !engines.Required("docker") {
		t.Skip("mounting a file system takes root")
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	writeBeyondTheEnd(t, dir, "no space left on device", func() error {
		return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m")
	})
}

const limitedFiles = "STROEM_TEST_LIMITED_FILES"

// TestFileSizeLimit does the same with files that may not grow beyond 1 MiB, in a process of its own.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	if os.Getenv(limitedFiles) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.v")
		child.Env = append(os.Environ(), limitedFiles+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestFileSizeLimit")
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	small := syscall.Rlimit{Cur: 1 << 20, Max: limit.Max}
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small))
	writeBeyondTheEnd(t, t.TempDir(), "file too large", func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) })
}

// writeBeyondTheEnd has a step write 4 MiB to where there is room for one, until there is more.
func writeBeyondTheEnd(t *testing.T, dir, cause string, makeRoom func() error) {
	t.Helper()
	var said bytes.Buffer
	counted := &tally.Logs{}
	s := open(t, dir)
	s.Tally, s.Logger = counted, slog.New(slog.NewTextHandler(&said, nil))
	job, failures := uuid.New(), 0
	send := func(ctx context.Context, first int64, ndjson []byte) error {
		for {
			err := s.Append(ctx, job, "a", 1, first, ndjson)
			if err == nil {
				return nil
			}
			require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
			require.ErrorContains(t, err, cause)
			requireWholeLines(t, filepath.Join(dir, job.String()+".jsonl"))
			if failures++; failures == 1 {
				require.Error(t, s.Event(ctx, job, "[hooks] lost"))
			}
			if failures == 5 {
				require.NoError(t, makeRoom())
			}
		}
	}
	r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "a", Attempt: 1, Send: send})
	const count = 40_000
	for i := range count {
		write(t, r.Stdout(), "%0100d\n", i)
	}
	left := r.Close(t.Context())
	require.NoError(t, left.Err)
	require.Equal(t, 5, failures)
	require.NoError(t, s.Append(t.Context(), job, "a", 1, left.First, left.Tail))
	require.EqualValues(t, 6, counted.Failures.Counts()[tally.Labels{}])
	require.Equal(t, 1, strings.Count(said.String(), "level=WARN"), said.String())

	for range 2 {
		page, got := read(t, s, job, joblog.Query{Step: joblog.ServerStep})
		require.Len(t, got, 1, "told once")
		require.Regexp(t, `^stderr: \[logs\] The log could not be written from 20\d\d-.*Z to 20.*Z: `+cause+`\. Steps have waited`, got[0])
		require.EqualValues(t, count+1, page.Total)
		_, got = read(t, s, job, joblog.Query{Step: "a"})
		require.Len(t, got, count)
		for i, text := range got {
			require.Equal(t, fmt.Sprintf("stdout: %0100d", i), text)
		}
		require.NoError(t, s.Close())
		s = open(t, dir)
	}
}

func requireWholeLines(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, len(data) == 0 || data[len(data)-1] == '\n', "half a line is left")
}
