//go:build unix

package sops_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/sops"
)

// install puts a program named sops on PATH that answers as script does.
func install(t *testing.T, script string) {
	t.Helper()
	coretest.Programs(t, map[string]string{"sops": script})
}

// Not parallel, as all that follow: PATH belongs to the process.
func TestDecrypt(t *testing.T) {
	install(t, `test "$*" = "--input-type yaml --output-type yaml -d /dev/stdin" && sed 's/ENC//' /dev/stdin`)
	plain, err := sops.Decrypt(t.Context(), []byte("a: ENCvalue\n"))
	require.NoError(t, err)
	require.Equal(t, "a: value\n", string(plain))

	install(t, "echo 'Failed to get the  data key' >&2; exit 128")
	_, err = sops.Decrypt(t.Context(), nil)
	require.EqualError(t, err, "exit status 128 (Failed to get the data key)")

	t.Setenv("PATH", t.TempDir())
	_, err = sops.Decrypt(t.Context(), nil)
	require.ErrorIs(t, err, sops.ErrNotInstalled)
}

// TestDecryptEnds stops a program that does not answer, though a child of it holds its output open.
func TestDecryptEnds(t *testing.T) {
	dir := t.TempDir()
	started, hold := filepath.Join(dir, "started"), filepath.Join(dir, "hold")
	require.NoError(t, syscall.Mkfifo(started, 0o600))
	require.NoError(t, syscall.Mkfifo(hold, 0o600))
	install(t, "cat "+hold+" & echo >"+started+"; wait")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := os.ReadFile(started) // until it runs
		cancel()
		done <- err
	}()
	_, err := sops.Decrypt(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, <-done)
	end, err := os.OpenFile(hold, os.O_WRONLY, 0) // ends the child
	require.NoError(t, err)
	require.NoError(t, end.Close())
}
