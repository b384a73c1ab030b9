//go:build unix

package pluginhost_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
)

func TestStartsThatHangAreBounded(t *testing.T) {
	t.Parallel()
	for where, c := range map[string]struct {
		limits pluginhost.Limits // only the one that matters is short, so that a busy machine does not meet another first
		want   string
	}{
		atStart:     {pluginhost.Limits{Start: 2 * time.Second}, "start: it did not start within 2s"},
		atDescribe:  {pluginhost.Limits{Start: 2 * time.Second}, "start: it did not start within 2s"},
		atConfigure: {pluginhost.Limits{Configure: 200 * time.Millisecond}, "configure: runner(test): "},
		atHealth:    {pluginhost.Limits{HealthTimeout: 200 * time.Millisecond}, "ask for its health: runner(test): "},
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			c.limits.Starts = 1
			s := start(t, one(script{Hang: where}), limits(func(l *pluginhost.Limits) { *l = c.limits }))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, c.want)
			require.Len(t, s.journal("start"), 1)
		})
	}
}

func TestFiveFailedStarts(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Exit: atStart}))
	status := s.awaitState(pluginhost.StateFailed)
	require.Equal(t, 4, status.Restarts)
	require.Len(t, s.journal("start"), 5)
	found, _ := s.logbook.find("state", "backoff")
	require.Len(t, found, 4)
	s.logbook.await(t, "plugin has failed and is not started again")
}

func TestReasonsToStartAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		want   string
	}{
		"ends when asked":       {script{Exit: atDescribe}, "start: ask what it is: runner(test): no answer from the plugin"},
		"ends when configured":  {script{Exit: atConfigure}, "configure: runner(test): no answer from the plugin"},
		"cannot be configured":  {script{Fail: "no disk"}, "configure: runner(test): no disk"},
		"ends at health checks": {script{Exit: atHealth}, "ask for its health: runner(test): no answer from the plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(c.script), limits(func(l *pluginhost.Limits) { l.Starts = 2 }))
			status := s.awaitState(pluginhost.StateFailed)
			require.Contains(t, status.LastError, c.want)
			require.Len(t, s.journal("start"), 2)
		})
	}
}

func TestNotAPlugin(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"ends":          "#!/bin/sh\necho hello\n",
		"goes on":       "#!/bin/sh\necho hello\nexec sleep 120\n",
		"has a child":   "#!/bin/sh\nsleep 120 &\necho hello\nwait\n",
		"no executable": "just text",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Starts = 1 }))
			path := filepath.Join(s.dir, "runner-test")
			require.NoError(t, os.Remove(path)) // it may be a link to the test program
			write(t, path, []byte(text))
			require.NoError(t, s.host.Start(t.Context()))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, "start: ")
		})
	}
}
