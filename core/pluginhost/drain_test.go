//go:build unix

package pluginhost_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// close begins Host.Close and returns when the plugin drains. The limit is how long the host waits for calls.
func (s *stage) close(limit context.Context) (closed <-chan error) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.host.Close(limit) }()
	s.awaitState(pluginhost.StateDraining)
	return done
}

func requireClosed(t *testing.T, closed <-chan error) {
	t.Helper()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(longEnough):
		require.FailNow(t, "the host does not close")
	}
}

func TestDrainLetsRunsEnd(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	open := s.gate()
	step := s.run(t.Context(), "gate")
	closed := s.close(t.Context())
	require.Empty(t, s.host.ActionTypes())
	_, err := s.runner().Run(t.Context(), runRequest("pid"), step.out)
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	require.ErrorContains(t, err, "runner(test): the plugin is draining")
	require.Empty(t, closed, "closed while a run is under way")
	open()
	result, err := step.wait()
	require.NoError(t, err)
	require.Equal(t, 7, result.ExitCode)
	requireClosed(t, closed)
	requireGone(t, step.pid())
	require.Zero(t, s.status("runner-test").PID)
	require.Equal(t, []string{"0"}, s.journal("closed"), "a plugin without runs exits by itself")
	found, _ := s.logbook.find("level", "WARN")
	require.Empty(t, found, "an orderly end is nothing to warn of")
}

func TestDrainStopsRunsAtTheLimit(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	step := s.run(t.Context(), "hold")
	limit, end := context.WithCancel(t.Context())
	closed := s.close(limit)
	end()
	result, err := step.wait()
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM", Message: "stopped"}, result, "the run ends as it says")
	requireClosed(t, closed)
	requireGone(t, step.pid())
}

// TestDrainEndsWhatDoesNotStop has a run that ignores its stop. It takes the five seconds that the protocol gives runs.
func TestDrainEndsWhatDoesNotStop(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Exit = 500 * time.Millisecond }))
	step := s.run(t.Context(), "stubborn")
	limit, end := context.WithCancel(t.Context())
	closed := s.close(limit)
	end()
	result, err := step.wait()
	require.Nil(t, result)
	require.ErrorContains(t, err, "runner(test): the run did not end within 5s of being told to stop")
	requireClosed(t, closed)
	requireGone(t, step.pid())
}

// TestDrainOfAHungPlugin has a process that cannot even be asked to exit: a timer kills it.
func TestDrainOfAHungPlugin(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) {
		l.Exit, l.HealthTimeout = 200*time.Millisecond, time.Hour
	}))
	step := s.run(t.Context(), "pid")
	_, err := step.wait()
	require.NoError(t, err)
	step.signal(syscall.SIGSTOP)
	require.NoError(t, s.host.Close(t.Context()))
	requireGone(t, step.pid())
}

func TestDrainKillsChildren(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Exit = 200 * time.Millisecond }))
	pipe := s.pipe("held")
	step := s.run(t.Context(), "orphan")
	_, err := step.wait()
	require.NoError(t, err)
	require.NoError(t, s.host.Close(t.Context()))
	requireAllGone(t, pipe)
}

func TestCloseInEveryState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		state  pluginhost.State
	}{
		"starting":    {script{Hang: atStart}, pluginhost.StateStarting},
		"describing":  {script{Hang: atDescribe}, pluginhost.StateStarting},
		"configuring": {script{Hang: atConfigure}, pluginhost.StateConfiguring},
		"failed":      {script{Refuse: "no"}, pluginhost.StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, one(c.script))
			ctx, cancel := context.WithCancel(t.Context())
			started := make(chan error, 1)
			go func() { started <- s.host.Start(ctx) }()
			require.Eventually(t, func() bool { return len(s.journal("start")) == 1 }, longEnough, 5*time.Millisecond)
			s.awaitState(c.state)
			cancel()
			if err := <-started; err != nil { // a plugin that has failed is up as far as Start cares
				require.ErrorIs(t, err, context.Canceled)
			}
			require.NoError(t, s.host.Close(t.Context()))
			require.Equal(t, pluginhost.StateDraining, s.status("runner-test").State)
			require.NoError(t, s.host.Close(t.Context()), "a second time does no harm")
		})
	}
}

func TestCloseWithoutStart(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{}))
	require.NoError(t, s.host.Close(t.Context()))
	require.Empty(t, s.journal("start"))
}
