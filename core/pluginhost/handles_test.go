//go:build unix

package pluginhost_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// serverKinds are the kinds that a server runs.
func serverKinds(c *pluginhost.Config) {
	c.Kinds = []pluginapi.Kind{pluginapi.KindSource, pluginapi.KindLogStore}
}

// kill kills the only plugin process that there is.
func (s *stage) kill() {
	s.t.Helper()
	pid, err := strconv.Atoi(s.journal("start")[0])
	require.NoError(s.t, err)
	require.NoError(s.t, syscall.Kill(pid, syscall.SIGKILL))
}

func TestErrorsSayWhichPlugin(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	_, err := s.run(t.Context(), "fail").wait()
	require.EqualError(t, err, "runner(test): no luck today")
	require.Equal(t, pluginapi.CodePrecondition, pluginapi.CodeOf(err))
	require.NotErrorIs(t, err, pluginhost.ErrPluginGone)
	_, err = s.runner().(pluginapi.Attacher).Attach(t.Context(), &pluginapi.AttachRequest{RunID: "run-1"}, nil)
	require.Equal(t, pluginapi.CodeUnimplemented, pluginapi.CodeOf(err))
	require.ErrorContains(t, err, "runner(test): ")
	problems, err := s.runner().(pluginapi.Validator).Validate(t.Context(), &pluginapi.ValidateRequest{Type: "test"})
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, s.runner().Remove(t.Context(), &pluginapi.RemoveRequest{RunID: "run-0"}))
	require.Equal(t, []string{"run-0 "}, s.journal("remove"))
}

func TestSource(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"source-git": {}}, serverKinds)
	_, ok := s.host.Source("folder")
	require.False(t, ok)
	_, ok = s.host.LogStore("git")
	require.False(t, ok, "a name is one of a kind")
	source, ok := s.host.Source("git")
	require.True(t, ok)
	revision, err := source.Resolve(t.Context(), &pluginapi.ResolveRequest{Workspace: "ops"})
	require.NoError(t, err)
	require.Equal(t, "head-of-ops", revision.ID)
	failed := make(chan error, 1)
	go func() {
		_, err := source.Fetch(t.Context(), &pluginapi.FetchRequest{Workspace: "ops"})
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(s.journal("fetch")) == 1 }, longEnough, 5*time.Millisecond)
	s.kill()
	err = <-failed
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	require.ErrorContains(t, err, "source(git): ")
	s.await("source-git", "ready again", func(status pluginhost.Status) bool {
		return status.Restarts == 1 && status.State == pluginhost.StateReady
	})
	_, err = source.Resolve(t.Context(), &pluginapi.ResolveRequest{Workspace: "ops"})
	require.NoError(t, err)
}

func TestLogStore(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"logstore-mem": {}}, serverKinds)
	store, ok := s.host.LogStore("mem")
	require.True(t, ok)
	require.NoError(t, store.Put(t.Context(), &pluginapi.PutRequest{Key: "a", Size: 4}, strings.NewReader("text")))
	info, err := store.Stat(t.Context(), &pluginapi.StatRequest{Key: "a"})
	require.NoError(t, err)
	require.EqualValues(t, 42, info.Size)
	require.NoError(t, store.Delete(t.Context(), &pluginapi.DeleteRequest{Key: "a"}))
	r, err := store.Get(t.Context(), &pluginapi.GetRequest{Key: "absent"})
	if err == nil {
		_, err = io.ReadAll(r)
		require.NoError(t, r.Close())
	}
	require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err))
	require.NotErrorIs(t, err, pluginhost.ErrPluginGone)

	r, err = store.Get(t.Context(), &pluginapi.GetRequest{Key: "endless"})
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 1<<20))
	require.NoError(t, err)
	s.kill()
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, pluginhost.ErrPluginGone, "a torn object is no short one")
	require.NoError(t, r.Close())
}

// TestOpenReaderHoldsUpTheEnd has a reader that nobody reads: the host waits for it up to its limit.
func TestOpenReaderHoldsUpTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"logstore-mem": {}}, serverKinds)
	store, _ := s.host.LogStore("mem")
	r, err := store.Get(t.Context(), &pluginapi.GetRequest{Key: "endless"})
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- s.host.Close(t.Context()) }()
	s.await("logstore-mem", "draining", func(status pluginhost.Status) bool { return status.State == pluginhost.StateDraining })
	_, err = io.ReadFull(r, make([]byte, 1<<20))
	require.NoError(t, err, "a call under way goes on")
	require.NoError(t, r.Close())
	requireClosed(t, closed)
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, one(script{}), func(c *pluginhost.Config) { c.DataDir = data })
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
	info, err := os.Stat(filepath.Join(data, "runner-test"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	require.Equal(t, []string{filepath.Join(data, "runner-test")}, s.journal("data"))
}
