//go:build unix

package pluginhost_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// requireLost checks that a run ended as one whose plugin was lost: nobody knows how, so it is no result of the step.
func requireLost(t *testing.T, step *step) {
	t.Helper()
	result, err := step.wait()
	require.Nil(t, result, "a lost run must not look like a finished one")
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	require.NotErrorIs(t, err, pluginhost.ErrNotBegun, "it must not be run again")
	require.ErrorContains(t, err, "runner(test): the plugin ended during the call: ")
	require.Equal(t, 1, strings.Count(err.Error(), "runner(test)"), "%v", err)
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err))
	failure, ok := errors.AsType[*pluginapi.Error](err)
	require.True(t, ok)
	require.True(t, failure.Retryable)
}

func TestKilledPluginStartsAgain(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	before := s.runner()
	step := s.run(t.Context(), "hold")
	step.signal(syscall.SIGKILL)
	requireLost(t, step)
	status := s.awaitRestart()
	require.Equal(t, 1, status.Restarts)
	require.Empty(t, status.LastError)
	requireGone(t, step.pid())
	require.Equal(t, []string{"run-1 state of run-1"}, s.journal("remove"), "what the lost run left is removed before new work comes")
	require.Len(t, s.host.ActionTypes(), 1)
	found, _ := s.logbook.find("state", "backoff")
	require.Len(t, found, 1)
	require.Contains(t, found[0]["error"], "the process ended: signal: killed")
	require.Equal(t, before, s.runner(), "handles stay valid")
	require.NotEqual(t, step.pid(), s.run(t.Context(), "pid").pid())
}

// A run that outlives its plugin is left alone: it is for the caller to attach to it.
func TestRunsThatOutliveTheirPluginAreNotRemoved(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Attach: true}))
	step := s.run(t.Context(), "hold")
	step.signal(syscall.SIGKILL)
	requireLost(t, step)
	_, err := step.wait()
	require.ErrorIs(t, err, pluginhost.ErrRunLeft)
	s.awaitRestart()
	require.Empty(t, s.journal("remove"))
	attacher, ok := s.runner().(pluginapi.Attacher)
	require.True(t, ok)
	result, err := attacher.Attach(t.Context(), &pluginapi.AttachRequest{RunID: "run-1", Type: "test", State: []byte("state of run-1")}, step.out)
	require.NoError(t, err)
	require.Equal(t, &pluginapi.Result{ExitCode: 5}, result)
	require.Equal(t, []string{"run-1 state of run-1"}, s.journal("attach"))
}

// What many runs left is removed at the same time, and what cannot be removed does not keep the plugin away for long.
func TestManyLostRunsAreRemovedTogether(t *testing.T) {
	t.Parallel()
	for id, limit := range map[string]time.Duration{"meets": time.Hour, "stuck": 50 * time.Millisecond} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Remove = limit }))
			var steps []*step
			for i := range 3 {
				steps = append(steps, s.runAs(t.Context(), fmt.Sprintf("%s-%d", id, i), "hold"))
			}
			steps[0].signal(syscall.SIGKILL)
			for _, step := range steps {
				requireLost(t, step)
			}
			s.awaitRestart()
			require.Len(t, s.journal("remove"), 3)
		})
	}
}

func TestBackoffRefusesCalls(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) { l.BackoffMin, l.BackoffMax = time.Hour, time.Hour }))
	step := s.run(t.Context(), "hold")
	step.signal(syscall.SIGKILL)
	requireLost(t, step)
	require.Empty(t, s.host.ActionTypes(), "whoever hears of the loss finds the plugin withdrawn")
	s.awaitState(pluginhost.StateBackoff)
	require.Eventually(t, func() bool { return s.status("runner-test").PID == 0 }, longEnough, 5*time.Millisecond)
	_, err := s.runner().Run(t.Context(), runRequest("pid"), step.out)
	require.ErrorIs(t, err, pluginhost.ErrNotBegun)
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	require.ErrorContains(t, err, "runner(test): the plugin is backoff: the process ended: signal: killed")
	_, err = s.runner().CheckHealth(t.Context())
	require.ErrorIs(t, err, pluginhost.ErrPluginGone)
	require.NoError(t, s.host.Close(t.Context()), "a back-off does not hold up the end")
}

func TestChildrenOfAKilledPluginAreKilled(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	pipe := s.pipe("held")
	step := s.run(t.Context(), "child")
	step.signal(syscall.SIGKILL)
	requireAllGone(t, pipe)
	requireLost(t, step)
}

// TestHungPlugin has plugins that do not answer health checks: those whose process stands still, and those that wait for
// something. Nothing but the kill of the process group ends either of them, and a child is part of it.
func TestHungPlugin(t *testing.T) {
	t.Parallel()
	for name, health := range map[string]string{"stopped": "", "freezes": "freeze", "waits": "hang"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{}), limits(func(l *pluginhost.Limits) {
				l.HealthTimeout, l.Starts = 250*time.Millisecond, 1000
			}))
			pipe := s.pipe("held")
			s.awaitState(pluginhost.StateReady)
			step := s.run(t.Context(), "child")
			if health == "" {
				step.signal(syscall.SIGSTOP)
			} else {
				s.health(health)
			}
			requireLost(t, step)
			requireAllGone(t, pipe)
			s.health("")
			require.GreaterOrEqual(t, s.awaitRestart().Restarts, 1)
			requireGone(t, step.pid())
			found, _ := s.logbook.find("state", "backoff")
			require.NotEmpty(t, found)
			require.Contains(t, found[0]["error"], "no answer to a health check")
			s.text("pid")
		})
	}
}

func TestHungPluginIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) {
		l.HealthTimeout, l.BackoffMin, l.BackoffMax = 250*time.Millisecond, time.Hour, time.Hour
	}))
	s.health("hang")
	s.awaitState(pluginhost.StateBackoff)
	require.Empty(t, s.host.ActionTypes())
}

func TestMissedHealthChecksAreForgiven(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), limits(func(l *pluginhost.Limits) {
		l.HealthTimeout, l.Misses = 500*time.Millisecond, 1000
	}))
	pid := s.run(t.Context(), "pid").pid()
	late := func() bool { return s.status("runner-test").LastError != "" } // no change of state, so it has no signal
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	require.Eventually(t, late, longEnough, 5*time.Millisecond)
	require.Contains(t, s.status("runner-test").LastError, "no answer to a health check: runner(test): ")
	require.Len(t, s.host.ActionTypes(), 1)
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	require.Eventually(t, func() bool { return !late() }, longEnough, 5*time.Millisecond)
	require.Zero(t, s.status("runner-test").Restarts)
}

func TestUnhealthyPluginIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	open := s.gate()
	step := s.run(t.Context(), "gate")
	s.health("the engine is down")
	status := s.awaitState(pluginhost.StateUnhealthy)
	require.Equal(t, "the engine is down", status.LastError)
	require.Empty(t, s.host.ActionTypes())
	open()
	result, err := step.wait()
	require.NoError(t, err)
	require.Equal(t, 7, result.ExitCode, "a run under way goes on to its end")
	s.health("")
	status = s.awaitState(pluginhost.StateReady)
	require.Empty(t, status.LastError)
	require.Zero(t, status.Restarts)
	require.Len(t, s.host.ActionTypes(), 1)
}

func TestUnhealthyFromTheStart(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{}))
	s.health("unavailable")
	require.NoError(t, s.host.Start(t.Context()))
	status := s.status("runner-test")
	require.Equal(t, pluginhost.StateUnhealthy, status.State)
	require.Equal(t, "nothing to work with", status.LastError)
	require.NotEmpty(t, status.ActionTypes, "it is known what it would run")
	require.Empty(t, s.host.ActionTypes())
	s.health("")
	s.awaitState(pluginhost.StateReady)
	require.Len(t, s.host.ActionTypes(), 1)
}
