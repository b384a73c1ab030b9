package plugintest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// given returns a function that makes cases of one rule.
func given(cases map[string]func(t plugintest.TB)) func(plugintest.TB) []plugintest.Case {
	return func(plugintest.TB) []plugintest.Case {
		var list []plugintest.Case
		for name, f := range cases {
			list = append(list, plugintest.Case{Name: name, Rule: plugintest.Rules()[0], Run: f})
		}
		return list
	}
}

func TestCheckSurvivesItsCases(t *testing.T) {
	t.Parallel()
	var dir string
	want := map[string]string{
		"errors": "one", "fatal": "two", "panics": "the case panicked: three", "cleanup fails": "four", "cleanup panics": "five",
		"overtime": "given up: context deadline exceeded", "fails silently": "",
	}
	outcomes, err := plugintest.Check(t.Context(), given(map[string]func(t plugintest.TB){
		"errors":         func(t plugintest.TB) { t.Errorf("one") },
		"fatal":          func(t plugintest.TB) { t.Fatalf("two") },
		"panics":         func(plugintest.TB) { panic("three") },
		"cleanup fails":  func(t plugintest.TB) { t.Cleanup(func() { t.Fatalf("four") }) },
		"cleanup panics": func(t plugintest.TB) { t.Cleanup(func() { panic("five") }) },
		"overtime":       func(t plugintest.TB) { <-t.Context().Done() },
		"fails silently": func(t plugintest.TB) { t.FailNow() },
		"passes": func(t plugintest.TB) {
			dir = t.TempDir()
			t.Cleanup(func() {
				require.Error(t, t.Context().Err(), "the context ends before cleanups")
				require.DirExists(t, dir, "cleanups run in reverse order")
			})
		},
	}), plugintest.CheckOptions{Limit: time.Second})
	require.NoError(t, err)
	require.Len(t, outcomes, 8)
	for _, o := range outcomes {
		message, fails := want[o.Case]
		if !fails {
			require.Equal(t, plugintest.Passed, o.Status, "%+v", o)
			continue
		}
		require.Equal(t, plugintest.Failed, o.Status, "%+v", o)
		if message != "" {
			require.Len(t, o.Failures, 1)
			require.Contains(t, o.Failures[0].Message, message)
			require.Equal(t, plugintest.Rules()[0], o.Failures[0].Rule)
		}
	}
	require.NoDirExists(t, dir)
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	_, err := plugintest.Check(ctx, given(map[string]func(t plugintest.TB){
		"long": func(t plugintest.TB) {
			cancel()
			<-t.Context().Done()
			ended = true
		},
	}), plugintest.CheckOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, ended)
	_, err = plugintest.Describe(ctx, plugintest.InProcess(newMemory))
	require.ErrorIs(t, err, context.Canceled)
}

func TestWhatCannotBeStartedIsAnError(t *testing.T) {
	t.Parallel()
	missing := plugintest.Binary("/does/not/exist")
	_, err := plugintest.Describe(t.Context(), missing)
	require.ErrorContains(t, err, "start /does/not/exist")
	_, err = plugintest.Check(t.Context(), func(t plugintest.TB) []plugintest.Case {
		return plugintest.RunnerCases(t, missing, plugintest.RunnerOptions{})
	}, plugintest.CheckOptions{})
	require.ErrorContains(t, err, "start /does/not/exist")
	self, err := os.Executable()
	require.NoError(t, err)
	_, err = plugintest.Describe(t.Context(), plugintest.Binary(self, "-test.run=^$"))
	require.Error(t, err, "a program that is no plugin")
}

func TestRulesCanBeLookedUp(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rule := range plugintest.Rules() {
		require.Regexp(t, `^(plugin|runner|source|logstore)/[a-z-]+$`, rule.ID)
		require.Regexp(t, `^[A-Z].*\.$`, rule.Text, "one sentence")
		require.False(t, seen[rule.ID], "%s is there twice", rule.ID)
		seen[rule.ID] = true
	}
	for _, c := range plugintest.LogStoreCases(t, plugintest.InProcess(newMemory), plugintest.LogStoreOptions{}) {
		require.True(t, seen[c.Rule.ID], "%s has no rule of the list", c.Name)
	}
}

// TestExamplesCanBeReplaced gives an action type of its own an example that it lacks.
func TestExamplesCanBeReplaced(t *testing.T) {
	t.Parallel()
	cases := plugintest.RunnerCases(t, plugintest.InProcess(func() pluginapi.Runner { return idle{} }), plugintest.RunnerOptions{
		Examples: map[string]pluginapi.Examples{"test.idle/here": {Fail: []byte(`{}`)}},
	})
	needs := map[string]string{}
	for _, c := range cases {
		needs[c.Name] = c.Needs
	}
	require.Empty(t, needs["test.idle-here succeed"])
	require.Empty(t, needs["test.idle-here fail"])
	require.Contains(t, needs["test.idle-here stop"], "the example long")
}

// idle is a runner that does nothing.
type idle struct{ pluginapi.Plugin }

func (idle) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "test.idle", ActionTypes: []pluginapi.ActionType{{
		Name: "test.idle", Runner: "here", Tag: "test", Examples: pluginapi.Examples{Succeed: []byte(`{}`)},
	}}}, nil
}

func (idle) Run(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
	return &pluginapi.Result{}, nil
}

func (idle) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }
