//go:build unix

package pluginhost_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestPanics(t *testing.T) {
	t.Parallel()
	for _, where := range []string{atStart, atDescribe, atConfigure, atHealth} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{Panic: where}), limits(func(l *pluginhost.Limits) { l.Starts = 1 }))
			require.Equal(t, pluginhost.StateFailed, s.status("runner-test").State)
			require.Equal(t, "ERROR", s.logbook.await(t, "panic: at the "+where)["level"])
		})
	}
}

func TestPanicInARun(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	other := s.run(t.Context(), "hold")
	request := runRequest("panic")
	request.RunID = "run-2"
	_, err := s.runner().Run(t.Context(), request, plugintest.NewRecorder())
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	requireLost(t, other)
	require.Equal(t, "ERROR", s.logbook.await(t, "panic: in the middle of a run")["level"])
	require.Equal(t, 1, s.awaitRestart().Restarts)
}

func TestBadHandshakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ shell, want string }{
		"empty line":       {"echo; sleep 120", "Unrecognized remote plugin message"},
		"stdout closed":    {"exec >&-; sleep 120", "Failed to read any lines from plugin's stdout"},
		"version to come":  {"echo '1|2|unix|/nowhere|grpc|'; sleep 120", "incompatible API version with plugin. Plugin version: 2, Client versions: [1]"},
		"no version":       {"echo '1|one|unix|/nowhere|grpc|'; sleep 120", "Error parsing protocol version"},
		"another protocol": {"echo '2|1|unix|/nowhere|grpc|'; sleep 120", "incompatible core API version"},
		"net/rpc":          {"echo '1|1|unix|/nowhere|netrpc|'; sleep 120", `unsupported plugin protocol "netrpc"`},
		"no address":       {"echo '1|1|unix||grpc|'; sleep 120", "ask what it is: runner(test): no answer from the plugin"},
		"nobody listens":   {"echo '1|1|unix|/nowhere|grpc|'; sleep 120", "ask what it is: runner(test): no answer from the plugin"},
		"no network":       {"echo '1|1|pigeon|x|grpc|'; sleep 120", "unknown address type"},
		"no certificate":   {"echo '1|1|unix|/nowhere|grpc|" + strings.Repeat("A", 60) + "'; sleep 120", "error parsing server cert"},
		"endless line":     {"tr '\\0' x </dev/zero", "Failed to read any lines from plugin's stdout"},
		"endless lines":    {"yes", "Unrecognized remote plugin message: y"},
		"endless stderr":   {"yes >&2", "it did not start within 2s"},
		"a child goes on":  {"sleep 120 & echo hello", "Unrecognized remote plugin message: hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Start, l.Starts = 2*time.Second, 1 }))
			path, pipe := filepath.Join(s.dir, "runner-test"), s.pipe("held")
			require.NoError(t, os.Remove(path)) // it may be a link to the test program
			write(t, path, []byte("#!/bin/sh\nexec 9>"+pipe.Name()+"\n"+c.shell+"\n"))
			require.NoError(t, s.host.Start(t.Context()))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, c.want)
			require.Less(t, len(status.LastError), 1000)
			requireAllGone(t, pipe)
		})
	}
}

func TestDescriptionsOfForeignPlugins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want   string
		starts int // a description that is refused is refused for good
	}{
		"huge description": {"received message larger than max", 2},
		"two answers":      {"start: ask what it is: runner(test): ", 2},
		"huge error":       {"start: ask what it is: runner(test): ", 2},
		"many types":       {"it describes 20000 action types; 1000 are the most", 1},
		"large schemas":    {"its schemas and examples have 3145730 bytes", 1},
		"long version":     {"its version has 1048576 bytes", 1},
		"strange version":  {"its version has characters that cannot be shown", 1},
		"large schema":     {"its schema has 262145 bytes; 262144 are the most", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{Foreign: name}), limits(func(l *pluginhost.Limits) { l.Starts = 2 }))
			status := s.awaitState(pluginhost.StateFailed)
			require.Contains(t, status.LastError, c.want)
			require.Less(t, len(status.LastError), 1000)
			require.Len(t, s.journal("start"), c.starts)
			require.Empty(t, s.host.ActionTypes())
		})
	}
}

func TestRunsOfForeignPlugins(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Foreign: "runs"}))
	for name, want := range map[string]string{
		"large chunk":  "runner(test): a chunk of output has 65537 bytes, more than 65536",
		"huge message": "received message larger than max",
		"garbage":      "cannot parse invalid wire-format data",
		"wordy error":  "runner(test): www",
		"huge error":   "runner(test): ",
	} {
		result, err := s.runner().Run(t.Context(), runRequest(name), plugintest.NewRecorder())
		require.Nil(t, result, name)
		require.ErrorContains(t, err, want, name)
		require.Less(t, len(err.Error()), 17<<10, name)
		require.NotErrorIs(t, err, pluginhost.ErrPluginGone, name)
	}
	result, err := s.runner().Run(t.Context(), runRequest("wordy result"), plugintest.NewRecorder())
	require.NoError(t, err)
	require.Less(t, len(result.Message), 17<<10)
	require.Zero(t, s.status("runner-test").Restarts, "a bad run is nothing that the others have to suffer for")
}

// slow is an output that takes nothing until it is released.
type slow struct {
	*plugintest.Recorder
	released <-chan struct{}
}

func (s slow) Started([]byte) error {
	<-s.released
	return nil
}

// TestOutputThatNobodyTakes has a plugin that sends without end to a host that is busy: it has to wait soon, because what
// it sends would be in the host's memory.
func TestOutputThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Foreign: "floods"}))
	released := make(chan struct{})
	done := make(chan error, 1)
	runner := s.runner()
	go func() {
		_, err := runner.Run(t.Context(), runRequest("flood"), slow{plugintest.NewRecorder(), released})
		done <- err
	}()
	require.Eventually(t, func() bool { return len(s.journal("waits")) > 0 }, longEnough, 5*time.Millisecond)
	chunks, err := strconv.Atoi(s.journal("waits")[0])
	require.NoError(t, err)
	require.Less(t, chunks*64<<10, 4<<20)
	s.kill()
	close(released)
	require.ErrorIs(t, <-done, pluginhost.ErrPluginGone)
}

// TestHealthErrors has health checks that are answered by errors: that is an answer, so the process is neither hung nor gone.
func TestHealthErrors(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Foreign: "health"}), limits(func(l *pluginhost.Limits) { l.Misses = 1 }))
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
	s.health("the\x00\x1bengine is down ")
	status := s.awaitState(pluginhost.StateUnhealthy)
	require.Contains(t, status.LastError, "runner(test): the engine is down the engine")
	require.Less(t, len(status.LastError), 1000)
	s.health("")
	require.Zero(t, s.awaitState(pluginhost.StateReady).Restarts)
}

func TestHealthErrorAtTheStart(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{Foreign: "health"}))
	s.health("the engine is down ")
	require.NoError(t, s.host.Start(t.Context()))
	require.Equal(t, pluginhost.StateUnhealthy, s.status("runner-test").State)
	s.health("")
	require.Zero(t, s.awaitState(pluginhost.StateReady).Restarts)
}

// TestEndlessWords has plugins that print without end while they work.
func TestEndlessWords(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"lines": "again and again\n", "no lines": "again and again",
		"long lines": strings.Repeat("again and again ", 4000) + "\n",
		"records":    `{"@level": "warn", "@message": "again", "and": "again"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{Flood: text}))
			for range 2 {
				s.text("pid")
			}
			require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
			require.Less(t, len(s.logbook.String()), 4<<20)
			require.NoError(t, s.host.Close(t.Context()))
		})
	}
}

func TestWrongKind(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"source-test": {Kind: pluginapi.KindRunner}}, serverKinds)
	status := s.status("source-test")
	require.Equal(t, pluginhost.StateFailed, status.State)
	require.Contains(t, status.LastError, "is named as a source, but is a runner")
	source, ok := s.host.Source("test")
	require.True(t, ok)
	_, err := source.Resolve(t.Context(), &pluginapi.ResolveRequest{})
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
}
